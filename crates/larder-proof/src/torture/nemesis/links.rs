//! Nemeses of the link between one instance and Redis.

use std::time::Duration;

use anyhow::Result;

use crate::torture::stage::Stage;

pub(super) fn stall(stage: &mut Stage) -> Result<()> {
    let link = &stage.proxies[stage.any()];
    if rand::random() {
        link.stall();
    } else {
        link.stall_replies();
    }
    stage.outlast_the_bound();
    link.heal();
    Ok(())
}

pub(super) fn cut(stage: &mut Stage) -> Result<()> {
    let link = &stage.proxies[stage.any()];
    link.cut();
    stage.outlast_the_bound();
    link.heal();
    Ok(())
}

/// Slows the link of one instance down, so that other instances send many commands between two commands of that one.
pub(super) fn slow(stage: &mut Stage) -> Result<()> {
    let link = &stage.proxies[stage.any()];
    link.delay(Duration::from_millis(rand::random_range(5..50)));
    stage.outlast_the_bound();
    stage.outlast_the_bound();
    link.heal();
    Ok(())
}
