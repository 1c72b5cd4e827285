//! The engine's clocks: a monotonic kernel clock for every decision, and wall time only for how long entries stay.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_getres, clock_gettime};

/// Every hit reads the clock: the coarse clock takes 8 ns, the exact clock 28 ns. The coarse clock's resolution is
/// about 4 ms.
#[cfg(target_os = "linux")]
const MONOTONIC: ClockId = ClockId::MonotonicCoarse;
#[cfg(not(target_os = "linux"))]
const MONOTONIC: ClockId = ClockId::Monotonic;

/// An instant of the engine's clock, in nanoseconds since an arbitrary origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(u64);

impl Tick {
    /// Earlier than every instant that a clock returns.
    pub const PAST: Tick = Tick(0);
    /// Later than every instant that a clock returns.
    #[cfg(any(test, feature = "proof"))]
    pub const FAR: Tick = Tick(u64::MAX);

    pub const fn from_nanos(nanos: u64) -> Self {
        Tick(nanos)
    }

    pub fn nanos(self) -> u64 {
        self.0
    }

    pub fn plus(self, span: Duration) -> Self {
        Tick(self.0.saturating_add(nanos(span)))
    }

    pub fn minus(self, span: Duration) -> Self {
        Tick(self.0.saturating_sub(nanos(span)))
    }

    /// Time from `earlier` until `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Tick) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Where instants come from: in production the kernel, in a test a counter that only the test moves.
///
/// Both sides of every comparison come from the same clock, read at the moment of the decision. An instant that a task
/// stored periodically would be out of date after a SIGSTOP, and reads would then be served past their deadline.
#[derive(Clone, Debug)]
pub enum Clock {
    Kernel,
    #[cfg_attr(
        not(any(test, feature = "proof", feature = "testing")),
        expect(dead_code, reason = "only a test sets the time")
    )]
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// A clock whose time changes only by [`Clock::advance`].
    #[cfg(any(test, feature = "testing"))]
    pub fn manual() -> Self {
        Clock::Manual(Arc::new(AtomicU64::new(nanos(Duration::from_secs(1_000)))))
    }

    #[cfg(any(test, feature = "testing"))]
    pub fn advance(&self, span: Duration) {
        match self {
            Clock::Manual(now) => now.fetch_add(nanos(span), Ordering::SeqCst),
            Clock::Kernel => panic!("a test cannot move the kernel's clock"),
        };
    }

    #[inline]
    pub fn now(&self) -> Tick {
        match self {
            Clock::Kernel => {
                let now = clock_gettime(MONOTONIC);
                // Both parts of a monotonic clock are non-negative.
                Tick(now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs())
            }
            Clock::Manual(now) => Tick(now.load(Ordering::SeqCst)),
        }
    }

    /// The resolution of [`Clock::now`]: the true time can be later than the returned instant by this much.
    pub fn resolution(&self) -> Duration {
        match self {
            Clock::Kernel => {
                let grain = clock_getres(MONOTONIC);
                Duration::new(grain.tv_sec.unsigned_abs(), u32::try_from(grain.tv_nsec).unwrap_or(0))
            }
            Clock::Manual(_) => Duration::ZERO,
        }
    }

    /// Wall time in milliseconds since 1970. The header of an entry contains it, so that every instance can compute the
    /// entry's age. It limits how long a copy stays; it never decides whether a copy is valid.
    pub fn unix_millis(&self) -> u64 {
        match self {
            Clock::Kernel => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
            }
            Clock::Manual(now) => now.load(Ordering::SeqCst) / 1_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_clock_never_runs_backwards_and_has_a_grain() {
        let clock = Clock::Kernel;
        let first = clock.now();
        assert!(clock.now() >= first);
        assert!(clock.resolution() > Duration::ZERO && clock.resolution() <= Duration::from_millis(20));
    }

    #[test]
    fn ticks_saturate_instead_of_wrapping() {
        assert_eq!(Tick::FAR.plus(Duration::MAX), Tick::FAR);
        assert_eq!(Tick::PAST.minus(Duration::from_secs(1)), Tick::PAST);
        assert_eq!(Tick::PAST.since(Tick::FAR), Duration::ZERO);
    }
}
