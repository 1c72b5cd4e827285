//! The summary: what was done, how old the answers were, and which promises were broken.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::freshness::tally::{Branch, KINDS, ReadFigures, Tally};
use crate::history::Nanos;
use crate::torture::evaluation::Evaluation;
use crate::torture::mutant::Mutant;
use crate::torture::nemesis::{Choice, Nemesis};
use crate::torture::options::{Finder, Options};

/// Counters of the engine that must be above 0 after every run: a run proves nothing about a branch that was not taken.
const COUNTED: &[&str] =
    &["absent_hits", "joins", "passed_flights", "fills_refused", "refreshes", "stale_hits", "stale_on_error"];

/// As [`COUNTED`], if the instances share a Redis.
const COUNTED_WITH_REDIS: &[&str] = &["lease_waits", "inserts_refused", "passed_over"];

/// As [`COUNTED`], if the run has links to a Redis and all nemeses and lasts at least [`LONG`] seconds.
const COUNTED_UNDER_ALL: &[&str] = &["late_hits", "outage_hits", "untiered_loads"];

/// The shortest run, in seconds, that has to take the branches of [`COUNTED_UNDER_ALL`].
const LONG: u64 = 60;

/// The shortest run, in seconds, in which an auditor has to check a read.
const AUDITED: u64 = 30;

/// The sums of the instances' counters, by name.
#[derive(Default)]
pub(super) struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// Adds up `name=count` words.
    pub(super) fn sum(answers: &[String]) -> Self {
        let mut counts = BTreeMap::new();
        for (name, count) in
            answers.iter().flat_map(|line| line.split(' ')).filter_map(|word| word.split_once('='))
        {
            *counts.entry(name.to_owned()).or_default() += count.parse::<u64>().unwrap_or(0);
        }
        Counts(counts)
    }

    /// Reads that the instances' auditors found stale beyond the bound.
    pub(super) fn audited_stale(&self) -> u64 {
        self.get("audit_stale")
    }

    fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

/// The result of a run. Its `Display` is the summary.
pub struct Report {
    mutant: Option<Mutant>,
    finder: Finder,
    bound: Duration,
    took: Duration,
    evaluation: Evaluation,
    counts: Counts,
    /// Promises that were not kept.
    unkept: Vec<String>,
    /// Branches that were not taken.
    untaken: Vec<String>,
}

impl Report {
    pub(super) fn new(
        options: &Options,
        nemeses: &[&Nemesis],
        took: Duration,
        evaluation: Evaluation,
        counts: Counts,
    ) -> Self {
        let (mutant, finder, bound) = (options.setup.mutant, options.finder, options.setup.bound());
        let (unkept, untaken) = (Vec::new(), Vec::new());
        let mut report = Report { mutant, finder, bound, took, evaluation, counts, unkept, untaken };
        report.unkept = report.find_unkept(nemeses);
        report.untaken = report.find_untaken(options);
        report
    }

    /// Whether the run succeeded. A run without a mutant succeeds if every promise was kept and every branch
    /// that it has to take was taken. A run with a mutant succeeds if its finder found it.
    pub fn is_success(&self) -> bool {
        match self.mutant {
            None => self.unkept.is_empty() && self.untaken.is_empty(),
            Some(_) => match self.finder {
                Finder::Judge => self.tally().violations() > 0,
                Finder::Auditor => self.counts.audited_stale() > 0,
            },
        }
    }

    /// The promises that were not kept.
    pub fn unkept(&self) -> &[String] {
        &self.unkept
    }

    /// The verdicts on all reads.
    pub fn tally(&self) -> &Tally {
        &self.evaluation.tally
    }

    /// A failure counts unless one of the `nemeses` causes such failures.
    fn find_unkept(&self, nemeses: &[&Nemesis]) -> Vec<String> {
        let violations = self.tally().violations.iter().map(|(kind, count)| (*count, *kind));
        let takes_the_database = nemeses.iter().any(|nemesis| nemesis.takes_the_database());
        let stops_instances = nemeses.iter().any(|nemesis| nemesis.stops_instances());
        let unless = |is_excused, name| if is_excused { 0 } else { self.counts.get(name) };
        let by_database = unless(takes_the_database, "failed_database");
        let late = unless(takes_the_database || stops_instances, "failed_late");
        let others = [
            (self.counts.get("failed_cache"), "requests failed by a fault of the cache"),
            (self.counts.get("crossed"), "answers of another key"),
            (self.counts.get("mixed"), "answers with a value of the other database"),
            (self.counts.audited_stale(), "reads that an auditor found stale beyond the bound"),
            (by_database, "requests failed though the database was there"),
            (late, "loads were cut off late though no nemesis stopped an instance or the database"),
        ];
        let found = violations.chain(others).filter(|(count, _)| *count > 0);
        found.map(|(count, what)| format!("{} {what}", grouped(count))).collect()
    }

    fn find_untaken(&self, options: &Options) -> Vec<String> {
        let has_redis = options.setup.has_redis();
        let has_all =
            options.setup.has_links() && options.setup.seconds >= LONG && options.nemesis == Choice::All;
        let tally = self.tally();
        let is_tracking = !has_redis || options.setup.deployment.is_tracking();
        let branches = Branch::ALL.into_iter().filter(|branch| has_redis || *branch != Branch::Redis);
        let branches = branches.filter(|branch| is_tracking || *branch != Branch::Memory);
        let branches =
            branches.map(|branch| (tally.branches.get(&branch).copied().unwrap_or(0), branch.name()));
        let counted = COUNTED.iter().chain(if has_redis { COUNTED_WITH_REDIS } else { &[] });
        let counted = counted.chain(if has_all { COUNTED_UNDER_ALL } else { &[] });
        // Without copies of what Redis answered, none is refused.
        let counted = counted.filter(|name| is_tracking || **name != "inserts_refused");
        let counted = counted.map(|name| (self.counts.get(name), *name));
        // Auditors draw hits by lot, so a short run may check none.
        let audited = if options.setup.seconds >= AUDITED { self.counts.get("audit_checked") } else { 1 };
        let others = [
            (audited, "read that an auditor checked"),
            (tally.fresh.reads, "fresh read"),
            (tally.last, "read after the quiet time"),
            (if is_tracking { self.evaluation.written.sent } else { 1 }, "acknowledgement as sent"),
            (self.evaluation.written.foreign, "foreign write"),
        ];
        let all = branches.chain(counted).chain(others);
        all.filter(|(count, _)| *count == 0).map(|(_, what)| what.to_owned()).collect()
    }

    fn verdict(&self) -> String {
        match (self.mutant, self.is_success()) {
            (None, true) => "every promise was kept".to_owned(),
            (None, false) if self.unkept.is_empty() => {
                format!(
                    "promises were kept, but these branches were never taken: {}",
                    self.untaken.join(", ")
                )
            }
            (None, false) => format!("BROKEN: {}", self.unkept.join("; ")),
            (Some(mutant), true) => format!("the mutant {mutant} was caught"),
            (Some(mutant), false) => format!("the mutant {mutant} was NOT caught"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Evaluation { tally, written, lags, recoveries } = &self.evaluation;
        for shown in &tally.shown {
            writeln!(f, "{shown}\n")?;
        }
        let mut line = |name: &str, text: String| writeln!(f, "{name:<34} {text}");
        let branches = Branch::ALL.map(|branch| {
            format!("{} {}", branch.name(), grouped(tally.branches.get(&branch).copied().unwrap_or(0)))
        });
        line("reads", grouped(tally.bounded.reads + tally.fresh.reads))?;
        line("  by branch", branches.join(", "))?;
        line("  absent from a tier", grouped(tally.absent_hits))?;
        line("  slowest", millis(tally.slowest / 1_000))?;
        line("writes", format!("{}, and {} foreign", grouped(written.committed), grouped(written.foreign)))?;
        line(
            "  acknowledged",
            format!("{} sent, {} queued", grouped(written.sent), grouped(written.queued)),
        )?;
        line("fresh reads", figures_of(&tally.fresh))?;
        line("bounded reads", figures_of(&tally.bounded))?;
        line("  staleness bound", format!("{:?}", self.bound))?;
        if let (Some(worst), Some(typical)) = (lags.last(), lags.get(lags.len() / 2)) {
            let lag = format!(
                "typically {}, worst {}, instances that were stopped included",
                millis(typical / 1_000),
                millis(worst / 1_000)
            );
            line("foreign write seen by all", lag)?;
        }
        for (name, recoveries) in recoveries.iter().filter(|(name, _)| **name != "none") {
            line(&format!("recovery from {name}"), recovery(recoveries))?;
        }
        let [database, cache, late] =
            ["failed_database", "failed_cache", "failed_late"].map(|name| self.counts.get(name));
        line(
            "requests failed",
            format!(
                "{database} by the database, {cache} by the cache, {late} by a load that was cut off late"
            ),
        )?;
        let [checked, changed, stale, dismissed, failures] =
            ["checked", "changed", "stale", "dismissed", "failures"]
                .map(|name| grouped(self.counts.get(&format!("audit_{name}"))));
        line(
            "reads checked by the auditors",
            format!(
                "{checked}; {changed} of them differed, {stale} stale beyond the bound, {dismissed} dismissed; \
                 {failures} loads proved nothing"
            ),
        )?;
        let mut counted = String::new();
        let is_shown = |name: &str| !name.starts_with("failed") && !name.starts_with("audit_");
        for (name, count) in self.counts.0.iter().filter(|(name, _)| is_shown(name)) {
            write!(counted, "{name} {}, ", grouped(*count))?;
        }
        line("counted by the instances", counted.trim_end_matches(", ").to_owned())?;
        line("violations", grouped(tally.violations()))?;
        for kind in KINDS {
            line(&format!("  {kind}"), grouped(tally.violations.get(kind).copied().unwrap_or(0)))?;
        }
        writeln!(f, "{} after {:.0} s", self.verdict(), self.took.as_secs_f64())
    }
}

fn figures_of(figures: &ReadFigures) -> String {
    format!(
        "{}; {} missed a write not acknowledged yet or within the bound, worst {}, p99.9 {}",
        grouped(figures.reads),
        grouped(figures.old),
        millis(figures.worst_micros()),
        millis(figures.p999_micros()),
    )
}

fn recovery(recoveries: &[Nanos]) -> String {
    let mut sorted = recoveries.to_vec();
    sorted.sort_unstable();
    match (sorted.get(sorted.len() / 2), sorted.last()) {
        (Some(typical), Some(worst)) => {
            format!(
                "typically {}, worst {}, {} times",
                millis(typical / 1_000),
                millis(worst / 1_000),
                sorted.len()
            )
        }
        _ => "none seen".to_owned(),
    }
}

fn millis(micros: u64) -> String {
    format!("{:.1} ms", micros as f64 / 1e3)
}

/// `1234567` as `1 234 567`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    groups.map(|group| String::from_utf8_lossy(group)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_added_up_over_instances() {
        let counts = Counts::sum(&["loads=3 joins=1".to_owned(), "loads=4 odd".to_owned()]);
        assert_eq!((counts.get("loads"), counts.get("joins"), counts.get("absent")), (7, 1, 0));
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 12, 1_234, 1_234_567].map(grouped), ["0", "12", "1 234", "1 234 567"]);
    }
}
