//! Odd rows: rows that cannot be read, because another program wrote them. A read of many rows leaves such a row out
//! and names it in the log.
//!
//! The constraints of the schema refuse odd rows. Exceptions are rows that were written before the constraint existed,
//! and rows that a restore or replication writes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::domain::identity::UserId;

/// The log names each row at most once in this time.
const PAUSE: Duration = Duration::from_secs(3600);
/// If `NOTED` has this many rows, the rows that were logged longer ago than `PAUSE` are removed. If there are none, all
/// rows are removed. This limits the memory for a table full of odd rows.
const MOST_NOTED: usize = 1024;
/// If the log must not show an id, it shows this many bytes of the digest of the id.
const DIGEST_BYTES: usize = 6;

/// When each row was last logged. There is one map per process, because a process has one log. The lock is held for one
/// look-up.
static NOTED: Mutex<Option<HashMap<String, Instant>>> = Mutex::new(None);

/// The value of each row, in the order of the rows; `None` for a row that cannot be read. The log names such a row by
/// its table and the value of its column `id`.
///
/// # Errors
/// Any error except a value of a row that cannot be read.
pub(super) fn each<T>(
    table: &'static str,
    id: &'static str,
    rows: &[AnyRow],
    read: impl Fn(&AnyRow) -> Result<T, sqlx::Error>,
) -> Result<Vec<Option<T>>, sqlx::Error> {
    let one = |row| match read(row) {
        Ok(value) => Ok(Some(value)),
        Err(sqlx::Error::ColumnDecode { index, .. }) => {
            note(table, row.try_get::<String, _>(id).ok().as_deref(), index.trim_matches('"'));
            Ok(None)
        }
        Err(error) => Err(error),
    };
    rows.iter().map(one).collect()
}

/// The same as [`each`], without the rows that cannot be read.
///
/// # Errors
/// The same errors as [`each`].
pub(super) fn readable<T>(
    table: &'static str,
    id: &'static str,
    rows: &[AnyRow],
    read: impl Fn(&AnyRow) -> Result<T, sqlx::Error>,
) -> Result<Vec<T>, sqlx::Error> {
    Ok(each(table, id, rows, read)?.into_iter().flatten().collect())
}

fn note(table: &'static str, id: Option<&str>, column: &str) {
    let id = shown(id);
    if is_due(&format!("{table} {id} {column}"), Instant::now()) {
        tracing::warn!(
            table,
            id,
            column,
            "a row cannot be read and is left out; docs/operations.md says how to mend it"
        );
    }
}

/// Logs, at most once an hour, that this user's password hash is never compared.
pub(super) fn note_hash(user: UserId) {
    if is_due(&format!("credentials {user} password_hash"), Instant::now()) {
        tracing::warn!(
            %user,
            "a password hash has an unknown form or costs too much, and is not compared: no password logs this user in; docs/security.md has the forms"
        );
    }
}

/// A UUID is shown. Any other id may be personal data, such as an e-mail address, so the start of its digest is shown.
fn shown(id: Option<&str>) -> String {
    match id {
        Some(id) if Uuid::try_parse(id).is_ok() => id.to_owned(),
        Some(id) => {
            let digest = Sha256::digest(id.as_bytes());
            let hex: String = digest.iter().take(DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect();
            format!("no UUID; its SHA-256 begins with {hex}")
        }
        None => "not a text".to_owned(),
    }
}

fn is_due(row: &str, now: Instant) -> bool {
    let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
    let noted = noted.get_or_insert_default();
    let is_recent = |then: &Instant| now.saturating_duration_since(*then) < PAUSE;
    if noted.get(row).is_some_and(is_recent) {
        return false;
    }
    if noted.len() >= MOST_NOTED {
        noted.retain(|_, then| is_recent(then));
    }
    if noted.len() >= MOST_NOTED {
        noted.clear();
    }
    noted.insert(row.to_owned(), now);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_names_a_row_once_an_hour() {
        let now = Instant::now();
        assert!(is_due("users a skills", now));
        assert!(!is_due("users a skills", now + PAUSE / 2));
        assert!(is_due("users b skills", now));
        assert!(is_due("users a skills", now + PAUSE));
        for number in 0..10 * MOST_NOTED {
            assert!(is_due(&format!("many {number}"), now));
        }
        let noted = NOTED.lock().unwrap();
        assert!(noted.as_ref().unwrap().len() <= MOST_NOTED);
    }

    #[test]
    fn only_a_uuid_is_shown() {
        let ours = "0192f0c1-2345-7abc-8def-0123456789ab";
        assert_eq!(shown(Some(ours)), ours);
        assert!(!shown(Some("ann@example.com")).contains("ann"));
        assert_eq!(shown(None), "not a text");
    }
}
