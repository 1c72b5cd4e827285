//! The scenarios of aged entries, of loads that fail, and of reads that are dropped.

use larder::policy::Consistency::{Bounded, Fresh};
use larder::protocol::rules::ProtocolRules;

use super::{A, B, readers};
use crate::model::coherence::Coherence;

/// Aged entries: refreshes, reads that load before they answer, loads that fail, and reads that are dropped.
pub fn aging(rules: ProtocolRules) -> Vec<(&'static str, Coherence)> {
    [refreshes(rules), reloads(rules), failures(rules), departures(rules)].concat()
}

fn refreshes(rules: ProtocolRules) -> Vec<(&'static str, Coherence)> {
    let base = || Coherence { refreshes: vec![A], ..Coherence::new(rules) };
    vec![
        (
            "a refresh and a write in one process",
            Coherence { readers: readers(&[(A, Bounded), (A, Bounded)]), writers: vec![A], ..base() },
        ),
        (
            "a refresh here, a write elsewhere",
            Coherence { readers: readers(&[(A, Bounded), (B, Fresh)]), writers: vec![B], ..base() },
        ),
        (
            "two refreshes on two instances, one stops, a write by other software",
            Coherence {
                readers: readers(&[(A, Bounded)]),
                refreshes: vec![A, B],
                foreign: 1,
                crashes: 1,
                ..base()
            },
        ),
        (
            "a refresh, a lost connection, a failed UNLINK, an eviction",
            Coherence {
                readers: readers(&[(A, Bounded)]),
                writers: vec![A],
                losses: 1,
                failures: 1,
                evictions: 1,
                ..base()
            },
        ),
        (
            "a refresh beside a permit, a write",
            Coherence { readers: readers(&[(A, Bounded)]), writers: vec![B], permits: vec![A], ..base() },
        ),
        (
            "by tag: a refresh, a write, an eviction",
            Coherence {
                tagged: true,
                readers: readers(&[(A, Bounded)]),
                writers: vec![A],
                evictions: 1,
                ..base()
            },
        ),
    ]
}

fn reloads(rules: ProtocolRules) -> Vec<(&'static str, Coherence)> {
    let base = || Coherence { reloads: 1, ..Coherence::new(rules) };
    vec![
        (
            "a read here loads an aged entry, another follows it, a write elsewhere",
            Coherence {
                readers: readers(&[(A, Bounded), (A, Bounded), (A, Bounded)]),
                writers: vec![B],
                ..base()
            },
        ),
        (
            "a read loads what another instance refreshes, renewed, a write",
            Coherence {
                readers: readers(&[(A, Bounded), (A, Bounded)]),
                refreshes: vec![B],
                writers: vec![A],
                renewals: 1,
                ..base()
            },
        ),
        (
            "by tag: a read loads an aged entry, renewed, a write",
            Coherence {
                tagged: true,
                readers: readers(&[(A, Bounded), (B, Bounded)]),
                writers: vec![A],
                renewals: 1,
                ..base()
            },
        ),
        (
            "a read of a memory-only class loads an aged copy, a write",
            Coherence {
                anchored: true,
                readers: readers(&[(A, Bounded), (A, Bounded)]),
                writers: vec![A],
                ..base()
            },
        ),
    ]
}

fn failures(rules: ProtocolRules) -> Vec<(&'static str, Coherence)> {
    let base = || Coherence { reloads: 1, load_failures: 1, ..Coherence::new(rules) };
    vec![
        (
            "the load of an aged entry fails, a write in this process",
            Coherence { readers: readers(&[(A, Bounded), (A, Bounded)]), writers: vec![A], ..base() },
        ),
        (
            "the load of an aged entry fails, and memory has its copy, a write elsewhere",
            Coherence {
                readers: readers(&[(A, Bounded), (A, Bounded), (A, Bounded)]),
                writers: vec![B],
                ..base()
            },
        ),
        (
            "the load of an aged copy fails in an outage",
            Coherence {
                readers: readers(&[(A, Bounded), (A, Bounded)]),
                writers: vec![A],
                losses: 1,
                ..base()
            },
        ),
        (
            "by tag: the load of an aged entry fails, a write by other software",
            Coherence { tagged: true, readers: readers(&[(A, Bounded), (A, Bounded)]), foreign: 1, ..base() },
        ),
    ]
}

fn departures(rules: ProtocolRules) -> Vec<(&'static str, Coherence)> {
    let base = || Coherence { departures: 1, ..Coherence::new(rules) };
    vec![
        (
            "a read is dropped while another follows it, a write in this process",
            Coherence { readers: readers(&[(A, Bounded), (A, Fresh)]), writers: vec![A], ..base() },
        ),
        (
            "by tag: a read is dropped, a write elsewhere",
            Coherence {
                tagged: true,
                readers: readers(&[(A, Bounded), (A, Bounded)]),
                writers: vec![B],
                ..base()
            },
        ),
    ]
}
