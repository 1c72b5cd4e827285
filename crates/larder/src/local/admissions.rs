//! Which share of a class's values memory admits. `tuning` sets it, so that a class whose values cost much memory and save
//! few loads leaves room for the others. A value that is not admitted is served and not kept: never a question of
//! coherence.
//!
//! The atomics are std's, as in `samples`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::local::LocalTier;
use crate::local::copy::LocalCopy;
use crate::local::samples::CLASSES_MAX;
use crate::source::NotStoredReason;

/// A share of values: one in 4ⁿ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Admission(u8);

impl Admission {
    /// Everything is admitted.
    pub(crate) const ALL: Admission = Admission(0);
    /// The smallest share: one in 64. A key that is used often is admitted soon all the same.
    pub(crate) const LEAST: Admission = Admission(3);

    /// Admits one value in so many.
    pub(crate) fn one_in(self) -> u32 {
        1 << (2 * self.0)
    }

    /// A quarter as many, if that is allowed.
    pub(crate) fn fewer(self, least: Admission) -> Option<Admission> {
        (self.0 < least.0).then_some(Admission(self.0 + 1))
    }

    /// Four times as many, if that is possible.
    pub(crate) fn more(self) -> Option<Admission> {
        self.0.checked_sub(1).map(Admission)
    }

    /// The smallest share that is at least one in `one_in`.
    pub(crate) fn at_least_one_in(one_in: u32) -> Admission {
        [Admission::LEAST, Admission(2), Admission(1)]
            .into_iter()
            .find(|admission| admission.one_in() <= one_in)
            .unwrap_or(Admission::ALL)
    }
}

/// Draws by lot, without a random number: the multiples of the golden ratio are spread evenly over the circle, however
/// many of them are drawn.
#[derive(Debug, Default)]
pub(crate) struct Lots(AtomicU32);

impl Lots {
    /// Whether the next value is admitted.
    pub(crate) fn draw(&self, admission: Admission) -> bool {
        const GOLDEN: u32 = 0x9E37_79B9;
        // The share of the circle: `u32::MAX` for all, because the comparison excludes the end.
        let below = u32::MAX / admission.one_in();
        admission == Admission::ALL || self.0.fetch_add(GOLDEN, Ordering::Relaxed) < below
    }
}

/// Where a copy comes from that memory is offered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// A load or Redis: memory admits the share of the class.
    Read,
    /// The application put it: memory admits it.
    Put,
}

/// The admission of each class, by its number. Relaxed everywhere: it guards no other data, and a value that enters while a
/// share changes may be judged by either.
pub(crate) struct Admissions {
    shares: [AtomicU8; CLASSES_MAX],
    /// One for each class: in a common sequence, the order of the reads could let one class draw the bad lots of another.
    lots: [Lots; CLASSES_MAX],
    /// How many values each class offered to memory while `samples` sampled.
    offered: [AtomicU64; CLASSES_MAX],
}

impl Default for Admissions {
    fn default() -> Self {
        Admissions {
            shares: [const { AtomicU8::new(0) }; CLASSES_MAX],
            lots: [const { Lots(AtomicU32::new(0)) }; CLASSES_MAX],
            offered: [const { AtomicU64::new(0) }; CLASSES_MAX],
        }
    }
}

impl Admissions {
    pub(crate) fn set(&self, class: u16, admission: Admission) {
        self.shares[place(class)].store(admission.0, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, class: u16) -> Admission {
        Admission(self.shares[place(class)].load(Ordering::Relaxed))
    }

    pub(super) fn admits(&self, class: u16) -> bool {
        self.lots[place(class)].draw(self.get(class))
    }

    pub(super) fn note_offer(&self, class: u16) {
        self.offered[place(class)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn offered(&self, class: u16) -> u64 {
        self.offered[place(class)].load(Ordering::Relaxed)
    }
}

impl LocalTier {
    /// Inserts a copy if it fits and is admitted.
    ///
    /// The caller holds the shard's lock: an invalidation that arrives now waits for it and then removes what is
    /// inserted.
    pub(super) fn insert_copy(&self, copy: Arc<LocalCopy>, offer: Offer) -> Result<(), NotStoredReason> {
        let hash = self.entries.hash(&copy.key);
        if copy.footprint.entry_bytes() > self.entry_bytes_max {
            // The previous copy of the key is removed: the new one is younger, and only one of them may be served.
            self.entries.remove(hash, &copy.key);
            return Err(NotStoredReason::NoRoom);
        }
        self.note_offer(hash, &copy);
        // A copy that replaces another one needs no room, so it is always admitted.
        let is_admitted = offer == Offer::Put || self.admissions.admits(copy.class);
        if !is_admitted && self.entries.peek(&copy.key).is_none() {
            return Err(NotStoredReason::NotAdmitted);
        }
        self.entries.insert(hash, copy);
        Ok(())
    }
}

fn place(class: u16) -> usize {
    usize::from(class).min(CLASSES_MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_keep_to_the_share_in_every_stretch() {
        for admission in [Admission(1), Admission(2), Admission::LEAST] {
            let lots = Lots::default();
            for stretch in 0..20 {
                let admitted = (0..4_096).filter(|_| lots.draw(admission)).count();
                let expected = 4_096 / admission.one_in() as usize;
                assert!(admitted.abs_diff(expected) <= 3, "{admission:?} {stretch}: {admitted}");
            }
        }
        let lots = Lots::default();
        assert!((0..10_000).all(|_| lots.draw(Admission::ALL)));
    }

    #[test]
    fn a_share_moves_by_a_factor_of_four_within_its_bounds() {
        assert_eq!(Admission::ALL.more(), None);
        assert_eq!(Admission::ALL.fewer(Admission::ALL), None);
        let least = std::iter::successors(Some(Admission::ALL), |share| share.fewer(Admission::LEAST));
        assert_eq!(least.map(Admission::one_in).collect::<Vec<_>>(), [1, 4, 16, 64]);
        let rounded =
            [0, 1, 2, 4, 5, 16, 64, 1_000].map(|one_in| Admission::at_least_one_in(one_in).one_in());
        assert_eq!(rounded, [1, 1, 1, 4, 4, 16, 64, 64]);
    }
}
