//! Which of a cluster's servers is the present primary, as far as the connections to one database have shown: those of its
//! connector, and those of the application that a load or a commit has used.
//!
//! A server that was replaced does not know it: it is in no recovery, and its timeline is the one that it had. Only the
//! successor differs, by a later timeline of the same system. So what one connection shows counts for all of them.
//!
//! Invariant `no_way_back`: after one connection has led to a later timeline of a system,
//! - the pool lends no idle one that leads to an earlier one, and opens none;
//! - the journal accepts no answer of an earlier one, no transaction on an earlier one is committed with its touches, and no
//!   load that [`fresh`](crate::fresh()) has found there is stored;
//! - the cache stores and unlinks nothing under the identity of an earlier one: `SqlJournal::is_succeeded`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use larder::journal::DatabaseId;

/// A server between two promotions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Life {
    /// The system identifier, which a server and its standbys have in common.
    pub(crate) system: String,
    pub(crate) timeline: u64,
}

impl Life {
    /// The life in which the server gave its journal this identity.
    pub(crate) fn of(database: &DatabaseId) -> Self {
        let system = database.system.split(':').next().unwrap_or_default().to_owned();
        Self { system, timeline: database.timeline }
    }

    /// The life of the server at this timeline, as the name of a file of the log spells it.
    pub(crate) fn parse(system: String, timeline: &str) -> Option<Self> {
        Some(Self { system, timeline: u64::from_str_radix(timeline, 16).ok()? })
    }

    /// Whether `database`, as the journal names it, was on this server, or on the same one before it was restarted.
    fn has(&self, database: &DatabaseId) -> bool {
        let rest = database.system.strip_prefix(&self.system);
        self.timeline == database.timeline && rest.is_some_and(|rest| rest.starts_with(':'))
    }
}

/// The newest life that a connection has led to.
#[derive(Debug, Default)]
pub(crate) struct Succession {
    /// No task holds the lock across an await, so a blocking mutex is enough.
    newest: Mutex<Newest>,
}

#[derive(Debug, Default)]
struct Newest {
    life: Option<Life>,
    /// How many lives and invalidations there were before this one.
    nth: u64,
}

impl Newest {
    fn note(&mut self, life: Life) -> Result<u64, Life> {
        match &self.life {
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
                *self = Newest { life: Some(life), nth: self.nth + 1 };
            }
            None => self.life = Some(life),
        }
        Ok(self.nth)
    }
}

impl Succession {
    /// Notes the life to which a connection that larder opened leads now, and returns its number.
    ///
    /// # Errors
    /// The newest life, if that is a later one of the same system. Timelines of two systems cannot be compared: then the
    /// new one counts.
    pub(crate) fn note(&self, life: Life) -> Result<u64, Life> {
        self.lock().note(life)
    }

    /// As [`Self::note`], for a listed server: of two systems, the one that was found first counts.
    pub(super) fn note_listed(&self, life: Life) -> Result<(), Life> {
        let mut newest = self.lock();
        match &newest.life {
            Some(known) if known.system != life.system => Ok(()),
            _ => newest.note(life).map(drop),
        }
    }

    /// As [`Self::note`], for a connection that larder did not open. Such a connection may lead to another database of the
    /// application, so it shows nothing but a later timeline of the known system.
    pub(crate) fn note_foreign(&self, life: Life) -> Result<(), Life> {
        let mut newest = self.lock();
        match &newest.life {
            Some(known) if known.system == life.system => newest.note(life).map(drop),
            _ => Ok(()),
        }
    }

    /// Ends each connection that larder has opened: the pool asks new ones what they lead to.
    pub(crate) fn invalidate_connections(&self) {
        self.lock().nth += 1;
    }

    /// Whether the newest life is another one than that of `database`. `false` if no connection has shown a life.
    pub(crate) fn has_succeeded(&self, database: &DatabaseId) -> bool {
        self.lock().life.as_ref().is_some_and(|newest| !newest.has(database))
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

    #[test]
    fn a_connection_of_the_application_shows_a_successor_and_no_other_system() {
        let life = |system: &str, timeline| Life { system: system.to_owned(), timeline };
        let database = |timeline| DatabaseId { system: "a:5:7:1700".to_owned(), timeline };
        let seen = Succession::default();
        assert!(!seen.has_succeeded(&database(1)), "nothing is known");
        assert_eq!(seen.note_foreign(life("b", 9)), Ok(()));
        assert!(
            !seen.has_succeeded(&database(1)),
            "which system is the right one, larder's own connections show"
        );
        assert_eq!(seen.note(life("a", 1)), Ok(0));
        assert!(!seen.has_succeeded(&database(1)));
        assert_eq!(seen.note_foreign(life("b", 9)), Ok(()));
        assert!(seen.is_newest(0) && !seen.has_succeeded(&database(1)));
        assert_eq!(Life::parse("a".to_owned(), "0000000B").map(|life| seen.note_foreign(life)), Some(Ok(())));
        assert!(!seen.is_newest(0) && seen.has_succeeded(&database(1)) && !seen.has_succeeded(&database(11)));
        assert_eq!(seen.note_foreign(life("a", 1)), Err(life("a", 11)));
        let nth = seen.note(life("a", 11)).unwrap();
        seen.invalidate_connections();
        assert!(!seen.is_newest(nth) && seen.note(life("a", 11)).is_ok_and(|nth| seen.is_newest(nth)));
        assert_eq!(seen.note_listed(life("b", 1)), Ok(()));
        assert!(seen.has_succeeded(&database(1)), "the system that was found first");
        assert!(
            seen.note(life("b", 1)).is_ok() && seen.has_succeeded(&database(11)),
            "larder's own connection moved"
        );
        assert!(!life("", 1).has(&database(1)) && Life::of(&database(1)).has(&database(1)));
    }
}
