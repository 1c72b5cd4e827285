//! Which of a cluster's servers is the present primary, as far as the connections of one connector have shown.
//!
//! A server that was replaced does not know it: it is in no recovery, and its timeline is the one that it had. Only the
//! successor differs, by a later timeline of the same system. So what one connection shows counts for all of them.
//!
//! Invariant `no_way_back`: after one connection has led to a later timeline of a system, the pool lends no idle one that
//! leads to an earlier one, and opens none.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A server between two promotions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Life {
    /// The system identifier, which a server and its standbys have in common.
    pub(super) system: String,
    pub(super) timeline: u64,
}

/// The newest life that a connection has led to.
#[derive(Debug, Default)]
pub(super) struct Succession {
    /// No task holds the lock across an await, so a blocking mutex is enough.
    newest: Mutex<Newest>,
}

#[derive(Debug, Default)]
struct Newest {
    life: Option<Life>,
    /// How many lives there were before this one.
    nth: u64,
}

impl Succession {
    /// Notes the life to which a new connection leads, and returns its number.
    ///
    /// # Errors
    /// The newest life, if that is a later one of the same system. Timelines of two systems cannot be compared: then the
    /// new one counts.
    pub(super) fn note(&self, life: Life) -> Result<u64, Life> {
        let mut newest = self.lock();
        match &newest.life {
            Some(known) if *known == life => {}
            Some(known) if known.system == life.system && known.timeline > life.timeline => {
                return Err(known.clone());
            }
            Some(former) => {
                tracing::warn!(
                    former = former.timeline,
                    timeline = life.timeline,
                    "the database has another primary: nothing more begins on a connection to the former one"
                );
                *newest = Newest { life: Some(life), nth: newest.nth + 1 };
            }
            None => newest.life = Some(life),
        }
        Ok(newest.nth)
    }

    /// Whether the life with this number is the newest.
    pub(super) fn is_newest(&self, nth: u64) -> bool {
        self.lock().nth == nth
    }

    fn lock(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_timeline_ends_the_earlier_one_and_another_system_ends_both() {
        let life = |system: &str, timeline| Life { system: system.to_owned(), timeline };
        let seen = Succession::default();
        assert_eq!(seen.note(life("a", 1)), Ok(0));
        assert_eq!(seen.note(life("a", 1)), Ok(0));
        assert_eq!(seen.note(life("a", 3)), Ok(1));
        assert!(!seen.is_newest(0) && seen.is_newest(1));
        assert_eq!(seen.note(life("a", 2)), Err(life("a", 3)));
        assert_eq!(seen.note(life("b", 1)), Ok(2));
        assert_eq!(seen.note(life("a", 3)), Ok(3), "larder cannot say which of two systems is the right one");
    }
}
