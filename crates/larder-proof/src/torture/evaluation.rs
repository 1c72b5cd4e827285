//! Judges the history in the instances' files: first collects all writes, then goes through the recorded reads and
//! judges each.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use larder::receipt::Delivery;
use larder::source::Source;

use crate::freshness::tally::Tally;
use crate::freshness::{Judge, Writes};
use crate::history::record::read_records;
use crate::history::{Event, Instance, Key, Nanos, Seen, Version, What, is_absent};

/// One fault that a nemesis made and healed.
pub(super) struct Strike {
    pub(super) name: &'static str,
    pub(super) healed: Nanos,
}

/// The evaluation of a run's history.
#[derive(Default)]
pub(super) struct Evaluation {
    pub(super) tally: Tally,
    pub(super) written: Written,
    /// For each foreign write, the time until the last instance saw it.
    pub(super) lags: Vec<Nanos>,
    /// By nemesis: for each strike, the time until a tier had answered a read of every instance again.
    pub(super) recoveries: BTreeMap<&'static str, Vec<Nanos>>,
}

/// Counts of writes.
#[derive(Default)]
pub(super) struct Written {
    pub(super) committed: u64,
    pub(super) foreign: u64,
    pub(super) sent: u64,
    pub(super) queued: u64,
}

impl Written {
    fn add(&mut self, event: &Event) {
        match event.what {
            What::Committed { foreign: false } => self.committed += 1,
            What::Committed { foreign: true } => self.foreign += 1,
            What::Acknowledged(Delivery::Sent) => self.sent += 1,
            What::Acknowledged(Delivery::Queued) => self.queued += 1,
            What::Polled | What::Read(_) => {}
        }
    }
}

/// The files of recorded reads, and for each file the number of bytes to judge.
pub(super) struct Reads(Vec<(PathBuf, u64)>);

impl Reads {
    /// The reads that have been recorded by now.
    pub(super) fn so_far(folder: &Path) -> Result<Self> {
        let files = files(folder, "reads-")?.into_iter();
        Ok(Reads(files.map(|path| Ok((path.clone(), fs::metadata(&path)?.len()))).collect::<Result<_>>()?))
    }
}

/// Judges `reads` by comparing them with all writes in `folder`. Call it only when each version that a read returned is
/// in the files, from its write or from a poll of the database. Otherwise a correct read can count as `NeverWritten`.
pub(super) fn evaluate(
    folder: &Path,
    reads: &Reads,
    bound: Duration,
    has_redis: bool,
    strikes: &[Strike],
) -> Result<Evaluation> {
    let mut evaluation = Evaluation::default();
    let mut writes = Writes::default();
    for path in files(folder, "writes-")? {
        read_records(&path, u64::MAX, |event| {
            evaluation.written.add(&event);
            writes.add(event);
        })?;
    }
    let judge = writes.judge(bound);
    let mut lags = Lags::new(&judge);
    let mut recoveries = vec![None; strikes.len()];
    for (path, bytes) in &reads.0 {
        let (mut healed, mut born) = (None, None);
        read_records(path, *bytes, |event| {
            // Ignore strikes that were healed before this instance started.
            let healed =
                healed.get_or_insert_with(|| strikes.partition_point(|strike| strike.healed < event.begin));
            evaluation.tally.add(&judge, &event);
            lags.add(&event, *born.get_or_insert(event.begin));
            if is_served(&event, has_redis) {
                while let Some(strike) = strikes.get(*healed).filter(|strike| strike.healed <= event.begin) {
                    let recovery = event.end - strike.healed;
                    recoveries[*healed] = recoveries[*healed].max(Some(recovery));
                    *healed += 1;
                }
            }
        })?;
    }
    evaluation.lags = lags.all();
    for (strike, recovery) in strikes.iter().zip(recoveries) {
        evaluation.recoveries.entry(strike.name).or_default().extend(recovery);
    }
    Ok(evaluation)
}

/// Whether the answer shows that the cache works normally. With Redis, only Redis's answers count, because memory may
/// hold copies that were loaded during an outage.
fn is_served(event: &Event, has_redis: bool) -> bool {
    let What::Read(read) = event.what else { return false };
    read.source == if has_redis { Source::Redis } else { Source::Memory }
}

fn files(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Measures how long foreign writes take to be seen.
struct Lags {
    /// The foreign writes of each key, in the order of versions.
    foreign: HashMap<Key, Vec<(Version, Nanos)>>,
    /// How many of a key's foreign writes an instance has seen.
    seen: HashMap<(Instance, Key), usize>,
    lags: HashMap<(Key, Version), Nanos>,
}

impl Lags {
    fn new(judge: &Judge) -> Self {
        let mut foreign: HashMap<Key, Vec<_>> = HashMap::new();
        for event in judge.writes().filter(|event| event.what == (What::Committed { foreign: true })) {
            // Leave out writes next to an absent version: a negative answer does not show which version it saw.
            if let Seen::Version(version) = event.seen
                && !is_absent(version)
                && !is_absent(version + 1)
            {
                foreign.entry(event.key).or_default().push((version, event.end));
            }
        }
        Lags { foreign, seen: HashMap::new(), lags: HashMap::new() }
    }

    /// Adds a read that an instance made. The instance started at `born`; writes before that are ignored.
    fn add(&mut self, event: &Event, born: Nanos) {
        let (Some(foreign), Seen::Version(version)) = (self.foreign.get(&event.key), event.seen) else {
            return;
        };
        let seen = self.seen.entry((event.instance, event.key)).or_default();
        while let Some((write, committed)) = foreign.get(*seen).filter(|(write, _)| *write <= version) {
            if *committed > born {
                let lag = self.lags.entry((event.key, *write)).or_default();
                *lag = (*lag).max(event.end.saturating_sub(*committed));
            }
            *seen += 1;
        }
    }

    fn all(self) -> Vec<Nanos> {
        let mut lags: Vec<_> = self.lags.into_values().collect();
        lags.sort_unstable();
        lags
    }
}
