//! A flight through Redis: a tracked read (after which Redis reports changes of the keys), then the lease, the load and
//! the fill.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::codec::AnyValue;
use crate::engine::budget::{self, spend};
use crate::engine::call::Loading;
use crate::engine::load::{LoadedValue, StoreCondition};
use crate::engine::plan::{FlightStep, LeaseHold, LoadBegin, LoadPlan, LoadStart, Replacement};
use crate::engine::reply::{Reply, minted};
use crate::engine::storable::StorableValue;
use crate::engine::{ClassCore, Engine, EntryRef, SharedTier};
use crate::events::HitSource;
use crate::loaded::AnyPrevious;
use crate::local::copy::{CopyKey, LocalCopy, TagCells};
use crate::local::origin::Origin;
use crate::local::outcome::{FlightReceiver, FlightResult, LoadOutcome};
use crate::protocol::aging::Age;
use crate::protocol::frame::{Entry, Header, OVERHEAD_BYTES_MAX, Seal, fingerprint};
use crate::protocol::lease::{AfterLease, AfterRead, after_lease, after_read};
use crate::protocol::rules::ProtocolRule;
use crate::protocol::tag::{TagKey, TagToken};
use crate::protocol::token::Token;
use crate::remote::validity::Epoch;
use crate::remote::{Fault, Unchanged};
use crate::source::{NotStoredReason, Placement};
use crate::stats::count;

/// How long a flight waits at first, while another instance loads, before it looks again; each further wait is twice as
/// long, up to [`LEASE_POLL_MAX`]. A push ends a wait earlier. A detached flight receives no push; if Redis refuses
/// tracking, no flight does.
pub(super) const LEASE_POLL_MIN: Duration = Duration::from_millis(50);
pub(super) const LEASE_POLL_MAX: Duration = Duration::from_millis(400);

/// The result of one round: a tracked read and a request for the lease.
pub(super) enum Round {
    Held(LeaseHold, Vec<TagToken>),
    /// The key holds an aged entry, and the right to replace it is ours.
    Aged(Replacement, Option<AnyPrevious>),
    /// If the copy is given, it is to be refreshed.
    Served(LoadOutcome, Option<Arc<LocalCopy>>),
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
        let deadline = Instant::now() + class.load_timeout;
        let mut poll_interval = LEASE_POLL_MIN;
        while Instant::now() < deadline {
            match self.step(class, entry_ref, shared, epoch).await {
                Ok(Round::Served(loaded, aged)) => return FlightStep::Served(loaded, aged),
                Ok(Round::Held(hold, tags)) => return FlightStep::Load(LoadPlan::Fill(hold, tags), None),
                Ok(Round::Aged(right, previous)) => {
                    return FlightStep::Load(LoadPlan::Replace(right), previous);
                }
                Ok(Round::Wait) => {
                    count(&class.common.counters.lease_waits);
                    wait_for_push(receiver, deadline.min(Instant::now() + poll_interval)).await;
                    budget::renew();
                    poll_interval = LEASE_POLL_MAX.min(2 * poll_interval);
                }
                Ok(Round::ReadAgain) => {}
                Err(fault) => {
                    // A fault of a tier never fails a read: the read continues as if there were no Redis.
                    shared.note(fault);
                    count(&class.common.counters.untiered_loads);
                    return FlightStep::Load(self.plan_memory(entry_ref), None);
                }
            }
        }
        count(&class.common.counters.lease_wait_timeouts);
        FlightStep::Load(LoadPlan::Parallel, None)
    }

    /// Runs one tracked read and, if the key holds no usable entry, requests the lease once.
    async fn step(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        shared: &SharedTier,
        epoch: Epoch,
    ) -> Result<Round, Fault> {
        let reply = self.read_tracked(entry_ref, shared, epoch).await?;
        match after_read(reply.value.as_ref(), class.readable_format(&entry_ref.tags), |tag| reply.token(tag))
        {
            AfterRead::Serve(entry) => match self.accept_entry(class, entry_ref, shared, &reply, &entry) {
                Some(copy) => match class.age_in_redis(&copy, shared, self.clock.now()) {
                    Age::Reload => {
                        let aged = (&*copy, &entry.header.tags[..]);
                        self.acquire_replacement(entry_ref, (shared, epoch), &reply, aged).await
                    }
                    age => {
                        let loaded = self.serve_redis(class, &entry_ref.key, &copy, &reply);
                        Ok(Round::Served(loaded, (age == Age::Refresh).then_some(copy)))
                    }
                },
                None => {
                    let replace = reply.value.as_ref().map(fingerprint);
                    self.acquire(class, entry_ref, shared, epoch, &reply, replace).await
                }
            },
            AfterRead::Wait => Ok(Round::Wait),
            AfterRead::Acquire { replace, unused } => {
                class.note_unused(&self.redis_key(&entry_ref.key), &unused);
                self.acquire(class, entry_ref, shared, epoch, &reply, replace).await
            }
        }
    }

    /// Runs one tracked read; never loads. `is_wanted` says whether an entry of this age is an answer.
    pub(crate) async fn peek_redis(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        (shared, epoch): (&SharedTier, Epoch),
        is_wanted: impl FnOnce(Age) -> bool,
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
            AfterRead::Serve(entry) => {
                let copy = self.accept_entry(class, entry_ref, shared, &reply, &entry)?;
                is_wanted(class.age(&copy, self.clock.now()))
                    .then(|| self.serve_redis(class, &entry_ref.key, &copy, &reply))
            }
            AfterRead::Wait => None,
            AfterRead::Acquire { unused, .. } => {
                class.note_unused(&self.redis_key(&entry_ref.key), &unused);
                None
            }
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
        let mut values = shared.read(&keys).await?;
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

    /// Opens the entry from a tracked read, and inserts it and the tags' tokens into memory unless a push arrived after
    /// the read was sent. `None` if the entry cannot be opened as an entry of this class and key.
    pub(super) fn accept_entry(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        shared: &SharedTier,
        reply: &Reply,
        entry: &Entry,
    ) -> Option<Arc<LocalCopy>> {
        let copy = self.local_copy(class, &entry_ref.key, entry)?;
        if !shared.remote.is_tracking() {
            return Some(Arc::new(copy));
        }
        self.insert_tokens(shared, reply);
        let Some(tags) = self.local.cells(&entry.header.tags) else {
            // Memory did not take a tag's token, or has removed it since: a push came, or another tag's token needed the
            // room. So no read could be answered with the copy.
            class.note_not_inserted(NotStoredReason::Overtaken);
            return Some(Arc::new(copy));
        };
        let copy = LocalCopy { tags, ..copy };
        let (copy, inserted) = self.local.insert_tracked(&reply.seqs, &entry_ref.key, copy);
        inserted.unwrap_or_else(|why| class.note_not_inserted(why));
        Some(copy)
    }

    fn serve_redis(&self, class: &ClassCore, key: &[u8], copy: &LocalCopy, reply: &Reply) -> LoadOutcome {
        let (value, stale_by) = (copy.value.clone(), copy.stale_by(self.clock.now()));
        class.count_redis_hit(&value, stale_by);
        self.events.hit(key, HitSource::Redis, value.is_none(), stale_by.is_some());
        LoadOutcome::of_redis(value, (copy.loaded_at_millis, stale_by), reply.valid_until)
    }

    /// `key` as it is spelled in Redis, with the identity of its database.
    pub(super) fn redis_key(&self, key: &Bytes) -> Bytes {
        self.shared.as_ref().map_or_else(|| key.clone(), |shared| shared.remote.redis_key(key))
    }

    /// The entry as a copy that memory does not have yet, without the cells of its tags. `None` if it cannot be opened as
    /// an entry of this class and key.
    fn local_copy(&self, class: &ClassCore, key: &Bytes, entry: &Entry) -> Option<LocalCopy> {
        let (value, footprint) = class.open_entry(&self.redis_key(key), entry, self.rules)?;
        let payload_bytes = entry.payload.as_ref().map_or(0, |payload| payload.len());
        let header = &entry.header;
        let life = self.life_of(class, header);
        Some(LocalCopy {
            value,
            tags: TagCells::default(),
            deadline: life.ends,
            key: CopyKey::default(),
            origin: Origin::Guarded,
            payload_bytes: u32::try_from(payload_bytes).unwrap_or(u32::MAX),
            footprint,
            class: class.common.number,
            loaded_at_millis: header.loaded_at_millis,
            aging: class.copy_aging(life, header.loader_version.as_deref().map(Arc::from)),
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
    ) -> Result<Round, Fault> {
        self.unlink_broken_tags(class, shared, reply).await?;
        let missing = reply.missing_tags(class);
        let hold = LeaseHold::new(shared, entry_ref.key.clone());
        let leased = shared.lease(&entry_ref.key, hold.token, replace.as_ref(), &missing).await?;
        self.check_epoch(shared, epoch)?;
        let minted = minted(&missing, leased.minted);
        let token = |tag: &TagKey| reply.token_with(&minted, tag);
        let after = after_lease(&leased.existing, hold.token, class.readable_format(&entry_ref.tags), token);
        if after == AfterLease::Load {
            let taken = entry_ref.tag_tokens(token);
            // If a tag has no token, an invalidation of the tag could not make the entry invalid, so nothing is filled.
            return taken.map(|taken| Round::Held(hold, taken)).ok_or(Fault::Refused);
        }
        hold.settle();
        Ok(match after {
            AfterLease::Filled(entry) => {
                count(&class.common.counters.late_hits);
                let is_kept = self.rules.keeps(ProtocolRule::InsertsOnlyTracked);
                // If a proof breaks the rule, the second read is skipped: it would make Redis track the key and hide
                // the breach.
                match (!is_kept).then(|| self.insert_unfenced(class, &entry_ref.key, &entry)).flatten() {
                    None => Round::ReadAgain,
                    Some(value) => {
                        let age = (entry.header.loaded_at_millis, None);
                        Round::Served(LoadOutcome::of_redis(value, age, reply.valid_until), None)
                    }
                }
            }
            AfterLease::Wait => Round::Wait,
            AfterLease::ReadAgain | AfterLease::Load => Round::ReadAgain,
        })
    }

    /// Only for a proof that breaks a rule: inserts an entry that no tracked read returned, and returns its value.
    fn insert_unfenced(&self, class: &ClassCore, key: &Bytes, entry: &Entry) -> Option<Option<AnyValue>> {
        let copy = self.local_copy(class, key, entry)?;
        let value = copy.value.clone();
        if let Some(tags) = self.local.cells(&entry.header.tags) {
            let seqs = self.local.note_seqs([&key[..]].into_iter());
            let _ = self.local.insert_tracked(&seqs, key, LocalCopy { tags, ..copy });
        }
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
        let condition = StoreCondition::Lease(shared, &hold, Unchanged { entry: None, tags: &tags });
        let loaded = self.load_while(class, begin, condition, loading).await?;
        let key = &begin.entry_ref.key;
        self.keep_in_redis(class, (key, begin.start), loaded, tags, async |entry, left| {
            let filled = spend(shared.remote.fill(key, hold.token, entry.encode(), left)).await;
            match filled {
                Ok(is_stored) => {
                    hold.settle();
                    if is_stored && !self.rules.keeps(ProtocolRule::FillerInsertsNothing) {
                        let _ = self.insert_unfenced(class, key, &entry);
                    }
                    if is_stored {
                        return Ok(());
                    }
                    class.note_overtaken_fill(NotStoredReason::Overtaken);
                    Err(NotStoredReason::Overtaken)
                }
                // It is unknown whether the fill arrived; dropping the hold releases the lease if it still exists.
                Err(fault) => {
                    shared.note(fault);
                    Err(fault.not_stored())
                }
            }
        })
        .await
    }

    /// Stores a loaded value in Redis with `store`, which checks the right.
    pub(super) async fn keep_in_redis(
        &self,
        class: &ClassCore,
        (key, start): (&Bytes, LoadStart),
        loaded: LoadedValue,
        tags: Vec<TagToken>,
        store: impl AsyncFnOnce(Entry, Duration) -> Result<(), NotStoredReason>,
    ) -> FlightResult {
        let valid_until = start.at.plus(self.bound_less_resolution());
        let residence = class.residence(self, &loaded);
        let LoadedValue { value, is_spoiled, version, took, place: _place, .. } = loaded;
        let not_kept = |value, why| Ok(LoadOutcome::not_stored(value, why, valid_until));
        if is_spoiled {
            // Dropping the hold releases the lease, so that readers of other instances can load.
            return not_kept(value, NotStoredReason::Spoiled);
        }
        let Some(residence) = residence else { return not_kept(value, NotStoredReason::Policy) };
        let StorableValue { value, payload, codec, digest, .. } = match class.storable(value.as_ref()) {
            Ok(storable) => storable,
            Err(why) => return not_kept(value, why),
        };
        let (payload, codec) = class.packed(payload, codec);
        let header = Header {
            codec,
            class_version: class.version,
            digest,
            loaded_at_millis: start.at_millis,
            ttl_millis: millis(residence.ttl),
            stale_millis: millis(residence.stale_for),
            load_millis: millis(took),
            loader_version: version.map(|version| version.to_string()),
            tags,
        };
        if header.overhead_bytes() > OVERHEAD_BYTES_MAX {
            return not_kept(value, class.too_large(header.overhead_bytes()));
        }
        let entry = Entry { fill: Token::random(), header, payload, seal: Seal::default() };
        let entry = class.sealer.seal(&self.redis_key(key), entry);
        // The TTL counts from the start of the load.
        let left = start.at.plus(residence.total()).since(self.clock.now());
        if left < Duration::from_millis(1) {
            return not_kept(value, class.note_expired(took));
        }
        match store(entry, left).await {
            Ok(()) => Ok(LoadOutcome::loaded(value, Placement::Redis, valid_until)),
            Err(why) => not_kept(value, why),
        }
    }
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Waits until the key changes, at most until `until`.
async fn wait_for_push(receiver: &FlightReceiver, until: Instant) {
    // `Notify` stores the notification of a push that arrived before this await, so no push is missed.
    let _ = timeout_at(until, receiver.changed.notified()).await;
}

impl ClassCore {
    fn count_redis_hit(&self, value: &Option<AnyValue>, stale_by: Option<Duration>) {
        count(&self.common.counters.redis_hits);
        if value.is_none() {
            count(&self.common.counters.absent_hits);
        }
        if stale_by.is_some() {
            count(&self.common.counters.stale_hits);
        }
    }
}
