//! The relay's poll: the relay unlinks in Redis what committed changes touched, and only then records how far it has
//! read the journal.
//!
//! Any instance polls, at any time, and several instances may poll at once. One poll takes these steps:
//!
//! 1. Read from Redis its clock (`began`), replication history, certificate, watermark and position. [`plan`] decides
//!    from them what the poll does.
//! 2. Take a snapshot of the database, and read all changes that the snapshot contains and the position does not.
//! 3. UNLINK what those changes touched, except the changes that their writers have recorded in this Redis as
//!    propagated: see [`unpropagated_touches`]. If the changes are unknown, drop this database's entries instead.
//! 4. MARK: write certificate, watermark (`began`) and position (the snapshot) in one step: see [`decide_mark`].
//!
//! A writer propagates its own change: one step in Redis unlinks what the change touched and records the change's id.
//! So a promoted replica or a restored snapshot has both the unlinking and the record, or neither. The writer records a
//! change only after its commit, so every load that begins after that step sees the change. The record expires; a later
//! poll then propagates the change a second time, which costs loads and nothing else.
//!
//! Invariants, which the model checks over every order of the steps of two relays:
//! - `position_is_true`: each entry in a Redis contains every change up to the position in that Redis.
//! - `watermark_is_true`: every commit before a watermark has been propagated to the Redis that carries it.

use std::time::Duration;

use crate::journal::{Change, ChangeId, DatabaseId, Touch, touches_of};
use crate::protocol::certificate::{Certificate, RedisTime};
use crate::protocol::rules::{ProtocolRule, ProtocolRules};

/// A Redis whose watermark is older than this is used by no instance: an instance uses a Redis only while the watermark
/// is younger than the instance's staleness bound, and the longest bound is 60 s. Without a journal, each instance that uses
/// the Redis renews the watermark.
pub(crate) const ABANDONED_AFTER: Duration = Duration::from_secs(120);

/// What a Redis reports at the start of a poll.
#[derive(Clone, Debug)]
pub struct PlanInput<'a> {
    /// Whether its role is master.
    pub is_master: bool,
    /// Its clock. It becomes the watermark of the poll: the database's snapshot is taken later, so it contains every
    /// commit before this instant.
    pub now: RedisTime,
    /// The certificate it carries.
    pub certificate: Option<&'a Certificate>,
    /// The watermark it carries.
    pub watermark: Option<RedisTime>,
}

/// What a poll does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing: an instance finished a poll that began less than `min_age` ago.
    Skip,
    /// Nothing: this Redis is a replica and takes no writes.
    Replica,
    /// Nothing: instances with other settings certified this Redis; see [`Certificate::disagrees`].
    Disagreement,
    /// Nothing: a later timeline of our database certified this Redis, so the database that answers us is a former
    /// primary.
    Superseded,
    /// Propagate the changes since the position that this Redis carries.
    Replay,
    /// Drop this database's entries: instances with other settings wrote the position, and none of them uses this Redis
    /// now.
    DropNamespace,
    /// Certify this Redis without a replay; only in a proof that breaks `CertifiesAfterReplay`.
    Certify,
}

/// Decides what a poll does. `mine` is the certificate that this instance would write. If the watermark is younger than
/// `min_age`, the poll does nothing.
pub fn plan(seen: &PlanInput<'_>, mine: &Certificate, min_age: Duration, rules: ProtocolRules) -> Plan {
    if !seen.is_master {
        return Plan::Replica;
    }
    if let Some(existing) = seen.certificate {
        if mine.disagrees(existing) {
            return if is_abandoned(seen) { Plan::DropNamespace } else { Plan::Disagreement };
        }
        if is_superseded(mine.database.as_ref(), existing.database.as_ref()) {
            return Plan::Superseded;
        }
    }
    let is_mine = seen.certificate == Some(mine);
    if !is_mine && !rules.keeps(ProtocolRule::CertifiesAfterReplay) {
        return Plan::Certify;
    }
    let age = seen.watermark.and_then(|watermark| seen.now.since(watermark));
    if is_mine && age.is_some_and(|age| age < min_age) { Plan::Skip } else { Plan::Replay }
}

/// Whether no instance uses this Redis, so that this one may take it over from instances with other settings.
fn is_abandoned(seen: &PlanInput<'_>) -> bool {
    let age = seen.watermark.and_then(|watermark| seen.now.since(watermark));
    age.is_none_or(|age| age > ABANDONED_AFTER)
}

fn is_superseded(mine: Option<&DatabaseId>, existing: Option<&DatabaseId>) -> bool {
    mine.zip(existing)
        .is_some_and(|(mine, existing)| mine.system == existing.system && mine.timeline < existing.timeline)
}

/// What the poll still has to propagate: each touch of `changes` once, without the changes that their writers have
/// propagated.
pub fn unpropagated_touches(
    changes: Vec<Change>,
    is_propagated: impl Fn(&ChangeId) -> bool,
    rules: ProtocolRules,
) -> Vec<Touch> {
    let is_propagated =
        |change: &Change| !rules.keeps(ProtocolRule::SkipsOnlyPropagated) || is_propagated(&change.id);
    touches_of(changes.into_iter().filter(|change| !is_propagated(change)))
}

/// What MARK finds in the Redis it runs in, at the moment it runs.
#[cfg(any(test, feature = "proof"))]
#[derive(Clone, Copy, Debug)]
pub struct MarkInput<'a> {
    /// Whether it is a master with the same replication history (`master_replid`) as when the poll began. A Redis that
    /// became a replica in between may have the unlinked keys again. If it was promoted again, only its new history
    /// shows this.
    pub is_same_history: bool,
    /// Its clock.
    pub now: RedisTime,
    /// The certificate it carries, as bytes.
    pub certificate: Option<&'a [u8]>,
    /// The watermark it carries.
    pub watermark: Option<RedisTime>,
}

/// What MARK does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkDecision {
    /// Sets certificate, watermark and position.
    Set,
    /// Leaves all three: a poll that began at the same time or later has already marked.
    Keep,
    /// Leaves all three: this is not the Redis in which the poll unlinked.
    Refuse,
}

/// Decides what MARK does for a poll that began at `began` under the certificate `mine`. In production a script does
/// the same atomically; `the_script_does_as_the_decision_says` compares the two.
#[cfg(any(test, feature = "proof"))]
pub fn decide_mark(input: MarkInput<'_>, began: RedisTime, mine: &[u8]) -> MarkDecision {
    if !input.is_same_history || began > input.now {
        return MarkDecision::Refuse;
    }
    let is_mine = input.certificate == Some(mine);
    match input.watermark {
        // A watermark never moves back. Exception: a watermark that is ahead of Redis's clock comes from a faster
        // clock. If it were kept, no poll could replace it until this clock reached it.
        Some(watermark) if is_mine && watermark <= input.now && watermark >= began => MarkDecision::Keep,
        _ => MarkDecision::Set,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(150);

    fn certificate(redis: &str, timeline: u64) -> Certificate {
        let database = Some(DatabaseId { system: "7300:16384".to_owned(), timeline });
        Certificate { redis: redis.to_owned(), database, bound_ms: 2_000, ttl_max_ms: 3_600_000, slots: None }
    }

    fn planned(existing: Option<&Certificate>, watermark: Option<u64>, is_master: bool) -> Plan {
        let now = RedisTime(10_000_000);
        let seen = PlanInput { is_master, now, certificate: existing, watermark: watermark.map(RedisTime) };
        plan(&seen, &certificate("abc:def", 2), INTERVAL, ProtocolRules::default())
    }

    #[test]
    fn a_poll_skips_a_redis_whose_watermark_is_younger_than_the_interval() {
        let mine = certificate("abc:def", 2);
        assert_eq!(planned(Some(&mine), Some(9_900_000), true), Plan::Skip);
        assert_eq!(planned(Some(&mine), Some(9_850_000), true), Plan::Replay);
        assert_eq!(planned(Some(&mine), Some(10_000_001), true), Plan::Replay, "ahead of its clock");
        assert_eq!(planned(Some(&mine), None, true), Plan::Replay);
        assert_eq!(planned(None, Some(9_900_000), true), Plan::Replay);
        assert_eq!(planned(Some(&certificate("abc:fed", 2)), Some(9_900_000), true), Plan::Replay);
    }

    #[test]
    fn a_replica_other_settings_and_a_later_timeline_are_refused() {
        let mine = certificate("abc:def", 2);
        assert_eq!(planned(Some(&mine), None, false), Plan::Replica);
        let other = Certificate { bound_ms: 1_000, ..mine.clone() };
        assert_eq!(planned(Some(&other), Some(9_000_000), true), Plan::Disagreement);
        assert_eq!(planned(Some(&other), None, true), Plan::DropNamespace, "no instance uses it");
        // An instance without a journal has other keys; see `redis::prefix`. Its certificate is treated like any other.
        let unjournalled = Certificate { database: None, ..mine };
        assert_eq!(planned(Some(&unjournalled), Some(9_000_000), true), Plan::Disagreement);
        assert_eq!(planned(Some(&unjournalled), None, true), Plan::DropNamespace);
        assert_eq!(planned(Some(&certificate("abc:def", 3)), None, true), Plan::Superseded);
        assert_eq!(planned(Some(&certificate("abc:def", 1)), None, true), Plan::Replay);
    }

    #[test]
    fn propagated_changes_are_left_out_and_each_other_touch_is_propagated_once() {
        let change = |id: &str, keys: [&str; 2]| Change {
            id: ChangeId::new(id),
            touches: keys.map(|key| Touch::entry("rooms", [key])).to_vec(),
        };
        let changes = || vec![change("7", ["a", "b"]), change("8", ["b", "c"]), change("9", ["c", "d"])];
        let touches =
            |keys: &[&str]| keys.iter().map(|key| Touch::entry("rooms", [*key])).collect::<Vec<_>>();
        let is_8 = |id: &ChangeId| id.as_str() == "8";
        let unpropagated_touches = |is_propagated: &dyn Fn(&ChangeId) -> bool| {
            let mut touches = unpropagated_touches(changes(), is_propagated, ProtocolRules::default());
            touches.sort();
            touches
        };
        assert_eq!(unpropagated_touches(&is_8), touches(&["a", "b", "c", "d"]));
        let is_not_8 = |id: &ChangeId| id.as_str() != "8";
        assert_eq!(unpropagated_touches(&is_not_8), touches(&["b", "c"]));
        assert_eq!(unpropagated_touches(&|_| true), []);
    }

    #[test]
    fn a_valid_watermark_never_moves_back() {
        let input = |watermark, certificate| MarkInput {
            is_same_history: true,
            now: RedisTime(10),
            certificate: Some(certificate),
            watermark: Some(RedisTime(watermark)),
        };
        let marked = |input| decide_mark(input, RedisTime(5), b"mine");
        assert_eq!(marked(input(4, b"mine")), MarkDecision::Set);
        assert_eq!(marked(input(5, b"mine")), MarkDecision::Keep);
        assert_eq!(marked(input(11, b"mine")), MarkDecision::Set, "ahead of the clock");
        assert_eq!(marked(input(6, b"other")), MarkDecision::Set, "of another certificate");
        assert_eq!(marked(MarkInput { certificate: None, ..input(6, b"") }), MarkDecision::Set);
    }

    #[test]
    fn a_redis_that_was_demoted_during_the_poll_is_not_marked() {
        let input = MarkInput {
            is_same_history: false,
            now: RedisTime(10),
            certificate: Some(b"mine"),
            watermark: None,
        };
        assert_eq!(decide_mark(input, RedisTime(5), b"mine"), MarkDecision::Refuse);
        let before = MarkInput { is_same_history: true, now: RedisTime(4), ..input };
        assert_eq!(decide_mark(before, RedisTime(5), b"mine"), MarkDecision::Refuse, "its clock went back");
    }
}
