//! Where an answer came from, and where it is stored.

/// The tier or load that answered one read.
///
/// # Examples
///
/// ```
/// use larder::source::{Placement, Source};
///
/// assert!(Source::Memory.is_hit());
/// assert!(!Source::Load { placement: Placement::Redis }.is_hit());
/// assert!(Source::Load { placement: Placement::Redis }.is_stored());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// This process's memory.
    Memory,
    /// Redis.
    Redis,
    /// The loader, because no tier could answer.
    Load {
        /// Where the answer is stored for later reads.
        placement: Placement,
    },
    /// The loader, without the tiers: caching is off, the read runs inside a load, or its key is longer than 32 KiB as it
    /// is spelled in Redis.
    Bypass,
}

/// Where a loaded answer is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Placement {
    /// In this process's memory.
    Memory,
    /// In Redis, from where each process copies it at its next read.
    Redis,
    /// Nowhere: the next read loads again.
    Nowhere(NotStoredReason),
}

/// Why a loaded answer is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotStoredReason {
    /// An invalidation or another fill reached the key after the load began, or a tag got another token.
    Overtaken,
    /// The class's policy stores no absent answers, or nothing at all; or the class is switched off.
    Policy,
    /// The answer was too old when its load ended. The load took at least the TTL, or at least the staleness bound while
    /// neither Redis nor the journal reports changes.
    Expired,
    /// No codec carries the value; see [`Codec`](crate::codec::Codec).
    NotCarried,
    /// The encoded value is larger than
    /// [`ClassBuilder::max_value_bytes`](crate::class::ClassBuilder::max_value_bytes) allows, or what is stored beside
    /// it, such as the names of its tags, takes more than 64 KiB.
    TooLarge,
    /// Memory is too small for the answer.
    NoRoom,
    /// Memory admits a share of the class's values only, and this one was not drawn; see [`tuning`](crate::tuning).
    NotAdmitted,
    /// Redis was away, or refused the entry.
    NotTaken,
    /// Redis did not confirm the entry within what was left of the read's [budget](crate::Builder::redis_budget). Redis
    /// may still have stored the entry.
    BudgetSpent,
    /// The loader read rows that may never be committed, or may be old; see [`spoil`](crate::loading::spoil). No other
    /// read gets the answer either.
    Spoiled,
    /// Another instance's load of the same key took longer than the load time-out. This load ran beside it, without the
    /// lease that a fill needs.
    Parallel,
}

impl NotStoredReason {
    /// The reason's label, such as `too-large`.
    pub fn as_str(self) -> &'static str {
        match self {
            NotStoredReason::Overtaken => "overtaken",
            NotStoredReason::Policy => "policy",
            NotStoredReason::Expired => "expired",
            NotStoredReason::NotCarried => "not-carried",
            NotStoredReason::TooLarge => "too-large",
            NotStoredReason::NoRoom => "no-room",
            NotStoredReason::NotAdmitted => "not-admitted",
            NotStoredReason::NotTaken => "not-taken",
            NotStoredReason::BudgetSpent => "budget-spent",
            NotStoredReason::Spoiled => "spoiled",
            NotStoredReason::Parallel => "parallel",
        }
    }
}

impl Source {
    /// Whether a cache tier answered.
    pub fn is_hit(self) -> bool {
        matches!(self, Source::Memory | Source::Redis)
    }

    /// Whether this read's load was stored for later reads.
    pub fn is_stored(self) -> bool {
        matches!(self, Source::Load { placement: Placement::Memory | Placement::Redis })
    }
}
