//! Without Redis, this process consumes the journal itself and removes from memory what any commit touched.
//!
//! Invariant, checked by the test of the same name:
//! - `memory_applied_what_its_guard_certifies`: until the granted instant, every copy in memory is at least as new as a
//!   snapshot of the database that is at most as old as the staleness bound.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::batch::Batch;
use crate::cause::{Cause, Causes};
use crate::clock::Clock;
use crate::engine::invalidate::drop_batch;
use crate::journal::{ChangeId, Changes, Failure, Journal, Position, within};
use crate::key::Namespace;
use crate::local::LocalTier;
use crate::polls::Poller;
use crate::protocol::relay::unpropagated_touches;
use crate::protocol::rules::ProtocolRules;
use crate::remote::validity::Validity;

pub(crate) struct Consumer {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) local: Arc<LocalTier>,
    pub(crate) guard: Arc<Validity>,
    pub(crate) clock: Clock,
    pub(crate) causes: Arc<Causes>,
    pub(crate) polls: Poller,
    pub(crate) applied: Arc<AppliedChanges>,
    pub(crate) bound: Duration,
    pub(crate) rules: ProtocolRules,
}

/// Changes that this process has already applied to its memory, the oldest first. Invariant: a change is in the list
/// only after it was committed and its touches were removed from memory, so every copy that is loaded later contains
/// the change.
///
/// The lock is held for a few statements, and never together with another lock.
#[derive(Default)]
pub(crate) struct AppliedChanges(Mutex<VecDeque<ChangeId>>);

impl AppliedChanges {
    pub(crate) fn add(&self, changes: Vec<ChangeId>) {
        self.lock().extend(changes);
    }

    fn count(&self) -> usize {
        self.lock().len()
    }

    /// Returns all changes, and removes the first `count` changes from the list. These were committed before this poll
    /// began, so no later poll reports them. Exception: if this poll fails, a later poll reports them, and removes
    /// their entries once more.
    fn take(&self, count: usize) -> HashSet<ChangeId> {
        let mut changes = self.lock();
        let later: Vec<ChangeId> = changes.range(count..).cloned().collect();
        changes.drain(..count).chain(later).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<ChangeId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Consumer {
    /// Polls the journal until the task is aborted.
    pub(crate) async fn consume(self) {
        let mut position = None;
        loop {
            let last = self.polls.last_request();
            // A failure is logged by `PollRequests::noted`. Until a poll succeeds, reads go to their loaders.
            if self.poll(&mut position).await.is_ok() {
                self.polls.complete(last);
            }
            self.polls.wait_until_due(last).await;
        }
    }

    /// Runs one poll: removes from memory what was committed since the last poll, and only then extends the validity.
    pub(crate) async fn poll(&self, position: &mut Option<Position>) -> Result<(), Failure> {
        let epoch = self.guard.epoch();
        // Read before the snapshot is taken: the grant counts from here.
        let began = self.clock.now();
        let applied_before = self.applied.count();
        // The bound is the time-out: a poll that takes longer could not extend the validity.
        let since = within(self.bound, self.journal.changes_since(position.as_ref())).await;
        let applied = self.applied.take(applied_before);
        let since = self.polls.noted(since)?;
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

#[cfg(test)]
#[path = "consumer_tests.rs"]
mod tests;
