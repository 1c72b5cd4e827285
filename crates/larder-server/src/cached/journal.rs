//! The tables whose triggers write into the journal, and what a change of a row of each table touches. `classes.rs`
//! declares the touches.
//!
//! The migrations `0014_journal.sql` have the triggers as SQL. A test compares them with these declarations.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use larder::journal::Touch;
use larder_sql::journal::Table;

use crate::cached::classes::CLASSES;
use crate::domain::user::User;
use crate::store::unchanged::{UnchangedRow, key_columns};
use crate::store::writing::Recorded;

/// The tables that classes read, each with its unique keys.
///
/// A change of a row of `users` also touches the entries of the parts of a profile, of the authentication state and of
/// personal statistics, because their loaders read the user's row. Otherwise these entries would stay if a program
/// deletes a user while foreign keys are off: the user's rows in the other tables stay too, so no trigger of those
/// tables runs.
///
/// The entries of achievements, permissions and API keys are read from their own tables alone, so only changes of these
/// tables touch them. If an API key stays after the deletion of its user, it admits no caller: each request also checks
/// the user's authentication state, which then does not exist.
///
/// The ledger and the counts of points are not listed: they change only together with a row of `users`. `user_counts`
/// is listed for operators that repair the counts; every other change of a count is part of a change of a user, which
/// touches the same tags.
const TABLES: [(&str, &[&[&str]]); 12] = [
    ("users", &[&["id"], &["email"], &["username"], &["phone"], &["external_id"]]),
    ("credentials", &[&["user_id"]]),
    ("sessions", &[&["id"]]),
    ("preferences", &[&["user_id"]]),
    ("languages", &[&["user_id"]]),
    ("accessibility", &[&["user_id"]]),
    ("interests", &[&["user_id"]]),
    ("api_keys", &[&["id"]]),
    ("achievements", &[&["id"], &["user_id", "badge_type"]]),
    ("permissions", &[&["user_id", "permission"]]),
    ("user_counts", &[&["shard", "role", "is_active"]]),
    ("user_days", &[&["day", "shard"]]),
];

/// The tables whose changes touch cached entries. Each table lists the class of the same name first and then the other
/// classes in the order of their rows. The migrations have the same order.
pub fn tables() -> Vec<Table> {
    let table = |(name, unique): &(&'static str, &[&[&str]])| {
        let mut classes: Vec<_> = CLASSES.iter().collect();
        classes.sort_by_key(|row| row.name != *name);
        let table = classes.into_iter().fold(Table::new(name), |table, row| {
            let touches = row.touched_by.iter().filter(|touched_by| touched_by.table() == *name);
            touches.fold(table, |table, touched_by| touched_by.declare(row.name, table))
        });
        unique.iter().fold(table, |table, columns| table.unique(*columns))
    };
    TABLES.iter().map(table).collect()
}

/// The result of [`tables`], computed at the first use.
static DECLARED: LazyLock<Vec<Table>> = LazyLock::new(tables);

/// The touches that the trigger of `table` writes for a change of a row with these columns. `updated` has the columns
/// that an UPDATE changes; `None`: an INSERT or a DELETE. See [`Table::touches`].
fn touches(table: &str, row: &[(&str, String)], updated: Option<&[&str]>) -> Vec<Touch> {
    let table = DECLARED.iter().find(|declared| declared.name() == table).expect("the table is in TABLES");
    table.touches(|column| text_of(row, column), updated)
}

fn text_of(row: &[(&str, String)], column: &str) -> Option<String> {
    row.iter().find(|(name, _)| *name == column).map(|(_, text)| text.clone())
}

/// What a write touched. This includes what a change of each [`UnchangedRow`] would have touched. Such a row already
/// had the state that the write would give it, but the change that gave it this state may be unpublished.
pub(super) fn touches_of_write(Recorded { touches: recorded, unchanged, .. }: &Recorded) -> Vec<Touch> {
    let repeated = unchanged
        .iter()
        .flat_map(|UnchangedRow { table, columns, updated }| touches(table, columns, updated.as_deref()));
    recorded.iter().cloned().chain(repeated).collect()
}

/// Every entry that belongs to this user: the entries whose key is the user's id, and those whose key is its e-mail
/// address, user name, telephone number or external id.
pub(crate) fn entries_of(user: &User) -> BTreeSet<Touch> {
    let mut entries = entries_of_id(&user.id.to_string());
    entries.extend(touches("users", &key_columns(user), None).into_iter().filter(is_entry));
    entries
}

/// Every entry whose key is this id of a user.
pub(crate) fn entries_of_id(id: &str) -> BTreeSet<Touch> {
    let by_id = [("user_id", id.to_owned())];
    let of_users = touches("users", &[("id", id.to_owned())], None);
    let of_others = TABLES.iter().flat_map(|(table, _)| touches(table, &by_id, None));
    of_users.into_iter().chain(of_others).filter(is_entry).collect()
}

/// The entries that a change of a row of `table` touches, if the column `user_id` of the row has this value.
pub(crate) fn entries_of_row(table: &str, user_id: &str) -> Vec<Touch> {
    let row = [("user_id", user_id.to_owned())];
    touches(table, &row, None).into_iter().filter(is_entry).collect()
}

/// The tags that a change of any row of `table` touches.
pub(crate) fn tags_of(table: &str) -> Vec<Touch> {
    touches(table, &[], None)
}

/// Whether the touch names one entry and not a tag.
fn is_entry(touch: &Touch) -> bool {
    matches!(touch, Touch::Entry { .. })
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
