//! Over REST: what this instance has invalidated, until a grant shows that no failover can undo it unseen.
//!
//! An UNLINK that was acknowledged can be lost: the replica that becomes the leader has the former entry, with the marks
//! that were granted. The relay unlinks it again within the staleness bound. Until then a read of this instance that
//! counts would miss its own write. So none counts for what the instance has invalidated, until a grant has a watermark
//! later than an instant after the write. Every commit before a watermark has been propagated to what carries it; see
//! `evidence`.
//!
//! If a failover shows an earlier watermark than the last grant did, what was settled before may be lost, too. Then this
//! holds everything, until a later grant settles it.
//!
//! Until then, a read is answered by a load, whose value memory keeps for the bound at most. A put and a permit are to reach
//! other instances, so they wait instead, for a few round trips.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use tokio::sync::watch;

use crate::protocol::certificate::RedisTime;

/// The most keys of one round. If there are more, the round is about everything.
const KEYS_MAX: usize = 10_000;
/// The most rounds. If there are more, the last ones are joined.
const ROUNDS_MAX: usize = 16;

/// The lock of the channel guards all of it, and is held for a few statements. Invariant: a key that was noted is held until a grant is
/// noted whose watermark is later than the note. So a read that finds its keys not held, and then notes what is granted, is
/// compared with that watermark or a later one.
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
    everything: bool,
}

impl Invalidated {
    fn add(&mut self, other: Invalidated) {
        self.keys.extend(other.keys);
        self.everything |= other.everything || self.keys.len() > KEYS_MAX;
        if self.everything {
            self.keys = HashSet::new();
        }
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.everything
    }

    fn has(&self, key: &Bytes) -> bool {
        self.everything || self.keys.contains(key)
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
    /// Notes an invalidation of `keys`, or of everything. Call it after the commit and before the acknowledgement.
    pub(super) fn note(&self, keys: &[Bytes], everything: bool) {
        let noted = Invalidated { keys: keys.iter().cloned().collect(), everything };
        self.0.send_modify(|rounds| rounds.new.add(noted));
    }

    /// Whether a value of `key` may be from before a write of this instance. Ask before the read notes what is granted.
    pub(super) fn holds(&self, key: &Bytes) -> bool {
        self.0.borrow().has(key)
    }

    /// Call it before a heartbeat asks Redis for its clock.
    pub(super) fn begin_heartbeat(&self) {
        self.0.send_modify(|rounds| {
            let new = std::mem::take(&mut rounds.new);
            rounds.asked.add(new);
        });
    }

    /// Redis's clock said `now` in the heartbeat.
    pub(super) fn note_clock(&self, now: RedisTime) {
        self.0.send_modify(|rounds| rounds.note_clock(now));
    }

    /// Forgets what was noted before `watermark`. Call it after the grant's marks were noted.
    pub(super) fn settle(&self, watermark: RedisTime) {
        self.0.send_modify(|rounds| rounds.timed.retain(|(at, _)| *at >= watermark));
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

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Bytes = Bytes::from_static(b"a");

    fn heartbeat(writes: &OwnWrites, now: u64, watermark: u64) {
        writes.begin_heartbeat();
        writes.note_clock(RedisTime(now));
        writes.settle(RedisTime(watermark));
    }

    #[test]
    fn a_write_is_settled_by_a_watermark_after_the_clock_that_was_read_after_it() {
        let writes = OwnWrites::default();
        writes.note(&[KEY], false);
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
        writes.note(&[], true);
        writes.note_clock(RedisTime(10));
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
            writes.note(&(0..=KEYS_MAX / 8).map(key).collect::<Vec<_>>(), false);
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
}
