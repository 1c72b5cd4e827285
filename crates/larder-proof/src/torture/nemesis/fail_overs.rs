//! Nemeses that let a standby of the database take the primary's place.
//!
//! Every version of the history names its timeline, and the versions of a later timeline are above all of an earlier one.
//! So a promotion counts as a write of every key, from the first instant at which a process knows the successor. A write
//! that the successor lacks is undone by it: a read that still returns such a write after the bound is a violation.

use std::thread;
use std::time::Duration;

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

/// The former primary comes back as a primary, as when a supervisor starts it again, while connections to its successor
/// break again and again. Every instance knows the successor by then: one that starts now could not know better.
pub(super) fn former_returns(stage: &mut Stage) -> Result<()> {
    stage.base.primary()?.wait_for_standby()?;
    stage.work_a_while();
    stage.base.primary()?.crash()?;
    stage.base.standby()?.promote()?;
    stage.wait_until_all_know_the_successor()?;
    stage.base.succeed_after(|base, former| {
        former.restart()?;
        former.commit_alone()?;
        for _ in 0..rand::random_range(3..8) {
            base.cut_instances()?;
            thread::sleep(Duration::from_millis(rand::random_range(100..500)));
        }
        former.crash()
    })
}
