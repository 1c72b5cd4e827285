//! The validity of the shared tier: whether it may be used at this instant. Without Redis, the journal consumer grants
//! such a validity for memory.
//!
//! Invariants, each checked by the test of the same name:
//! - `no_grant_while_an_invalidation_is_unsent`: there is no grant while an invalidation of this instance has not
//!   reached Redis. So this instance never reads from Redis an entry that a write of its own made invalid (over REST with
//!   `own_writes`).
//! - `no_grant_from_before_a_loss`: a heartbeat grants only in the epoch in which it was sent.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::clock::Tick;

/// The most keys of unsent invalidations, to limit their memory during an outage. If there are more, the keeper drops
/// all entries of this database in Redis instead.
pub(crate) const UNSENT_MAX: usize = 100_000;

pub(crate) struct Validity {
    /// Reads may be served before this instant, in nanoseconds of the clock. It is written under `state`'s lock, so
    /// that a revocation and a grant cannot overwrite each other. It is read without the lock, because every hit reads
    /// it: the reader compares it with the clock at the moment of its own decision.
    until: AtomicU64,
    state: Mutex<State>,
    granted: Notify,
    /// The tier of which this is a part; `None` if it is a tier of its own.
    whole: Option<Whole>,
}

/// The tier to which a master of a Redis Cluster belongs. It is not valid without each of its masters that are in use, so
/// a part that loses its validity ends that of the cluster too, under its own lock: no read uses the cluster once a
/// revocation of the part returns. The lock of a part may be held while that of the cluster is taken, never the other way.
pub(crate) struct Whole {
    pub(crate) validity: Arc<Validity>,
    /// Notified after each change of a part.
    pub(crate) changed: Arc<Notify>,
}

/// The lock guards this state and every write of `until`.
struct State {
    /// How often the validity was lost; the number of the present epoch.
    losses: u64,
    unsent: VecDeque<Bytes>,
    /// Every entry of this database in Redis has to be dropped: more than [`UNSENT_MAX`] keys were unsent, an unsent
    /// invalidation needs a sweep, or the last drop failed.
    is_overflowed: bool,
    /// The keeper is dropping every entry of this database in Redis now.
    is_clearing: bool,
    /// An invalidation was queued since the last grant.
    has_unconfirmed: bool,
}

impl State {
    fn is_settled(&self) -> bool {
        self.unsent.is_empty() && !self.is_overflowed && !self.is_clearing
    }
}

/// The time between two losses of validity. A heartbeat or reply counts only in the epoch in which it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Epoch(u64);

/// What has to reach Redis before it may be used again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UnsentInvalidations {
    Nothing,
    Keys(Vec<Bytes>),
    Everything,
}

impl Default for Validity {
    fn default() -> Self {
        Validity::new()
    }
}

impl Validity {
    pub(crate) fn new() -> Self {
        let state = State {
            losses: 0,
            unsent: VecDeque::new(),
            is_overflowed: false,
            is_clearing: false,
            has_unconfirmed: false,
        };
        Validity {
            until: AtomicU64::new(Tick::PAST.nanos()),
            state: Mutex::new(state),
            granted: Notify::new(),
            whole: None,
        }
    }

    /// The validity of a part of `whole`.
    pub(crate) fn part_of(whole: Whole) -> Self {
        Validity { whole: Some(whole), ..Validity::new() }
    }

    /// Whether reads may be served at `now`, which the caller has just read from the clock.
    #[inline]
    pub(crate) fn is_valid_at(&self, now: Tick) -> bool {
        now < self.until()
    }

    /// The instant before which reads may be served.
    ///
    /// `Acquire` pairs with the `Release` of the writers: a read that sees a grant also sees what happened before the
    /// grant.
    #[inline]
    pub(crate) fn until(&self) -> Tick {
        Tick::from_nanos(self.until.load(Ordering::Acquire))
    }

    /// The present epoch. Note it before a heartbeat is sent.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.lock().losses)
    }

    /// Grants the tier up to `until`, as a heartbeat that was sent in `epoch` allows. Returns `false` without a grant
    /// if the epoch has ended or an invalidation is unsent. The lock makes this check and the store one step.
    pub(crate) fn grant(&self, epoch: Epoch, until: Tick) -> bool {
        let mut state = self.lock();
        let may = state.losses == epoch.0 && state.is_settled();
        if may {
            state.has_unconfirmed = false;
            self.until.store(until.nanos(), Ordering::Release);
            self.granted.notify_waiters();
            if let Some(whole) = &self.whole {
                whole.changed.notify_one();
            }
        }
        may
    }

    /// Waits for a grant, at most `limit`; returns whether the tier is valid. `now` has just been read from the clock.
    ///
    /// If it returns `true`, every invalidation that was queued before the call has been sent: queuing ends the
    /// validity, and there is no grant while an invalidation is unsent. The granted Redis may be another one than the
    /// Redis that the UNLINK reached. If so, it was certified after the commit (unless two Redis were masters at once):
    /// by a relay, which propagated what the journal contains, or without a journal by a keeper, which dropped the
    /// entries.
    pub(crate) async fn wait_for_grant(&self, now: Tick, limit: Duration) -> bool {
        // Registered before the check, so that a grant between check and await is not lost.
        let granted = self.granted.notified();
        self.is_valid_at(now) || tokio::time::timeout(limit, granted).await.is_ok()
    }

    /// Ends the epoch: until the next grant no read uses the tier, and heartbeats in progress grant nothing. Call it if
    /// an answer did not come in time or the certificate is missing.
    pub(crate) fn revoke(&self) {
        self.revoke_locked(&mut self.lock());
    }

    /// Queues the invalidation of `keys`, which could not be sent. The tier is not usable until
    /// [`Validity::confirm_sent`] confirms them. Revokes under the same lock, so that no read uses the tier once this
    /// returns. Returns `true` if these keys are too many: from here on, everything is queued in their place.
    pub(crate) fn queue(&self, keys: &[Bytes]) -> bool {
        let mut state = self.lock();
        self.revoke_locked(&mut state);
        state.has_unconfirmed = true;
        let is_too_much = !state.is_overflowed && state.unsent.len() + keys.len() > UNSENT_MAX;
        if is_too_much {
            state.unsent.clear();
            state.is_overflowed = true;
        } else if !state.is_overflowed {
            state.unsent.extend(keys.iter().cloned());
        }
        is_too_much
    }

    /// Whether an invalidation was queued since the last grant.
    pub(crate) fn has_unconfirmed(&self) -> bool {
        self.lock().has_unconfirmed
    }

    /// How many invalidations of keys are unsent; [`UNSENT_MAX`] if every entry has to be dropped.
    pub(crate) fn unsent_count(&self) -> usize {
        let state = self.lock();
        if state.is_overflowed || state.is_clearing { UNSENT_MAX } else { state.unsent.len() }
    }

    pub(crate) fn unsent(&self) -> UnsentInvalidations {
        let state = self.lock();
        // The keeper never asks during a drop. So a drop that has not ended was cut off, for example because Sentinels named
        // another master, and has to be repeated. A cluster also asks during a drop, and repeats it at other masters.
        match (state.is_overflowed || state.is_clearing, state.unsent.is_empty()) {
            (true, _) => UnsentInvalidations::Everything,
            (false, true) => UnsentInvalidations::Nothing,
            (false, false) => UnsentInvalidations::Keys(state.unsent.iter().cloned().collect()),
        }
    }

    /// Removes the oldest `count` keys from the queue: they have reached Redis. They are removed by position and not by
    /// comparison, because a key that was queued again in the meantime has to be sent again.
    pub(crate) fn confirm_sent(&self, count: usize) {
        let mut state = self.lock();
        let count = count.min(state.unsent.len());
        state.unsent.drain(..count);
    }

    /// Call it before this database's entries are dropped. It resets `is_overflowed`, so that an overflow during the
    /// drop causes another drop.
    pub(crate) fn begin_clear(&self) {
        let mut state = self.lock();
        state.is_overflowed = false;
        state.unsent.clear();
        state.is_clearing = true;
    }

    /// Call it after this database's entries have been dropped.
    pub(crate) fn finish_clear(&self) {
        self.lock().is_clearing = false;
    }

    /// Queues the drop of all entries of this database in Redis. The tier is not usable before they have been dropped.
    pub(crate) fn queue_everything(&self) {
        let mut state = self.lock();
        self.revoke_locked(&mut state);
        state.has_unconfirmed = true;
        state.is_clearing = false;
        state.is_overflowed = true;
    }

    fn revoke_locked(&self, state: &mut State) {
        state.losses += 1;
        let was_granted = self.until.swap(Tick::PAST.nanos(), Ordering::AcqRel) != Tick::PAST.nanos();
        // A part that was lost before has ended the validity of the cluster then, and has been left out of it since: a second
        // loss concerns no other part.
        if let Some(whole) = self.whole.as_ref().filter(|_| was_granted) {
            whole.validity.revoke();
            whole.changed.notify_one();
        }
    }

    /// Ignores poisoning: the state is consistent between any two statements, so a panic leaves it consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Tick = Tick::FAR;
    const NOW: Tick = Tick::PAST;

    #[test]
    fn no_grant_while_an_invalidation_is_unsent() {
        let validity = Validity::new();
        assert!(validity.grant(validity.epoch(), LATER) && validity.is_valid_at(NOW));
        validity.queue(&[Bytes::from("a"), Bytes::from("b")]);
        assert!(!validity.is_valid_at(NOW));
        assert!(!validity.grant(validity.epoch(), LATER));

        assert_eq!(validity.unsent(), UnsentInvalidations::Keys(vec![Bytes::from("a"), Bytes::from("b")]));
        validity.queue(&[Bytes::from("a")]);
        validity.confirm_sent(2);
        assert_eq!(
            validity.unsent(),
            UnsentInvalidations::Keys(vec![Bytes::from("a")]),
            "queued again, sent again"
        );
        validity.confirm_sent(1);
        assert!(validity.grant(validity.epoch(), LATER) && validity.is_valid_at(NOW));
    }

    #[test]
    fn no_grant_from_before_a_loss() {
        let validity = Validity::new();
        let before = validity.epoch();
        validity.revoke();
        assert!(!validity.grant(before, LATER) && !validity.is_valid_at(NOW));
        assert!(validity.grant(validity.epoch(), LATER));
    }

    #[tokio::test]
    async fn a_sent_invalidation_is_awaited_until_the_next_grant() {
        let (validity, limit) = (Validity::new(), Duration::from_secs(2));
        validity.queue(&[Bytes::from("a")]);
        validity.confirm_sent(1);
        let is_granted = validity.wait_for_grant(NOW, Duration::ZERO).await;
        assert!(!is_granted, "sent to a Redis that is not certified");
        let grant = async { validity.grant(validity.epoch(), LATER) };
        assert_eq!(tokio::join!(validity.wait_for_grant(NOW, limit), grant), (true, true));
        assert!(validity.wait_for_grant(NOW, limit).await, "granted already");
    }

    #[test]
    fn too_many_unsent_keys_become_everything() {
        let validity = Validity::new();
        let keys = vec![Bytes::from("k"); UNSENT_MAX];
        validity.queue(&keys);
        assert!(matches!(validity.unsent(), UnsentInvalidations::Keys(_)));
        assert_eq!(validity.unsent_count(), UNSENT_MAX);
        validity.queue(&keys[..1]);
        assert_eq!(validity.unsent_count(), UNSENT_MAX, "everything");
        assert_eq!(validity.unsent(), UnsentInvalidations::Everything);
        assert!(!validity.grant(validity.epoch(), LATER));

        validity.begin_clear();
        validity.queue_everything();
        assert_eq!(validity.unsent(), UnsentInvalidations::Everything, "a failed drop has to be repeated");
        validity.begin_clear();
        assert!(!validity.grant(validity.epoch(), LATER), "it has not been dropped yet");
        assert_eq!(
            validity.unsent(),
            UnsentInvalidations::Everything,
            "a drop that was cut off has to be repeated"
        );
        validity.begin_clear();
        validity.finish_clear();
        assert_eq!(validity.unsent_count(), 0);
        assert!(validity.grant(validity.epoch(), LATER));
    }

    #[test]
    fn a_part_that_ends_takes_the_whole_with_it_and_a_grant_of_one_grants_no_other() {
        let (whole, changed) = (Arc::new(Validity::new()), Arc::new(Notify::new()));
        let part = || Validity::part_of(Whole { validity: whole.clone(), changed: changed.clone() });
        let (one, other) = (part(), part());
        assert!(one.grant(one.epoch(), LATER) && !whole.is_valid_at(NOW) && !other.is_valid_at(NOW));
        assert!(whole.grant(whole.epoch(), LATER));
        let before = whole.epoch();
        one.revoke();
        assert!(!whole.is_valid_at(NOW) && !whole.grant(before, LATER));
        other.queue(&[Bytes::from("a")]);
        assert!(other.has_unconfirmed() && !one.has_unconfirmed());
        other.confirm_sent(1);
        assert!(other.has_unconfirmed(), "sent, and not granted yet");
        assert!(other.grant(other.epoch(), LATER) && !other.has_unconfirmed());
    }

    #[test]
    fn a_grant_ends_by_itself() {
        let validity = Validity::new();
        validity.grant(validity.epoch(), Tick::from_nanos(10));
        assert!(validity.is_valid_at(Tick::from_nanos(9)) && !validity.is_valid_at(Tick::from_nanos(10)));
    }
}
