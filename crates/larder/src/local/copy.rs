//! What the in-process tier holds: decoded entries with their own deadline, and tags' tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use quick_cache::{Lifecycle, Weighter};

use crate::clock::Tick;
use crate::codec::AnyValue;
use crate::protocol::tag::TagToken;
use crate::protocol::token::Token;

/// By what right a copy stands in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Whoever guards memory will tell when it changes: Redis on the tracked connection, or the journal. Right as long
    /// as the guard is in touch.
    Guarded,
    /// Guarded, and loaded here for a memory-only class: its tags' `token`s are the lives of those tags in this memory, so
    /// that no token that is set back in Redis makes a fallen copy valid again.
    Anchored,
    /// Nobody will tell: its deadline alone says how long it may be served.
    Timed,
}

/// A decoded entry. Lazy expiry in Redis sends no push, so each copy carries its own deadline.
pub(crate) struct LocalCopy {
    /// `None` is a known absence.
    pub(crate) value: Option<AnyValue>,
    pub(crate) tags: Vec<TagToken>,
    pub(crate) deadline: Tick,
    pub(crate) origin: Origin,
    pub(crate) payload_bytes: u32,
    /// Wall time at the start of the load that brought it, in milliseconds since 1970. Only shown.
    pub(crate) loaded_at_millis: u64,
}

impl LocalCopy {
    pub(crate) fn may_serve(&self, now: Tick, is_guarded: bool) -> bool {
        now < self.deadline && (self.origin == Origin::Timed || is_guarded)
    }
}

#[derive(Clone)]
pub(crate) enum Slot {
    Entry(Arc<LocalCopy>),
    Token(TagCopy),
}

/// A tag's token.
#[derive(Clone, Copy)]
pub(crate) struct TagCopy {
    pub(crate) token: Token,
    pub(crate) origin: Origin,
    /// Drawn when the tag enters memory, and gone with it: unlike `token`, nothing that is outside of this process
    /// decides what it is.
    pub(crate) life: Token,
}

impl Slot {
    /// A tag's token that enters memory.
    pub(crate) fn token(token: Token, origin: Origin) -> Self {
        Slot::Token(TagCopy { token, origin, life: Token::random() })
    }

    pub(crate) fn origin(&self) -> Origin {
        match self {
            Slot::Entry(copy) => copy.origin,
            Slot::Token(tag) => tag.origin,
        }
    }
}

/// Weighs keys and encoded values, with a flat charge for the bookkeeping around them.
#[derive(Clone)]
pub(crate) struct Weight;

const BOOKKEEPING_BYTES: u64 = 96;

impl Weighter<Bytes, Slot> for Weight {
    fn weight(&self, key: &Bytes, slot: &Slot) -> u64 {
        let payload_bytes = match slot {
            Slot::Entry(copy) => u64::from(copy.payload_bytes),
            Slot::Token(..) => 16,
        };
        BOOKKEEPING_BYTES + key.len() as u64 + payload_bytes
    }
}

/// Counts the entries that fell for want of room. It guards nothing; and it is the machine's own atomic, for the hook runs
/// under quick_cache's lock, where a scheduler that swaps our locks for its own could not go on.
#[derive(Clone, Default)]
pub(crate) struct Evictions(Arc<AtomicU64>);

impl Evictions {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Lifecycle<Bytes, Slot> for Evictions {
    /// What fell, let go of after quick_cache's lock.
    type RequestState = Vec<Slot>;

    fn on_evict(&self, state: &mut Vec<Slot>, _: Bytes, slot: Slot) {
        if matches!(slot, Slot::Entry(_)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        state.push(slot);
    }
}
