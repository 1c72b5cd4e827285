//! Judges recorded reads by recorded writes: computes how old each answer was, and whether that was allowed.
//!
//! The versions of one key are committed in their order. So an instant that is recorded for one version also limits its
//! neighbours: version 7 was committed before any process knew version 8, and did not exist before the write of version
//! 6 began.
//!
//! A read begins at t and returns version v. Its staleness is the time from the first instant at which a later version
//! than v was known, until t: `staleness = max(0, t - min(known[w] for w > v))`. The judge needs all writes first. Then
//! it judges the reads in any order, each in O(log n).
//!
//! If an event is missing from the history, a stale read may look correct, but a correct read never looks stale.

pub mod tally;
mod timeline;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use larder::policy::Consistency;
use larder::receipt::Delivery;

use crate::freshness::timeline::{EarliestBegin, FirstKnown};
use crate::history::{Event, Instance, Key, Nanos, Read, Seen, Version, What, is_absent};

/// Collects the writes of a history.
#[derive(Default)]
pub struct Writes {
    keys: BTreeMap<Key, Vec<Event>>,
}

impl Writes {
    /// Adds an event; ignores reads.
    pub fn add(&mut self, event: Event) {
        if !matches!(event.what, What::Read(_)) {
            self.keys.entry(event.key).or_default().push(event);
        }
    }

    /// Sorts the writes, so that reads can be judged by them. A read breaks the bound if it misses a write that was
    /// committed more than `bound` before the read began.
    pub fn judge(self, bound: Duration) -> Judge {
        let keys = self.keys.into_iter().map(|(key, events)| (key, KeyWrites::new(events))).collect();
        Judge { keys, bound: u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX) }
    }
}

/// The writes of one key.
struct KeyWrites {
    /// The events in the order of versions.
    events: Vec<Event>,
    earliest_begin: EarliestBegin,
    /// When each version was committed, as commits of all writers and polls of the database show it.
    committed: FirstKnown,
    /// Acknowledgements that said `sent`.
    sent: FirstKnown,
    /// All acknowledgements, by instance; `sent` or not.
    own: BTreeMap<Instance, FirstKnown>,
    newest: Version,
}

impl KeyWrites {
    fn new(mut events: Vec<Event>) -> Self {
        events.sort_by_key(|event| (version_of(event), event.begin));
        let points = |keep: &dyn Fn(&Event) -> bool| {
            events.iter().filter(|event| keep(event)).map(|event| (version_of(event), event.end)).collect()
        };
        let mut own: BTreeMap<Instance, Vec<_>> = BTreeMap::new();
        for event in events.iter().filter(|event| matches!(event.what, What::Acknowledged(_))) {
            own.entry(event.instance).or_default().push((version_of(event), event.end));
        }
        let begun = events.iter().filter(|event| matches!(event.what, What::Committed { .. }));
        KeyWrites {
            earliest_begin: EarliestBegin::new(begun.map(|event| (version_of(event), event.begin))),
            committed: FirstKnown::new(points(&|event| !matches!(event.what, What::Acknowledged(_)))),
            sent: FirstKnown::new(points(&|event| event.what == What::Acknowledged(Delivery::Sent))),
            own: own.into_iter().map(|(instance, points)| (instance, FirstKnown::new(points))).collect(),
            newest: events.last().map_or(0, version_of),
            events,
        }
    }
}

fn version_of(event: &Event) -> Version {
    match event.seen {
        Seen::Version(version) => version,
        Seen::Absent => 0,
    }
}

/// Judges reads.
pub struct Judge {
    keys: BTreeMap<Key, KeyWrites>,
    bound: Nanos,
}

/// What is wrong with a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// A `fresh` read missed a write that was acknowledged as sent this long before the read began.
    StaleFresh(Nanos),
    /// A read missed a write that was committed this long before the read began, which is more than the bound.
    BeyondBound(Nanos),
    /// A read missed a write that its own instance had acknowledged this long before the read began.
    OwnWriteUnseen(Nanos),
    /// A read ended before the write of the version that it returned had begun.
    FromTheFuture,
    /// A read returned a version that was never written.
    NeverWritten,
    /// A read after the quiet time, the end of a run without writes, missed a write that was committed this long
    /// before.
    OldAfterQuiet(Nanos),
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let old = |nanos: &Nanos| Duration::from_micros(nanos / 1_000);
        match self {
            Anomaly::StaleFresh(by) => {
                write!(f, "a fresh read missed a write acknowledged as sent {:?} before", old(by))
            }
            Anomaly::BeyondBound(by) => {
                write!(f, "a read missed a write committed {:?} before, beyond the bound", old(by))
            }
            Anomaly::OwnWriteUnseen(by) => {
                write!(f, "a read missed what its own instance acknowledged {:?} before", old(by))
            }
            Anomaly::FromTheFuture => write!(f, "a read returned a version whose write had not begun"),
            Anomaly::NeverWritten => write!(f, "a read returned a version that was never written"),
            Anomaly::OldAfterQuiet(by) => {
                write!(f, "after the quiet time a read missed a write committed {:?} before", old(by))
            }
        }
    }
}

/// The verdict on one read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How old the answer was when the read began, compared with all commits.
    pub staleness: Nanos,
    /// What is wrong with the read; usually empty.
    pub anomalies: Vec<Anomaly>,
}

impl Judge {
    /// Judges one read.
    pub fn verdict(&self, event: &Event, read: Read) -> Verdict {
        let Some(writes) = self.keys.get(&event.key) else {
            return Verdict { staleness: 0, anomalies: vec![Anomaly::NeverWritten] };
        };
        let version = match event.seen {
            Seen::Version(version) => version,
            // The key had no value, so the read may have seen any absent version. Judge it by the newest one that may
            // have existed when the read ended: that gives the least staleness.
            Seen::Absent => {
                match youngest_absent(writes.earliest_begin.newest_by(event.end, writes.newest)) {
                    Some(version) => version,
                    None => return Verdict { staleness: 0, anomalies: vec![Anomaly::NeverWritten] },
                }
            }
        };
        if version > writes.newest {
            return Verdict { staleness: 0, anomalies: vec![Anomaly::NeverWritten] };
        }
        let missed = |knowledge: &FirstKnown| match knowledge.after(version) {
            Some(known) => event.begin.saturating_sub(known),
            None => 0,
        };
        let staleness = missed(&writes.committed);
        let mut anomalies = Vec::new();
        if writes.earliest_begin.of(version) > event.end {
            anomalies.push(Anomaly::FromTheFuture);
        }
        let missed_sent = missed(&writes.sent);
        if read.consistency == Consistency::Fresh && missed_sent > 0 {
            anomalies.push(Anomaly::StaleFresh(missed_sent));
        }
        let own = writes.own.get(&event.instance).map_or(0, missed);
        if own > 0 {
            anomalies.push(Anomaly::OwnWriteUnseen(own));
        }
        if staleness > self.bound {
            anomalies.push(Anomaly::BeyondBound(staleness));
        }
        if read.last && staleness > 0 {
            anomalies.push(Anomaly::OldAfterQuiet(staleness));
        }
        Verdict { staleness, anomalies }
    }

    /// The newest recorded version of a key; 0 if there is none.
    pub fn newest(&self, key: Key) -> Version {
        self.keys.get(&key).map_or(0, |writes| writes.newest)
    }

    /// All writes, by key and in the order of versions.
    pub fn writes(&self) -> impl Iterator<Item = &Event> {
        self.keys.values().flat_map(|writes| &writes.events)
    }

    /// The events that explain a read: the write that it returned and those that it missed, if they began before the
    /// read ended.
    pub fn around(&self, event: &Event) -> impl Iterator<Item = &Event> {
        let version = version_of(event);
        let events = self.keys.get(&event.key).map_or(&[][..], |writes| &writes.events);
        let from = events.partition_point(|write| version_of(write) < version);
        events[from..].iter().filter(move |write| write.begin <= event.end)
    }
}

fn youngest_absent(newest: Version) -> Option<Version> {
    (1..=newest).rev().find(|version| is_absent(*version))
}

#[cfg(test)]
mod tests;
