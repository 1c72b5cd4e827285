//! Tests the judge with inserted anomalies, and against a slow judge that implements the definitions directly.

use proptest::prelude::*;

use larder::source::Source;

use super::*;

const SECOND: Nanos = 1_000_000_000;
const BOUND: Duration = Duration::from_secs(2);

fn write(version: Version, begin: Nanos, end: Nanos) -> Event {
    let what = What::Committed { foreign: false };
    Event { key: 1, seen: Seen::Version(version), instance: 0, begin, end, what }
}

fn acknowledge(version: Version, end: Nanos, delivery: Delivery) -> Event {
    Event { what: What::Acknowledged(delivery), ..write(version, end, end) }
}

fn ask(consistency: Consistency) -> Read {
    Read { consistency, source: Source::Memory, is_shared: false, last: false }
}

fn read(instance: Instance, seen: Seen, begin: Nanos, consistency: Consistency) -> Event {
    Event { key: 1, seen, instance, begin, end: begin + 10, what: What::Read(ask(consistency)) }
}

/// Version 1 from the start; instance 0 writes version 2, commits it at 10 s and acknowledges it at 11 s.
fn history(delivery: Delivery) -> Judge {
    let mut writes = Writes::default();
    writes.add(Event { what: What::Polled, ..write(1, 0, 1) });
    writes.add(write(2, 9 * SECOND, 10 * SECOND));
    writes.add(acknowledge(2, 11 * SECOND, delivery));
    writes.judge(BOUND)
}

fn anomalies(judge: &Judge, event: Event) -> Vec<Anomaly> {
    let What::Read(read) = event.what else { panic!("only reads are judged") };
    judge.verdict(&event, read).anomalies
}

const OLD: Seen = Seen::Version(1);
const NEW: Seen = Seen::Version(2);

#[test]
fn a_right_history_has_no_fault() {
    let judge = history(Delivery::Sent);
    for (begin, seen) in [(5 * SECOND, OLD), (10 * SECOND, OLD), (10 * SECOND, NEW), (20 * SECOND, NEW)] {
        for consistency in [Consistency::Bounded, Consistency::Fresh] {
            assert_eq!(anomalies(&judge, read(0, seen, begin, consistency)), []);
        }
    }
    assert_eq!(
        anomalies(&judge, read(1, OLD, 12 * SECOND, Consistency::Bounded)),
        [],
        "old within the bound"
    );
}

#[test]
fn a_fresh_read_that_misses_a_sent_write_is_flagged_and_a_queued_one_is_not() {
    let event = read(1, OLD, 11 * SECOND + 5, Consistency::Fresh);
    assert_eq!(anomalies(&history(Delivery::Sent), event), [Anomaly::StaleFresh(5)]);
    assert_eq!(anomalies(&history(Delivery::Queued), event), []);
}

#[test]
fn a_read_older_than_the_bound_is_flagged_whatever_was_acknowledged() {
    let event = read(1, OLD, 12 * SECOND + 1, Consistency::Bounded);
    assert_eq!(anomalies(&history(Delivery::Queued), event), [Anomaly::BeyondBound(2 * SECOND + 1)]);
}

#[test]
fn the_writing_instance_must_see_what_it_acknowledged() {
    let event = read(0, OLD, 11 * SECOND + 7, Consistency::Bounded);
    assert_eq!(anomalies(&history(Delivery::Queued), event), [Anomaly::OwnWriteUnseen(7)]);
    assert_eq!(anomalies(&history(Delivery::Queued), Event { instance: 1, ..event }), []);
}

#[test]
fn a_version_that_was_never_written_is_flagged() {
    let judge = history(Delivery::Sent);
    let early = read(0, NEW, 8 * SECOND, Consistency::Bounded);
    assert_eq!(anomalies(&judge, early), [Anomaly::FromTheFuture]);
    let unheard = read(0, Seen::Version(3), 20 * SECOND, Consistency::Bounded);
    assert_eq!(anomalies(&judge, unheard), [Anomaly::NeverWritten]);
    assert_eq!(anomalies(&judge, Event { key: 2, ..unheard }), [Anomaly::NeverWritten]);
}

#[test]
fn after_the_quiet_time_nothing_may_be_old() {
    let last = What::Read(Read { last: true, ..ask(Consistency::Bounded) });
    let event = Event { what: last, ..read(1, OLD, 11 * SECOND, Consistency::Bounded) };
    assert_eq!(anomalies(&history(Delivery::Queued), event), [Anomaly::OldAfterQuiet(SECOND)]);
}

#[test]
fn a_negative_answer_is_judged_as_the_youngest_absence() {
    let mut writes = Writes::default();
    for (version, at) in [(7, 1), (8, 2), (9, 3), (15, 4), (16, 5), (17, 20)] {
        writes.add(write(version, at * SECOND, at * SECOND + 10));
    }
    let judge = writes.judge(BOUND);
    let absent = |at: Nanos| anomalies(&judge, read(1, Seen::Absent, at, Consistency::Bounded));
    assert_eq!(absent(SECOND), [Anomaly::NeverWritten], "no absence had been written");
    assert_eq!(absent(2 * SECOND), []);
    assert_eq!(absent(4 * SECOND), [], "version 8 is a second old");
    assert_eq!(absent(5 * SECOND), [], "may be version 16");
    assert_eq!(absent(19 * SECOND), []);
    assert_eq!(absent(23 * SECOND), [Anomaly::BeyondBound(3 * SECOND - 10)], "version 17 is not absent");
}

#[test]
fn a_polled_version_counts_from_the_poll_and_what_came_later_proves_what_came_before() {
    let mut writes = Writes::default();
    writes.add(Event { what: What::Polled, ..write(1, 0, 1) });
    writes.add(Event { what: What::Polled, ..write(4, 5 * SECOND, 5 * SECOND) });
    let judge = writes.judge(BOUND);
    for version in 1..=3 {
        let event = read(1, Seen::Version(version), 7 * SECOND + 2, Consistency::Bounded);
        assert_eq!(anomalies(&judge, event), [Anomaly::BeyondBound(2 * SECOND + 2)]);
    }
}

/// A direct implementation of the definitions, which compares every read with all writes.
fn brute(writes: &[Event], event: &Event, read: Read, bound: Nanos) -> Verdict {
    let born = |version| {
        let begun = writes.iter().filter(|write| matches!(write.what, What::Committed { .. }));
        let before = begun.filter(|write| version_of(write) <= version).map(|write| write.begin);
        before.max().unwrap_or(0)
    };
    let newest = writes.iter().map(version_of).max().unwrap_or(0);
    let candidates: Vec<Version> = match event.seen {
        Seen::Version(version) => vec![version],
        Seen::Absent => {
            (1..=newest).filter(|version| is_absent(*version) && born(*version) <= event.end).collect()
        }
    };
    let of = |version: Version| {
        if version == 0 || version > newest {
            return Verdict { staleness: 0, anomalies: vec![Anomaly::NeverWritten] };
        }
        let missed = |counts: &dyn Fn(&Event) -> bool| {
            let later = writes.iter().filter(|write| version_of(write) > version && counts(write));
            later.map(|write| event.begin.saturating_sub(write.end)).max().unwrap_or(0)
        };
        let staleness = missed(&|write| !matches!(write.what, What::Acknowledged(_)));
        let unsent = missed(&|write| write.what == What::Acknowledged(Delivery::Sent));
        let is_own =
            |write: &Event| matches!(write.what, What::Acknowledged(_)) && write.instance == event.instance;
        let own = missed(&is_own);
        let anomalies = [
            (born(version) > event.end, Anomaly::FromTheFuture),
            (read.consistency == Consistency::Fresh && unsent > 0, Anomaly::StaleFresh(unsent)),
            (own > 0, Anomaly::OwnWriteUnseen(own)),
            (staleness > bound, Anomaly::BeyondBound(staleness)),
            (read.last && staleness > 0, Anomaly::OldAfterQuiet(staleness)),
        ];
        let anomalies = anomalies.into_iter().filter(|(is_so, _)| *is_so).map(|(_, fault)| fault).collect();
        Verdict { staleness, anomalies }
    };
    let verdicts = candidates.into_iter().rev().map(of);
    verdicts
        .min_by_key(|verdict| (verdict.anomalies.len(), verdict.staleness))
        .unwrap_or(Verdict { staleness: 0, anomalies: vec![Anomaly::NeverWritten] })
}

fn any_write() -> impl Strategy<Value = Event> {
    let what = prop_oneof![
        any::<bool>().prop_map(|foreign| What::Committed { foreign }),
        Just(What::Acknowledged(Delivery::Sent)),
        Just(What::Acknowledged(Delivery::Queued)),
        Just(What::Polled),
    ];
    (1..30_u32, 0..3_u16, 0..100_u64, 0..20_u64, what).prop_map(|(version, instance, begin, took, what)| {
        Event { key: 1, seen: Seen::Version(version), instance, begin, end: begin + took, what }
    })
}

fn any_read() -> impl Strategy<Value = (Event, Read)> {
    let seen = prop_oneof![Just(Seen::Absent), (0..32_u32).prop_map(Seen::Version)];
    (seen, 0..3_u16, 0..150_u64, 0..20_u64, any::<bool>(), any::<bool>()).prop_map(
        |(seen, instance, begin, took, is_fresh, last)| {
            let consistency = if is_fresh { Consistency::Fresh } else { Consistency::Bounded };
            let read = Read { last, ..ask(consistency) };
            (Event { key: 1, seen, instance, begin, end: begin + took, what: What::Read(read) }, read)
        },
    )
}

proptest! {
    #[test]
    fn the_judge_agrees_with_the_definitions(
        writes in prop::collection::vec(any_write(), 1..40),
        reads in prop::collection::vec(any_read(), 1..40),
    ) {
        let bound = Duration::from_nanos(25);
        let mut collected = Writes::default();
        writes.iter().for_each(|write| collected.add(*write));
        let judge = collected.judge(bound);
        for (event, read) in reads {
            // Version 0 means "nothing" and is never recorded.
            prop_assume!(event.seen != Seen::Version(0));
            prop_assert_eq!(judge.verdict(&event, read), brute(&writes, &event, read, 25));
        }
    }
}
