//! What happened, as whoever did it saw it: reads and writes with their instants.
//!
//! Instants are nanoseconds of the kernel's exact monotonic clock, which all processes of one machine share. They may
//! only err to the side that excuses: an event begins no later than it says and ends no earlier.

pub mod clock;
pub mod record;

use larder::policy::Consistency;
use larder::receipt::Delivery;
use larder::source::Source;

/// Nanoseconds of [`clock::now`].
pub type Nanos = u64;

/// What is read and written; its versions are ordered.
pub type Key = u16;

/// The number of a write to its key: each is one more than the one before. There is no version 0.
pub type Version = u32;

/// A process with a cache of its own. One that was killed and started again is another.
pub type Instance = u16;

/// Versions that mean "there is none": a negative answer carries no version, so the version has to say it.
pub const ABSENT_EVERY: Version = 8;

/// Whether the entry of this version is a negative answer.
pub fn is_absent(version: Version) -> bool {
    version.is_multiple_of(ABSENT_EVERY)
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// To what.
    pub key: Key,
    /// What was read or written.
    pub seen: Seen,
    /// By whom.
    pub instance: Instance,
    /// Before it.
    pub begin: Nanos,
    /// After it.
    pub end: Nanos,
    /// What it was.
    pub what: What,
}

/// What an event saw of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// That there is none.
    Absent,
    /// This version.
    Version(Version),
}

impl Seen {
    /// What a read of the database calls an entry of this version.
    pub fn of(version: Version) -> Self {
        if is_absent(version) { Seen::Absent } else { Seen::Version(version) }
    }
}

/// What an event was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A read through a cache.
    Read(Read),
    /// A write, from before its transaction until its commit was known.
    Committed {
        /// By software that knows no cache.
        foreign: bool,
    },
    /// The same write again, from its commit until it was acknowledged.
    Acknowledged(Delivery),
    /// An uncached look at the database found this version: it was committed by the end of the look.
    Polled,
}

/// How a read was asked and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// How strong it had to be.
    pub consistency: Consistency,
    /// Who answered.
    pub source: Source,
    /// Whether it joined another's flight.
    pub is_shared: bool,
    /// After the quiet time: nothing may be old any more.
    pub last: bool,
}
