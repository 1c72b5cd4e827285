//! Over REST: what this instance has invalidated, until a grant shows that no failover can undo it unseen.
//!
//! An UNLINK that was acknowledged can be lost: the replica that becomes the leader has the former entry, with the marks
//! that were granted. The relay unlinks it again within the staleness bound. Until then a read of this instance that
//! counts would miss its own write. So none counts for what the instance has invalidated, until a grant has a watermark
//! later than an instant after the write. Every commit before a watermark has been propagated to what carries it; see
//! `evidence`.
//!
//! If a failover shows an earlier watermark than the last grant did, what was settled before may be lost, too. Then
//! everything is held, until a later grant settles it.
//!
//! A read of what is held is answered by a load, whose value memory keeps for the bound at most. A put and a permit are
//! to reach other instances, so they wait instead, for a few round trips.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use tokio::sync::watch;

use crate::batch::Sweep;
use crate::key::Namespace;
use crate::pattern::Pattern;
use crate::protocol::certificate::RedisTime;
use crate::remote::redis::RedisTier;

/// The most keys of one round. If there are more, the round is about everything.
const KEYS_MAX: usize = 10_000;
/// The most patterns of one round, because a read compares its key with each. If there are more, the round is about
/// everything.
const PATTERNS_MAX: usize = 100;
/// The most rounds. If there are more, the last ones are joined.
const ROUNDS_MAX: usize = 16;

/// The lock of the channel guards all of it, and is held for a few statements. Invariant: what was noted is held until a
/// grant is noted whose watermark is later than the note. So a read that finds its keys not held, and then notes what is
/// granted, is compared with that watermark or a later one.
#[derive(Default)]
pub(super) struct OwnWrites(watch::Sender<Rounds>);

#[derive(Default)]
struct Rounds {
    /// Noted since the last heartbeat began.
    new: Invalidated,
    /// Noted before the present heartbeat began, or before the last one, if that got no answer.
    asked: Invalidated,
    /// Noted before Redis's clock said this, the oldest first.
    timed: VecDeque<(RedisTime, Invalidated)>,
}

#[derive(Default)]
struct Invalidated {
    keys: HashSet<Bytes>,
    patterns: Vec<(Namespace, Pattern)>,
    everything: bool,
}

impl Invalidated {
    fn everything() -> Self {
        Invalidated { everything: true, ..Invalidated::default() }
    }

    fn add(&mut self, other: Invalidated) {
        self.keys.extend(other.keys);
        for pattern in other.patterns {
            if !self.patterns.contains(&pattern) {
                self.patterns.push(pattern);
            }
        }
        let are_too_many = self.keys.len() > KEYS_MAX || self.patterns.len() > PATTERNS_MAX;
        if other.everything || self.everything || are_too_many {
            *self = Invalidated::everything();
        }
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.patterns.is_empty() && !self.everything
    }

    fn has(&self, key: &Bytes) -> bool {
        let matches = |(namespace, pattern): &(Namespace, Pattern)| namespace.matches_key(pattern, key);
        self.everything || self.keys.contains(key) || self.patterns.iter().any(matches)
    }
}

impl Rounds {
    /// Whether `key` was noted, and no heartbeat has read the clock since.
    fn awaits_clock(&self, key: &Bytes) -> bool {
        self.new.has(key) || self.asked.has(key)
    }

    fn has(&self, key: &Bytes) -> bool {
        self.awaits_clock(key) || self.timed.iter().any(|(_, invalidated)| invalidated.has(key))
    }

    fn note_clock(&mut self, now: RedisTime) {
        let mut asked = std::mem::take(&mut self.asked);
        if asked.is_empty() {
            return;
        }
        if self.timed.len() == ROUNDS_MAX
            && let Some((_, last)) = self.timed.pop_back()
        {
            asked.add(last);
        }
        self.timed.push_back((now, asked));
    }
}

impl OwnWrites {
    /// Notes an invalidation of `keys`. Call it after the commit and before the invalidation is sent.
    pub(super) fn note_keys(&self, keys: &[Bytes]) {
        self.note(Invalidated { keys: keys.iter().cloned().collect(), ..Invalidated::default() });
    }

    /// Notes an invalidation of all that `what` finds, as `note_keys` does.
    pub(super) fn note_sweep(&self, namespace: &Namespace, what: Sweep<'_>) {
        self.note(match what {
            Sweep::Everything => Invalidated::everything(),
            Sweep::Matching(pattern) => {
                let patterns = vec![(namespace.clone(), pattern.clone())];
                Invalidated { patterns, ..Invalidated::default() }
            }
        });
    }

    fn note(&self, invalidated: Invalidated) {
        // It wakes no task: each waits until less is held.
        self.0.send_if_modified(|rounds| {
            rounds.new.add(invalidated);
            false
        });
    }

    /// Holds everything until a heartbeat that begins from here on has read the clock and a later watermark is granted.
    /// What was noted before is part of it, and its times may be those of another server's clock.
    pub(super) fn hold_everything(&self) {
        self.0.send_modify(|rounds| *rounds = Rounds { new: Invalidated::everything(), ..Rounds::default() });
    }

    /// Whether a value of `key` may be from before a write of this instance. Ask before the read notes what is granted.
    pub(super) fn holds(&self, key: &Bytes) -> bool {
        self.0.borrow().has(key)
    }

    /// Call it before a heartbeat asks Redis for its clock.
    pub(super) fn begin_heartbeat(&self) {
        self.0.send_if_modified(|rounds| {
            let new = std::mem::take(&mut rounds.new);
            rounds.asked.add(new);
            false
        });
    }

    /// Redis's clock said `now` in the heartbeat, which found `watermark`. A watermark that is ahead is that of a former leader,
    /// whose clock was ahead: such a heartbeat grants nothing, and says nothing of the time, until a poll has replaced it.
    pub(super) fn note_clock(&self, now: RedisTime, watermark: Option<RedisTime>) {
        if watermark.is_none_or(|watermark| watermark <= now) {
            self.0.send_modify(|rounds| rounds.note_clock(now));
        }
    }

    /// Forgets what was noted before `watermark`. Call it after the grant's marks were noted.
    pub(super) fn settle(&self, watermark: RedisTime) {
        self.0.send_modify(|rounds| rounds.timed.retain(|(at, _)| *at >= watermark));
    }

    /// Whether one of `keys` was noted, and no heartbeat has read the clock since.
    pub(super) fn awaits_clock(&self, keys: &[Bytes]) -> bool {
        let rounds = self.0.borrow();
        keys.iter().any(|key| rounds.awaits_clock(key))
    }

    /// Waits until a heartbeat has read the clock since each of `keys` was noted.
    pub(super) async fn wait_for_clock(&self, keys: &[Bytes]) {
        self.wait_for(|rounds| !keys.iter().any(|key| rounds.awaits_clock(key))).await;
    }

    /// Waits until none of `keys` is held.
    pub(super) async fn wait_until_settled(&self, keys: &[Bytes]) {
        self.wait_for(|rounds| !keys.iter().any(|key| rounds.has(key))).await;
    }

    async fn wait_for(&self, condition: impl FnMut(&Rounds) -> bool) {
        // It ends with an error only if the sender is gone, which is `self`.
        let _ = self.0.subscribe().wait_for(condition).await;
    }
}

impl RedisTier {
    /// What this instance has invalidated; `None` if Redis's own protocol shows which of it a failover has undone.
    pub(super) fn own_writes(&self) -> Option<&OwnWrites> {
        self.is_rest.then_some(&self.connection_slot.own_writes)
    }

    /// Notes an invalidation by this instance. Call it before the invalidation is sent.
    pub(super) fn note_own_keys(&self, keys: &[Bytes]) {
        if let Some(own) = self.own_writes() {
            own.note_keys(keys);
        }
    }

    pub(super) fn note_own_sweep(&self, what: Sweep<'_>) {
        if let Some(own) = self.own_writes() {
            own.note_sweep(self.prefix().namespace(), what);
        }
    }

    /// Whether a failover could show a value of `key` from before an invalidation by this instance.
    pub(super) fn may_precede_own(&self, key: &Bytes) -> bool {
        self.own_writes().is_some_and(|own| own.holds(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Bytes = Bytes::from_static(b"a");

    fn namespace() -> Namespace {
        Namespace::parse("app").unwrap()
    }

    fn heartbeat(writes: &OwnWrites, now: u64, watermark: u64) {
        writes.begin_heartbeat();
        writes.note_clock(RedisTime(now), Some(RedisTime(watermark)));
        writes.settle(RedisTime(watermark));
    }

    #[test]
    fn a_write_is_settled_by_a_watermark_after_the_clock_that_was_read_after_it() {
        let writes = OwnWrites::default();
        writes.note_keys(&[KEY]);
        assert!(writes.holds(&KEY) && !writes.holds(&Bytes::from("b")));
        heartbeat(&writes, 10, 9);
        heartbeat(&writes, 12, 10);
        assert!(writes.holds(&KEY), "the poll may have begun before the write");
        heartbeat(&writes, 14, 11);
        assert!(!writes.holds(&KEY));
    }

    #[test]
    fn a_write_during_a_heartbeat_waits_for_the_next_one() {
        let writes = OwnWrites::default();
        writes.begin_heartbeat();
        writes.note_sweep(&namespace(), Sweep::Everything);
        writes.note_clock(RedisTime(10), None);
        writes.settle(RedisTime(11));
        assert!(writes.holds(&KEY));
        writes.begin_heartbeat();
        assert!(writes.holds(&KEY), "a heartbeat that got no answer");
        heartbeat(&writes, 20, 20);
        assert!(writes.holds(&KEY));
        heartbeat(&writes, 22, 21);
        assert!(!writes.holds(&KEY));
    }

    #[test]
    fn its_size_is_limited() {
        let writes = OwnWrites::default();
        for now in 0..40 {
            let key = |nth| Bytes::from(format!("{now} {nth}"));
            writes.note_keys(&(0..=KEYS_MAX / 8).map(key).collect::<Vec<_>>());
            heartbeat(&writes, now, 0);
        }
        let rounds = writes.0.borrow();
        let sizes = rounds.timed.iter().map(|(_, invalidated)| invalidated.keys.len());
        assert!(rounds.timed.len() == ROUNDS_MAX && sizes.sum::<usize>() <= ROUNDS_MAX * KEYS_MAX);
        drop(rounds);
        assert!(writes.holds(&Bytes::from("0 0")) && writes.holds(&Bytes::from("39 0")));
        heartbeat(&writes, 41, 40);
        assert!(!writes.holds(&KEY));
    }

    #[test]
    fn a_pattern_holds_what_it_matches() {
        let writes = OwnWrites::default();
        let sweep =
            |text: &str| writes.note_sweep(&namespace(), Sweep::Matching(&Pattern::parse(text).unwrap()));
        let key = |text: &'static str| Bytes::from_static(text.as_bytes());
        sweep("lists:*");
        assert!(writes.holds(&key("app:lists:a")) && !writes.holds(&key("app:values:a")));
        heartbeat(&writes, 10, 9);
        assert!(writes.holds(&key("app:lists:a")));
        heartbeat(&writes, 12, 11);
        assert!(!writes.holds(&key("app:lists:a")));
        for nth in 0..=2 * PATTERNS_MAX {
            sweep(&format!("lists:{}:*", nth % PATTERNS_MAX));
        }
        assert!(!writes.holds(&key("app:values:a")), "the same patterns again");
        sweep("others:*");
        assert!(writes.holds(&key("app:values:a")), "too many");
    }

    #[test]
    fn an_earlier_watermark_holds_everything_until_the_new_clock_has_passed() {
        let writes = OwnWrites::default();
        writes.note_keys(&[KEY]);
        heartbeat(&writes, 100, 99);
        writes.hold_everything();
        assert!(writes.awaits_clock(&[Bytes::from("b")]));
        heartbeat(&writes, 50, 49);
        assert!(writes.holds(&KEY) && writes.holds(&Bytes::from("b")));
        writes.note_keys(&[KEY]);
        writes.begin_heartbeat();
        writes.note_clock(RedisTime(51), Some(RedisTime(90)));
        assert!(writes.awaits_clock(&[KEY]), "the watermark of the former leader");
        heartbeat(&writes, 51, 50);
        heartbeat(&writes, 53, 52);
        assert!(!writes.holds(&KEY), "the clock of the former leader was ahead");
    }
}
