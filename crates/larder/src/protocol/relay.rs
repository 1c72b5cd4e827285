//! The relay's pass: what was committed is told to Redis, and only then does Redis say so.
//!
//! One pass, by any instance, at any time, beside any number of others:
//!
//! 1. Ask Redis for its clock (`began`), its history, certificate, watermark and position: [`plan`].
//! 2. Take a snapshot of the database, and all that was committed up to it and not at the position.
//! 3. UNLINK all of that but what this Redis says it has been told by the writer itself: [`unpropagated_touches`]; or drop the
//!    namespace, when nobody can say what it was.
//! 4. MARK: certificate, watermark and the snapshot as position, in one step: [`decide_mark`].
//!
//! A writer tells its own change: one step in Redis unlinks what it touched and leaves the change's name there. The name
//! is as true as the position is: a promoted replica or a restored snapshot has both the unlinking and the name, or
//! neither. It is left only once the change is committed, so that whatever is loaded after that step has seen it; and it
//! expires, after which the change is told once more than needed.
//!
//! Invariants, which the model checks over every order of the steps of two relays:
//! - `position_is_true`: no entry in a Redis that carries a position is older than what the position has seen.
//! - `watermark_is_true`: every commit before the watermark has been told to the Redis that carries it.

use std::time::Duration;

use crate::journal::{Change, ChangeId, DatabaseId, Touch, touches_of};
use crate::protocol::certificate::{Certificate, RedisTime};
use crate::protocol::rules::{ProtocolRule, ProtocolRules};

/// Longer than any staleness bound can be.
const ABANDONED_AFTER: Duration = Duration::from_secs(120);

/// What a Redis says of itself at the start of a pass.
#[derive(Clone, Debug)]
pub struct PlanInput<'a> {
    /// It calls itself a master.
    pub is_master: bool,
    /// Its clock: the watermark of this pass, for the database's snapshot is taken after it.
    pub now: RedisTime,
    /// The certificate it carries.
    pub live: Option<&'a Certificate>,
    /// The watermark it carries.
    pub watermark: Option<RedisTime>,
}

/// What a pass does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Somebody has told it lately: nothing.
    Skip,
    /// It is a replica, which cannot be told anything.
    Replica,
    /// What stands there was certified by other figures: see [`Certificate::disagrees`].
    Disagreement,
    /// It has been told by a later life of our database: ours is a primary of the past.
    Superseded,
    /// Tell it what was committed since the position it carries.
    Replay,
    /// Its position was written under other figures, by instances that are gone: drop the namespace.
    DropNamespace,
    /// Only in a proof: certify it as it is.
    Certify,
}

/// Decides what a pass does. `mine` is the certificate as this instance would write it, `interval` how often Redis is
/// to be told.
pub fn plan(seen: &PlanInput<'_>, mine: &Certificate, interval: Duration, rules: ProtocolRules) -> Plan {
    if !seen.is_master {
        return Plan::Replica;
    }
    if let Some(live) = seen.live {
        if mine.disagrees(live) {
            return if is_abandoned(seen, live) { Plan::DropNamespace } else { Plan::Disagreement };
        }
        if is_superseded(mine.database.as_ref(), live.database.as_ref()) {
            return Plan::Superseded;
        }
    }
    let is_live = seen.live == Some(mine);
    if !is_live && !rules.keeps(ProtocolRule::CertifiesAfterReplay) {
        return Plan::Certify;
    }
    let age = seen.watermark.and_then(|watermark| seen.now.since(watermark));
    if is_live && age.is_some_and(|age| age < interval) { Plan::Skip } else { Plan::Replay }
}

/// Whether nobody can be using what was certified by other figures. Instances with a journal use a Redis only while its
/// watermark is young; those without make no promise that a journal would keep.
fn is_abandoned(seen: &PlanInput<'_>, live: &Certificate) -> bool {
    let age = seen.watermark.and_then(|watermark| seen.now.since(watermark));
    live.database.is_none() || age.is_none_or(|age| age > ABANDONED_AFTER)
}

fn is_superseded(mine: Option<&DatabaseId>, live: Option<&DatabaseId>) -> bool {
    mine.zip(live).is_some_and(|(mine, live)| mine.system == live.system && mine.timeline < live.timeline)
}

/// What a pass has still to tell: all that `changes` touched, each once, but of those that have been told by their writers.
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
    /// It is a master, of the same history as when the pass began. A Redis that was demoted in between has lost what
    /// the pass told it; that it was promoted again shows only in the history's name.
    pub is_same_history: bool,
    /// Its clock.
    pub now: RedisTime,
    /// The certificate it carries, as bytes.
    pub live: Option<&'a [u8]>,
    /// The watermark it carries.
    pub watermark: Option<RedisTime>,
}

/// What MARK does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkDecision {
    /// Sets certificate, watermark and position.
    Set,
    /// Another relay was later: leaves all three.
    Keep,
    /// This is not the Redis that was told: leaves all three.
    Refuse,
}

/// Decides what MARK does for a pass that began at `began` under the certificate `live`. In production a script does the
/// same, atomically; a test holds the two together.
#[cfg(any(test, feature = "proof"))]
pub fn decide_mark(input: MarkInput<'_>, began: RedisTime, live: &[u8]) -> MarkDecision {
    if !input.is_same_history || began > input.now {
        return MarkDecision::Refuse;
    }
    let stands = input.live == Some(live);
    match input.watermark {
        // Never back; but one ahead of the clock comes from a faster clock, and would last for ever.
        Some(watermark) if stands && watermark <= input.now && watermark >= began => MarkDecision::Keep,
        _ => MarkDecision::Set,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(150);

    fn certificate(redis: &str, timeline: u64) -> Certificate {
        let database = Some(DatabaseId { system: "7300:16384".to_owned(), timeline });
        Certificate { redis: redis.to_owned(), database, bound_ms: 2_000, ttl_max_ms: 3_600_000 }
    }

    fn planned(live: Option<&Certificate>, watermark: Option<u64>, is_master: bool) -> Plan {
        let now = RedisTime(10_000_000);
        let seen = PlanInput { is_master, now, live, watermark: watermark.map(RedisTime) };
        plan(&seen, &certificate("abc:def", 2), INTERVAL, ProtocolRules::default())
    }

    #[test]
    fn a_redis_that_was_told_lately_is_left_alone() {
        let mine = certificate("abc:def", 2);
        assert_eq!(planned(Some(&mine), Some(9_900_000), true), Plan::Skip);
        assert_eq!(planned(Some(&mine), Some(9_850_000), true), Plan::Replay);
        assert_eq!(planned(Some(&mine), Some(10_000_001), true), Plan::Replay, "ahead of its clock");
        assert_eq!(planned(Some(&mine), None, true), Plan::Replay);
        assert_eq!(planned(None, Some(9_900_000), true), Plan::Replay);
        assert_eq!(planned(Some(&certificate("abc:fed", 2)), Some(9_900_000), true), Plan::Replay);
    }

    #[test]
    fn a_replica_another_figure_and_a_later_life_are_refused() {
        let mine = certificate("abc:def", 2);
        assert_eq!(planned(Some(&mine), None, false), Plan::Replica);
        let other = Certificate { bound_ms: 1_000, ..mine.clone() };
        assert_eq!(planned(Some(&other), Some(9_000_000), true), Plan::Disagreement);
        assert_eq!(planned(Some(&other), None, true), Plan::DropNamespace, "nobody is using it");
        let unjournalled = Certificate { database: None, ..mine };
        assert_eq!(planned(Some(&unjournalled), None, true), Plan::DropNamespace, "it promised less");
        assert_eq!(planned(Some(&certificate("abc:def", 3)), None, true), Plan::Superseded);
        assert_eq!(planned(Some(&certificate("abc:def", 1)), None, true), Plan::Replay);
    }

    #[test]
    fn what_was_told_is_left_out_and_the_rest_told_once() {
        let change = |id: &str, keys: [&str; 2]| Change {
            id: ChangeId::new(id),
            touches: keys.map(|key| Touch::entry("rooms", [key])).to_vec(),
        };
        let changes = || vec![change("7", ["a", "b"]), change("8", ["b", "c"]), change("9", ["c", "d"])];
        let touches =
            |keys: &[&str]| keys.iter().map(|key| Touch::entry("rooms", [*key])).collect::<Vec<_>>();
        let told_8 = |id: &ChangeId| id.as_str() == "8";
        let unpropagated_touches = |is_propagated: &dyn Fn(&ChangeId) -> bool| {
            let mut touches = unpropagated_touches(changes(), is_propagated, ProtocolRules::default());
            touches.sort();
            touches
        };
        assert_eq!(unpropagated_touches(&told_8), touches(&["a", "b", "c", "d"]));
        let told_but_8 = |id: &ChangeId| id.as_str() != "8";
        assert_eq!(unpropagated_touches(&told_but_8), touches(&["b", "c"]));
        assert_eq!(unpropagated_touches(&|_| true), []);
    }

    #[test]
    fn the_watermark_never_moves_back_unless_it_is_worth_nothing() {
        let input = |watermark, live| MarkInput {
            is_same_history: true,
            now: RedisTime(10),
            live: Some(live),
            watermark: Some(RedisTime(watermark)),
        };
        let marked = |input| decide_mark(input, RedisTime(5), b"mine");
        assert_eq!(marked(input(4, b"mine")), MarkDecision::Set);
        assert_eq!(marked(input(5, b"mine")), MarkDecision::Keep);
        assert_eq!(marked(input(11, b"mine")), MarkDecision::Set, "ahead of the clock");
        assert_eq!(marked(input(6, b"other")), MarkDecision::Set, "of another certificate");
        assert_eq!(marked(MarkInput { live: None, ..input(6, b"") }), MarkDecision::Set);
    }

    #[test]
    fn a_redis_that_was_demoted_meanwhile_is_not_marked() {
        let input =
            MarkInput { is_same_history: false, now: RedisTime(10), live: Some(b"mine"), watermark: None };
        assert_eq!(decide_mark(input, RedisTime(5), b"mine"), MarkDecision::Refuse);
        let before = MarkInput { is_same_history: true, now: RedisTime(4), ..input };
        assert_eq!(decide_mark(before, RedisTime(5), b"mine"), MarkDecision::Refuse, "its clock went back");
    }
}
