//! The in-process tier: copies in quick_cache (`entries`), the tags' tokens beside them, and 64 shards, each with a lock under which
//! copies and tokens are inserted. A slot is what one key has here: a copy or a token.
//!
//! Invariants:
//! - Each insertion of a slot and each invalidation of a single key happens under the lock of the key's shard, so that
//!   "was it invalidated since?" and "insert it" are one step. Reads take no shard lock: a read returns the copy that
//!   quick_cache held at one instant.
//! - The tier takes at most its budget: each entry weighs what it takes in memory (`footprint`), and each token is paid
//!   for by the entries with its tag (`tokens`).
//! - The insertion of an entry never evicts a token in use.
//! - No task holds a shard lock across an await, and no thread holds two shard locks, so shard locks cannot deadlock.

pub(crate) mod admissions;
pub(crate) mod copy;
pub(crate) mod entries;
mod footprint;
pub(crate) mod origin;
pub(crate) mod outcome;
pub(crate) mod permit;
pub(crate) mod samples;
pub(crate) mod tag_cell;
pub(crate) mod tokens;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Tick;
use crate::local::admissions::{Admissions, Offer};
use crate::local::copy::{LocalCopy, TagCells};
use crate::local::entries::{Entries, Evictions, entry_bytes_max};
use crate::local::origin::Origin;
use crate::local::outcome::{FlightReceiver, FlightSender};
use crate::local::samples::Samples;
use crate::local::tag_cell::TagCell;
use crate::local::tokens::Tokens;
use crate::policy::Consistency;
use crate::protocol::flight::{FlightId, JoinDecision};
use crate::protocol::rules::ProtocolRules;
use crate::protocol::shard::{Seq, Shard};
use crate::protocol::tag::{TagKey, TagToken};
use crate::protocol::token::Token;
use crate::source::NotStoredReason;
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, PoisonError};

/// So many that two cores rarely contend for one lock, and so few that visiting all of them is cheap.
const SHARDS: usize = 64;

pub(crate) struct LocalTier {
    shards: Box<[Mutex<Shard<Arc<FlightReceiver>>>]>,
    hasher: RandomState,
    entries: Entries,
    tokens: Tokens,
    entry_bytes_max: u64,
    evictions: Evictions,
    pub(crate) samples: Samples,
    pub(crate) admissions: Admissions,
    next_flight: AtomicU64,
    next_permit: AtomicU64,
}

/// A new flight, for its leader.
pub(crate) struct NewFlight {
    pub(crate) id: FlightId,
    pub(crate) receiver: Arc<FlightReceiver>,
    pub(crate) sender: FlightSender,
}

/// The sequences of the shards of a read's keys, noted before the read is sent.
pub(crate) struct ShardSeqs(Vec<Seq>);

impl LocalTier {
    /// Creates a tier that takes at most `capacity_bytes` of memory.
    pub(crate) fn new(capacity_bytes: u64, rules: ProtocolRules) -> Self {
        let evictions = Evictions::default();
        LocalTier {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(rules))).collect(),
            hasher: RandomState::new(),
            entries: Entries::new(capacity_bytes, evictions.clone()),
            tokens: Tokens::new(),
            entry_bytes_max: entry_bytes_max(capacity_bytes),
            evictions,
            samples: Samples::default(),
            admissions: Admissions::default(),
            next_flight: AtomicU64::new(1),
            next_permit: AtomicU64::new(1),
        }
    }

    /// The copy under `key`, if it may be served at `now`. `is_guarded` says whether the guard's validity lasts.
    #[inline]
    pub(crate) fn get(&self, key: &[u8], now: Tick, is_guarded: bool) -> Option<Arc<LocalCopy>> {
        let hash = self.entries.hash(key);
        let copy = self.entries.get_hashed(hash, key)?;
        self.note_read(hash, &copy, (now, copy.may_serve(now, is_guarded))).then_some(copy)
    }

    /// Notes the sequences of the shards of `keys`. Call it before a tracked read chooses its connection. If that
    /// connection is replaced later, [`LocalTier::clear_guarded`] advances the sequences, so a late reply on the old
    /// connection is not inserted.
    pub(crate) fn note_seqs<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> ShardSeqs {
        ShardSeqs(keys.map(|key| self.shard(key).seq()).collect())
    }

    /// Inserts the entry that a tracked read returned for `key`, the first of the noted keys, if no invalidation has
    /// reached the key's shard since its sequence was noted. Returns the copy, and whether memory has it.
    pub(crate) fn insert_tracked(
        &self,
        seqs: &ShardSeqs,
        key: &Bytes,
        copy: LocalCopy,
    ) -> (Arc<LocalCopy>, Result<(), NotStoredReason>) {
        let copy = copy.settled(key);
        let mut shard = self.shard(key);
        if !shard.may_insert(seqs.0[0]) {
            return (copy, Err(NotStoredReason::Overtaken));
        }
        shard.void_permits(key);
        // The shard's lock is held: a push that arrives now waits for it and then removes what is inserted here.
        let inserted = self.insert_copy(copy.clone(), Offer::Read);
        (copy, inserted)
    }

    /// Inserts the token that a tracked read returned for `tag`, the `nth` of the noted keys, if no invalidation has
    /// reached the tag's shard since its sequence was noted.
    pub(crate) fn insert_token(&self, seqs: &ShardSeqs, nth: usize, tag: &TagKey, token: Token) {
        let mut shard = self.shard(tag.as_bytes());
        if !shard.may_insert(seqs.0[nth]) {
            return;
        }
        shard.void_permits(tag.as_bytes());
        // If memory has the same token as guarded, its cell stays, and with it the copies that depend on the cell. The
        // shard's lock is held, which every invalidation takes, so none comes between this look-up and the insertion.
        let is_there = |cell: Arc<TagCell>| cell.token() == token && cell.origin() == Origin::Guarded;
        if !self.tokens.get(tag.as_bytes()).is_some_and(is_there) {
            self.tokens.insert(TagCell::new(tag.clone(), token, Origin::Guarded));
        }
    }

    /// The cells of `tags`, if memory has the token of each. The tokens are in use while the result is held.
    pub(crate) fn cells(&self, tags: &[TagToken]) -> Option<TagCells> {
        let cell = |taken: &TagToken| {
            self.tokens.get(taken.tag.as_bytes()).filter(|cell| cell.token() == taken.token)
        };
        tags.iter().map(cell).collect()
    }

    /// Inserts what a flight loaded, unless an invalidation detached the flight or memory has no room for the copy.
    pub(crate) fn insert_loaded(
        &self,
        key: &Bytes,
        flight: FlightId,
        copy: LocalCopy,
    ) -> Result<(), NotStoredReason> {
        let mut shard = self.shard(key);
        if !shard.is_attached(key, flight) {
            return Err(NotStoredReason::Overtaken);
        }
        shard.void_permits(key);
        self.insert_copy(copy.settled(key), Offer::Read)
    }

    /// The present cells of `tags`, for a load that does not use Redis. A tag without a token gets a new random one. The
    /// tokens are in use while the result is held.
    pub(crate) fn take_tokens(&self, tags: &[TagKey], is_guarded: bool) -> TagCells {
        let taken = |tag: &TagKey| {
            // The lock makes "is it missing?" and "set a new one" one step: two loads at once get the same token.
            let _shard = self.shard(tag.as_bytes());
            let present = self.tokens.get(tag.as_bytes()).filter(|cell| cell.is_known(is_guarded));
            present.unwrap_or_else(|| {
                let cell = TagCell::new(tag.clone(), Token::random(), Origin::Timed);
                self.tokens.insert(cell.clone());
                cell
            })
        };
        tags.iter().map(taken).collect()
    }

    /// The cells of `tags`, for a load of a memory-only class; `None` if a tag's token is not in memory, or if Redis does
    /// not report the token's changes now. The tokens are in use while the result is held.
    pub(crate) fn take_guarded(&self, tags: &[TagKey], is_guarded: bool) -> Option<TagCells> {
        let taken = |tag: &TagKey| self.tokens.get(tag.as_bytes()).filter(|cell| cell.is_guarded(is_guarded));
        tags.iter().map(taken).collect()
    }

    /// Removes `key`, which Redis reports as changed. Returns whether `key` was in memory. The connection's reader
    /// calls this inline, so the push is applied before any later reply of Redis reaches the read that waits for it.
    pub(crate) fn apply_push(&self, key: &[u8]) -> bool {
        let mut shard = self.shard(key);
        let flight = shard.apply_push(key);
        let was_there = self.remove(key);
        drop(shard);
        if let Some(flight) = flight {
            flight.changed.notify_one();
        }
        was_there
    }

    /// Removes everything, because changes may have been missed. Returns how many slots there were. It fences all
    /// shards first: a read that is in progress then inserts nothing, and what was inserted before is removed here.
    pub(crate) fn clear(&self) -> usize {
        self.fence();
        self.samples.note_clear();
        let removed = self.entries.len() + self.tokens.retain(|_| false);
        self.entries.clear();
        removed
    }

    /// Removes every slot whose key is meant and that depends on the guard's reports, because reports may have been lost.
    /// Fences all shards first, like [`LocalTier::clear`]. Returns how many slots it removed.
    ///
    /// Slots that are [`Origin::Timed`] stay. They do not come from the guard, so no report about them can be lost, and
    /// each copy ends at its own deadline, at most the staleness bound after the start of its load.
    pub(crate) fn clear_guarded(&self, is_meant: &dyn Fn(&[u8]) -> bool) -> usize {
        self.fence();
        self.samples.note_clear();
        let before = self.entries.len();
        self.entries.retain(|copy| copy.origin == Origin::Timed || !is_meant(&copy.key));
        // The number is only displayed. It is too small if entries enter between the two counts.
        let removed = before.saturating_sub(self.entries.len());
        removed
            + self.tokens.retain(|cell| cell.origin() == Origin::Timed || !is_meant(cell.name().as_bytes()))
    }

    /// From now on no read, flight or permit in progress inserts anything. If one of them has inserted a copy, it did
    /// so before this loop visited the copy's shard. So a removal after this call finds the copy.
    fn fence(&self) {
        for shard in &self.shards {
            let flights = lock(shard).detach_all();
            flights.iter().for_each(|flight| flight.detach());
        }
    }

    /// Invalidates `key`, which this instance wrote: removes the copy, and detaches the flight so that no read joins
    /// it. Returns whether there was a copy.
    pub(crate) fn drop_key(&self, key: &[u8]) -> bool {
        let mut shard = self.shard(key);
        let flight = shard.detach(key);
        let was_there = self.remove(key);
        drop(shard);
        if let Some(flight) = flight {
            flight.detach();
        }
        was_there
    }

    /// Invalidates a tag, which `tags` name: removes its tokens, and detaches every flight whose key has the tag. Returns
    /// the keys of those flights. The caller unlinks their leases in Redis; otherwise other instances would wait for these
    /// leases.
    pub(crate) fn drop_tag(&self, tags: &[TagKey]) -> Vec<Bytes> {
        for tag in tags {
            self.drop_key(tag.as_bytes());
        }
        let mut overtaken = Vec::new();
        for shard in &self.shards {
            // Bound to a name first, so that the lock is released before the followers are notified.
            let flights = lock(shard).detach_tagged(tags);
            for (key, flight) in flights {
                flight.detach();
                overtaken.push(key);
            }
        }
        overtaken
    }

    /// Invalidates every entry whose key satisfies `is_match`. Returns the keys of the flights that it detached, and
    /// how many copies there were.
    pub(crate) fn drop_matching(&self, is_match: impl Fn(&[u8]) -> bool) -> (Vec<Bytes>, usize) {
        let mut overtaken = Vec::new();
        for shard in &self.shards {
            let flights = lock(shard).detach_matching(&is_match);
            for (key, flight) in flights {
                flight.detach();
                overtaken.push(key);
            }
        }
        // A read that began before the invalidation has inserted its copy before the loop visited the shard, or never
        // inserts it. So this search finds every such copy.
        let meant: Vec<Bytes> = self.cached_keys().filter(|key| is_match(key)).collect();
        let tags = self.tokens.matching(&is_match);
        for key in meant.iter().map(|key| &key[..]).chain(tags.iter().map(TagKey::as_bytes)) {
            let _shard = self.shard(key);
            self.remove(key);
        }
        (overtaken, meant.len() + tags.len())
    }

    /// Removes the entry or the token under `key`. Returns whether there was one. The caller holds the shard's lock.
    fn remove(&self, key: &[u8]) -> bool {
        let hash = self.entries.hash(key);
        self.note_removal(hash);
        // A key belongs to an entry or to a tag, never to both.
        self.entries.remove(hash, key) || self.tokens.remove(key)
    }

    /// The id that the next flight will get. A read notes it on arrival, see `decide_join`.
    ///
    /// `SeqCst` here and in [`LocalTier::join_or_lead`], because `decide_join` relies on the order: a flight with this
    /// id or a later id began after the read arrived.
    pub(crate) fn next_flight(&self) -> FlightId {
        FlightId(self.next_flight.load(Ordering::SeqCst))
    }

    /// Joins the flight of `key`, waits for it, or begins one. The shard's lock makes the decision and the beginning
    /// one step: of two reads that miss at once, one leads.
    pub(crate) fn join_or_lead(
        &self,
        key: &Bytes,
        tags: &Arc<[TagKey]>,
        consistency: Consistency,
        arrival: FlightId,
        now: Tick,
        bound: Duration,
    ) -> JoinDecision<Arc<FlightReceiver>, NewFlight> {
        let mut shard = self.shard(key);
        match shard.decide_join(key, consistency, arrival, now, bound) {
            JoinDecision::Join(receiver) => JoinDecision::Join(receiver),
            JoinDecision::Wait(receiver) => JoinDecision::Wait(receiver),
            JoinDecision::Lead(()) => {
                let id = FlightId(self.next_flight.fetch_add(1, Ordering::SeqCst));
                let (receiver, sender) = FlightReceiver::new();
                shard.begin_flight(key.clone(), id, now, tags.clone(), receiver.clone());
                JoinDecision::Lead(NewFlight { id, receiver, sender })
            }
        }
    }

    /// Whether the flight is in the table: neither ended nor detached.
    pub(crate) fn is_attached(&self, key: &[u8], id: FlightId) -> bool {
        self.shard(key).is_attached(key, id)
    }

    /// Removes a flight from the table, if it is still there.
    pub(crate) fn end_flight(&self, key: &[u8], id: FlightId) {
        self.shard(key).end_flight(key, id);
    }

    /// What all entries take in memory, in bytes, as counted against the capacity.
    pub(crate) fn weight_bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// The number of entries that were evicted.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.count()
    }

    /// The copy under `key`, whether it may be served or not. This does not count as a use for eviction.
    pub(crate) fn copy(&self, key: &[u8]) -> Option<Arc<LocalCopy>> {
        self.entries.peek(key)
    }

    /// Whether a flight of `key` is in progress and attached.
    pub(crate) fn is_loading(&self, key: &[u8]) -> bool {
        self.shard(key).is_loading(key)
    }

    /// The keys of all entries, whether they may be served or not. It visits every entry, so call it neither on the hit
    /// path nor on the runtime's threads.
    pub(crate) fn cached_keys(&self) -> impl Iterator<Item = Bytes> {
        self.entries.iter().map(|copy| Bytes::copy_from_slice(&copy.key))
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard<Arc<FlightReceiver>>> {
        let hash = self.hasher.hash_one(key);
        // The remainder is below 64, so it fits a usize on every platform.
        lock(&self.shards[(hash % SHARDS as u64) as usize])
    }
}

/// Ignores poisoning: a shard's state is consistent between any two statements, so a panic leaves it consistent.
fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod tests;
