//! What the auditor has measured, as answers show it.

use larder::audit::{AuditReport, AuditWindow};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::cache::milliseconds;

/// Hits of the cache on this instance that were checked against the database, since the start.
#[derive(Serialize, ToSchema)]
#[schema(as = Auditor)]
pub(crate) struct AuditorView {
    /// The share of the hits that are drawn, from 0 to 1.
    rate: f64,
    /// The most loads of the auditor in a second.
    loads_per_second: f64,
    /// Hits whose value was loaded again and compared with the served one.
    checked: u64,
    /// Of those checked: the database had another value, which it may have got after the hit.
    changed: u64,
    /// Of those checked: stale beyond the staleness bound.
    stale: u64,
    /// Of those checked: suspected, and dismissed, because the database had the served value again.
    dismissed: u64,
    /// Loads of the auditor that proved nothing: failed, timed out or spoiled.
    unproven: u64,
    /// Hits that were to be checked and were not: the auditor had too much to do, or no load was left for it.
    dropped: u64,
    /// Of those checked: the database had another value, and too many entries were watched already.
    unwatched: u64,
    /// Entries that are watched now, because the database had another value than the served one.
    watched: u64,
    /// The largest measured age of an answer that was stale beyond the bound; 0 without one.
    worst_age_ms: f64,
    lag: AuditorLag,
    hour: AuditorWindow,
    day: AuditorWindow,
}

/// How long entries were served after the auditor had seen another value in the database.
#[derive(Serialize, ToSchema)]
struct AuditorLag {
    /// How many entries were.
    count: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// The hits of the last hour, or day, with a verdict: the database still had their value, or they were stale.
#[derive(Serialize, ToSchema)]
struct AuditorWindow {
    /// How many they are.
    checked: u64,
    /// Of those: stale beyond the staleness bound.
    stale: u64,
    /// The share of them within the bound, with 95 % certainty: at least so many; `null` without a verdict, here and below.
    share_at_least: Option<f64>,
    /// The nines of that share: 3.0 for 0.999.
    nines: Option<f64>,
}

impl From<AuditWindow> for AuditorWindow {
    fn from(window: AuditWindow) -> Self {
        let AuditWindow { checked, stale } = window;
        Self { checked, stale, share_at_least: window.share_at_least(), nines: window.nines() }
    }
}

impl From<AuditReport> for AuditorView {
    fn from(report: AuditReport) -> Self {
        let lag = report.lag;
        Self {
            rate: report.rate,
            loads_per_second: report.loads_per_second,
            checked: report.checked,
            changed: report.changed,
            stale: report.stale,
            dismissed: report.dismissed,
            unproven: report.failures + report.unusable,
            dropped: report.dropped,
            unwatched: report.unwatched,
            watched: report.watched,
            worst_age_ms: milliseconds(report.worst_age),
            lag: AuditorLag {
                count: lag.count,
                p50_ms: milliseconds(lag.p50),
                p99_ms: milliseconds(lag.p99),
                max_ms: milliseconds(lag.max),
            },
            hour: report.hour.into(),
            day: report.day.into(),
        }
    }
}
