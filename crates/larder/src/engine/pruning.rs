//! Prunes the journal, with or without Redis.

use std::error::Error;
use std::iter;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::journal::{Journal, within};
use crate::polls::PollRequests;

/// How often the journal is pruned, on average.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);
/// A prune that deleted this many rows may have left more, so the next one follows after 1 s.
const PRUNE_AGAIN_ROWS: u64 = 10_000;

/// Prunes the journal at random intervals, once a minute on average. Every process prunes; if another process has just
/// pruned, there is nothing to delete.
pub(crate) async fn prune_periodically(journal: Arc<dyn Journal>, polls: Arc<PollRequests>) {
    let mut pause = PRUNE_INTERVAL;
    loop {
        // Jitter: 50 to 150 % of the pause, so that the processes do not prune at the same time.
        sleep(pause.mul_f64(0.5 + rand::random::<f64>())).await;
        pause = prune(&*journal, &polls).await;
    }
}

/// Prunes the journal once; returns the mean pause until the next prune.
async fn prune(journal: &dyn Journal, polls: &PollRequests) -> Duration {
    let began = Instant::now();
    // A prune that takes longer than its interval is abandoned; the next prune deletes the same rows.
    match within(PRUNE_INTERVAL, journal.prune()).await {
        // There may be more rows, and pruning has to keep up with the writers.
        Ok(rows @ PRUNE_AGAIN_ROWS..) => {
            tracing::debug!(rows, took = ?began.elapsed(), "journal pruned, more rows may follow");
            Duration::from_secs(1)
        }
        Ok(_) => PRUNE_INTERVAL,
        Err(error) => {
            polls.note_failed_prune();
            tracing::warn!(error = with_sources(&*error), "the journal cannot be pruned");
            PRUNE_INTERVAL
        }
    }
}

/// The text of an error with those of its sources. The outermost says only that the database failed, and not what it refused.
fn with_sources(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let sources = iter::successors(error.source(), |error| (**error).source());
    for source in sources.map(ToString::to_string) {
        // Some errors repeat what their source says.
        if !text.contains(&source) {
            text = format!("{text}: {source}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::journal::{ChangesSince, DatabaseId, Failure, Position, Touch};

    /// A journal that prunes so many rows, or refuses.
    struct Pruned(Option<u64>);

    #[async_trait]
    impl Journal for Pruned {
        async fn database(&self) -> Result<DatabaseId, Failure> {
            Ok(DatabaseId { system: "test".to_owned(), timeline: 0 })
        }

        async fn changes_since(&self, _: Option<&Position>) -> Result<ChangesSince, Failure> {
            Err("nothing polls".into())
        }

        async fn append(&self, _: &[Touch]) -> Result<(), Failure> {
            Ok(())
        }

        async fn prune(&self) -> Result<u64, Failure> {
            self.0.ok_or_else(|| "permission denied for table larder_outbox".into())
        }
    }

    #[test]
    fn the_refusal_of_the_database_is_in_the_log() {
        let refusal = std::io::Error::other("permission denied for table larder_outbox");
        let error = crate::error::Error::load("class", refusal.into());
        assert!(with_sources(&error).ends_with("permission denied for table larder_outbox"), "{error}");
    }

    #[tokio::test]
    async fn a_prune_that_may_have_left_rows_is_soon_repeated_and_a_failed_one_is_counted() {
        let polls = PollRequests::new();
        for (rows, seconds, failed) in [(Some(0), 60, 0), (Some(PRUNE_AGAIN_ROWS), 1, 0), (None, 60, 1)] {
            assert_eq!(prune(&Pruned(rows), &polls).await, Duration::from_secs(seconds), "{rows:?}");
            assert_eq!(polls.failed_prunes(), failed, "{rows:?}");
        }
    }
}
