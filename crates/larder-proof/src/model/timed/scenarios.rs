//! The scenarios. Each is small enough to be explored completely; together they take every branch.

use larder::protocol::rules::ProtocolRules;

use crate::model::timed::{ModelRules, Timed};

/// All scenarios.
pub fn all(rules: ProtocolRules, own_rules: ModelRules) -> Vec<(&'static str, Timed)> {
    let base = || Timed { own_rules, ..Timed::new(rules) };
    let loud = vec![
        (
            "one node, two polls, two commits",
            Timed { bound: 2, horizon: 5, polls: [2, 0], commits: 2, ..base() },
        ),
        ("flights and outage copies", Timed { polls: [1, 0], beats: 1, horizon: 4, flies: true, ..base() }),
        ("a split, the new master's clock slower", split(base(), -2)),
        ("a split, the new master's clock faster", split(base(), 2)),
        (
            "one node, a commit that its writer propagates, another that the relay propagates",
            Timed { bound: 2, horizon: 4, polls: [1, 0], commits: 2, propagations: 1, ..base() },
        ),
        (
            "a split, the writer propagates to one of the masters",
            Timed { propagations: 1, bound: 1, horizon: 3, ..split(base(), -1) },
        ),
    ];
    [loud, silences(rules, own_rules)].concat()
}

/// The scenarios in which commits leave no row in the outbox, because the triggers are off (the journal is silent).
pub fn silences(rules: ProtocolRules, own_rules: ModelRules) -> Vec<(&'static str, Timed)> {
    let base = || Timed { own_rules, silences: 1, ..Timed::new(rules) };
    vec![
        ("one node, triggers off and on, two polls", Timed { bound: 2, horizon: 4, polls: [2, 0], ..base() }),
        ("a split, triggers off and on", Timed { bound: 1, horizon: 2, ..split(base(), -1) }),
    ]
}

fn split(base: Timed, offset: i8) -> Timed {
    Timed { bound: 2, horizon: 5, polls: [0, 1], beats: 1, offset, splits: true, ..base }
}
