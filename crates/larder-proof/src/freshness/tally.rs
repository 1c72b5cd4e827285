//! Sums up all verdicts of a run.

use std::collections::{BTreeMap, HashMap};

use hdrhistogram::Histogram;
use larder::policy::Consistency;
use larder::source::{Placement, Source};

use crate::freshness::{Anomaly, Judge};
use crate::history::{Event, Instance, Key, Nanos, Read, Seen, What};

/// The names of all kinds of violations in the summary.
pub const KINDS: [&str; 6] = [
    "stale `fresh` reads",
    "reads beyond the bound",
    "own writes unseen",
    "reads from the future",
    "reads of what was never written",
    "keys old after the quiet time",
];

/// How many violations the summary explains in full; it only counts the others.
const SHOWN: usize = 3;

/// How many earlier reads of the same key and instance the summary shows with a violation.
const BEFORE: usize = 4;

/// A branch of the read rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Branch {
    /// Memory answered.
    Memory,
    /// Redis answered.
    Redis,
    /// The read joined another read's flight.
    Joined,
    /// The loader answered, and a tier stored the value.
    Stored,
    /// The loader answered, and no tier stored the value: it was overtaken, the tier was away, or the value was not to
    /// be stored.
    Unstored,
    /// The read bypassed the cache.
    Bypassed,
}

impl Branch {
    /// All branches.
    pub const ALL: [Branch; 6] =
        [Branch::Memory, Branch::Redis, Branch::Joined, Branch::Stored, Branch::Unstored, Branch::Bypassed];

    /// The branch that a read took.
    pub fn of(read: Read) -> Self {
        match read.source {
            _ if read.is_shared => Branch::Joined,
            Source::Memory => Branch::Memory,
            Source::Redis => Branch::Redis,
            Source::Load { placement: Placement::Memory | Placement::Redis } => Branch::Stored,
            Source::Load { placement: Placement::Nowhere(_) } => Branch::Unstored,
            Source::Bypass => Branch::Bypassed,
            source => panic!("the judge does not know the source {source:?}"),
        }
    }

    /// The name in the summary.
    pub fn name(self) -> &'static str {
        match self {
            Branch::Memory => "memory",
            Branch::Redis => "Redis",
            Branch::Joined => "joined",
            Branch::Stored => "loaded and stored",
            Branch::Unstored => "loaded, not stored",
            Branch::Bypassed => "bypassed",
        }
    }
}

/// The reads of one consistency.
pub struct ReadFigures {
    /// The number of reads.
    pub reads: u64,
    /// The number of reads whose staleness was above 0.
    pub old: u64,
    staleness_micros: Histogram<u64>,
}

impl ReadFigures {
    fn new() -> Self {
        let staleness_micros = Histogram::new(3).expect("three digits are allowed");
        ReadFigures { reads: 0, old: 0, staleness_micros }
    }

    /// The worst staleness, in microseconds.
    pub fn worst_micros(&self) -> u64 {
        self.staleness_micros.max()
    }

    /// The staleness that one read in a thousand exceeds, in microseconds.
    pub fn p999_micros(&self) -> u64 {
        self.staleness_micros.value_at_quantile(0.999)
    }

    fn add(&mut self, staleness: Nanos) {
        self.reads += 1;
        self.old += u64::from(staleness > 0);
        // The histogram grows with its values; it can only fail if there is no memory.
        self.staleness_micros.record(staleness / 1_000).expect("the histogram grows");
    }
}

/// The verdicts on all reads.
pub struct Tally {
    /// The `bounded` reads.
    pub bounded: ReadFigures,
    /// The `fresh` reads.
    pub fresh: ReadFigures,
    /// Reads by branch.
    pub branches: BTreeMap<Branch, u64>,
    /// Reads that a tier answered, and whose answer was that the key has no value.
    pub absent_hits: u64,
    /// Reads after the quiet time, the end of a run without writes.
    pub last: u64,
    /// The slowest read, in nanoseconds.
    pub slowest: Nanos,
    /// Violations by kind.
    pub violations: BTreeMap<&'static str, u64>,
    /// The first violations in full, each with the events that explain it.
    pub shown: Vec<String>,
    recent: HashMap<(Instance, Key), Vec<Event>>,
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            bounded: ReadFigures::new(),
            fresh: ReadFigures::new(),
            branches: BTreeMap::new(),
            absent_hits: 0,
            last: 0,
            slowest: 0,
            violations: BTreeMap::new(),
            shown: Vec::new(),
            recent: HashMap::new(),
        }
    }
}

impl Tally {
    /// Judges one read and adds the verdict; ignores other events. Reads of one instance must come in their order,
    /// because a violation is shown with the reads before it.
    pub fn add(&mut self, judge: &Judge, event: &Event) {
        let What::Read(read) = event.what else { return };
        let verdict = judge.verdict(event, read);
        let figures = match read.consistency {
            Consistency::Bounded => &mut self.bounded,
            Consistency::Fresh => &mut self.fresh,
            other => panic!("the judge does not know the consistency {other:?}"),
        };
        figures.add(verdict.staleness);
        *self.branches.entry(Branch::of(read)).or_default() += 1;
        self.absent_hits += u64::from(event.seen == Seen::Absent && read.source.is_hit());
        self.last += u64::from(read.last);
        self.slowest = self.slowest.max(event.end - event.begin);
        for anomaly in &verdict.anomalies {
            *self.violations.entry(kind(anomaly)).or_default() += 1;
        }
        let recent = self.recent.entry((event.instance, event.key)).or_default();
        if let Some(fault) = verdict.anomalies.first()
            && self.shown.len() < SHOWN
        {
            self.shown.push(shown_text(judge, event, fault, recent));
        }
        if recent.len() == BEFORE {
            recent.remove(0);
        }
        recent.push(*event);
    }

    /// The number of violations.
    pub fn violations(&self) -> u64 {
        self.violations.values().sum()
    }
}

/// The name of an anomaly in the summary.
fn kind(anomaly: &Anomaly) -> &'static str {
    match anomaly {
        Anomaly::StaleFresh(_) => "stale `fresh` reads",
        Anomaly::BeyondBound(_) => "reads beyond the bound",
        Anomaly::OwnWriteUnseen(_) => "own writes unseen",
        Anomaly::FromTheFuture => "reads from the future",
        Anomaly::NeverWritten => "reads of what was never written",
        Anomaly::OldAfterQuiet(_) => "keys old after the quiet time",
    }
}

/// The text of a violation with the events that explain it, in the order of time.
fn shown_text(judge: &Judge, event: &Event, fault: &Anomaly, recent: &[Event]) -> String {
    let mut lines: Vec<(Nanos, String)> = Vec::new();
    let mut line = |at, text| lines.push((at, text));
    for write in judge.around(event).take(12) {
        let (seen, who) = (shown(write.seen), write.instance);
        match write.what {
            What::Committed { foreign: true } => line(write.end, format!("{seen} committed by foreign SQL")),
            What::Committed { foreign: false } => line(write.end, format!("{seen} committed by {who}")),
            What::Acknowledged(delivery) => {
                line(write.end, format!("{seen} acknowledged as {delivery} by {who}"));
            }
            What::Polled => line(write.end, format!("{seen} seen in the database")),
            What::Read(_) => {}
        }
    }
    for read in recent.iter().chain([event]) {
        let What::Read(how) = read.what else { continue };
        let consistency = if how.consistency == Consistency::Fresh { "fresh" } else { "bounded" };
        let (who, seen, branch) = (read.instance, shown(read.seen), Branch::of(how).name());
        let took = (read.end - read.begin) / 1_000;
        line(read.begin, format!("{who} reads {consistency}: {seen}, {branch}, after {took} µs"));
    }
    lines.sort_by_key(|(at, _)| *at);
    let mut text = format!("key {}, instance {}: {fault}", event.key, event.instance);
    for (at, line) in lines {
        let millis = (at as f64 - event.begin as f64) / 1e6;
        text += &format!("\n    {millis:>12.3} ms  {line}");
    }
    text
}

fn shown(seen: Seen) -> String {
    match seen {
        Seen::Absent => "absent".to_owned(),
        Seen::Version(version) => format!("version {version}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::freshness::Writes;

    #[test]
    fn reads_are_counted_by_branch_and_violations_are_explained() {
        let write = |version, end| Event {
            key: 1,
            seen: Seen::Version(version),
            instance: 0,
            begin: end - 10,
            end,
            what: What::Committed { foreign: false },
        };
        let mut writes = Writes::default();
        writes.add(write(1, 1_000));
        writes.add(write(2, 2_000_000));
        let judge = writes.judge(Duration::from_millis(1));

        let read =
            Read { consistency: Consistency::Bounded, source: Source::Memory, is_shared: false, last: false };
        let mut tally = Tally::default();
        for begin in [1_500_000, 2_500_000, 5_002_000_000] {
            let event =
                Event { begin, end: begin + 5_000, what: What::Read(read), instance: 1, ..write(1, 10) };
            tally.add(&judge, &event);
        }
        assert_eq!((tally.bounded.reads, tally.bounded.old, tally.fresh.reads), (3, 2, 0));
        assert_eq!(tally.bounded.worst_micros() / 10_000, 500, "five seconds");
        assert_eq!(tally.branches[&Branch::Memory], 3);
        assert_eq!(tally.violations(), 1);
        assert_eq!(tally.violations["reads beyond the bound"], 1);
        let shown = &tally.shown[0];
        for part in
            ["5s before", "version 2 committed by 0", "1 reads bounded: version 1, memory, after 5 µs"]
        {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }
}
