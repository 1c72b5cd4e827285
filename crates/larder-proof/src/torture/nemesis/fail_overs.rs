//! Nemeses that let a standby of the database take the primary's place.
//!
//! Every version of the history names its timeline, and the versions of a later timeline are above all of an earlier one.
//! So a promotion counts as a write of every key, from the first instant at which a process knows the successor. A write
//! that the successor lacks is undone by it: a read that still returns such a write after the bound is a violation.

use anyhow::{Result, ensure};

use crate::torture::keys::ITEMS;
use crate::torture::schema::foreign_write;
use crate::torture::stage::Stage;

/// Each commit waits for the standby, so the fail-over loses none that any process has seen.
pub(super) fn promote(stage: &mut Stage) -> Result<()> {
    stage.base.primary()?.wait_for_standby()?;
    stage.work_a_while();
    let before = stage.base.writes()?;
    stage.base.primary()?.crash()?;
    stage.base.standby()?.promote()?;
    let after = stage.base.writes_on_standby()?;
    ensure!(
        before.iter().zip(&after).all(|(before, after)| before <= after),
        "the fail-over has lost a commit"
    );
    stage.base.succeed()
}

/// The standby has received nothing for a while, so the fail-over loses commits, acknowledged ones too.
pub(super) fn promote_lagging(stage: &mut Stage) -> Result<()> {
    stage.base.standby()?.stop_receiving()?;
    stage.work_a_while();
    stage.base.sql(&foreign_write(rand::random_range(0..ITEMS)))?;
    let before = stage.base.writes()?;
    stage.base.primary()?.crash()?;
    let kept = stage.base.writes_on_standby()?;
    ensure!(before.iter().zip(&kept).any(|(before, kept)| before > kept), "the standby lacks no commit");
    stage.base.standby()?.promote()?;
    stage.base.succeed()
}
