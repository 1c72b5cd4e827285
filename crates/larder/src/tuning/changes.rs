//! What tuning has changed, and how a change is undone.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::time::Duration;

/// How many changes are kept. The oldest ones are forgotten, and cannot be undone then.
const CHANGES_MAX: usize = 64;

/// A setting that tuning has changed, before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tuned {
    /// Memory admits one in so many of the values of a class.
    Admission {
        /// The former number; 1: every value was admitted.
        before: u32,
        /// The present number.
        after: u32,
    },
    /// The TTL of what is loaded from now on.
    Ttl {
        /// The former TTL.
        before: Duration,
        /// The present TTL.
        after: Duration,
    },
}

impl Tuned {
    /// The name of the setting, such as `admission`.
    pub fn as_str(self) -> &'static str {
        match self {
            Tuned::Admission { .. } => "admission",
            Tuned::Ttl { .. } => "ttl",
        }
    }

    /// The undo of this: what was before, after it.
    pub(crate) fn reversed(self) -> Self {
        match self {
            Tuned::Admission { before, after } => Tuned::Admission { before: after, after: before },
            Tuned::Ttl { before, after } => Tuned::Ttl { before: after, after: before },
        }
    }
}

/// Says both values, such as `admits 1 in 4 values, 1 in 1 before`.
impl fmt::Display for Tuned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tuned::Admission { before, after } => {
                write!(f, "admits 1 in {after} values, 1 in {before} before")
            }
            Tuned::Ttl { before, after } => write!(f, "TTL {after:?}, {before:?} before"),
        }
    }
}

/// One change that tuning has made; see [`Cache::tuning_changes`](crate::Cache::tuning_changes).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TuningChange {
    /// The change's number. Another process has other numbers, so an undo that reaches the wrong process is refused.
    pub id: u64,
    /// The class whose setting was changed.
    pub class: String,
    /// The setting, before and after.
    pub tuned: Tuned,
    /// Why, with the numbers on which it rests.
    pub reason: String,
    /// When, in milliseconds since 1970.
    pub at_unix_millis: u64,
    /// Whether it was undone.
    pub is_undone: bool,
}

/// The last changes, the oldest first.
pub(crate) struct Changes {
    list: VecDeque<TuningChange>,
    last_id: u64,
    /// Settings whose change was undone, by class and name: tuning leaves them alone.
    held: HashSet<(String, &'static str)>,
}

impl Changes {
    /// The numbers of the changes begin above `last_id`.
    pub(crate) fn after(last_id: u64) -> Self {
        Changes { list: VecDeque::new(), last_id, held: HashSet::new() }
    }

    /// With numbers that no other process is likely to have, short enough to be typed.
    pub(crate) fn of_this_process() -> Self {
        Changes::after(1_000 * rand::random_range(1..1_000_000))
    }

    /// Adds a change, and returns it with its id.
    pub(crate) fn add(&mut self, change: TuningChange) -> TuningChange {
        self.last_id += 1;
        let change = TuningChange { id: self.last_id, ..change };
        if self.list.len() == CHANGES_MAX {
            self.list.pop_front();
        }
        self.list.push_back(change.clone());
        change
    }

    pub(crate) fn all(&self) -> Vec<TuningChange> {
        self.list.iter().cloned().collect()
    }

    /// Whether tuning leaves this setting alone, because a change of it was undone.
    pub(crate) fn is_held(&self, class: &str, setting: &'static str) -> bool {
        self.held.contains(&(class.to_owned(), setting))
    }

    /// The change that may be undone next.
    ///
    /// # Errors
    /// What is wrong, if there is no such change, it is undone already, or it is not the last of its setting.
    pub(crate) fn last_of_its_setting(&self, id: u64) -> Result<TuningChange, String> {
        let Some(place) = self.list.iter().position(|change| change.id == id) else {
            let ids: Vec<u64> =
                self.list.iter().filter(|change| !change.is_undone).map(|change| change.id).collect();
            return Err(format!("there is no change {id} in this process; there are {ids:?}"));
        };
        let change = &self.list[place];
        if change.is_undone {
            return Err(format!("change {id} is undone already"));
        }
        let is_of_it = |other: &&TuningChange| {
            other.class == change.class && other.tuned.as_str() == change.tuned.as_str() && !other.is_undone
        };
        match self.list.range(place + 1..).find(is_of_it) {
            Some(TuningChange { id: later, .. }) => {
                Err(format!("change {id} is followed by change {later} of the same setting; undo that first"))
            }
            None => Ok(change.clone()),
        }
    }

    /// Marks a change as undone, holds its setting, and returns it.
    pub(crate) fn undo(&mut self, change: TuningChange) -> TuningChange {
        self.held.insert((change.class.clone(), change.tuned.as_str()));
        let undone = TuningChange { is_undone: true, ..change };
        if let Some(listed) = self.list.iter_mut().find(|listed| listed.id == undone.id) {
            listed.clone_from(&undone);
        }
        undone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(class: &str, tuned: Tuned) -> TuningChange {
        let (class, reason) = (class.to_owned(), "a test".to_owned());
        TuningChange { id: 0, class, tuned, reason, at_unix_millis: 0, is_undone: false }
    }

    const FEWER: Tuned = Tuned::Admission { before: 1, after: 4 };
    const STILL_FEWER: Tuned = Tuned::Admission { before: 4, after: 16 };
    const LONGER: Tuned = Tuned::Ttl { before: Duration::from_secs(1), after: Duration::from_secs(2) };

    #[test]
    fn changes_of_one_setting_are_undone_the_last_first() {
        let mut changes = Changes::after(0);
        for (class, tuned) in [("a", FEWER), ("a", STILL_FEWER), ("b", FEWER), ("a", LONGER)] {
            changes.add(change(class, tuned));
        }
        let undo =
            |changes: &mut Changes, id| changes.last_of_its_setting(id).map(|change| changes.undo(change));
        assert!(undo(&mut changes, 1).unwrap_err().contains("followed by change 2"));
        assert!(!changes.is_held("a", "admission"));
        assert_eq!(undo(&mut changes, 2).map(|undone| undone.tuned), Ok(STILL_FEWER));
        assert!(
            changes.is_held("a", "admission")
                && !changes.is_held("a", "ttl")
                && !changes.is_held("b", "admission")
        );
        assert!(undo(&mut changes, 2).unwrap_err().contains("undone already"));
        assert_eq!(undo(&mut changes, 1).map(|undone| undone.tuned), Ok(FEWER));
        assert!(undo(&mut changes, 9).unwrap_err().contains("there are [3, 4]"));
    }

    #[test]
    fn the_oldest_changes_are_forgotten() {
        let mut changes = Changes::after(0);
        (0..CHANGES_MAX + 3).for_each(|_| drop(changes.add(change("a", FEWER))));
        let kept = changes.all();
        assert_eq!((kept.len(), kept[0].id), (CHANGES_MAX, 4));
    }
}
