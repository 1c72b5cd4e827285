//! Without Redis, this process consumes the journal itself: what was committed anywhere is dropped from memory.
//!
//! Invariant, borne by a test of its name:
//! - `memory_knows_what_the_guard_vouches_for`: until the instant that is granted, memory holds nothing older than a
//!   snapshot that was taken at most the staleness bound before.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::batch::Batch;
use crate::cause::{Cause, Causes};
use crate::clock::Clock;
use crate::engine::invalidate::drop_batch;
use crate::journal::{ChangeId, Changes, Failure, Journal, Position, within};
use crate::key::Namespace;
use crate::local::LocalTier;
use crate::polls::PollRequests;
use crate::protocol::relay::unpropagated_touches;
use crate::protocol::rules::ProtocolRules;
use crate::remote::validity::Validity;

/// How often the journal is asked to forget what is old.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);
/// A pruning of so many rows is followed by another soon.
const PRUNE_AGAIN_ROWS: u64 = 10_000;

pub(crate) struct Consumer {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) local: Arc<LocalTier>,
    pub(crate) guard: Arc<Validity>,
    pub(crate) clock: Clock,
    pub(crate) causes: Arc<Causes>,
    pub(crate) polls: Arc<PollRequests>,
    pub(crate) applied: Arc<AppliedChanges>,
    pub(crate) bound: Duration,
    pub(crate) rules: ProtocolRules,
}

/// Changes that this process has told its memory itself, the oldest first. Guarded by its lock; each is here only once it
/// is committed and what it touched has been dropped, so that whatever memory then holds has seen it.
#[derive(Default)]
pub(crate) struct AppliedChanges(Mutex<VecDeque<ChangeId>>);

impl AppliedChanges {
    pub(crate) fn add(&self, changes: Vec<ChangeId>) {
        self.lock().extend(changes);
    }

    fn count(&self) -> usize {
        self.lock().len()
    }

    /// All of them. The `first` are forgotten: they were here before the journal was asked, so it tells of them now or never
    /// again; and if it could not be asked, they are dropped once more.
    fn take(&self, first: usize) -> HashSet<ChangeId> {
        let mut changes = self.lock();
        let later: Vec<ChangeId> = changes.range(first..).cloned().collect();
        changes.drain(..first).chain(later).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<ChangeId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Consumer {
    /// Passes, again and again.
    pub(crate) async fn consume(self) {
        let mut position = None;
        let mut is_known_to_fail = false;
        loop {
            let requests = self.polls.requests();
            match self.poll(&mut position).await {
                Ok(()) => {
                    is_known_to_fail = false;
                    self.polls.complete(requests);
                }
                // Once, not five times a second: until it is asked again, reads go to their loaders.
                Err(error) if !std::mem::replace(&mut is_known_to_fail, true) => {
                    tracing::warn!(%error, "the journal cannot be asked, memory is not used");
                }
                Err(_) => {}
            }
            self.polls.wait_until_due().await;
        }
    }

    /// One pass: whatever was committed by now is dropped, and only then vouched for.
    pub(crate) async fn poll(&self, position: &mut Option<Position>) -> Result<(), Failure> {
        let epoch = self.guard.epoch();
        // Before the snapshot is taken: the grant counts from here.
        let began = self.clock.now();
        let applied_before = self.applied.count();
        let since = within(self.bound, self.journal.changes_since(position.as_ref())).await;
        let applied = self.applied.take(applied_before);
        let since = since?;
        match since.changes {
            Changes::Known(changes) => {
                let touches = unpropagated_touches(changes, |change| applied.contains(change), self.rules);
                let batch = Batch::of(&self.namespace, &touches);
                drop_batch(&self.local, &self.namespace, &batch);
                self.causes.note(&batch, Cause::Journal);
            }
            Changes::Unknown => {
                if self.local.clear() > 0 {
                    self.causes.note_everything(Cause::Journal);
                }
            }
        }
        *position = Some(since.position);
        self.guard.grant(epoch, began.plus(self.bound).minus(self.clock.resolution()));
        Ok(())
    }
}

/// Every process does so, now and then: whoever comes second finds nothing to do.
pub(crate) async fn prune_periodically(journal: Arc<dyn Journal>) {
    let mut pause = PRUNE_INTERVAL;
    loop {
        sleep(pause.mul_f64(0.5 + rand::random::<f64>())).await;
        let began = Instant::now();
        pause = match within(PRUNE_INTERVAL, journal.prune()).await {
            // So many that there may be more: it has to keep up with whoever writes.
            Ok(rows @ PRUNE_AGAIN_ROWS..) => {
                tracing::debug!(rows, took = ?began.elapsed(), "journal pruned, going on");
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

#[cfg(test)]
#[path = "consumer_tests.rs"]
mod tests;
