//! Decides whether a figure of larder beats that of a document. Pure functions.

use crate::quantiles::Quantiles;

/// A time that the document of an older system gives.
#[derive(Clone, Copy)]
pub(super) struct TimeClaim {
    /// A short form of the document's text.
    pub(super) printed: &'static str,
    /// The time with the document's cache, if the document gives it.
    pub(super) after_ms: Option<f64>,
    /// The reduction by the cache. If the document has a range of reductions, this is the lower end, because the
    /// document gives the time with the cache as one figure.
    pub(super) reduction_percent: f64,
}

/// A share that a document gives: of look-ups that hit, or of statements that are saved.
#[derive(Clone, Copy)]
pub(super) struct ShareClaim {
    /// A short form of the document's text.
    pub(super) printed: &'static str,
    /// The share. If the document has a range, this is its upper end.
    pub(super) percent: f64,
}

impl TimeClaim {
    /// Beaten if larder's p99 from memory is below the document's time, and larder's p50 has at least the document's
    /// reduction.
    pub(super) fn is_beaten(&self, off: Quantiles, memory: Quantiles) -> bool {
        let is_fast = self.after_ms.is_none_or(|after| memory.p99 < after);
        is_fast && reduction_percent(off.p50, memory.p50) >= self.reduction_percent
    }
}

impl ShareClaim {
    pub(super) fn is_beaten(&self, percent: f64) -> bool {
        percent >= self.percent
    }
}

/// How much less `after` is than `before`, as a percentage. NaN if `before` is 0, and NaN beats no figure.
pub(super) fn reduction_percent(before: f64, after: f64) -> f64 {
    if before > 0.0 { 100.0 * (1.0 - after / before) } else { f64::NAN }
}

/// The last line of the output, and whether every figure is beaten. No figures at all is a failure.
pub(super) fn summary<'a>(verdicts: impl Iterator<Item = (&'a str, bool)>) -> (String, bool) {
    let (mut count, mut lost) = (0, Vec::new());
    for (name, is_beaten) in verdicts {
        count += 1;
        if !is_beaten {
            lost.push(name);
        }
    }
    let line = match lost.len() {
        0 if count > 0 => format!("all {count} figures of the documents are beaten"),
        _ => format!("{} OF {count} FIGURES ARE NOT BEATEN: {}", lost.len(), lost.join("; ")),
    };
    (format!("cargo xtask bench figures: {line}"), count > 0 && lost.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: TimeClaim = TimeClaim { printed: "", after_ms: Some(20.0), reduction_percent: 80.0 };

    fn beats(off_p50: f64, memory_p50: f64, memory_p99: f64) -> bool {
        let off = Quantiles { p50: off_p50, p99: off_p50 };
        CLAIM.is_beaten(off, Quantiles { p50: memory_p50, p99: memory_p99 })
    }

    #[test]
    fn a_time_is_beaten_if_its_p99_is_shorter_and_its_reduction_as_large() {
        assert!(beats(10.0, 2.0, 19.99));
        assert!(!beats(10.0, 2.0, 20.0), "its slow answers are as slow as theirs");
        assert!(!beats(10.0, 2.01, 3.0), "it gains less");
        assert!(!beats(1.0, 2.0, 3.0), "it is slower with the cache");
        assert!(!beats(0.0, 0.0, 0.0) && !beats(f64::NAN, 1.0, 1.0), "nothing was measured");
    }

    #[test]
    fn without_a_documented_time_only_the_reduction_counts() {
        let claim = TimeClaim { after_ms: None, ..CLAIM };
        let (slow, fast) = (Quantiles { p50: 10.0, p99: 10.0 }, Quantiles { p50: 1.0, p99: 99.0 });
        assert!(claim.is_beaten(slow, fast) && !claim.is_beaten(fast, slow));
    }

    #[test]
    fn a_share_has_to_reach_the_upper_end() {
        let claim = ShareClaim { printed: "80–90 %", percent: 90.0 };
        assert!(claim.is_beaten(90.0) && claim.is_beaten(reduction_percent(10.0, 0.5)));
        assert!(!claim.is_beaten(89.99) && !claim.is_beaten(f64::NAN));
        assert!(
            !claim.is_beaten(reduction_percent(0.0, 0.0)) && !claim.is_beaten(reduction_percent(1.0, 2.0))
        );
    }

    #[test]
    fn one_figure_that_is_not_beaten_fails_all_and_is_named() {
        let (line, is_kept) = summary([("a", true), ("b", true)].into_iter());
        assert!(is_kept && line.ends_with("all 2 figures of the documents are beaten"), "{line}");
        let (line, is_kept) = summary([("a", true), ("b", false), ("c", false)].into_iter());
        assert!(!is_kept && line.ends_with("2 OF 3 FIGURES ARE NOT BEATEN: b; c"), "{line}");
        assert!(!summary(std::iter::empty()).1, "nothing was measured");
    }
}
