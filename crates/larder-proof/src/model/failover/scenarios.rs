//! The scenarios. Each is small enough to be explored completely; together they take every branch.

use larder::protocol::rules::ProtocolRules;

use crate::model::failover::{Failover, ModelRules};

/// All scenarios but [`successions`].
pub fn all(rules: ProtocolRules, own_rules: ModelRules) -> Vec<(&'static str, Failover)> {
    let base = || Failover { own_rules, ..Failover::new(rules) };
    [takeovers(&base), returns(&base), disasters(&base), silences(rules, own_rules)].concat()
}

/// The database fails over to a standby that has every commit, or lacks the last ones.
pub fn successions(rules: ProtocolRules, own_rules: ModelRules) -> Vec<(&'static str, Failover)> {
    let base = || Failover {
        own_rules,
        transactions: 1,
        loaders: vec![0],
        polls: vec![2],
        successions: 1,
        ..Failover::new(rules)
    };
    vec![
        ("the database fails over, one relay", base()),
        (
            "the database fails over, two instances and their relays",
            Failover { instances: 2, loaders: vec![1], polls: vec![1, 1], ..base() },
        ),
        ("the database fails over, two transactions", Failover { transactions: 2, polls: vec![2], ..base() }),
        (
            "the database fails over, tags, two stale leases",
            Failover { tagged: true, loaders: vec![0, 0], ..base() },
        ),
        ("the database and Redis fail over", Failover { polls: vec![2], promotions: 1, ..base() }),
    ]
}

/// A replica is promoted, or two relays run at once.
fn takeovers(base: &impl Fn() -> Failover) -> Vec<(&'static str, Failover)> {
    vec![
        (
            "two instances, a failover",
            Failover {
                transactions: 1,
                instances: 2,
                loaders: vec![1],
                polls: vec![1],
                promotions: 1,
                demotions: 1,
                ..base()
            },
        ),
        (
            "two masters, one relay",
            Failover { transactions: 1, loaders: vec![0], polls: vec![2], promotions: 1, ..base() },
        ),
        ("two relays over two transactions", Failover { loaders: vec![0], polls: vec![1, 1], ..base() }),
        (
            "two relays, one frozen for a long time, and a failover",
            Failover {
                transactions: 1,
                loaders: vec![0],
                polls: vec![1, 1],
                promotions: 1,
                demotions: 1,
                ..base()
            },
        ),
        (
            "two stale leases over a failover",
            Failover {
                transactions: 1,
                loaders: vec![0, 0],
                polls: vec![1],
                promotions: 1,
                demotions: 1,
                expiries: 1,
                ..base()
            },
        ),
        (
            "two writers, two masters",
            Failover { instances: 2, loaders: vec![0], polls: vec![1], promotions: 1, ..base() },
        ),
    ]
}

/// A master is demoted and promoted again.
fn returns(base: &impl Fn() -> Failover) -> Vec<(&'static str, Failover)> {
    vec![
        (
            "two instances, two failovers",
            Failover {
                transactions: 1,
                instances: 2,
                loaders: vec![1],
                polls: vec![1],
                promotions: 2,
                demotions: 2,
                ..base()
            },
        ),
        (
            "demoted and promoted again during a propagation",
            Failover {
                transactions: 1,
                loaders: vec![0],
                polls: vec![1],
                promotions: 2,
                demotions: 1,
                ..base()
            },
        ),
        (
            "demoted and promoted again within a poll",
            Failover {
                transactions: 1,
                loaders: vec![0],
                polls: vec![2],
                promotions: 2,
                demotions: 2,
                ..base()
            },
        ),
    ]
}

/// Redis loses its contents, gets old contents back, or the entry has a tag.
fn disasters(base: &impl Fn() -> Failover) -> Vec<(&'static str, Failover)> {
    vec![
        (
            "an old snapshot is restored, the outbox pruned",
            Failover {
                transactions: 1,
                loaders: vec![0],
                polls: vec![2],
                restores: 1,
                prunings: 1,
                expiries: 1,
                ..base()
            },
        ),
        (
            "FLUSHALL between the steps of two relays",
            Failover { transactions: 1, loaders: vec![0, 0], polls: vec![1, 1], flushes: 1, ..base() },
        ),
        (
            "transactions out of order over a failover",
            Failover { loaders: vec![0], polls: vec![1], promotions: 1, expiries: 1, ..base() },
        ),
        (
            "tags over a failover",
            Failover {
                tagged: true,
                transactions: 1,
                loaders: vec![0, 0],
                polls: vec![1],
                promotions: 1,
                demotions: 1,
                ..base()
            },
        ),
        (
            "tags, an old snapshot, a pruned outbox",
            Failover {
                tagged: true,
                transactions: 1,
                loaders: vec![0],
                polls: vec![2],
                restores: 1,
                prunings: 1,
                ..base()
            },
        ),
    ]
}

/// The scenarios in which commits leave no row in the outbox, because the triggers are off (the journal is silent), or
/// row security hides the rows from a process (the journal is hidden).
pub fn silences(rules: ProtocolRules, own_rules: ModelRules) -> Vec<(&'static str, Failover)> {
    let one = || Failover { own_rules, transactions: 1, loaders: vec![0], ..Failover::new(rules) };
    let silent = || Failover { silences: 1, ..one() };
    vec![
        (
            "triggers off and on: a write, and a commit by others",
            Failover { transactions: 2, has_foreign: true, polls: vec![2], ..silent() },
        ),
        (
            "the outbox is hidden from a writer and its relay, and not from another",
            Failover { polls: vec![2, 1], subject: Some(0), ..one() },
        ),
        ("triggers off and on twice", Failover { polls: vec![2], silences: 2, ..silent() }),
        (
            "triggers off and on: another relay, the position of one that is gone",
            Failover { polls: vec![1, 1], ..silent() },
        ),
        ("triggers off and on, and a failover", Failover { polls: vec![2], promotions: 1, ..silent() }),
        (
            "triggers off and on, an old snapshot is restored",
            Failover { polls: vec![2], restores: 1, ..silent() },
        ),
        (
            "triggers off and on, tags, two stale leases",
            Failover { tagged: true, loaders: vec![0, 0], polls: vec![2], ..silent() },
        ),
    ]
}
