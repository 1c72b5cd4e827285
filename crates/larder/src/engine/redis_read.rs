//! A flight through Redis: a tracked read (after which Redis reports changes of the keys), then the lease, the load and
//! the fill.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::codec::AnyValue;
use crate::engine::load::{LoadedValue, Loading, StoreCondition};
use crate::engine::plan::{FlightStep, LeaseHold, LoadBegin, LoadPlan};
use crate::engine::reply::{Reply, minted};
use crate::engine::storable::StorableValue;
use crate::engine::{ClassCore, Engine, EntryRef, SharedTier};
use crate::local::copy::{LocalCopy, Origin, Slot};
use crate::local::outcome::{FlightReceiver, FlightResult, LoadOutcome};
use crate::policy::Policy;
use crate::protocol::frame::{Entry, Header, Seal, fingerprint};
use crate::protocol::lease::{AfterLease, AfterRead, after_lease, after_read};
use crate::protocol::rules::ProtocolRule;
use crate::protocol::tag::{TagKey, TagToken};
use crate::protocol::token::Token;
use crate::remote::Fault;
use crate::remote::validity::Epoch;
use crate::source::{NotStoredReason, Placement, Source};
use crate::stats::count;

/// How long a flight waits at first, while another instance loads, before it looks again; each further wait is twice as
/// long, up to [`LEASE_POLL_MAX`]. A push ends a wait earlier. A detached flight receives no push; if Redis refuses
/// tracking, no flight does.
pub(super) const LEASE_POLL_MIN: Duration = Duration::from_millis(50);
pub(super) const LEASE_POLL_MAX: Duration = Duration::from_millis(400);

/// The result of one round: a tracked read and a request for the lease.
enum Attempt {
    Held(LeaseHold, Vec<TagToken>),
    Served(LoadOutcome),
    Wait,
    ReadAgain,
}

impl Engine {
    /// Reads Redis until it has the entry or this flight has the lease.
    pub(super) async fn read_redis(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        (shared, epoch): (&SharedTier, Epoch),
        receiver: &FlightReceiver,
    ) -> FlightStep {
        // The load time-out is the limit: after it, the other load has ended, or its instance has stopped.
        let patience = Instant::now() + class.load_timeout;
        let mut poll_interval = LEASE_POLL_MIN;
        while Instant::now() < patience {
            match self.step(class, entry_ref, shared, epoch).await {
                Ok(Attempt::Served(loaded)) => return FlightStep::Served(loaded),
                Ok(Attempt::Held(hold, tags)) => return FlightStep::Load(LoadPlan::Fill(hold, tags)),
                Ok(Attempt::Wait) => {
                    count(&class.common.counters.lease_waits);
                    wait_for_push(receiver, patience.min(Instant::now() + poll_interval)).await;
                    poll_interval = LEASE_POLL_MAX.min(2 * poll_interval);
                }
                Ok(Attempt::ReadAgain) => {}
                Err(fault) => {
                    // A fault of a tier never fails a read: the read continues as if there were no Redis.
                    shared.note(fault);
                    return FlightStep::Load(self.plan_memory(entry_ref));
                }
            }
        }
        count(&class.common.counters.lease_waits_in_vain);
        FlightStep::Load(LoadPlan::Beside)
    }

    /// Runs one tracked read and, if the key holds no usable entry, requests the lease once.
    async fn step(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        shared: &SharedTier,
        epoch: Epoch,
    ) -> Result<Attempt, Fault> {
        let reply = self.read_tracked(entry_ref, shared, epoch).await?;
        match after_read(reply.value.as_ref(), class.readable_format(&entry_ref.tags), |tag| reply.token(tag))
        {
            AfterRead::Serve(entry) => match self.accept_entry(class, entry_ref, shared, &reply, &entry) {
                Some(loaded) => Ok(Attempt::Served(loaded)),
                None => {
                    let replace = reply.value.as_ref().map(fingerprint);
                    self.acquire(class, entry_ref, shared, epoch, &reply, replace).await
                }
            },
            AfterRead::Wait => Ok(Attempt::Wait),
            AfterRead::Acquire { replace, alarm } => {
                match alarm {
                    Some(broken) => class.note_broken_frame(&broken),
                    None if replace.is_some() => count(&class.common.counters.passed_over),
                    None => {}
                }
                self.acquire(class, entry_ref, shared, epoch, &reply, replace).await
            }
        }
    }

    /// Runs one tracked read; never loads.
    pub(crate) async fn peek_redis(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        shared: &SharedTier,
        epoch: Epoch,
    ) -> Option<LoadOutcome> {
        let reply = match self.read_tracked(entry_ref, shared, epoch).await {
            Ok(reply) => reply,
            Err(fault) => {
                shared.note(fault);
                return None;
            }
        };
        match after_read(reply.value.as_ref(), class.readable_format(&entry_ref.tags), |tag| reply.token(tag))
        {
            AfterRead::Serve(entry) => self.accept_entry(class, entry_ref, shared, &reply, &entry),
            AfterRead::Wait | AfterRead::Acquire { .. } => None,
        }
    }

    pub(super) async fn read_tracked(
        &self,
        entry_ref: &EntryRef,
        shared: &SharedTier,
        epoch: Epoch,
    ) -> Result<Reply, Fault> {
        let keys = entry_ref.keys();
        let seqs = self.local.note_seqs(keys.iter().map(|key| &key[..]));
        let valid_until = shared.validity.until();
        let mut values = shared.remote.read(&keys).await?;
        self.check_epoch(shared, epoch)?;
        let value = values.remove(0);
        Ok(Reply::new(entry_ref, seqs, valid_until, value, values))
    }

    /// A reply counts only if the tier was usable without a break from the beginning of the flight until the reply:
    /// otherwise it may come from another Redis, which is not certified yet.
    pub(super) fn check_epoch(&self, shared: &SharedTier, epoch: Epoch) -> Result<(), Fault> {
        let is_same_epoch = shared.validity.epoch() == epoch && shared.validity.is_valid_at(self.clock.now());
        if is_same_epoch { Ok(()) } else { Err(Fault::Refused) }
    }

    /// Serves the entry from a tracked read, and inserts it and the tags' tokens into memory unless a push arrived
    /// after the read was sent. `None` if the entry cannot be opened as an entry of this class and key.
    fn accept_entry(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        shared: &SharedTier,
        reply: &Reply,
        entry: &Entry,
    ) -> Option<LoadOutcome> {
        let copy = self.local_copy(class, &entry_ref.key, entry)?;
        let value = copy.value.clone();
        if shared.remote.is_tracking() {
            self.insert_tokens(shared, reply);
            let slot = Slot::Entry(Arc::new(copy));
            let inserted = self.local.insert_tracked(&reply.seqs, 0, entry_ref.key.clone(), slot);
            inserted.unwrap_or_else(|why| class.note_not_inserted(why));
        }
        class.count_redis_hit(&value);
        Some(LoadOutcome { value, source: Source::Redis, valid_until: reply.valid_until })
    }

    /// `key` as it is spelled in Redis, with the identity of its database.
    pub(super) fn redis_key(&self, key: &Bytes) -> Bytes {
        self.shared.as_ref().map_or_else(|| key.clone(), |shared| shared.remote.redis_key(key))
    }

    /// `None` if the entry cannot be opened as an entry of this class and key.
    fn local_copy(&self, class: &ClassCore, key: &Bytes, entry: &Entry) -> Option<LocalCopy> {
        let (value, footprint) = class.open_entry(&self.redis_key(key), entry, self.rules)?;
        let payload_bytes = entry.payload.as_ref().map_or(0, |payload| payload.len());
        let header = &entry.header;
        let age = Duration::from_millis(self.clock.unix_millis().saturating_sub(header.loaded_at_millis));
        let ttl = Duration::from_millis(header.ttl_millis).min(Policy::TTL_MAX);
        Some(LocalCopy {
            value,
            tags: header.tags.clone(),
            deadline: self.clock.now().plus(ttl.saturating_sub(age)),
            origin: Origin::Guarded,
            payload_bytes: u32::try_from(payload_bytes).unwrap_or(u32::MAX),
            footprint,
            loaded_at_millis: header.loaded_at_millis,
        })
    }

    /// Requests the lease, and reads the tags' tokens or sets new ones. Both happen before the load. So if an
    /// invalidation during the load removes the lease, Redis refuses the fill; if it removes a tag's token, the filled
    /// entry is invalid.
    async fn acquire(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        shared: &SharedTier,
        epoch: Epoch,
        reply: &Reply,
        replace: Option<Bytes>,
    ) -> Result<Attempt, Fault> {
        self.unlink_broken_tags(class, shared, reply).await?;
        let missing = reply.missing_tags(class);
        let hold = LeaseHold::new(shared.remote.clone(), entry_ref.key.clone());
        let leased = shared.remote.lease(&entry_ref.key, hold.token, replace.as_ref(), &missing).await?;
        self.check_epoch(shared, epoch)?;
        let minted = minted(&missing, leased.minted);
        let token = |tag: &TagKey| reply.token_with(&minted, tag);
        let after = after_lease(&leased.existing, hold.token, class.readable_format(&entry_ref.tags), token);
        if after == AfterLease::Load {
            let taken = entry_ref.tag_tokens(token);
            // If a tag has no token, an invalidation of the tag could not make the entry invalid, so nothing is filled.
            return taken.map(|taken| Attempt::Held(hold, taken)).ok_or(Fault::Refused);
        }
        hold.settle();
        Ok(match after {
            AfterLease::Filled(entry) => {
                count(&class.common.counters.late_hits);
                let is_kept = self.rules.keeps(ProtocolRule::InsertsOnlyTracked);
                // If a proof breaks the rule, the second read is skipped: it would make Redis track the key and hide
                // the breach.
                match (!is_kept).then(|| self.insert_unfenced(class, &entry_ref.key, &entry)).flatten() {
                    None => Attempt::ReadAgain,
                    Some(value) => {
                        let valid_until = reply.valid_until;
                        Attempt::Served(LoadOutcome { value, source: Source::Redis, valid_until })
                    }
                }
            }
            AfterLease::Wait => Attempt::Wait,
            AfterLease::ReadAgain | AfterLease::Load => Attempt::ReadAgain,
        })
    }

    /// Only for a proof that breaks a rule: inserts an entry that no tracked read returned, and returns its value.
    fn insert_unfenced(&self, class: &ClassCore, key: &Bytes, entry: &Entry) -> Option<Option<AnyValue>> {
        let copy = self.local_copy(class, key, entry)?;
        let value = copy.value.clone();
        let seqs = self.local.note_seqs([&key[..]].into_iter());
        let _ = self.local.insert_tracked(&seqs, 0, key.clone(), Slot::Entry(Arc::new(copy)));
        Some(value)
    }

    /// Loads under the lease and fills Redis. It does not insert into memory, because the push that Redis sends for
    /// this fill would remove the copy. The next tracked read inserts it.
    pub(super) async fn load_and_fill(
        &self,
        class: &ClassCore,
        begin: &LoadBegin,
        shared: &SharedTier,
        (hold, tags): (LeaseHold, Vec<TagToken>),
        loading: Loading,
    ) -> FlightResult {
        let LoadBegin { entry_ref, started, started_at_millis, .. } = begin;
        let valid_until = started.plus(self.local_bound());
        let condition = StoreCondition::Lease(shared, hold.token, &tags);
        let LoadedValue { value, is_spoiled } = self.load_while(class, begin, condition, loading).await?;
        let not_kept = |value, why| Ok(LoadOutcome::not_stored(value, why, valid_until));
        if is_spoiled {
            // Dropping the hold releases the lease, so that readers of other instances can load.
            return not_kept(value, NotStoredReason::Spoiled);
        }
        let Some(ttl) = class.residence(self, value.is_none()) else {
            return not_kept(value, NotStoredReason::Policy);
        };
        let StorableValue { value, payload, digest, .. } = match class.storable(value.as_ref()) {
            Ok(storable) => storable,
            Err(why) => return not_kept(value, why),
        };
        let (payload, codec) = class.packed(payload);
        let header = Header {
            codec,
            class_version: class.version,
            digest,
            loaded_at_millis: *started_at_millis,
            ttl_millis: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            tags,
        };
        let entry = Entry { fill: Token::random(), header, payload, seal: Seal::default() };
        let entry = class.sealer.seal(&self.redis_key(&entry_ref.key), entry);
        // The TTL counts from the start of the load.
        let left = started.plus(ttl).since(self.clock.now());
        if left < Duration::from_millis(1) {
            return not_kept(value, NotStoredReason::Expired);
        }
        let kept = match shared.remote.fill(&entry_ref.key, hold.token, entry.encode(), left).await {
            Ok(is_stored) => {
                hold.settle();
                if !is_stored {
                    count(&class.common.counters.fills_refused);
                    return not_kept(value, NotStoredReason::Overtaken);
                }
                if !self.rules.keeps(ProtocolRule::FillerInsertsNothing) {
                    let _ = self.insert_unfenced(class, &entry_ref.key, &entry);
                }
                Placement::Redis
            }
            // It is unknown whether the fill arrived; dropping the hold releases the lease if it still exists.
            Err(fault) => {
                shared.note(fault);
                Placement::Nowhere(NotStoredReason::NotTaken)
            }
        };
        Ok(LoadOutcome { value, source: Source::Load { placement: kept }, valid_until })
    }
}

/// Waits until the key changes, at most until `until`.
async fn wait_for_push(receiver: &FlightReceiver, until: Instant) {
    // `Notify` stores the notification of a push that arrived before this await, so no push is missed.
    let _ = timeout_at(until, receiver.changed.notified()).await;
}

impl ClassCore {
    fn count_redis_hit(&self, value: &Option<AnyValue>) {
        count(&self.common.counters.redis_hits);
        if value.is_none() {
            count(&self.common.counters.absent_hits);
        }
    }
}
