//! The history of a run: reads and writes with their instants, recorded by the process that made them.
//!
//! Instants are nanoseconds of the kernel's exact monotonic clock, which all processes of one machine share. The
//! recorded `begin` is never after the real one, and the recorded `end` never before the real one. So an imprecise
//! instant may hide a stale read, but it never makes a correct read look stale.

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

/// In every version that is a multiple of this number, the key has no value. A read of an absent value returns no
/// version, so the judge must know which versions are absent.
pub const ABSENT_EVERY: Version = 8;

/// Whether the key has no value in this version.
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
    /// The key has no value.
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
        /// Whether the writer is a program that does not use the cache.
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
    /// Whether the read joined another read's flight.
    pub is_shared: bool,
    /// Whether the read was made after the quiet time, the end of a run without writes. No answer may be old then.
    pub last: bool,
}
