//! The exact monotonic clock, which every process of this machine shares.

use rustix::time::{ClockId, clock_gettime};

use crate::history::Nanos;

/// Now. Not the coarse clock: its grain of 4 ms would hide what is looked for.
pub fn now() -> Nanos {
    let now = clock_gettime(ClockId::Monotonic);
    // Both parts of a monotonic clock are non-negative.
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
