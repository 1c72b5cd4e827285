//! Since when a database has had the name by which keys go.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use larder::journal::DatabaseId;

use crate::journal::query::JournalAnswer;

/// The database that answered last, and since when it has been called so; none for one whose name never changes.
///
/// Guarded by its lock, which is never held across an await.
#[derive(Default)]
pub(super) struct IdentityAge(Mutex<Option<(DatabaseId, Instant)>>);

impl IdentityAge {
    /// The age counts when a name is first seen: a server whose clock is set back has not become younger.
    pub(super) fn note(&self, answer: &JournalAnswer) {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if named.as_ref().is_none_or(|(database, _)| *database != answer.database) {
            let since = answer.age.and_then(|age| Instant::now().checked_sub(age));
            *named = since.map(|since| (answer.database.clone(), since));
        }
    }

    pub(super) fn since(&self) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, since)| *since)
    }
}
