//! Whether the shared tier may be used at this instant.
//!
//! Invariants, each borne by a test of its name:
//! - `no_grant_while_an_invalidation_is_unsent`: a write whose UNLINK failed here is never read back from
//!   Redis by this instance.
//! - `no_grant_from_before_a_loss`: a heartbeat sent before a connection was lost says nothing after it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::clock::Tick;

/// Beyond this many unsent keys the whole namespace is dropped instead.
const UNSENT_MAX: usize = 100_000;

pub(crate) struct Validity {
    /// Up to when reads may be served, in the clock's nanoseconds. Written under `state`'s lock; read without
    /// it, because the reader compares it with the kernel's clock at the moment of its own decision.
    until: AtomicU64,
    state: Mutex<State>,
    granted: Notify,
    /// Told whenever something unsent has been sent.
    settled: Notify,
}

/// Guarded by its lock together with every write of `until`.
struct State {
    losses: u64,
    unsent: VecDeque<Bytes>,
    /// More was unsent than is kept: nothing of the namespace may survive.
    is_overflowed: bool,
    /// All of the namespace is being dropped just now.
    is_clearing: bool,
}

impl State {
    fn is_settled(&self) -> bool {
        self.unsent.is_empty() && !self.is_overflowed && !self.is_clearing
    }
}

/// Names the stretch between two losses in which a heartbeat was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Epoch(u64);

/// What has to reach Redis before it may be used again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UnsentInvalidations {
    Nothing,
    Keys(Vec<Bytes>),
    Everything,
}

impl Validity {
    pub(crate) fn new() -> Self {
        let state = State { losses: 0, unsent: VecDeque::new(), is_overflowed: false, is_clearing: false };
        Validity {
            until: AtomicU64::new(Tick::PAST.nanos()),
            state: Mutex::new(state),
            granted: Notify::new(),
            settled: Notify::new(),
        }
    }

    /// Evaluated at every read, against the clock of that moment.
    pub(crate) fn is_valid_at(&self, now: Tick) -> bool {
        now < self.until()
    }

    /// Up to when reads may be served.
    pub(crate) fn until(&self) -> Tick {
        Tick::from_nanos(self.until.load(Ordering::Acquire))
    }

    /// To be noted before a heartbeat is sent.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.lock().losses)
    }

    /// A heartbeat that was sent in `epoch` certified everything up to `until`.
    pub(crate) fn grant(&self, epoch: Epoch, until: Tick) -> bool {
        let state = self.lock();
        let may = state.losses == epoch.0 && state.is_settled();
        if may {
            self.until.store(until.nanos(), Ordering::Release);
            self.granted.notify_waiters();
        }
        may
    }

    /// Waits for the next grant, no longer than `limit`.
    pub(crate) async fn wait_for_grant(&self, limit: Duration) {
        // Whether it came or not, every read looks for itself.
        let _ = tokio::time::timeout(limit, self.granted.notified()).await;
    }

    /// An answer failed to come, or the certificate is gone; heartbeats still under way count no more.
    pub(crate) fn revoke(&self) {
        self.revoke_locked(&mut self.lock());
    }

    /// The invalidation of `keys` could not be sent: not usable until [`Validity::confirm_sent`] has been told of them.
    pub(crate) fn queue(&self, keys: &[Bytes]) {
        let mut state = self.lock();
        self.revoke_locked(&mut state);
        if state.unsent.len() + keys.len() > UNSENT_MAX {
            state.unsent.clear();
            state.is_overflowed = true;
        } else if !state.is_overflowed {
            state.unsent.extend(keys.iter().cloned());
        }
    }

    pub(crate) fn unsent(&self) -> UnsentInvalidations {
        let state = self.lock();
        match (state.is_overflowed, state.unsent.is_empty()) {
            (true, _) => UnsentInvalidations::Everything,
            (false, true) => UnsentInvalidations::Nothing,
            (false, false) => UnsentInvalidations::Keys(state.unsent.iter().cloned().collect()),
        }
    }

    /// The `first` of the unsent keys have reached Redis. By count and not by name: a key that was queued
    /// again meanwhile has to be sent again.
    pub(crate) fn confirm_sent(&self, first: usize) {
        let mut state = self.lock();
        let first = first.min(state.unsent.len());
        state.unsent.drain(..first);
        self.settled.notify_waiters();
    }

    /// Waits until nothing is unsent, no longer than `limit`; says whether that came about.
    pub(crate) async fn wait_until_sent(&self, limit: Duration) -> bool {
        let all_sent = async {
            loop {
                // Asked for before looking, so that what happens in between is not missed.
                let settled = self.settled.notified();
                if self.lock().is_settled() {
                    return;
                }
                settled.await;
            }
        };
        tokio::time::timeout(limit, all_sent).await.is_ok()
    }

    /// To be called before the namespace is dropped: what overflows during the drop has to be dropped again.
    pub(crate) fn begin_clear(&self) {
        let mut state = self.lock();
        state.is_overflowed = false;
        state.unsent.clear();
        state.is_clearing = true;
    }

    /// The namespace has been dropped.
    pub(crate) fn finish_clear(&self) {
        self.lock().is_clearing = false;
        self.settled.notify_waiters();
    }

    /// The namespace could not be dropped.
    pub(crate) fn queue_everything(&self) {
        let mut state = self.lock();
        self.revoke_locked(&mut state);
        state.is_clearing = false;
        state.is_overflowed = true;
    }

    fn revoke_locked(&self, state: &mut State) {
        state.losses += 1;
        self.until.store(Tick::PAST.nanos(), Ordering::Release);
    }

    /// The state is whole between any two statements, so a panic elsewhere does not spoil it.
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

    #[test]
    fn too_many_unsent_keys_become_everything() {
        let validity = Validity::new();
        let keys = vec![Bytes::from("k"); UNSENT_MAX];
        validity.queue(&keys);
        assert!(matches!(validity.unsent(), UnsentInvalidations::Keys(_)));
        validity.queue(&keys[..1]);
        assert_eq!(validity.unsent(), UnsentInvalidations::Everything);
        assert!(!validity.grant(validity.epoch(), LATER));

        validity.begin_clear();
        validity.queue_everything();
        assert_eq!(validity.unsent(), UnsentInvalidations::Everything, "a failed drop is owed again");
        validity.begin_clear();
        assert!(!validity.grant(validity.epoch(), LATER), "it has not been dropped yet");
        validity.finish_clear();
        assert!(validity.grant(validity.epoch(), LATER));
    }

    #[test]
    fn a_grant_ends_by_itself() {
        let validity = Validity::new();
        validity.grant(validity.epoch(), Tick::from_nanos(10));
        assert!(validity.is_valid_at(Tick::from_nanos(9)) && !validity.is_valid_at(Tick::from_nanos(10)));
    }
}
