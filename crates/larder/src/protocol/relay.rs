//! The relay's pass: what was committed is told to Redis, and only then does Redis say so.
//!
//! One pass, by any instance, at any time, beside any number of others:
//!
//! 1. Ask Redis for its clock (`began`), its history, certificate, watermark and position: [`plan`].
//! 2. Take a snapshot of the database, and all that was committed up to it and not at the position.
//! 3. UNLINK all of that but what this Redis says it has been told by the writer itself: [`untold`]; or drop the
//!    namespace, when nobody can say what it was.
//! 4. MARK: certificate, watermark and the snapshot as position, in one step: [`mark`].
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
use crate::protocol::rules::{Rule, Rules};

/// Longer than any staleness bound can be.
const ABANDONED: Duration = Duration::from_secs(120);

/// What a Redis says of itself at the start of a pass.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
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
    Rest,
    /// It is a replica, which cannot be told anything.
    Replica,
    /// What stands there was certified by other figures: see [`Certificate::disagrees`].
    Disagreement,
    /// It has been told by a later life of our database: ours is a primary of the past.
    Superseded,
    /// Tell it what was committed since the position it carries.
    Replay,
    /// Its position was written under other figures, by instances that are gone: drop the namespace.
    Drop,
    /// Only in a proof: certify it as it is.
    Certify,
}

/// Decides what a pass does. `mine` is the certificate as this instance would write it, `interval` how often Redis is
/// to be told.
pub fn plan(seen: &Seen<'_>, mine: &Certificate, interval: Duration, rules: Rules) -> Plan {
    if !seen.is_master {
        return Plan::Replica;
    }
    if let Some(live) = seen.live {
        if mine.disagrees(live) {
            return if is_abandoned(seen, live) { Plan::Drop } else { Plan::Disagreement };
        }
        if is_superseded(mine.database.as_ref(), live.database.as_ref()) {
            return Plan::Superseded;
        }
    }
    let is_live = seen.live == Some(mine);
    if !is_live && !rules.keep(Rule::CertifiesAfterReplay) {
        return Plan::Certify;
    }
    let age = seen.watermark.and_then(|watermark| seen.now.since(watermark));
    if is_live && age.is_some_and(|age| age < interval) { Plan::Rest } else { Plan::Replay }
}

/// Whether nobody can be using what was certified by other figures. Instances with a journal use a Redis only while its
/// watermark is young; those without make no promise that a journal would keep.
fn is_abandoned(seen: &Seen<'_>, live: &Certificate) -> bool {
    let age = seen.watermark.and_then(|watermark| seen.now.since(watermark));
    live.database.is_none() || age.is_none_or(|age| age > ABANDONED)
}

fn is_superseded(mine: Option<&DatabaseId>, live: Option<&DatabaseId>) -> bool {
    mine.zip(live).is_some_and(|(mine, live)| mine.system == live.system && mine.timeline < live.timeline)
}

/// What a pass has still to tell: all that `changes` touched, each once, but of those that have been told by their writers.
pub fn untold(changes: Vec<Change>, is_told: impl Fn(&ChangeId) -> bool, rules: Rules) -> Vec<Touch> {
    let is_told = |change: &Change| !rules.keep(Rule::SkipsOnlyTold) || is_told(&change.id);
    touches_of(changes.into_iter().filter(|change| !is_told(change)))
}

/// What MARK finds in the Redis it runs in, at the moment it runs.
#[cfg(any(test, feature = "proof"))]
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
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
pub enum Marking {
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
pub fn mark(standing: Standing<'_>, began: RedisTime, live: &[u8]) -> Marking {
    if !standing.is_same_history || began > standing.now {
        return Marking::Refuse;
    }
    let stands = standing.live == Some(live);
    match standing.watermark {
        // Never back; but one ahead of the clock comes from a faster clock, and would last for ever.
        Some(watermark) if stands && watermark <= standing.now && watermark >= began => Marking::Keep,
        _ => Marking::Set,
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
        let seen = Seen { is_master, now, live, watermark: watermark.map(RedisTime) };
        plan(&seen, &certificate("abc:def", 2), INTERVAL, Rules::default())
    }

    #[test]
    fn a_redis_that_was_told_lately_is_left_alone() {
        let mine = certificate("abc:def", 2);
        assert_eq!(planned(Some(&mine), Some(9_900_000), true), Plan::Rest);
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
        assert_eq!(planned(Some(&other), None, true), Plan::Drop, "nobody is using it");
        let unjournalled = Certificate { database: None, ..mine };
        assert_eq!(planned(Some(&unjournalled), None, true), Plan::Drop, "it promised less");
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
        let untold = |is_told: &dyn Fn(&ChangeId) -> bool| {
            let mut touches = untold(changes(), is_told, Rules::default());
            touches.sort();
            touches
        };
        assert_eq!(untold(&told_8), touches(&["a", "b", "c", "d"]));
        let told_but_8 = |id: &ChangeId| id.as_str() != "8";
        assert_eq!(untold(&told_but_8), touches(&["b", "c"]));
        assert_eq!(untold(&|_| true), []);
    }

    #[test]
    fn the_watermark_never_moves_back_unless_it_is_worth_nothing() {
        let standing = |watermark, live| Standing {
            is_same_history: true,
            now: RedisTime(10),
            live: Some(live),
            watermark: Some(RedisTime(watermark)),
        };
        let marked = |standing| mark(standing, RedisTime(5), b"mine");
        assert_eq!(marked(standing(4, b"mine")), Marking::Set);
        assert_eq!(marked(standing(5, b"mine")), Marking::Keep);
        assert_eq!(marked(standing(11, b"mine")), Marking::Set, "ahead of the clock");
        assert_eq!(marked(standing(6, b"other")), Marking::Set, "of another certificate");
        assert_eq!(marked(Standing { live: None, ..standing(6, b"") }), Marking::Set);
    }

    #[test]
    fn a_redis_that_was_demoted_meanwhile_is_not_marked() {
        let standing =
            Standing { is_same_history: false, now: RedisTime(10), live: Some(b"mine"), watermark: None };
        assert_eq!(mark(standing, RedisTime(5), b"mine"), Marking::Refuse);
        let before = Standing { is_same_history: true, now: RedisTime(4), ..standing };
        assert_eq!(mark(before, RedisTime(5), b"mine"), Marking::Refuse, "its clock went back");
    }
}
