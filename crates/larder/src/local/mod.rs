//! The in-process tier: copies on quick_cache, and one lock per shard that fences what enters it.
//!
//! Reads take no shard lock: a read's answer is the copy that quick_cache held at one instant. Whoever adds or
//! takes away a copy holds the lock of the key's shard, so that "was it invalidated since?" and "insert it"
//! are one step. A shard lock is never held across an await, nor together with another shard's.

pub(crate) mod copy;
pub(crate) mod outcome;
pub(crate) mod permit;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quick_cache::DefaultHashBuilder;
use quick_cache::sync::Cache;

use crate::clock::Tick;
use crate::local::copy::{Evictions, LocalCopy, Origin, Slot, TagCopy, Weight};
use crate::local::outcome::{FlightReceiver, FlightSender};
use crate::policy::Consistency;
use crate::protocol::flight::{FlightId, JoinDecision};
use crate::protocol::rules::ProtocolRules;
use crate::protocol::shard::{Seq, Shard};
use crate::protocol::tag::{TagKey, TagToken, are_current};
use crate::protocol::token::Token;
use crate::source::NotStoredReason;
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, PoisonError};

/// Enough that two cores seldom meet at one lock, few enough that visiting all is cheap.
const SHARDS: usize = 64;

pub(crate) struct LocalTier {
    shards: Box<[Mutex<Shard<Arc<FlightReceiver>>>]>,
    hasher: RandomState,
    slots: Cache<Bytes, Slot, Weight, DefaultHashBuilder, Evictions>,
    evictions: Evictions,
    next_flight: AtomicU64,
    next_permit: AtomicU64,
}

/// What the leader of a flight gets.
pub(crate) struct NewFlight {
    pub(crate) id: FlightId,
    pub(crate) receiver: Arc<FlightReceiver>,
    pub(crate) sender: FlightSender,
}

/// The sequences of the shards a read is about to hear of, taken before it is sent.
pub(crate) struct ShardSeqs(Vec<Seq>);

impl LocalTier {
    /// A tier of at most `capacity_bytes` of keys and encoded values.
    pub(crate) fn new(capacity_bytes: u64, rules: ProtocolRules) -> Self {
        // quick_cache wants a guess of the number of entries; 256 bytes is a small user record with its key.
        let entries = usize::try_from(capacity_bytes / 256).unwrap_or(usize::MAX).clamp(64, 1 << 20);
        let evictions = Evictions::default();
        let hash_builder = DefaultHashBuilder::default();
        LocalTier {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(rules))).collect(),
            hasher: RandomState::new(),
            slots: Cache::with(entries, capacity_bytes, Weight, hash_builder, evictions.clone()),
            evictions,
            next_flight: AtomicU64::new(1),
            next_permit: AtomicU64::new(1),
        }
    }

    /// The copy under `key`, if it may be served at `now`. `guarded` says whether whoever guards memory is in touch.
    pub(crate) fn get(&self, key: &[u8], now: Tick, is_guarded: bool) -> Option<Arc<LocalCopy>> {
        match self.slots.get(key) {
            Some(Slot::Entry(copy)) if copy.may_serve(now, is_guarded) => {
                self.tags_are_current(&copy.tags, copy.origin, is_guarded).then_some(copy)
            }
            _ => None,
        }
    }

    /// The token of `tag`, if it may be relied on.
    pub(crate) fn token(&self, tag: &TagKey, is_guarded: bool) -> Option<Token> {
        match self.slots.get(tag.as_bytes()) {
            Some(Slot::Token(tag)) if tag.origin == Origin::Timed || is_guarded => Some(tag.token),
            _ => None,
        }
    }

    /// What a copy of this origin took of `tag` before its load, if it had done so now.
    pub(crate) fn token_for(&self, origin: Origin, tag: &TagKey, is_guarded: bool) -> Option<Token> {
        match origin {
            Origin::Anchored => self.life(tag, is_guarded),
            Origin::Guarded | Origin::Timed => self.token(tag, is_guarded),
        }
    }

    /// Whether every tag still has what a copy of this origin took of it.
    pub(crate) fn tags_are_current(&self, taken: &[TagToken], origin: Origin, is_guarded: bool) -> bool {
        are_current(taken, |tag| self.token_for(origin, tag, is_guarded))
    }

    /// The life of `tag`'s token, as long as Redis would report its end.
    fn life(&self, tag: &TagKey, is_guarded: bool) -> Option<Token> {
        match self.slots.get(tag.as_bytes()) {
            Some(Slot::Token(tag)) if tag.origin == Origin::Guarded && is_guarded => Some(tag.life),
            _ => None,
        }
    }

    /// To be taken before a tracked read of `keys` is sent, and before its connection is chosen: a clear
    /// that comes with a new connection then refuses what the old one still delivers.
    pub(crate) fn note_seqs<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> ShardSeqs {
        ShardSeqs(keys.map(|key| self.shard(key).seq()).collect())
    }

    /// Inserts what a tracked read brought of `key`, the `nth` of the marked keys, unless an invalidation
    /// reached its shard since.
    pub(crate) fn insert_tracked(&self, seqs: &ShardSeqs, nth: usize, key: Bytes, slot: Slot) -> bool {
        let mut shard = self.shard(&key);
        let may = shard.may_insert(seqs.0[nth]);
        if may {
            shard.void_permits(&key);
            // Under the shard's lock: a push that arrives now removes what is inserted here.
            let slot = self.living(&key, slot);
            self.slots.insert(key, slot);
        }
        may
    }

    /// A token that is there already goes on with its life. Under the shard's lock, as whatever ends one.
    fn living(&self, key: &[u8], slot: Slot) -> Slot {
        match (slot, self.slots.peek(key)) {
            (Slot::Token(new), Some(Slot::Token(old)))
                if old.token == new.token && old.origin == Origin::Guarded =>
            {
                Slot::Token(TagCopy { life: old.life, ..new })
            }
            (slot, _) => slot,
        }
    }

    /// Inserts what a flight loaded, unless an invalidation detached it, or all there is would not make room for it.
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
        self.insert_copy(key, copy)
    }

    /// Under the shard's lock: an invalidation that arrives now removes what is inserted here.
    fn insert_copy(&self, key: &Bytes, copy: LocalCopy) -> Result<(), NotStoredReason> {
        self.slots.insert(key.clone(), Slot::Entry(Arc::new(copy)));
        // quick_cache evicts at once what is heavier than one of its own shards.
        if self.slots.peek(key).is_some() { Ok(()) } else { Err(NotStoredReason::NoRoom) }
    }

    /// The present tokens of `tags` for a load that does not go through Redis; missing ones are minted here.
    pub(crate) fn take_tokens(&self, tags: &[TagKey], is_guarded: bool) -> Vec<TagToken> {
        let token = |tag: &TagKey| {
            // Under the lock, so that two loads that mint at once agree.
            let _shard = self.shard(tag.as_bytes());
            self.token(tag, is_guarded).unwrap_or_else(|| {
                let token = Token::random();
                self.slots.insert(tag.to_bytes(), Slot::token(token, Origin::Timed));
                token
            })
        };
        tags.iter().map(|tag| TagToken { tag: tag.clone(), token: token(tag) }).collect()
    }

    /// The present lives of `tags`, for a load of a memory-only class; `None` when a tag's token is not here, or Redis would
    /// not report its end.
    pub(crate) fn take_lives(&self, tags: &[TagKey], is_guarded: bool) -> Option<Vec<TagToken>> {
        tags.iter()
            .map(|tag| Some(TagToken { tag: tag.clone(), token: self.life(tag, is_guarded)? }))
            .collect()
    }

    /// Redis said that `key` changed. Called in the connection's reader, in wire order. Says whether there was a copy.
    pub(crate) fn apply_push(&self, key: &[u8]) -> bool {
        let mut shard = self.shard(key);
        let flight = shard.apply_push(key);
        let was_there = self.slots.remove(key).is_some();
        drop(shard);
        if let Some(flight) = flight {
            flight.changed.notify_one();
        }
        was_there
    }

    /// Changes may have gone unheard: per shard, first fence what is being inserted, then empty. Says how much fell.
    pub(crate) fn clear(&self) -> usize {
        self.fence();
        let fell = self.slots.len();
        self.slots.clear();
        fell
    }

    /// Reports may have been lost: whatever lives by them falls, fenced per shard like [`LocalTier::clear`]. Says how much fell.
    ///
    /// What is [`Origin::Timed`] stays. No report was ever due for it: it never came from the guard of memory, and its
    /// own deadline, the staleness bound after the start of its load, ends it whatever is lost.
    pub(crate) fn clear_guarded(&self) -> usize {
        self.fence();
        let before = self.slots.len();
        self.slots.retain(|_, slot| slot.origin() == Origin::Timed);
        // Only shown; what enters meanwhile may make it too small.
        before.saturating_sub(self.slots.len())
    }

    /// Nothing that is in progress may enter any more. Whatever entered on an older sequence did so before this passed its
    /// shard, so a look afterwards finds it.
    fn fence(&self) {
        for shard in &self.shards {
            let flights = lock(shard).detach_all();
            flights.iter().for_each(|flight| flight.changed.notify_one());
        }
    }

    /// This instance wrote what `key` stands for: drop the copy, and let nobody join its flight.
    /// Says whether there was a copy.
    pub(crate) fn drop_key(&self, key: &[u8]) -> bool {
        let mut shard = self.shard(key);
        let flight = shard.detach(key);
        let was_there = self.slots.remove(key).is_some();
        drop(shard);
        if let Some(flight) = flight {
            flight.changed.notify_one();
        }
        was_there
    }

    /// This instance invalidated `tag`: drop its token, and let nobody join a flight that builds on it. The
    /// keys of those flights are returned: their leases in Redis would only keep others waiting.
    pub(crate) fn drop_tag(&self, tag: &TagKey) -> Vec<Bytes> {
        self.drop_key(tag.as_bytes());
        let mut overtaken = Vec::new();
        for shard in &self.shards {
            // Bound first, so that the lock is released before anybody is told.
            let flights = lock(shard).detach_tagged(tag);
            for (key, flight) in flights {
                flight.changed.notify_one();
                overtaken.push(key);
            }
        }
        overtaken
    }

    /// Every entry that `is_match` was invalidated. Returns the keys of the loads in progress that were overtaken,
    /// and how many copies there were.
    pub(crate) fn drop_matching(&self, is_match: impl Fn(&[u8]) -> bool) -> (Vec<Bytes>, usize) {
        let mut overtaken = Vec::new();
        for shard in &self.shards {
            let flights = lock(shard).detach_matching(&is_match);
            for (key, flight) in flights {
                flight.changed.notify_one();
                overtaken.push(key);
            }
        }
        // Whatever entered on an older sequence did so before the loop passed its shard, so it is found here.
        let meant: Vec<Bytes> = self.slots.iter().map(|(key, _)| key).filter(|key| is_match(key)).collect();
        for key in &meant {
            let _shard = self.shard(key);
            self.slots.remove(key);
        }
        (overtaken, meant.len())
    }

    /// The id the next flight will get: a read notes it on arrival.
    pub(crate) fn next_flight(&self) -> FlightId {
        FlightId(self.next_flight.load(Ordering::SeqCst))
    }

    /// Joins the flight of `key`, waits for it, or begins one.
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

    /// Takes a flight off the table.
    pub(crate) fn end_flight(&self, key: &[u8], id: FlightId) {
        self.shard(key).end_flight(key, id);
    }

    /// Bytes held, as weighed for the capacity.
    pub(crate) fn weight_bytes(&self) -> u64 {
        self.slots.weight()
    }

    /// How many entries fell for want of room.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.count()
    }

    /// Whatever stands under `key`, served or not. Looking does not count as a use.
    pub(crate) fn slot(&self, key: &[u8]) -> Option<Slot> {
        self.slots.peek(key)
    }

    /// Whether this process is loading `key`, by a flight that may still be joined.
    pub(crate) fn is_loading(&self, key: &[u8]) -> bool {
        self.shard(key).is_loading(key)
    }

    /// The keys of all entries held, served or not. Visits everything: off the hit path, and off the runtime's threads.
    pub(crate) fn cached_keys(&self) -> impl Iterator<Item = Bytes> {
        self.slots.iter().filter(|(_, slot)| matches!(slot, Slot::Entry(_))).map(|(key, _)| key)
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard<Arc<FlightReceiver>>> {
        let hash = self.hasher.hash_one(key);
        // The remainder is below 64, so it fits whatever a usize is.
        lock(&self.shards[(hash % SHARDS as u64) as usize])
    }
}

/// A shard's state is whole between any two statements, so a panic elsewhere does not spoil it.
fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
