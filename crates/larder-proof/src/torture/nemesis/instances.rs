//! Nemeses of the instances: a stop, a kill between commit and invalidation, and a stopped relay.

use anyhow::Result;

use crate::torture::instance::order::Order;
use crate::torture::stage::Stage;

/// Stops an instance for longer than the bound. This tests the reads right after it resumes: the instance's memory is
/// then as old as the stop was long.
pub(super) fn stop(stage: &mut Stage) -> Result<()> {
    let child = &stage.children[stage.any()];
    child.pause()?;
    stage.outlast_the_bound();
    child.resume()
}

pub(super) fn kill_writer(stage: &mut Stage) -> Result<()> {
    let nth = stage.any();
    stage.children[nth].order(Order::DieAfterCommit)?;
    stage.children[nth].wait()?;
    stage.work_a_while();
    stage.replace(nth)
}

pub(super) fn stop_relay(stage: &mut Stage) -> Result<()> {
    let victim = stage.any();
    for nth in 0..stage.children.len() {
        stage.children[nth].pause()?;
        stage.outlast_the_bound();
        if nth == victim {
            // Kill the instance while it is stopped, so that it may end in the middle of any step.
            stage.replace(nth)?;
        } else {
            stage.children[nth].resume()?;
        }
    }
    Ok(())
}
