//! A flight through Redis: a tracked read, then the lease, the load and the fill.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::codec::AnyValue;
use crate::engine::flight::LeaseHold;
use crate::engine::load::LoadedValue;
use crate::engine::reply::{Reply, minted};
use crate::engine::storable::StorableValue;
use crate::engine::{ClassCore, Engine, EntryRef, SharedTier};
use crate::local::copy::{LocalCopy, Origin, Slot};
use crate::local::outcome::{FlightReceiver, FlightResult, LoadOutcome};
use crate::policy::Policy;
use crate::protocol::flight::FlightId;
use crate::protocol::frame::{Entry, Header, Seal, fingerprint};
use crate::protocol::lease::{AfterLease, AfterRead, after_lease, after_read};
use crate::protocol::rules::ProtocolRule;
use crate::protocol::tag::{TagKey, TagToken};
use crate::protocol::token::Token;
use crate::remote::Fault;
use crate::remote::validity::Epoch;
use crate::source::{NotStoredReason, Placement, Source};
use crate::stats::count;

/// While another loads, look again this often. A push says sooner that it has ended; but a flight that was
/// detached meanwhile hears none, nor does anybody where Redis refuses tracking.
pub(super) const LEASE_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The outcome of trying for the lease.
enum Attempt {
    Held(LeaseHold, Vec<TagToken>),
    Served(LoadOutcome),
    Wait,
    ReadAgain,
}

impl Engine {
    pub(crate) async fn read_redis<L, F, E>(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        (shared, epoch): (&SharedTier, Epoch),
        flight: FlightId,
        landing: &FlightReceiver,
        load: L,
    ) -> FlightResult
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<AnyValue>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        let patience = Instant::now() + self.limits.load_timeout;
        while Instant::now() < patience {
            let step = self.step(class, entry_ref, shared, epoch).await;
            let attempt = match step {
                Ok(attempt) => attempt,
                Err(fault) => {
                    // A cache fault never fails a read: it goes on as if there were no Redis.
                    shared.note(fault);
                    return self.load_into_memory(class, entry_ref, flight, load()).await;
                }
            };
            match attempt {
                Attempt::Served(loaded) => return Ok(loaded),
                Attempt::Held(hold, tags) => {
                    return self.load_and_fill(class, entry_ref, shared, hold, tags, load()).await;
                }
                Attempt::Wait => {
                    count(&class.common.counters.lease_waits);
                    wait_for_push(landing, patience).await;
                }
                Attempt::ReadAgain => {}
            }
        }
        count(&class.common.counters.lease_waits_in_vain);
        // Another's load outlasted our patience. Whatever it fills, it fills by its own lease.
        let valid_until = self.clock.now().plus(self.local_bound());
        let loaded = self.load(class, load()).await?;
        Ok(LoadOutcome { source: loaded.beside(), value: loaded.value, valid_until })
    }

    /// One tracked read and, where nothing of use stands there, one try for the lease.
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

    /// One tracked read that never loads.
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

    /// A reply counts only if the tier was usable from the flight's beginning until it came, without a break:
    /// otherwise it may be that of another Redis, which nobody has certified yet.
    pub(super) fn check_epoch(&self, shared: &SharedTier, epoch: Epoch) -> Result<(), Fault> {
        let is_same_epoch = shared.validity.epoch() == epoch && shared.validity.is_valid_at(self.clock.now());
        if is_same_epoch { Ok(()) } else { Err(Fault::Refused) }
    }

    /// Serves what a tracked read brought, and lets memory have it and the tags' tokens unless a push came in
    /// between. `None` when the entry does not prove to be the class's and the key's.
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
            if !self.local.insert_tracked(&reply.seqs, 0, entry_ref.key.clone(), slot) {
                count(&class.common.counters.inserts_refused);
            }
        }
        class.count_redis_hit(&value);
        Some(LoadOutcome { value, source: Source::Redis, valid_until: reply.valid_until })
    }

    /// `key` as Redis has it, with the database that it belongs to.
    pub(super) fn redis_key(&self, key: &Bytes) -> Bytes {
        self.shared.as_ref().map_or_else(|| key.clone(), |shared| shared.remote.redis_key(key))
    }

    /// `None` when the entry does not prove to be the class's and the key's.
    fn local_copy(&self, class: &ClassCore, key: &Bytes, entry: &Entry) -> Option<LocalCopy> {
        let value = class.open_entry(&self.redis_key(key), entry, self.rules)?;
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
            loaded_at_millis: header.loaded_at_millis,
        })
    }

    /// Tries for the lease, and takes the tags' tokens with it: both before the load.
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
        let missing = reply.missing_tags();
        let hold = LeaseHold::new(shared.remote.clone(), entry_ref.key.clone());
        let leased = shared.remote.lease(&entry_ref.key, hold.token, replace.as_ref(), &missing).await?;
        self.check_epoch(shared, epoch)?;
        let minted = minted(&missing, leased.minted);
        let token = |tag: &TagKey| reply.token_with(&minted, tag);
        let after = after_lease(&leased.existing, hold.token, class.readable_format(&entry_ref.tags), token);
        if after == AfterLease::Load {
            let taken = entry_ref.tag_tokens(token);
            // A tag whose key holds no token cannot guard an entry: treat the tier as unable to fill.
            return taken.map(|taken| Attempt::Held(hold, taken)).ok_or(Fault::Refused);
        }
        hold.settle();
        Ok(match after {
            AfterLease::Serve(entry) => match self.local_copy(class, &entry_ref.key, &entry) {
                Some(copy) => {
                    class.count_redis_hit(&copy.value);
                    count(&class.common.counters.late_hits);
                    if !self.rules.keeps(ProtocolRule::InsertsOnlyTracked) {
                        self.insert_unfenced(class, &entry_ref.key, &entry);
                    }
                    let valid_until = reply.valid_until;
                    Attempt::Served(LoadOutcome { value: copy.value, source: Source::Redis, valid_until })
                }
                None => Attempt::ReadAgain,
            },
            AfterLease::Wait => Attempt::Wait,
            _ => Attempt::ReadAgain,
        })
    }

    /// Only for a proof that breaks a rule: inserts what no tracked read has brought.
    fn insert_unfenced(&self, class: &ClassCore, key: &Bytes, entry: &Entry) {
        if let Some(copy) = self.local_copy(class, key, entry) {
            let seqs = self.local.note_seqs([&key[..]].into_iter());
            self.local.insert_tracked(&seqs, 0, key.clone(), Slot::Entry(Arc::new(copy)));
        }
    }

    /// Memory is not populated here: the fill's own push would remove it. The next tracked read does that.
    async fn load_and_fill<F, E>(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        shared: &SharedTier,
        hold: LeaseHold,
        tags: Vec<TagToken>,
        load: F,
    ) -> FlightResult
    where
        F: Future<Output = Result<Option<AnyValue>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        let loaded_at_millis = self.clock.unix_millis();
        let valid_until = self.clock.now().plus(self.local_bound());
        let LoadedValue { value, is_spoiled } = self.load(class, load).await?;
        let not_kept = |value, why| {
            Ok(LoadOutcome {
                value,
                source: Source::Load { placement: Placement::Nowhere(why) },
                valid_until,
            })
        };
        if is_spoiled {
            // Dropping the hold gives up the lease: readers of other instances try for themselves.
            return not_kept(value, NotStoredReason::Spoiled);
        }
        let Some(ttl) = class.policy.residence(value.is_none(), rand::random()) else {
            return not_kept(value, NotStoredReason::Policy);
        };
        let StorableValue { value, payload, digest } = match class.storable(value.as_ref()) {
            Ok(storable) => storable,
            Err(why) => return not_kept(value, why),
        };
        let header = Header {
            codec: class.coder.codec().id(),
            class_version: class.version,
            digest,
            loaded_at_millis,
            ttl_millis: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            tags,
        };
        let entry = Entry { fill: Token::random(), header, payload, seal: Seal::default() };
        let entry = class.sealer.seal(&self.redis_key(&entry_ref.key), entry);
        let kept = match shared.remote.fill(&entry_ref.key, hold.token, entry.encode(), ttl).await {
            Ok(is_stored) => {
                hold.settle();
                if !is_stored {
                    count(&class.common.counters.fills_refused);
                    return not_kept(value, NotStoredReason::Overtaken);
                }
                if !self.rules.keeps(ProtocolRule::FillerInsertsNothing) {
                    self.insert_unfenced(class, &entry_ref.key, &entry);
                }
                Placement::Redis
            }
            // Whether it arrived is unknown: dropping the hold gives up a lease that may still stand.
            Err(fault) => {
                shared.note(fault);
                Placement::Nowhere(NotStoredReason::NotTaken)
            }
        };
        Ok(LoadOutcome { value, source: Source::Load { placement: kept }, valid_until })
    }
}

/// Waits until the key changes, or it is time to look again.
async fn wait_for_push(landing: &FlightReceiver, patience: Instant) {
    let until = patience.min(Instant::now() + LEASE_POLL_INTERVAL);
    // A push that came before this await left its permit, so it is not missed.
    let _ = timeout_at(until, landing.changed.notified()).await;
}

impl ClassCore {
    fn count_redis_hit(&self, value: &Option<AnyValue>) {
        count(&self.common.counters.redis_hits);
        if value.is_none() {
            count(&self.common.counters.absent_hits);
        }
    }
}
