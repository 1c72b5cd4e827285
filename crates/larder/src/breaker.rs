//! The circuit breaker of a class: after loads failed in a row, no load begins for a while.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, Tick};

/// When a class stops asking a database that does not answer; see
/// [`ClassBuilder::breaker`](crate::class::ClassBuilder::breaker).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use larder::policy::Breaker;
///
/// let breaker = Breaker::after(5).pause(Duration::from_secs(10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    pause: Duration,
}

impl Breaker {
    /// Opens after `failures` calls of a loader in a row have failed, on this instance, for five seconds. `failures` is at
    /// least 1. A call for several keys counts once: it has failed if it returned an error, panicked, took longer than the
    /// load time-out, or has an [error](crate::Loaded::failed) for each of its keys, [`unchanged`](crate::Loaded::unchanged)
    /// without a previous value included. A [`put`](crate::Class::put) calls no loader, so it neither counts nor is
    /// refused.
    #[must_use]
    pub fn after(failures: u32) -> Self {
        Breaker { failures, pause: Duration::from_secs(5) }
    }

    /// How long no load begins: 1 ms to an hour. After that one call of a loader is tried, for one key or several: if it
    /// succeeds, loads begin again; otherwise another pause follows. Default: 5 s.
    #[must_use]
    pub fn pause(self, pause: Duration) -> Self {
        Breaker { pause, ..self }
    }

    /// What is not allowed, and what is; `None` if the breaker is allowed.
    pub(crate) fn error(&self) -> Option<String> {
        let (shortest, longest) = (Duration::from_millis(1), Duration::from_hours(1));
        if self.failures == 0 {
            return Some("breaker after 0 failures: allowed is at least 1".to_owned());
        }
        let is_allowed = (shortest..=longest).contains(&self.pause);
        (!is_allowed)
            .then(|| format!("breaker's pause {:?}: allowed is {shortest:?} to {longest:?}", self.pause))
    }
}

/// A breaker's state. Both numbers are independent hints, which guard no other data, so relaxed order is enough: one
/// load too many or too few at the moment of a change does no harm.
#[derive(Debug, Default)]
pub(crate) struct BreakerState {
    breaker: Option<Breaker>,
    /// The calls of a loader that failed since the last one that succeeded.
    failed: AtomicU32,
    /// No load begins before this instant, in nanoseconds.
    open_until: AtomicU64,
}

impl BreakerState {
    pub(crate) fn new(breaker: Option<Breaker>) -> Self {
        BreakerState { breaker, ..BreakerState::default() }
    }

    /// Whether a call of a loader may go on now. Of the calls at the end of a pause, one may.
    pub(crate) fn may_load(&self, clock: &Clock) -> bool {
        let Some(breaker) = self.breaker else { return true };
        if self.failed.load(Ordering::Relaxed) < breaker.failures {
            return true;
        }
        let now = clock.now();
        let next = now.plus(breaker.pause).nanos();
        let probe = |open_until| (open_until <= now.nanos()).then_some(next);
        self.open_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, probe).is_ok()
    }

    /// Whether loads are refused, apart from one after each pause.
    pub(crate) fn is_open(&self) -> bool {
        self.breaker.is_some_and(|breaker| self.failed.load(Ordering::Relaxed) >= breaker.failures)
    }

    pub(crate) fn note_success(&self, class: &str) {
        let Some(breaker) = self.breaker else { return };
        if self.failed.load(Ordering::Relaxed) > 0
            && self.failed.swap(0, Ordering::Relaxed) >= breaker.failures
        {
            tracing::info!(class, "the breaker is closed: a load has succeeded");
        }
    }

    pub(crate) fn note_failure(&self, class: &str, now: Tick) {
        let Some(breaker) = self.breaker else { return };
        let failed = self.failed.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failed >= breaker.failures {
            self.open_until.store(now.plus(breaker.pause).nanos(), Ordering::Relaxed);
        }
        if failed == breaker.failures {
            let pause = breaker.pause;
            tracing::warn!(class, failed, ?pause, "the breaker is open: no load of the class begins");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_load_probe() {
        let clock = Clock::manual();
        let state = BreakerState::new(Some(Breaker::after(2).pause(Duration::from_secs(10))));
        state.note_failure("c", clock.now());
        state.note_success("c");
        state.note_failure("c", clock.now());
        assert!(state.may_load(&clock) && !state.is_open(), "two failures, but not in a row");
        state.note_failure("c", clock.now());
        assert!(!state.may_load(&clock) && state.is_open());
        clock.advance(Duration::from_secs(10));
        assert!(state.may_load(&clock) && !state.may_load(&clock), "one load probes");
        state.note_failure("c", clock.now());
        assert!(!state.may_load(&clock));
        clock.advance(Duration::from_secs(10));
        assert!(state.may_load(&clock));
        assert!(state.is_open(), "the probe has not ended");
        state.note_success("c");
        assert!(state.may_load(&clock) && state.may_load(&clock) && !state.is_open());
    }

    #[test]
    fn what_is_not_allowed_is_an_error() {
        assert!(Breaker::after(0).error().is_some());
        assert!(Breaker::after(1).pause(Duration::ZERO).error().is_some());
        assert_eq!(Breaker::after(1).error(), None);
        assert!(BreakerState::default().may_load(&Clock::manual()));
    }
}
