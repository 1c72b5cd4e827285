//! What memory holds: copies, each with its own deadline, and tag tokens.

use std::sync::Arc;

use crate::clock::Tick;
use crate::codec::AnyValue;
use crate::local::footprint::Footprint;
use crate::protocol::tag::TagToken;
use crate::protocol::token::Token;

/// What ends a copy in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The guard reports the copy's changes. The guard is Redis on the tracked connection, or without Redis the journal
    /// consumer. The copy may be served only while the guard's validity lasts.
    Guarded,
    /// As `Guarded`, and loaded by this process for a memory-only class. The copy notes [`TagCopy::life`] of each tag
    /// in place of the token from Redis: if a program writes an earlier token back to Redis, an invalidated copy stays
    /// invalid.
    Anchored,
    /// No guard reports the copy's changes: only its deadline and invalidations in this process end it.
    Timed,
}

/// A decoded entry. It has its own deadline, because Redis can delete an expired key, and report it, much later.
#[derive(Clone)]
pub(crate) struct LocalCopy {
    /// `None`: the database has no value.
    pub(crate) value: Option<AnyValue>,
    pub(crate) tags: Vec<TagToken>,
    pub(crate) deadline: Tick,
    pub(crate) origin: Origin,
    pub(crate) payload_bytes: u32,
    pub(crate) footprint: Footprint,
    /// Wall time at the start of its load, in milliseconds since 1970. It is only displayed.
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
    /// A random value that the tag gets when it enters memory, and loses when it leaves memory. Another process can set
    /// `token` in Redis, and cannot set this value.
    pub(crate) life: Token,
}

impl TagCopy {
    /// The copy of a tag that enters memory, with a new `life`.
    pub(crate) fn new(token: Token, origin: Origin) -> Self {
        TagCopy { token, origin, life: Token::random() }
    }
}

impl Slot {
    /// The slot of a tag that enters memory, with a new `life`.
    pub(crate) fn token(token: Token, origin: Origin) -> Self {
        Slot::Token(TagCopy::new(token, origin))
    }
}
