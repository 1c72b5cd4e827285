//! Redis with a past: a replica that has not heard the last writes, a snapshot that has not seen them.

use anyhow::Result;
use larder_testbed::{Proxy, Redis};

use crate::torture::stage::Stage;

/// Both hold a prefix of the history: values that were invalidated since, and leases that were destroyed since.
pub(super) fn promote(stage: &mut Stage) -> Result<()> {
    let link = Proxy::start(stage.redis()?.port())?;
    let replica = Redis::start()?;
    replica.replicate(link.port())?;
    stage.work_a_while();
    link.stall();
    stage.work_a_while();
    // The old master must be gone before there is a new one: two at once is another story.
    stage.redis()?.kill()?;
    replica.promote()?;
    stage.succeed(replica);
    Ok(())
}

pub(super) fn restore(stage: &mut Stage) -> Result<()> {
    let snapshot = stage.redis()?.snapshot()?;
    stage.work_a_while();
    stage.redis()?.restore(&snapshot)
}
