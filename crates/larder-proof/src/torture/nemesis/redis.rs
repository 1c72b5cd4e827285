//! The faults that a torture run makes in Redis (its nemeses): a kill, a stop, a flush, and closed connections.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::torture::stage::Stage;

pub(super) fn kill(stage: &mut Stage) -> Result<()> {
    stage.redis()?.kill()?;
    stage.work_a_while();
    stage.redis()?.restart()
}

pub(super) fn stop(stage: &mut Stage) -> Result<()> {
    stage.redis()?.pause()?;
    stage.outlast_the_bound();
    stage.redis()?.resume()
}

pub(super) fn flush(stage: &mut Stage) -> Result<()> {
    stage.redis()?.command(&["FLUSHALL"]).map(drop)
}

pub(super) fn cut_clients(stage: &mut Stage) -> Result<()> {
    for _ in 0..rand::random_range(1..5) {
        // Close all connections except the one that sends this command.
        for kind in ["normal", "pubsub"] {
            stage.redis()?.command(&["CLIENT", "KILL", "TYPE", kind])?;
        }
        thread::sleep(Duration::from_millis(rand::random_range(0..100)));
    }
    Ok(())
}
