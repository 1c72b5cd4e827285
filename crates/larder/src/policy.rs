//! How long a class keeps its entries, and which consistency a read asks for.

use std::time::Duration;

use crate::aging::Aging;

pub use crate::breaker::Breaker;

/// The shortest staleness bound that a cache can be built with. Within this time there are at least two heartbeats and
/// two polls, which are 200 ms apart.
pub(crate) const BOUND_MIN: Duration = Duration::from_millis(500);
/// The staleness bound of a cache that sets none.
pub(crate) const STALENESS_BOUND: Duration = Duration::from_secs(2);
/// The longest load time-out that can be set. There is a limit, because readers on all instances wait for one load that
/// long.
pub(crate) const LOAD_TIMEOUT_MAX: Duration = Duration::from_secs(15 * 60);
/// The load time-out of a cache that sets none.
pub(crate) const LOAD_TIMEOUT: Duration = Duration::from_secs(2);

/// What happens to a load after the last read that waited for it has left, for example because its client disconnected.
///
/// # Examples
///
/// ```
/// use larder::policy::Abandonment;
///
/// assert_eq!(Abandonment::default(), Abandonment::Finish);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Abandonment {
    /// The load goes on, and its value is stored for later reads: of up to 1,000 abandoned loads of a class at once, on
    /// this instance. A call for several keys counts once, as soon as one of them has no reader. The default.
    #[default]
    Finish,
    /// As `Finish`, with another limit. Choose one below the number of the database's connections, if clients that are
    /// not trusted can begin slow loads of many keys. What is beyond it is stopped, counted in
    /// [`abandoned_stopped`](crate::stats::Stats::abandoned_stopped) and logged.
    FinishAtMost(u32),
    /// The load is stopped, and its lease is released.
    Stop,
}

impl Abandonment {
    /// How many abandoned loads of a class may go on at once.
    pub(crate) fn most(self) -> u32 {
        match self {
            Abandonment::Finish => 1_000,
            Abandonment::FinishAtMost(most) => most,
            Abandonment::Stop => 0,
        }
    }
}

/// The consistency of one read.
///
/// # Examples
///
/// ```
/// use larder::policy::Consistency;
///
/// assert_eq!(Consistency::default(), Consistency::Bounded);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Consistency {
    /// Any tier can answer. The read sees this instance's own writes once they are acknowledged, and writes of other
    /// instances once Redis or the journal has reported them to this instance. The default.
    #[default]
    Bounded,
    /// Memory is skipped: the read sees every write that any instance acknowledged as sent before the read began. Without
    /// Redis, and in a memory-only class, it always loads.
    Fresh,
}

/// How long the entries of a class can stay, and when they are refreshed. A TTL limits how long an entry stays. Whether
/// an answer is current depends on invalidations, not on the TTL: an invalidation ends an aged entry as it ends a fresh
/// one.
///
/// A read that finds an aged entry refreshes it in the background, with the read's own loader. Of all instances, one
/// loads; in a memory-only class each loads its own. If the load fails, the entry stays, and the next attempt follows after
/// a second at the earliest.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use larder::policy::Policy;
///
/// let policy = Policy::ttl(Duration::from_secs(180))
///     .absent_for(Duration::from_secs(30))
///     .refresh_ahead(0.8)
///     .stale_if_error(Duration::from_secs(3600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    ttl: Duration,
    absent_for: Option<Duration>,
    jitter: f64,
    aging: Aging,
}

/// How long one answer can stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Residence {
    pub(crate) ttl: Duration,
    /// How long after the TTL it can be used.
    pub(crate) stale_for: Duration,
}

impl Residence {
    pub(crate) fn total(self) -> Duration {
        self.ttl.saturating_add(self.stale_for)
    }
}

impl Policy {
    /// The shortest TTL, 1 ms. A class with a shorter one would store nothing, and cannot be opened.
    pub const TTL_MIN: Duration = Duration::from_millis(1);

    /// The longest TTL, 30 days. A class with a longer one cannot be opened. A TTL may be longer than the time for
    /// which the journal keeps its rows: a consumer that was away for longer than that time drops everything.
    pub const TTL_MAX: Duration = Duration::from_hours(30 * 24);

    /// Entries stay for `ttl`, counted from the start of their load. Absent answers are not stored; TTLs have a jitter
    /// of ten per cent.
    #[must_use]
    pub fn ttl(ttl: Duration) -> Self {
        Policy { ttl, absent_for: None, jitter: 0.1, aging: Aging::default() }
    }

    pub(crate) fn with_ttl(self, ttl: Duration) -> Self {
        Policy { ttl, ..self }
    }

    /// Also stores absent answers ("there is no such value"), for `ttl`. Default: they are not stored.
    #[must_use]
    pub fn absent_for(self, ttl: Duration) -> Self {
        Policy { absent_for: Some(ttl), ..self }
    }

    /// Shortens each TTL by a random share of up to `share`, from 0.0 to 1.0, so that entries which were loaded
    /// together do not expire together. Default: 0.1.
    #[must_use]
    pub fn jitter(self, share: f64) -> Self {
        Policy { jitter: share, ..self }
    }

    /// The first read after `share` of an entry's TTL refreshes it, so that entries in use do not expire. `share` is
    /// from 0.01 to 0.99; 0.8 is usual. Default: off.
    #[must_use]
    pub fn refresh_ahead(mut self, share: f64) -> Self {
        self.aging.refresh_ahead = Some(share);
        self
    }

    /// Refreshes an entry before the end of its TTL with a probability that rises with the time that its load took and
    /// with the number of its reads (XFetch). `beta` is from 0.01 to 100: with 1.0 an entry is refreshed about one load
    /// time before the end of its TTL; a larger value refreshes earlier. Default: off.
    #[must_use]
    pub fn early_refresh(mut self, beta: f64) -> Self {
        self.aging.early_refresh = Some(beta);
        self
    }

    /// Serves an entry for up to `span` after the end of its TTL, while one read refreshes it: no read waits for the
    /// load of an entry that is in use. An invalidation ends it as it ends a fresh entry. Default: zero.
    #[must_use]
    pub fn stale_while_revalidate(mut self, span: Duration) -> Self {
        self.aging.stale_while_revalidate = span;
        self
    }

    /// If the load of an entry fails or takes longer than the read's soft time-out, serves the entry for up to `span`
    /// after the end of its TTL. An invalidation ends it as it ends a fresh entry. Not allowed in
    /// [memory-only](crate::class::ClassBuilder::memory_only) classes: what grants rights must not outlive its TTL.
    /// Default: zero.
    #[must_use]
    pub fn stale_if_error(mut self, span: Duration) -> Self {
        self.aging.stale_if_error = span;
        self
    }

    /// The error message of a policy that is not allowed: it says what is wrong and what is allowed. `None` if the
    /// policy is allowed.
    pub(crate) fn error(&self, is_memory_only: bool) -> Option<String> {
        let (longest, Aging { refresh_ahead, early_refresh, .. }) = (Self::TTL_MAX, self.aging);
        if self.longest() > longest {
            let what = if self.aging.stale_for().is_zero() { "ttl" } else { "ttl and the time after it" };
            return Some(format!("{what} {:?}: allowed is at most {longest:?}, 30 days", self.longest()));
        }
        let shortest = Self::TTL_MIN;
        if self.ttl < shortest {
            return Some(format!("ttl {:?}: allowed is {shortest:?} to {longest:?}", self.ttl));
        }
        if let Some(absent_for) = self.absent_for.filter(|absent_for| *absent_for < shortest) {
            return Some(format!(
                "absent_for {absent_for:?}: allowed is {shortest:?} to {longest:?}; without absent_for no absence is stored"
            ));
        }
        let out_of = |name: &str, value: f64, low: f64, high: f64| {
            (!(low..=high).contains(&value))
                .then(|| format!("{name} {value}: allowed is {low:?} to {high:?}"))
        };
        out_of("jitter", self.jitter, 0.0, 1.0)
            .or_else(|| out_of("refresh_ahead", refresh_ahead?, 0.01, 0.99))
            .or_else(|| out_of("early_refresh", early_refresh?, 0.01, 100.0))
            .or_else(|| {
                (is_memory_only && !self.aging.stale_for().is_zero()).then(|| {
                    "stale_while_revalidate or stale_if_error: not allowed in a memory-only class, whose values may \
                     grant rights; allowed are refresh_ahead and early_refresh"
                        .to_owned()
                })
            })
    }

    /// The TTL of present answers.
    pub(crate) fn present_ttl(&self) -> Duration {
        self.ttl
    }

    pub(crate) fn aging(&self) -> &Aging {
        &self.aging
    }

    /// The longest TTL of any answer of the class.
    pub(crate) fn longest_ttl(&self) -> Duration {
        self.absent_for.map_or(self.ttl, |absent_for| self.ttl.max(absent_for))
    }

    /// The longest that any answer of the class can stay.
    pub(crate) fn longest(&self) -> Duration {
        let present = self.ttl.saturating_add(self.aging.stale_for());
        self.absent_for.map_or(present, |absent_for| present.max(absent_for))
    }

    /// How long this answer can stay, or `None` if it is not stored. `asked` is the TTL that the loader asks for, which
    /// can only shorten the class's TTL. `random` is a random number from 0.0..1.0. Absent answers are not used after
    /// their TTL.
    pub(crate) fn residence(
        &self,
        is_absent: bool,
        asked: Option<Duration>,
        random: f64,
    ) -> Option<Residence> {
        let (ttl, stale_for) = match is_absent {
            true => (self.absent_for?, Duration::ZERO),
            false => (self.ttl, self.aging.stale_for()),
        };
        let ttl = asked.map_or(ttl, |asked| ttl.min(asked)).mul_f64(1.0 - self.jitter * random);
        (ttl >= Self::TTL_MIN).then_some(Residence { ttl, stale_for })
    }
}

impl Default for Policy {
    /// A TTL of five minutes; absent answers are not kept.
    fn default() -> Self {
        Policy::ttl(Duration::from_secs(300))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ttl_of(policy: Policy, is_absent: bool, asked: Option<Duration>, random: f64) -> Option<Duration> {
        policy.residence(is_absent, asked, random).map(|residence| residence.ttl)
    }

    #[test]
    fn jitter_only_ever_shortens() {
        let policy = Policy::ttl(Duration::from_secs(100));
        assert_eq!(ttl_of(policy, false, None, 0.0), Some(Duration::from_secs(100)));
        assert_eq!(ttl_of(policy, false, None, 1.0), Some(Duration::from_secs(90)));
    }

    #[test]
    fn absent_answers_are_kept_only_where_the_policy_says_so() {
        let policy = Policy::ttl(Duration::from_secs(100)).jitter(0.0).stale_if_error(Duration::from_secs(9));
        assert_eq!(policy.residence(true, None, 0.0), None);
        let policy = policy.absent_for(Duration::from_secs(3));
        let residence = Residence { ttl: Duration::from_secs(3), stale_for: Duration::ZERO };
        assert_eq!(policy.residence(true, None, 0.0), Some(residence));
    }

    #[test]
    fn a_loader_only_ever_shortens_the_ttl() {
        let policy = Policy::ttl(Duration::from_secs(100)).jitter(0.0);
        for (asked, ttl) in [(3, Some(3)), (300, Some(100)), (0, None)] {
            let asked = Some(Duration::from_secs(asked));
            assert_eq!(ttl_of(policy, false, asked, 0.0), ttl.map(Duration::from_secs));
        }
    }

    #[test]
    fn what_is_not_allowed_is_an_error_that_says_what_is() {
        let day = Duration::from_hours(24);
        assert_eq!(Policy::ttl(Policy::TTL_MAX).absent_for(Policy::TTL_MAX).error(true), None);
        let wrong = Policy::default().absent_for(Policy::TTL_MAX + Duration::from_secs(1)).error(false);
        assert_eq!(wrong.as_deref(), Some("ttl 2592001s: allowed is at most 2592000s, 30 days"));
        for zero in [Policy::ttl(Duration::ZERO), Policy::default().absent_for(Duration::ZERO)] {
            assert!(
                zero.error(false).is_some_and(|wrong| wrong.contains("0ns: allowed is 1ms to")),
                "{zero:?}"
            );
        }
        for share in [-0.1, 1.1, f64::NAN] {
            assert!(Policy::default().jitter(share).error(false).is_some(), "{share}");
            assert!(Policy::default().refresh_ahead(share).error(false).is_some(), "{share}");
        }
        assert!(Policy::default().early_refresh(f64::INFINITY).error(false).is_some());
        let stale = Policy::ttl(20 * day).stale_if_error(11 * day);
        assert!(stale.error(false).is_some_and(|wrong| wrong.contains("the time after it 2678400s")));
        for stale in [Policy::default().stale_if_error(day), Policy::default().stale_while_revalidate(day)] {
            assert_eq!(stale.error(false), None);
            assert!(stale.error(true).is_some_and(|wrong| wrong.contains("memory-only")));
        }
        assert_eq!(ttl_of(Policy::ttl(Duration::ZERO), false, None, 0.0), None);
    }
}
