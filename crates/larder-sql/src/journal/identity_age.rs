//! Since when a database has had its current identity, which is part of each key in Redis.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use larder::journal::DatabaseId;

use crate::journal::query::JournalAnswer;

/// The identity of the database in the last answer, and since when the database has had it. `None` before the first
/// answer, and on SQLite, where the identity has no age.
///
/// No task holds the lock across an await, so a blocking mutex is enough.
#[derive(Default)]
pub(super) struct IdentityAge(Mutex<Option<(DatabaseId, Instant)>>);

impl IdentityAge {
    /// Notes an answer. It uses the answer's age only if the identity is new: so if the server's clock is set back
    /// later, the identity does not become younger.
    pub(super) fn note(&self, answer: &JournalAnswer) {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if named.as_ref().is_none_or(|(database, _)| *database != answer.database) {
            let since = answer.age.and_then(|age| Instant::now().checked_sub(age));
            *named = since.map(|since| (answer.database.clone(), since));
        }
    }

    /// Whether the last answer came from another system than `system`; `false` before the first answer. The text of the
    /// system in an answer has a suffix that `system` does not have: `:` and the server's start time.
    pub(super) fn is_other(&self, system: &str) -> bool {
        let named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |database: &DatabaseId| {
            database.system.strip_prefix(system).is_some_and(|start| start.starts_with(':'))
        };
        named.as_ref().is_some_and(|(database, _)| !is_same(database))
    }

    pub(super) fn since(&self) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, since)| *since)
    }
}
