//! What the in-process tier holds: decoded entries with their own deadline, and tags' tokens.

use std::sync::Arc;

use bytes::Bytes;
use quick_cache::Weighter;

use crate::clock::Tick;
use crate::codec::AnyValue;
use crate::protocol::tag::Taken;
use crate::protocol::token::Token;

/// By what right a copy stands in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Whoever guards memory will tell when it changes: Redis on the tracked connection, or the journal. Right as long
    /// as the guard is in touch.
    Guarded,
    /// Nobody will tell: its deadline alone says how long it may be served.
    Timed,
}

/// A decoded entry. Lazy expiry in Redis sends no push, so each copy carries its own deadline.
pub(crate) struct LocalCopy {
    /// `None` is a known absence.
    pub(crate) value: Option<AnyValue>,
    pub(crate) tags: Vec<Taken>,
    pub(crate) deadline: Tick,
    pub(crate) origin: Origin,
    pub(crate) payload_bytes: u32,
}

impl LocalCopy {
    pub(crate) fn may_serve(&self, now: Tick, guarded: bool) -> bool {
        now < self.deadline && (self.origin == Origin::Timed || guarded)
    }
}

#[derive(Clone)]
pub(crate) enum Slot {
    Entry(Arc<LocalCopy>),
    Token(Token, Origin),
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
