//! The part of one master in a Redis Cluster: which slots of it may be read.
//!
//! A master certifies the slots whose entries were checked: its certificate lists them. With a slot that arrives from another
//! master come entries for which that master's relay answered, so the relay of the new master first deletes what arrived,
//! and only then lists the slot (`relay`). A slot that is being moved counts as absent, on both sides: its keys are at two
//! masters at once.
//!
//! Invariants:
//! - The relay lists a slot only after it has deleted the entries that the slot had when it arrived, and takes a change for
//!   propagated only if it has deleted what the change touched in each slot that the certificate lists.
//! - A slot that leaves takes its copies out of memory before the next grant of the master.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::protocol::slots::{SlotSet, hash_tag};
use crate::remote::validity::UNSENT_MAX;

/// The states of use, in their order.
const OUT: u8 = 0;
const JOINING: u8 = 1;
const IN_USE: u8 = 2;

/// What a master's tier and the cluster's tier share.
pub(crate) struct Membership {
    /// The hash tag of the keys of larder's own protocol at this master, with its braces.
    pub(crate) home: String,
    /// The slots that may be read. The keeper writes it; the lock is held to clone or to replace the `Arc`.
    usable: RwLock<Arc<SlotSet>>,
    /// Whether the cluster's validity depends on this master's. Only then may it be read: a copy from it is guarded by the
    /// cluster's validity. `SeqCst`: a read that sees it also sees the grant before it.
    use_state: AtomicU8,
    /// Invalidations of keys in slots that this master has not at present. They are sent here if a slot comes back, and to
    /// another master if that has the slot. The lock is held for a few statements.
    strays: Mutex<WaitingKeys>,
    /// Notified if there are strays, or if this master named another owner of a slot.
    pub(crate) moved: Arc<Notify>,
}

impl Membership {
    /// The part of a master whose protocol keys are in the slot `home`.
    pub(crate) fn new(home: u16, moved: Arc<Notify>) -> Self {
        Membership {
            home: format!("{{{}}}", hash_tag(home)),
            usable: RwLock::new(Arc::new(SlotSet::empty())),
            use_state: AtomicU8::new(OUT),
            strays: Mutex::default(),
            moved,
        }
    }

    /// The slots that may be read.
    pub(crate) fn usable(&self) -> Arc<SlotSet> {
        self.usable.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the slots that may be read, and returns those that no longer may. From here on no read of them begins; the
    /// caller removes their copies from memory, which fences the reads that have begun.
    pub(crate) fn set_usable(&self, slots: SlotSet) -> Option<SlotSet> {
        let before = self.usable();
        if *before == slots {
            return None;
        }
        let left = before.minus(&slots);
        *self.usable.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(slots);
        Some(left).filter(|left| !left.is_empty())
    }

    pub(crate) fn is_in_use(&self) -> bool {
        self.use_state.load(Ordering::SeqCst) == IN_USE
    }

    /// Sets whether the master is in use; returns whether it was, or was about to be.
    pub(crate) fn set_in_use(&self, is_in_use: bool) -> bool {
        self.use_state.swap(if is_in_use { IN_USE } else { OUT }, Ordering::SeqCst) != OUT
    }

    /// Begins to bring the master into use; returns `false` if that has begun already.
    pub(crate) fn join(&self) -> bool {
        self.use_state.compare_exchange(OUT, JOINING, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Hands over invalidations that another master has to get.
    pub(crate) fn add_strays(&self, keys: impl IntoIterator<Item = Bytes>) {
        if self.strays().add(keys) {
            self.moved.notify_one();
        }
    }

    /// Queues those strays for which `is_meant`, and removes them: a wait for them finds them in one of the two places.
    pub(crate) fn hand_over(&self, is_meant: impl Fn(&Bytes) -> bool, queue: impl FnOnce(&[Bytes])) {
        let mut strays = self.strays();
        let meant: Vec<Bytes> = strays.keys.iter().filter(|key| is_meant(key)).cloned().collect();
        if !meant.is_empty() {
            queue(&meant);
            strays.keys.retain(|key| !is_meant(key));
        }
    }

    /// Notes that this master's queue has become one of everything: then it no longer says which of its keys have another
    /// master by now.
    pub(crate) fn note_overflow(&self) {
        self.strays().is_overflowed = true;
        self.moved.notify_one();
    }

    /// Whether there were too many strays, or [`Membership::note_overflow`] was called, since the last call.
    pub(crate) fn take_overflow(&self) -> bool {
        std::mem::take(&mut self.strays().is_overflowed)
    }

    pub(crate) fn stray_count(&self) -> usize {
        self.strays().count()
    }

    fn strays(&self) -> MutexGuard<'_, WaitingKeys> {
        self.strays.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Invalidations of keys that have no master at present; more than [`UNSENT_MAX`] become an invalidation of everything.
#[derive(Default)]
pub(crate) struct WaitingKeys {
    pub(crate) keys: HashSet<Bytes>,
    pub(crate) is_overflowed: bool,
}

impl WaitingKeys {
    /// Adds `keys`, and returns whether one is new.
    pub(crate) fn add(&mut self, keys: impl IntoIterator<Item = Bytes>) -> bool {
        let before = self.keys.len();
        self.keys.extend(keys);
        let is_more = self.keys.len() > before;
        if self.keys.len() > UNSENT_MAX {
            self.keys.clear();
            self.is_overflowed = true;
        }
        is_more
    }

    pub(crate) fn count(&self) -> usize {
        if self.is_overflowed { UNSENT_MAX } else { self.keys.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_that_leave_are_named_and_strays_stay_until_they_are_taken() {
        let membership = Membership::new(5, Arc::default());
        let slots = |text| SlotSet::parse(text).unwrap();
        assert_eq!(membership.set_usable(slots("0-10")), None);
        assert_eq!(membership.set_usable(slots("0-10")), None);
        assert_eq!(membership.set_usable(slots("5-20")), Some(slots("0-4")));
        assert!(membership.usable().contains(20) && !membership.usable().contains(0));

        membership.add_strays([Bytes::from("a"), Bytes::from("b")]);
        membership.hand_over(|key| key == "b", |keys| assert_eq!(keys, ["b"]));
        assert_eq!(membership.stray_count(), 1);
        membership.hand_over(|_| true, |keys| assert_eq!(keys, ["a"]));
        assert_eq!(membership.stray_count(), 0);

        membership.add_strays((0..=UNSENT_MAX).map(|key| Bytes::from(key.to_string())));
        assert_eq!(membership.stray_count(), UNSENT_MAX, "everything");
        assert!(membership.take_overflow() && !membership.take_overflow());
        assert_eq!(membership.stray_count(), 0);
    }
}
