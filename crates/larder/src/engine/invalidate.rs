//! Invalidates in this order: this process's memory, Redis, memory again, then the acknowledgement.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::batch::{Batch, Sweep};
use crate::cause::Cause;
use crate::engine::{Engine, EntryRef, SharedTier};
use crate::journal::{ChangeId, Touch, within};
use crate::key::Namespace;
use crate::local::LocalTier;
use crate::protocol::tag::TagKey;
use crate::receipt::{Delivery, Dropped};
use crate::stats::count;

/// How long a put or the draw of a permit waits for a poll of the journal. After that it continues without the poll,
/// and an earlier change that is polled later may remove the new value, or void the permit.
const JOURNAL_POLL_TIMEOUT: Duration = Duration::from_millis(500);

/// What an invalidation removed from memory.
#[derive(Default)]
pub(crate) struct MemoryDrops {
    copies: usize,
    /// The keys of flights that an invalidation of a tag or pattern detached. If their leases stayed in Redis, other
    /// reads would wait for them.
    overtaken: Vec<Bytes>,
}

/// What caused an invalidation.
pub(crate) enum InvalidationKind {
    /// A call of the application: these touches are appended to the journal first.
    ByHand(Vec<Touch>),
    /// A committed write, whose changes have these ids in the journal. Empty if the ids are unknown: then the consumer
    /// or relay invalidates the touches once more.
    Committed(Vec<ChangeId>),
}

/// What an invalidation did; its receipt is made from this.
pub(crate) struct InvalidationOutcome {
    pub(crate) delivery: Delivery,
    pub(crate) dropped: Dropped,
    /// Whether the journal contains the invalidation; if so, no crash can lose it.
    pub(crate) is_journalled: bool,
}

/// Removes all of `batch` from memory.
pub(crate) fn drop_batch(local: &LocalTier, namespace: &Namespace, batch: &Batch) -> MemoryDrops {
    if batch.everything {
        return MemoryDrops { copies: local.clear(), overtaken: Vec::new() };
    }
    let mut drops = MemoryDrops::default();
    for key in &batch.keys {
        drops.copies += usize::from(local.drop_key(key));
    }
    for tag in &batch.tags {
        let all: Vec<TagKey> = namespace.all_of_tag(tag).collect();
        drops.overtaken.extend(local.drop_tag(&all));
    }
    for pattern in &batch.patterns {
        let (overtaken, copies) = local.drop_matching(|key| namespace.matches_key(pattern, key));
        drops.overtaken.extend(overtaken);
        drops.copies += copies;
    }
    drops
}

impl Engine {
    /// Runs an invalidation to its end, also if its caller is cancelled: a commit without its invalidation would leave
    /// outdated entries. Therefore it runs in a task of its own.
    pub(crate) async fn invalidate(
        self: Arc<Self>,
        batch: Batch,
        kind: InvalidationKind,
    ) -> InvalidationOutcome {
        let cause = match kind {
            InvalidationKind::ByHand(_) => Cause::ByHand,
            InvalidationKind::Committed(_) => Cause::Committed,
        };
        self.causes.note(&batch, cause);
        let run = async move {
            let (is_journalled, changes) = match kind {
                InvalidationKind::ByHand(touches) => (self.append_to_journal(&touches).await, Vec::new()),
                InvalidationKind::Committed(changes) => (true, changes),
            };
            let (mut delivery, dropped) = self.invalidate_tiers(&batch, changes).await;
            if self.is_losable(is_journalled) {
                delivery = Delivery::Queued;
            }
            let done = InvalidationOutcome { delivery, dropped, is_journalled };
            self.log(&batch, cause, &done);
            done
        };
        // Boxed for the same reason as a flight's load; see `Engine::lead`.
        let running = tokio::spawn(Box::pin(run));
        match running.await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // No code aborts this task, so the runtime is shutting down; memory ends with it.
                Err(_) => InvalidationOutcome {
                    delivery: Delivery::Queued,
                    dropped: Dropped::default(),
                    is_journalled: false,
                },
            },
        }
    }

    /// Logs classes and counts only: a key can contain an e-mail, and so can a tag that is derived from it.
    fn log(&self, batch: &Batch, cause: Cause, done: &InvalidationOutcome) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let mut classes: Vec<String> =
            batch.keys.iter().filter_map(|key| self.namespace.class_of(key)).collect();
        let names = batch.tags.iter().map(|tag| self.namespace.tag_name(tag));
        classes.extend(names.filter(|name| self.classes.get(name).is_some()));
        classes.sort();
        classes.dedup();
        tracing::debug!(
            action = "cache_invalidation",
            %cause,
            classes = classes.join(" "),
            keys = batch.keys.len(),
            tags = batch.tags.len(),
            patterns = batch.patterns.len(),
            everything = batch.everything,
            delivery = %done.delivery,
            journalled = done.is_journalled,
            from_memory = done.dropped.memory,
            from_redis = done.dropped.redis,
            "invalidated"
        );
    }

    /// If a class of this name was ever opened, counts one invalidation of all or some of its entries.
    pub(crate) fn count_invalidation(&self, class: &str) {
        if let Some(common) = self.classes.get(class) {
            count(&common.counters.invalidations);
        }
    }

    /// Counts an invalidation of every class.
    pub(crate) fn count_clear(&self) {
        self.classes.all().iter().for_each(|(_, common)| count(&common.counters.invalidations));
    }

    /// Appends to the journal before the tiers are invalidated: the journal carries the invalidation to every instance
    /// that Redis does not reach. If the database does not answer, the tiers are invalidated all the same, because that
    /// removes the outdated entries from most places.
    async fn append_to_journal(&self, touches: &[Touch]) -> bool {
        let Some(journal) = &self.journal else { return false };
        // If the database hangs, the caller waits no longer than the staleness bound.
        let appended = within(self.limits.bound, journal.append(touches)).await;
        if let Err(error) = &appended {
            tracing::warn!(%error, "an invalidation by hand could not be journalled");
        }
        appended.is_ok()
    }

    /// Whether the invalidation can be lost: the journal did not accept it, so an instance that Redis does not reach,
    /// or a replica of Redis that is promoted, may never receive it.
    pub(crate) fn is_losable(&self, is_journalled: bool) -> bool {
        self.journal.is_some() && !is_journalled
    }

    /// Waits until this process has applied to memory, or propagated to Redis, what the journal contains now, at most
    /// [`JOURNAL_POLL_TIMEOUT`]. If a delivery is not certain, it also waits until Redis may answer reads of the entry again,
    /// at most the staleness bound in all: if that is not enough, the caller's value stays in this process.
    pub(crate) async fn poll_journal(&self, entry_ref: &EntryRef) {
        let keys = entry_ref.keys();
        let remote = self.usable_tier().map(|(SharedTier { remote, .. }, _)| remote);
        let settled = async {
            if let Some(remote) = remote {
                remote.wait_for_clock(&keys).await;
            }
            // Without an answer in time, the next regular poll does it.
            let _ = self.polls.poll_within(JOURNAL_POLL_TIMEOUT).await;
            if let Some(remote) = remote {
                remote.wait_until_settled(&keys).await;
            }
        };
        let _ = timeout(self.limits.bound, settled).await;
    }

    /// Whether an invalidation that Redis has confirmed holds; see [`Remote::is_delivery_certain`]. If not, every
    /// delivery is `Queued`.
    ///
    /// [`Remote::is_delivery_certain`]: crate::remote::Remote::is_delivery_certain
    pub(crate) fn is_delivery_certain(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| shared.remote.is_delivery_certain())
    }

    /// Waits until the queued invalidations have been sent and Redis is usable again, at most the staleness bound;
    /// returns whether that is so.
    ///
    /// It waits for a grant, because the UNLINK alone is not enough: the keeper also sends it to a Redis that is not
    /// certified yet, or under a new identity of the database. Until the certification, other instances may still read
    /// old entries from the Redis that was certified before, or under the former identity.
    pub(crate) async fn wait_until_sent(&self) -> bool {
        if !self.is_delivery_certain() || self.is_journal_incomplete() {
            return false;
        }
        let is_granted = match &self.shared {
            Some(shared) => shared.remote.wait_until_sent(self.limits.bound).await,
            None => true,
        };
        is_granted && !self.is_journal_incomplete()
    }

    /// Whether changes may be missing from the journal. Then a write cannot be acknowledged as sent, because its
    /// touches may be incomplete.
    fn is_journal_incomplete(&self) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.incompleteness().is_some())
    }

    async fn invalidate_tiers(&self, batch: &Batch, changes: Vec<ChangeId>) -> (Delivery, Dropped) {
        // Memory first: a read that begins now must not find an outdated copy.
        let drops = drop_batch(&self.local, &self.namespace, batch);
        let (delivery, redis) = match &self.shared {
            None => (Delivery::Sent, 0),
            Some(shared) => self.unlink(shared, batch, drops.overtaken, &changes).await,
        };
        // Memory again: a read that Redis answered before the UNLINK may have inserted the old value before the push
        // arrived.
        drop_batch(&self.local, &self.namespace, batch);
        if let Some(applied) = &self.applied {
            applied.add(changes);
        }
        let delivery = if self.is_journal_incomplete() { Delivery::Queued } else { delivery };
        (delivery, Dropped { memory: drops.copies, redis })
    }

    async fn unlink(
        &self,
        shared: &SharedTier,
        batch: &Batch,
        overtaken: Vec<Bytes>,
        changes: &[ChangeId],
    ) -> (Delivery, u64) {
        let mut keys = overtaken;
        keys.extend(batch.unlinks(&self.namespace));
        // The tier must be usable before and after, in the same epoch: otherwise the reply may come from a Redis that
        // is not certified now.
        let epoch = shared.validity.epoch();
        let is_usable = || shared.validity.epoch() == epoch && shared.validity.is_valid_at(self.clock.now());
        // While the journal is incomplete, each write may invalidate everything: these sweeps are queued, and the
        // keeper sweeps once for all of them.
        let is_one_of_many_sweeps = batch.everything && self.is_journal_incomplete();
        if !is_one_of_many_sweeps && is_usable() {
            match propagate(shared, &keys, &batch.sweeps(), changes).await {
                Ok(unlinked) if is_usable() => {
                    let is_certain = self.is_delivery_certain();
                    return (if is_certain { Delivery::Sent } else { Delivery::Queued }, unlinked);
                }
                Ok(_) => {}
                Err(undelivered) => keys = undelivered,
            }
        }
        shared.remote.queue(&keys, !batch.sweeps().is_empty());
        (Delivery::Queued, 0)
    }
}

/// The error has those of `keys` that may still exist. If a sweep failed, all sweeps have to be repeated.
async fn propagate(
    shared: &SharedTier,
    keys: &[Bytes],
    sweeps: &[Sweep<'_>],
    changes: &[ChangeId],
) -> Result<u64, Vec<Bytes>> {
    if sweeps.is_empty() {
        return shared.remote.deliver(keys, changes).await;
    }
    // A sweep takes many steps, and the record must be written in one step with the unlinking. So the changes are not
    // recorded, and the relay propagates them again.
    let mut unlinked = shared.remote.deliver(keys, &[]).await?;
    for sweep in sweeps {
        unlinked += shared.remote.sweep(*sweep).await.map_err(|_| Vec::new())?;
    }
    Ok(unlinked)
}
