//! How an entry ages, and what a read does with an aged one. Age is independent of invalidation: an entry of any age is
//! served only if it is valid. So this module decides when the database is asked again, never whether an answer is
//! right.
//!
//! ```text
//! load begins          refresh ahead, early refresh        TTL                  reload_at            end
//! |------------------------------|-------------------------|--------------------|--------------------|
//!            serve                    serve and refresh       serve and refresh   load; serve if that
//!                                                          (stale while revalid.) fails (stale if error)
//! ```

use std::time::Duration;

use crate::aging::Aging;
use crate::clock::Tick;

/// The life of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// The start of its load.
    pub began: Tick,
    /// The end of its TTL.
    pub fresh_until: Tick,
    /// The instant from which the entry is not used at all.
    pub ends: Tick,
    /// How long its load took.
    pub load_time: Duration,
}

/// What a bounded read does with a valid entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    Fresh,
    /// Serve it, and load a new value in the background.
    Refresh,
    /// Load before answering. If the load fails, serve it.
    Reload,
}

/// The limit of an early refresh for β = 1: XFetch refreshes at most this many load times before the end of the TTL.
/// The limit hardly matters: a random number is below e⁻¹⁶ once in nine million reads.
const EARLIEST_LOAD_TIMES: f64 = 16.0;

impl Aging {
    /// The instant from which a read has to ask for the [`Age`]; before it, the entry is fresh for certain.
    pub fn fresh_for_certain_until(&self, life: &Life) -> Tick {
        let ahead = self.ahead(life);
        let early = self
            .early_refresh
            .map(|beta| life.fresh_until.minus(life.load_time.mul_f64(beta * EARLIEST_LOAD_TIMES)));
        ahead.into_iter().chain(early).fold(life.fresh_until, Tick::min)
    }

    /// The instant from which reads wait for a load.
    pub fn reload_at(&self, life: &Life) -> Tick {
        life.fresh_until.plus(self.stale_while_revalidate)
    }

    /// What a read does at `now` with an entry that has not ended. `random` is a random number from 0.0..1.0.
    pub fn age(&self, life: &Life, now: Tick, random: f64) -> Age {
        if now >= self.reload_at(life) {
            return Age::Reload;
        }
        let is_ahead = self.ahead(life).is_some_and(|ahead| now >= ahead);
        // XFetch (Vattani, Chierichetti, Lowenstein: "Optimal Probabilistic Cache Stampede Prevention", 2015): refresh
        // if now - delta * beta * ln(random) has reached the end of the TTL.
        let is_early = self.early_refresh.is_some_and(|beta| {
            let lead = beta * (-(1.0 - random).ln()).min(EARLIEST_LOAD_TIMES);
            now.plus(life.load_time.mul_f64(lead)) >= life.fresh_until
        });
        if is_ahead || is_early || now >= life.fresh_until { Age::Refresh } else { Age::Fresh }
    }

    fn ahead(&self, life: &Life) -> Option<Tick> {
        let ttl = life.fresh_until.since(life.began);
        self.refresh_ahead.map(|share| life.began.plus(ttl.mul_f64(share)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIFE: Life =
        Life { began: at(100), fresh_until: at(200), ends: at(260), load_time: Duration::from_secs(2) };

    const fn at(seconds: u64) -> Tick {
        Tick::from_nanos(seconds * 1_000_000_000)
    }

    fn age_at(aging: Aging, seconds: u64, random: f64) -> Age {
        aging.age(&LIFE, at(seconds), random)
    }

    #[test]
    fn each_policy_has_its_time() {
        let none = Aging::default();
        assert_eq!((age_at(none, 199, 0.99), age_at(none, 200, 0.5)), (Age::Fresh, Age::Reload));
        let ahead = Aging { refresh_ahead: Some(0.8), ..none };
        assert_eq!((age_at(ahead, 179, 0.5), age_at(ahead, 180, 0.5)), (Age::Fresh, Age::Refresh));
        assert_eq!(ahead.fresh_for_certain_until(&LIFE), at(180));
        let stale = Aging { stale_while_revalidate: Duration::from_secs(30), ..none };
        let ages = [199, 200, 229, 230].map(|seconds| age_at(stale, seconds, 0.5));
        assert_eq!(ages, [Age::Fresh, Age::Refresh, Age::Refresh, Age::Reload]);
        let failing = Aging { stale_if_error: Duration::from_secs(60), ..stale };
        assert_eq!((failing.stale_for(), failing.reload_at(&LIFE)), (Duration::from_secs(60), at(230)));
    }

    #[test]
    fn early_refresh_depends_on_luck_and_on_the_load_time() {
        let early = Aging { early_refresh: Some(1.0), ..Aging::default() };
        assert_eq!(early.fresh_for_certain_until(&LIFE), at(168));
        // e^-1 of all reads refresh one load time or more before the end.
        assert_eq!((age_at(early, 198, 0.62), age_at(early, 198, 0.64)), (Age::Fresh, Age::Refresh));
        assert_eq!(age_at(early, 150, 0.999_999_999_999), Age::Fresh);
    }

    proptest! {
        #[test]
        fn an_entry_is_fresh_before_the_instant_that_says_so(
            (share, beta) in (proptest::option::of(0.01_f64..1.0), proptest::option::of(0.1_f64..10.0)),
            (swr, now) in (0_u64..100, 100_u64..400),
            random in 0.0_f64..1.0,
        ) {
            let stale_while_revalidate = Duration::from_secs(swr);
            let aging = Aging { refresh_ahead: share, early_refresh: beta, stale_while_revalidate, ..Aging::default() };
            if at(now) < aging.fresh_for_certain_until(&LIFE) {
                prop_assert_eq!(age_at(aging, now, random), Age::Fresh);
            }
            if at(now) >= LIFE.fresh_until {
                prop_assert_ne!(age_at(aging, now, random), Age::Fresh);
            }
        }
    }
}
