//! What the auditor has measured: how many answers of the tiers it compared with the database, and how many of them were
//! stale beyond the staleness bound. [`Builder::audit_rate`](crate::Builder::audit_rate) switches it on;
//! `docs/auditor.md` says what a comparison proves.

use std::time::Duration;

use crate::times::LoadTimes;

/// What the auditor of one cache has measured since the cache was built; see [`Cache::audit`](crate::Cache::audit).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AuditReport {
    /// The share of the hits that are drawn, from 0 to 1; see [`Builder::audit_rate`](crate::Builder::audit_rate).
    pub rate: f64,
    /// The most loads of the auditor in a second; see
    /// [`Builder::audit_loads_per_second`](crate::Builder::audit_loads_per_second).
    pub loads_per_second: f64,
    /// Hits whose value was loaded again and compared with the served one.
    pub checked: u64,
    /// Of those checked: the database had another value than the served one. Most of them were served before the
    /// database changed, which is no fault. The auditor watches them.
    pub changed: u64,
    /// Of those checked: stale beyond the staleness bound. In a cache that keeps its promise this is 0.
    pub stale: u64,
    /// Of those checked: suspected of being stale, and dismissed, because the second load found the served value again.
    pub dismissed: u64,
    /// Loads of the auditor that failed, panicked or took longer than the load time-out. They prove nothing.
    pub failures: u64,
    /// Loads of the auditor that prove nothing although they succeeded: they were [spoiled](crate::loading::spoil), or
    /// their value has no digest.
    pub unusable: u64,
    /// Hits that were to be checked and were not: the auditor had too much to do, or no load was left for it.
    pub dropped: u64,
    /// Of those checked: the database had another value, and too many entries were watched already.
    pub unwatched: u64,
    /// Entries that are watched now, because the database had another value than a served one.
    pub watched: u64,
    /// The largest measured age of an answer that was stale beyond the bound: for at least so long before its read began,
    /// the database had had another value. Zero if there was none.
    pub worst_age: Duration,
    /// How long entries were served after the database had another value.
    pub lag: AuditLag,
    /// The last 60 minutes, the present one included.
    pub hour: AuditWindow,
    /// The last 24 hours, in minutes, the present one included.
    pub day: AuditWindow,
}

/// How long entries were served after the auditor had seen another value in the database. Each figure is a lower bound:
/// the change was committed before the auditor saw it. Entries that were not served after that do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditLag {
    /// How many entries were served after that.
    pub count: u64,
    /// The sum of these times.
    pub total: Duration,
    /// The median.
    pub p50: Duration,
    /// 99 % of them were served for at most about so long.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl From<LoadTimes> for AuditLag {
    fn from(LoadTimes { count, total, p50, p99, max, .. }: LoadTimes) -> Self {
        AuditLag { count, total, p50, p99, max }
    }
}

/// The hits of a span of time on which the auditor has a verdict: drawn hits whose value the database still had, and hits
/// that were stale beyond the bound. A drawn hit whose value the database had no longer has no verdict, because the database
/// may have changed after it.
///
/// # Examples
///
/// ```
/// use larder::audit::AuditWindow;
///
/// let window = AuditWindow { checked: 30_000, stale: 0 };
/// // No fault among 30,000 reads: with 95 % certainty at most one read in 10,000 is stale.
/// assert_eq!(window.share_at_least(), Some(0.9999));
/// assert_eq!(window.nines(), Some(4.0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditWindow {
    /// Hits with a verdict.
    pub checked: u64,
    /// Of those: stale beyond the bound.
    pub stale: u64,
}

impl AuditWindow {
    /// The share of hits that were not stale beyond the bound, with 95 % certainty: at least so many, if hits without a
    /// verdict are no worse. Without a fault among `n` hits it is `1 - 3/n`. `None` if there is no verdict.
    pub fn share_at_least(&self) -> Option<f64> {
        (self.checked > 0).then(|| (1.0 - faults_at_most(self.stale) / self.checked as f64).max(0.0))
    }

    /// The nines of [`AuditWindow::share_at_least`], cut to one decimal: 3.0 for 0.999. `None` if none was checked.
    pub fn nines(&self) -> Option<f64> {
        // 1e-9: `1 - 0.999` is a little more than a thousandth in floating point.
        self.share_at_least().map(|share| ((-(1.0 - share).log10() + 1e-9) * 10.0).floor() / 10.0 + 0.0)
    }
}

/// The most faults to expect, with 95 % certainty, in a sample like one in which `found` were found: the upper limit of a
/// Poisson distribution, by the approximation of Wilson and Hilferty; 3 for none (the rule of three).
fn faults_at_most(found: u64) -> f64 {
    if found == 0 {
        return 3.0;
    }
    let next = found as f64 + 1.0;
    next * (1.0 - 1.0 / (9.0 * next) + 1.645 / (3.0 * next.sqrt())).powi(3)
}

const HOUR_MINUTES: u64 = 60;
const DAY_MINUTES: u64 = 24 * HOUR_MINUTES;

/// The verdicts of each of the last 24 hours' minutes.
pub(crate) struct Minutes {
    /// By the minute's number modulo the length; an element of another number is of an earlier day.
    ring: Vec<(u64, AuditWindow)>,
}

impl Minutes {
    pub(crate) fn new() -> Self {
        Minutes { ring: vec![(0, AuditWindow::default()); DAY_MINUTES as usize] }
    }

    /// Counts one verdict in this minute.
    pub(crate) fn count(&mut self, minute: u64, is_stale: bool) {
        let (number, window) = &mut self.ring[(minute % DAY_MINUTES) as usize];
        if *number != minute {
            (*number, *window) = (minute, AuditWindow::default());
        }
        window.checked += 1;
        window.stale += u64::from(is_stale);
    }

    /// The hour and the day that end with this minute.
    pub(crate) fn windows(&self, minute: u64) -> [AuditWindow; 2] {
        [HOUR_MINUTES, DAY_MINUTES].map(|minutes| {
            let is_within = |number: u64| number <= minute && number + minutes > minute;
            let counted = self.ring.iter().filter(|(number, _)| is_within(*number));
            counted.fold(AuditWindow::default(), |sum, (_, window)| AuditWindow {
                checked: sum.checked + window.checked,
                stale: sum.stale + window.stale,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nines_rest_on_the_number_of_checked_reads() {
        let nines = |checked, stale| AuditWindow { checked, stale }.nines();
        assert_eq!(nines(0, 0), None, "nothing was checked");
        assert_eq!([1, 3, 30, 3_000, 3_000_000].map(|checked| nines(checked, 0)), {
            [Some(0.0), Some(0.0), Some(1.0), Some(3.0), Some(6.0)]
        });
        assert_eq!(nines(2, 2), Some(0.0));
    }

    /// The exact upper limits of a Poisson distribution are 4.744 for one event, 6.296 for two and 16.962 for ten.
    #[test]
    fn the_most_faults_to_expect_are_those_of_the_tables() {
        for (found, limit) in [(0, 2.996), (1, 4.744), (2, 6.296), (10, 16.962)] {
            let here = faults_at_most(found);
            assert!((here - limit).abs() < 0.03, "{found}: {here}");
        }
    }

    #[test]
    fn a_window_forgets_what_is_older() {
        let mut minutes = Minutes::new();
        minutes.count(100, true);
        minutes.count(100, false);
        let window = |checked, stale| AuditWindow { checked, stale };
        assert_eq!(minutes.windows(100), [window(2, 1); 2]);
        assert_eq!(minutes.windows(159), [window(2, 1); 2], "the last minute of the hour");
        assert_eq!(minutes.windows(160), [window(0, 0), window(2, 1)]);
        assert_eq!(minutes.windows(100 + DAY_MINUTES - 1), [window(0, 0), window(2, 1)]);
        assert_eq!(minutes.windows(100 + DAY_MINUTES), [window(0, 0); 2]);
        minutes.count(100 + DAY_MINUTES, false);
        assert_eq!(minutes.windows(100 + DAY_MINUTES), [window(1, 0); 2], "its place is used again");
    }
}
