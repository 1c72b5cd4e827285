//! The link between one instance and Redis.

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
