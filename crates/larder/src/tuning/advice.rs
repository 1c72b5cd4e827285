//! What a cache could do better, as its users see it.

use std::fmt;
use std::time::Duration;

/// What a cache could do better, with the numbers that say so. Loads are reads that memory does not answer: with Redis,
/// some of them are answered there.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Advice {
    /// More memory would save loads.
    MoreMemory {
        /// The advised [budget](crate::Builder::memory_bytes), in bytes.
        memory_bytes: u64,
        /// How many bytes that is more than now.
        more_bytes: u64,
        /// How many of the loads it would save, in per cent.
        saved_percent: f64,
    },
    /// Less memory would do.
    LessMemory {
        /// The advised budget, in bytes.
        memory_bytes: u64,
        /// How many bytes that is less than now.
        fewer_bytes: u64,
        /// How many loads more it would cost, in per cent of the present ones.
        added_percent: f64,
    },
    /// Another share of a class's values in memory would save loads of all classes together.
    Admission {
        /// The class.
        class: String,
        /// Memory admits one in so many of its values.
        before: u32,
        /// Memory should admit one in so many.
        after: u32,
        /// How many of all loads that would save, in per cent.
        saved_percent: f64,
    },
    /// A class's entries end by their TTL while they are in use and no invalidation has reached them.
    LongerTtl {
        /// The class.
        class: String,
        /// Its TTL.
        ttl: Duration,
        /// How many of its loads have no other cause than the TTL, in per cent.
        expired_percent: f64,
    },
    /// A class's TTL ends no entry that is read: invalidations do.
    IdleTtl {
        /// The class.
        class: String,
        /// Its TTL.
        ttl: Duration,
        /// How many sampled reads found that an invalidation had ended the entry; older reads count less.
        invalidated: u64,
        /// For how long this was watched: at least twice the TTL.
        watched: Duration,
    },
    /// A class costs more time than it saves.
    SwitchOff {
        /// The class.
        class: String,
        /// The time that its hits saved: their number times the mean load time.
        saved: Duration,
        /// The time that it took: 400 ns for each look-up, and the measured time to encode and check each value.
        spent: Duration,
        /// How many reads both rest on; older reads count less.
        reads: u64,
    },
}

impl Advice {
    /// The kind of the advice, such as `more-memory`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Advice::MoreMemory { .. } => "more-memory",
            Advice::LessMemory { .. } => "less-memory",
            Advice::Admission { .. } => "admission",
            Advice::LongerTtl { .. } => "longer-ttl",
            Advice::IdleTtl { .. } => "idle-ttl",
            Advice::SwitchOff { .. } => "switch-off",
        }
    }

    /// The class that it is about; `None`: all of them.
    pub fn class(&self) -> Option<&str> {
        match self {
            Advice::MoreMemory { .. } | Advice::LessMemory { .. } => None,
            Advice::Admission { class, .. }
            | Advice::LongerTtl { class, .. }
            | Advice::IdleTtl { class, .. }
            | Advice::SwitchOff { class, .. } => Some(class),
        }
    }

    /// How many of the loads it saves, or [`LessMemory`](Advice::LessMemory) adds, in per cent. `None`: it is no number of
    /// loads.
    pub fn loads_percent(&self) -> Option<f64> {
        match self {
            Advice::MoreMemory { saved_percent, .. } | Advice::Admission { saved_percent, .. } => {
                Some(*saved_percent)
            }
            Advice::LessMemory { added_percent, .. } => Some(*added_percent),
            Advice::LongerTtl { expired_percent, .. } => Some(*expired_percent),
            Advice::IdleTtl { .. } | Advice::SwitchOff { .. } => None,
        }
    }

    /// The budget that it advises, in bytes; `None`: it is about another setting.
    pub fn memory_bytes(&self) -> Option<u64> {
        match self {
            Advice::MoreMemory { memory_bytes, .. } | Advice::LessMemory { memory_bytes, .. } => {
                Some(*memory_bytes)
            }
            _ => None,
        }
    }
}

/// The advice as a sentence.
impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: &u64| *bytes as f64 / f64::from(1 << 20);
        match self {
            Advice::MoreMemory { more_bytes, saved_percent, .. } => {
                write!(f, "{:.1} MiB more would save {saved_percent:.1} % of the loads", mib(more_bytes))
            }
            Advice::LessMemory { fewer_bytes, added_percent, .. } => {
                write!(f, "{:.1} MiB less would add {added_percent:.1} % to the loads", mib(fewer_bytes))
            }
            Advice::Admission { class, before, after, saved_percent } => write!(
                f,
                "{class}: to keep 1 in {after} values in memory, not 1 in {before}, would save {saved_percent:.1} % of \
                 all loads"
            ),
            Advice::LongerTtl { class, ttl, expired_percent } => write!(
                f,
                "{class}: the TTL of {ttl:?} is the only cause of {expired_percent:.1} % of the loads: a longer one saves them"
            ),
            Advice::IdleTtl { class, ttl, invalidated, watched } => write!(
                f,
                "{class}: the TTL of {ttl:?} ends no entry, invalidations do ({invalidated} sampled reads in {watched:?})"
            ),
            Advice::SwitchOff { class, saved, spent, reads } => write!(
                f,
                "{class}: it costs more than it gives, {spent:.1?} against {saved:.1?} in {reads} reads: switch it off"
            ),
        }
    }
}
