//! Prunes the journal, with or without Redis.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::journal::{Journal, within};

/// How often the journal is pruned, on average.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);
/// A prune that deleted this many rows may have left more, so the next one follows after 1 s.
const PRUNE_AGAIN_ROWS: u64 = 10_000;

/// Prunes the journal at random intervals, once a minute on average. Every process prunes; if another process has just
/// pruned, there is nothing to delete.
pub(crate) async fn prune_periodically(journal: Arc<dyn Journal>) {
    let mut pause = PRUNE_INTERVAL;
    loop {
        // Jitter: 50 to 150 % of the pause, so that the processes do not prune at the same time.
        sleep(pause.mul_f64(0.5 + rand::random::<f64>())).await;
        let began = Instant::now();
        // A prune that takes longer than its interval is abandoned; the next prune deletes the same rows.
        pause = match within(PRUNE_INTERVAL, journal.prune()).await {
            // There may be more rows, and pruning has to keep up with the writers.
            Ok(rows @ PRUNE_AGAIN_ROWS..) => {
                tracing::debug!(rows, took = ?began.elapsed(), "journal pruned, more rows may follow");
                Duration::from_secs(1)
            }
            Ok(_) => PRUNE_INTERVAL,
            Err(error) => {
                tracing::warn!(%error, "the journal cannot be pruned");
                PRUNE_INTERVAL
            }
        }
    }
}
