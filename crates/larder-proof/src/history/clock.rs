//! The exact monotonic clock, which all processes of this machine share.

use rustix::time::{ClockId, clock_gettime};

use crate::history::Nanos;

/// The current instant, from the exact clock: the coarse clock's resolution of 4 ms would hide short staleness.
pub fn now() -> Nanos {
    let now = clock_gettime(ClockId::Monotonic);
    // Both parts of a monotonic clock are non-negative.
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
