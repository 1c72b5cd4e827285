//! The scenarios. Each is small enough to be explored completely; together they take every branch.

mod aging;

use larder::policy::Consistency::{self, Bounded, Fresh};
use larder::protocol::rules::ProtocolRules;

use crate::model::coherence::{Coherence, Reader};

pub use aging::aging;

const A: usize = 0;
const B: usize = 1;

fn readers(of: &[(usize, Consistency)]) -> Vec<Reader> {
    of.iter().map(|&(instance, consistency)| Reader { instance, consistency }).collect()
}

/// The read path: entries without tags.
pub fn read_path(rules: ProtocolRules) -> Vec<(&'static str, Coherence)> {
    let base = || Coherence::new(rules);
    vec![
        (
            "three reads on one instance, a write there",
            Coherence {
                readers: readers(&[(A, Bounded), (A, Bounded), (A, Bounded)]),
                writers: vec![A],
                ..base()
            },
        ),
        (
            "two reads here, one there, a write here",
            Coherence {
                readers: readers(&[(A, Bounded), (B, Fresh), (A, Bounded)]),
                writers: vec![A],
                ..base()
            },
        ),
        (
            "fresh reads in one process, a write elsewhere",
            Coherence { readers: readers(&[(A, Fresh), (A, Fresh), (A, Fresh)]), writers: vec![B], ..base() },
        ),
        (
            "two writes on two instances",
            Coherence { readers: readers(&[(A, Bounded), (B, Fresh)]), writers: vec![A, B], ..base() },
        ),
        (
            "a write by other software, an eviction",
            Coherence {
                readers: readers(&[(A, Bounded), (B, Bounded), (A, Bounded)]),
                foreign: 1,
                evictions: 1,
                ..base()
            },
        ),
        (
            "a write here, another by other software",
            Coherence {
                readers: readers(&[(A, Bounded), (B, Fresh)]),
                writers: vec![A],
                foreign: 1,
                ..base()
            },
        ),
        (
            "a lost connection, a failed UNLINK",
            Coherence {
                readers: readers(&[(A, Bounded), (A, Bounded)]),
                writers: vec![A],
                losses: 1,
                failures: 1,
                ..base()
            },
        ),
        (
            "a crash of the loader or the writer",
            Coherence {
                readers: readers(&[(A, Bounded), (B, Fresh)]),
                writers: vec![A],
                crashes: 1,
                evictions: 1,
                ..base()
            },
        ),
    ]
}

/// Loads that take so long that their lease is renewed.
pub fn renewals(rules: ProtocolRules) -> Vec<(&'static str, Coherence)> {
    let base = || Coherence { renewals: 2, ..Coherence::new(rules) };
    vec![
        (
            "two reads here, a write elsewhere",
            Coherence { readers: readers(&[(A, Bounded), (A, Fresh)]), writers: vec![B], ..base() },
        ),
        (
            "a read here, one there, a write here, the lease is evicted or expires",
            Coherence {
                readers: readers(&[(A, Bounded), (B, Bounded)]),
                writers: vec![A],
                evictions: 1,
                ..base()
            },
        ),
        (
            "by tag: a read here, one there, a write there",
            Coherence {
                tagged: true,
                readers: readers(&[(A, Bounded), (B, Fresh)]),
                writers: vec![B],
                ..base()
            },
        ),
        (
            "a write by other software",
            Coherence { readers: readers(&[(A, Bounded), (B, Bounded)]), foreign: 1, ..base() },
        ),
    ]
}

/// Tags: the entry has a tag, and writes invalidate only the tag.
pub fn tags(rules: ProtocolRules) -> Vec<(&'static str, Coherence)> {
    let base = || Coherence { tagged: true, ..Coherence::new(rules) };
    vec![
        (
            "the relay invalidates the tag",
            Coherence { readers: readers(&[(A, Bounded), (B, Bounded)]), foreign: 1, evictions: 1, ..base() },
        ),
        (
            "two instances mint at once, a write on one",
            Coherence { readers: readers(&[(A, Bounded), (B, Fresh)]), writers: vec![A], ..base() },
        ),
        (
            "two reads and a write in one process",
            Coherence { readers: readers(&[(A, Bounded), (A, Bounded)]), writers: vec![A], ..base() },
        ),
        (
            "three reads, a write elsewhere",
            Coherence {
                readers: readers(&[(A, Bounded), (A, Fresh), (A, Bounded)]),
                writers: vec![B],
                ..base()
            },
        ),
        (
            "the tag or the entry is evicted",
            Coherence {
                readers: readers(&[(A, Bounded), (B, Bounded)]),
                writers: vec![A],
                evictions: 1,
                ..base()
            },
        ),
        (
            "an outage: tokens minted in memory",
            Coherence {
                readers: readers(&[(A, Bounded), (A, Bounded)]),
                writers: vec![A],
                losses: 1,
                failures: 1,
                ..base()
            },
        ),
        (
            "a write here, another by other software",
            Coherence { readers: readers(&[(A, Bounded)]), writers: vec![B], foreign: 1, ..base() },
        ),
    ]
}

/// Permits, with which an application puts values that no loader returned.
pub fn permits(rules: ProtocolRules) -> Vec<(&'static str, Coherence)> {
    [untagged_permits(rules), tagged_permits(rules)].concat()
}

fn untagged_permits(rules: ProtocolRules) -> Vec<(&'static str, Coherence)> {
    let base = || Coherence::new(rules);
    vec![
        (
            "a permit, a read and a write in one process",
            Coherence {
                readers: readers(&[(A, Bounded), (A, Bounded)]),
                writers: vec![A],
                permits: vec![A],
                ..base()
            },
        ),
        (
            "a permit here, a write elsewhere",
            Coherence {
                readers: readers(&[(A, Bounded), (B, Fresh)]),
                writers: vec![B],
                permits: vec![A],
                ..base()
            },
        ),
        (
            "two permits on two instances, a write",
            Coherence { readers: readers(&[(A, Bounded)]), writers: vec![A], permits: vec![A, B], ..base() },
        ),
        (
            "two permits in one process, a write elsewhere",
            Coherence { readers: readers(&[(A, Bounded)]), writers: vec![B], permits: vec![A, A], ..base() },
        ),
        (
            "a permit, a write by other software, an eviction",
            Coherence {
                readers: readers(&[(A, Bounded), (B, Bounded)]),
                foreign: 1,
                evictions: 1,
                permits: vec![A],
                ..base()
            },
        ),
        (
            "a permit, a lost connection, a failed UNLINK",
            Coherence {
                readers: readers(&[(A, Bounded)]),
                writers: vec![A],
                losses: 1,
                failures: 1,
                permits: vec![A],
                ..base()
            },
        ),
    ]
}

fn tagged_permits(rules: ProtocolRules) -> Vec<(&'static str, Coherence)> {
    let base = || Coherence { tagged: true, ..Coherence::new(rules) };
    vec![
        (
            "by tag: a permit, a write, an eviction",
            Coherence {
                readers: readers(&[(A, Bounded)]),
                writers: vec![A],
                evictions: 1,
                permits: vec![A],
                ..base()
            },
        ),
        (
            "by tag: a permit here, a write elsewhere",
            Coherence { readers: readers(&[(A, Bounded)]), writers: vec![B], permits: vec![A], ..base() },
        ),
        (
            "by tag: a permit in an outage",
            Coherence { writers: vec![A], losses: 1, failures: 1, permits: vec![A], ..base() },
        ),
    ]
}

/// Memory-only classes: Redis holds anchors and no value.
pub fn anchors(rules: ProtocolRules) -> Vec<(&'static str, Coherence)> {
    let base = || Coherence { anchored: true, ..Coherence::new(rules) };
    vec![
        (
            "a read here, one there, a write here",
            Coherence { readers: readers(&[(A, Bounded), (B, Fresh)]), writers: vec![A], ..base() },
        ),
        (
            "two reads here, a write elsewhere",
            Coherence { readers: readers(&[(A, Bounded), (A, Bounded)]), writers: vec![B], ..base() },
        ),
        (
            "a write by other software, an eviction",
            Coherence { readers: readers(&[(A, Bounded), (B, Bounded)]), foreign: 1, evictions: 1, ..base() },
        ),
        (
            "a lost connection, a failed UNLINK",
            Coherence {
                readers: readers(&[(A, Bounded), (A, Bounded)]),
                writers: vec![A],
                losses: 1,
                failures: 1,
                ..base()
            },
        ),
        (
            "by tag: two reads, a write elsewhere, an eviction",
            Coherence {
                readers: readers(&[(A, Bounded), (A, Bounded)]),
                writers: vec![B],
                evictions: 1,
                tagged: true,
                ..base()
            },
        ),
        (
            "by tag: two instances, a write",
            Coherence {
                readers: readers(&[(A, Bounded), (B, Fresh)]),
                writers: vec![A],
                tagged: true,
                ..base()
            },
        ),
    ]
}
