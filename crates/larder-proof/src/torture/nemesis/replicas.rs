//! Nemeses with old contents of Redis: a replica or a snapshot without the last writes.

use anyhow::Result;
use larder_testbed::Proxy;

use crate::torture::stage::Stage;

/// Promotes a replica that has not received the last changes: it holds entries and leases that have been invalidated
/// since.
pub(super) fn promote(stage: &mut Stage) -> Result<()> {
    let link = Proxy::start(stage.redis()?.port())?;
    let (replica, port) = stage.shared_redis()?.another()?;
    replica.replicate(link.port())?;
    stage.work_a_while();
    link.stall();
    stage.work_a_while();
    // Stop the old master first: with two masters at once, larder promises only the staleness bound.
    stage.redis()?.kill()?;
    replica.promote()?;
    stage.replace_redis((replica, port))
}

/// Lets Sentinels promote a replica that has not received the last changes.
pub(super) fn fail_over(stage: &mut Stage) -> Result<()> {
    stage.shared_redis()?.fail_over()
}

pub(super) fn restore(stage: &mut Stage) -> Result<()> {
    let snapshot = stage.redis()?.snapshot()?;
    stage.work_a_while();
    stage.redis()?.restore(&snapshot)
}
