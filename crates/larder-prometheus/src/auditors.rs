//! The metrics of the auditors. A cache without an auditor has no sample.

use larder::audit::AuditReport;

use crate::family::Kind::{Counter, Gauge, Summary};
use crate::family::{Families, Kind};

/// Reads one count of an auditor.
type AuditCount = fn(&AuditReport) -> u64;

/// What each auditor counts.
const AUDITS: [(Kind, &str, &str, AuditCount); 8] = [
    (
        Counter,
        "larder_cache_auditor_checked_total",
        "Hits whose value was loaded again and compared with the served one.",
        |audit| audit.checked,
    ),
    (
        Counter,
        "larder_cache_auditor_changed_total",
        "Of those checked: the database had another value, which it may have got after the hit.",
        |audit| audit.changed,
    ),
    (
        Counter,
        "larder_cache_auditor_stale_total",
        "Of those checked: stale beyond the staleness bound.",
        |audit| audit.stale,
    ),
    (
        Counter,
        "larder_cache_auditor_dismissed_total",
        "Of those checked: suspected, and dismissed, because the database had the served value again.",
        |audit| audit.dismissed,
    ),
    (
        Counter,
        "larder_cache_auditor_unproven_total",
        "Loads of the auditor that proved nothing: failed, timed out or spoiled.",
        |audit| audit.failures + audit.unusable,
    ),
    (
        Counter,
        "larder_cache_auditor_dropped_total",
        "Hits that were to be checked and were not: the auditor had too much to do, or no load was left for it.",
        |audit| audit.dropped,
    ),
    (
        Counter,
        "larder_cache_auditor_unwatched_total",
        "Of those checked: the database had another value, and too many entries were watched already.",
        |audit| audit.unwatched,
    ),
    (
        Gauge,
        "larder_cache_auditor_watched",
        "Entries that are watched, because the database had another value than the served one.",
        |audit| audit.watched,
    ),
];

/// Adds what the auditors report; `audits` names the cache of each.
pub(crate) fn add<'a, A>(families: &mut Families, audits: impl Fn() -> A)
where
    A: Iterator<Item = (Option<&'a str>, &'a AuditReport)>,
{
    for (kind, name, help, count) in AUDITS {
        let family = families.family(kind, name, help);
        for (cache, audit) in audits() {
            family.sample(cache, &[], count(audit));
        }
    }
    let help = "The largest measured age of an answer that was stale beyond the bound; 0 without one.";
    let worst = families.family(Gauge, "larder_cache_auditor_worst_age_seconds", help);
    for (cache, audit) in audits() {
        worst.sample(cache, &[], audit.worst_age.as_secs_f64());
    }
    let help = "How long entries were served after the auditor had seen another value in the database.";
    let lags = families.family(Summary, "larder_cache_auditor_lag_seconds", help);
    for (cache, AuditReport { lag, .. }) in audits() {
        for (quantile, lag) in [("0.5", lag.p50), ("0.99", lag.p99), ("1", lag.max)] {
            lags.sample(cache, &[("quantile", quantile)], lag.as_secs_f64());
        }
        lags.part("_sum", cache, &[], lag.total.as_secs_f64());
        lags.part("_count", cache, &[], lag.count);
    }
    let windows = |audit: &AuditReport| [("hour", audit.hour), ("day", audit.day)];
    let help = "Hits of the last hour, or day, with a verdict: the database still had their value, or they were stale.";
    let checked = families.family(Gauge, "larder_cache_auditor_window_checked", help);
    for (cache, audit) in audits() {
        for (name, window) in windows(audit) {
            checked.sample(cache, &[("window", name)], window.checked);
        }
    }
    let help =
        "The share of hits with a verdict within the staleness bound, with 95 % certainty: at least so many.";
    let shares = families.family(Gauge, "larder_cache_auditor_share_at_least", help);
    for (cache, audit) in audits() {
        for (name, window) in windows(audit) {
            // Without a checked hit nothing is known.
            if let Some(share) = window.share_at_least() {
                shares.sample(cache, &[("window", name)], share);
            }
        }
    }
}
