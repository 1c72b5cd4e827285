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

pub(crate) struct Usable {
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
    overflowed: bool,
    /// All of the namespace is being dropped just now.
    dropping: bool,
}

impl State {
    fn is_settled(&self) -> bool {
        self.unsent.is_empty() && !self.overflowed && !self.dropping
    }
}

/// Names the stretch between two losses in which a heartbeat was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stretch(u64);

/// What has to reach Redis before it may be used again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    Nothing,
    Keys(Vec<Bytes>),
    Everything,
}

impl Usable {
    pub(crate) fn new() -> Self {
        let state = State { losses: 0, unsent: VecDeque::new(), overflowed: false, dropping: false };
        Usable {
            until: AtomicU64::new(Tick::PAST.nanos()),
            state: Mutex::new(state),
            granted: Notify::new(),
            settled: Notify::new(),
        }
    }

    /// Evaluated at every read, against the clock of that moment.
    pub(crate) fn is(&self, now: Tick) -> bool {
        now < self.until()
    }

    /// Up to when reads may be served.
    pub(crate) fn until(&self) -> Tick {
        Tick::from_nanos(self.until.load(Ordering::Acquire))
    }

    /// To be noted before a heartbeat is sent.
    pub(crate) fn stretch(&self) -> Stretch {
        Stretch(self.lock().losses)
    }

    /// A heartbeat that was sent in `stretch` certified everything up to `until`.
    pub(crate) fn grant(&self, stretch: Stretch, until: Tick) -> bool {
        let state = self.lock();
        let may = state.losses == stretch.0 && state.is_settled();
        if may {
            self.until.store(until.nanos(), Ordering::Release);
            self.granted.notify_waiters();
        }
        may
    }

    /// Waits for the next grant, no longer than `limit`.
    pub(crate) async fn granted_within(&self, limit: Duration) {
        // Whether it came or not, every read looks for itself.
        let _ = tokio::time::timeout(limit, self.granted.notified()).await;
    }

    /// An answer failed to come, or the certificate is gone; heartbeats still under way count no more.
    pub(crate) fn revoke(&self) {
        self.revoke_locked(&mut self.lock());
    }

    /// The invalidation of `keys` could not be sent: not usable until [`Usable::sent`] has been told of them.
    pub(crate) fn queue(&self, keys: &[Bytes]) {
        let mut state = self.lock();
        self.revoke_locked(&mut state);
        if state.unsent.len() + keys.len() > UNSENT_MAX {
            state.unsent.clear();
            state.overflowed = true;
        } else if !state.overflowed {
            state.unsent.extend(keys.iter().cloned());
        }
    }

    pub(crate) fn unsent(&self) -> Unsent {
        let state = self.lock();
        match (state.overflowed, state.unsent.is_empty()) {
            (true, _) => Unsent::Everything,
            (false, true) => Unsent::Nothing,
            (false, false) => Unsent::Keys(state.unsent.iter().cloned().collect()),
        }
    }

    /// The `first` of the unsent keys have reached Redis. By count and not by name: a key that was queued
    /// again meanwhile has to be sent again.
    pub(crate) fn sent(&self, first: usize) {
        let mut state = self.lock();
        let first = first.min(state.unsent.len());
        state.unsent.drain(..first);
        self.settled.notify_waiters();
    }

    /// Waits until nothing is unsent, no longer than `limit`; says whether that came about.
    pub(crate) async fn sent_within(&self, limit: Duration) -> bool {
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
    pub(crate) fn dropping_everything(&self) {
        let mut state = self.lock();
        state.overflowed = false;
        state.unsent.clear();
        state.dropping = true;
    }

    /// The namespace has been dropped.
    pub(crate) fn dropped_everything(&self) {
        self.lock().dropping = false;
        self.settled.notify_waiters();
    }

    /// The namespace could not be dropped.
    pub(crate) fn everything_is_unsent(&self) {
        let mut state = self.lock();
        self.revoke_locked(&mut state);
        state.dropping = false;
        state.overflowed = true;
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
        let usable = Usable::new();
        assert!(usable.grant(usable.stretch(), LATER) && usable.is(NOW));
        usable.queue(&[Bytes::from("a"), Bytes::from("b")]);
        assert!(!usable.is(NOW));
        assert!(!usable.grant(usable.stretch(), LATER));

        assert_eq!(usable.unsent(), Unsent::Keys(vec![Bytes::from("a"), Bytes::from("b")]));
        usable.queue(&[Bytes::from("a")]);
        usable.sent(2);
        assert_eq!(usable.unsent(), Unsent::Keys(vec![Bytes::from("a")]), "queued again, sent again");
        usable.sent(1);
        assert!(usable.grant(usable.stretch(), LATER) && usable.is(NOW));
    }

    #[test]
    fn no_grant_from_before_a_loss() {
        let usable = Usable::new();
        let before = usable.stretch();
        usable.revoke();
        assert!(!usable.grant(before, LATER) && !usable.is(NOW));
        assert!(usable.grant(usable.stretch(), LATER));
    }

    #[test]
    fn too_many_unsent_keys_become_everything() {
        let usable = Usable::new();
        let keys = vec![Bytes::from("k"); UNSENT_MAX];
        usable.queue(&keys);
        assert!(matches!(usable.unsent(), Unsent::Keys(_)));
        usable.queue(&keys[..1]);
        assert_eq!(usable.unsent(), Unsent::Everything);
        assert!(!usable.grant(usable.stretch(), LATER));

        usable.dropping_everything();
        usable.everything_is_unsent();
        assert_eq!(usable.unsent(), Unsent::Everything, "a failed drop is owed again");
        usable.dropping_everything();
        assert!(!usable.grant(usable.stretch(), LATER), "it has not been dropped yet");
        usable.dropped_everything();
        assert!(usable.grant(usable.stretch(), LATER));
    }

    #[test]
    fn a_grant_ends_by_itself() {
        let usable = Usable::new();
        usable.grant(usable.stretch(), Tick::from_nanos(10));
        assert!(usable.is(Tick::from_nanos(9)) && !usable.is(Tick::from_nanos(10)));
    }
}
