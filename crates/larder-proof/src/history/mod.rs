//! The history of a run: reads and writes with their instants, recorded by the process that made them.
//!
//! Instants are nanoseconds of the kernel's exact monotonic clock, which all processes of one machine share. An error
//! of an instant can only excuse a read: the real event begins no earlier than its `begin` and ends no later than its
//! `end`.

pub mod clock;
pub mod record;

use larder::policy::Consistency;
use larder::receipt::Delivery;
use larder::source::Source;

/// Nanoseconds of [`clock::now`].
pub type Nanos = u64;

/// A key that is read and written; its versions are ordered.
pub type Key = u16;

/// The number of a write to its key: one more than the previous one. There is no version 0.
pub type Version = u32;

/// A process with its own cache. A process that is started again has another number.
pub type Instance = u16;

/// Every such version means "there is none". A negative answer has no version, so the versions that are absent are
/// fixed.
pub const ABSENT_EVERY: Version = 8;

/// Whether the entry of this version is a negative answer.
pub fn is_absent(version: Version) -> bool {
    version.is_multiple_of(ABSENT_EVERY)
}

/// One event of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key that was read or written.
    pub key: Key,
    /// The version that was read or written.
    pub seen: Seen,
    /// The instance that read or wrote.
    pub instance: Instance,
    /// An instant before the event.
    pub begin: Nanos,
    /// An instant after the event.
    pub end: Nanos,
    /// The kind of event.
    pub what: What,
}

/// What an event saw of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// There is none.
    Absent,
    /// This version.
    Version(Version),
}

impl Seen {
    /// What a read of the database sees at this version.
    pub fn of(version: Version) -> Self {
        if is_absent(version) { Seen::Absent } else { Seen::Version(version) }
    }
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A read through a cache.
    Read(Read),
    /// A write, from before its transaction until its commit was known.
    Committed {
        /// The writer is a program that does not use the cache.
        foreign: bool,
    },
    /// The same write again, from its commit until it was acknowledged.
    Acknowledged(Delivery),
    /// An uncached read of the database found this version, so it was committed before the end of that read.
    Polled,
}

/// How a read was made and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The consistency that was asked for.
    pub consistency: Consistency,
    /// The tier or load that answered.
    pub source: Source,
    /// Whether it joined another read's flight.
    pub is_shared: bool,
    /// Whether it was made after the quiet time, when no answer may be old.
    pub last: bool,
}
