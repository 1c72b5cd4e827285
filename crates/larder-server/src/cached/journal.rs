//! The journal's tables: what a change of each row touches, as the rows of the classes say.
//!
//! The migrations `0011_journal.sql` hold it as SQL; a test compares the two.

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
/// A row of `users` also touches the entries of the user's other rows: without foreign keys, a deletion of the user
/// deletes no other row. A deletion of the user deletes its API keys, and so touches them. Without foreign keys they
/// stay, but the user's authentication state is gone, and each request checks it.
///
/// The ledger and the counts of points are not listed: they change only together with a row of `users`. The entries of
/// `user_counts` serve operators that repair the counts: a change of a user touches the same tags already.
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

/// The tables whose changes touch a cached entry. Of each, the class with the table's own name comes first, then the
/// others in the order of their rows: this is the order in the migrations.
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

/// [`tables`], made once.
static DECLARED: LazyLock<Vec<Table>> = LazyLock::new(tables);

/// What the trigger of `table` journals for a change of a row with these columns; see [`Table::touches`].
fn touches(table: &str, row: &[(&str, String)], updated: Option<&[&str]>) -> Vec<Touch> {
    let table = DECLARED.iter().find(|declared| declared.name() == table).expect("the table is in TABLES");
    table.touches(|column| text_of(row, column), updated)
}

fn text_of(row: &[(&str, String)], column: &str) -> Option<String> {
    row.iter().find(|(name, _)| *name == column).map(|(_, text)| text.clone())
}

/// What a write touched, including what a change of the rows would touch that it found as it would have made them.
pub(super) fn touches_of_write(Recorded { touches: recorded, unchanged, .. }: &Recorded) -> Vec<Touch> {
    let repeated = unchanged
        .iter()
        .flat_map(|UnchangedRow { table, columns, updated }| touches(table, columns, updated.as_deref()));
    recorded.iter().cloned().chain(repeated).collect()
}

/// Every entry that belongs to this user: those that are found by its id, whichever row they are read from, and those
/// that are found by its names.
pub(crate) fn entries_of(user: &User) -> BTreeSet<Touch> {
    let mut entries = entries_of_id(&user.id.to_string());
    entries.extend(touches("users", &key_columns(user), None).into_iter().filter(is_entry));
    entries
}

/// Every entry that is found by a user's id.
pub(crate) fn entries_of_id(id: &str) -> BTreeSet<Touch> {
    let by_id = [("user_id", id.to_owned())];
    let of_users = touches("users", &[("id", id.to_owned())], None);
    let of_others = TABLES.iter().flat_map(|(table, _)| touches(table, &by_id, None));
    of_users.into_iter().chain(of_others).filter(is_entry).collect()
}

/// The entries that a change of a row touches which belongs to this user and names it in `user_id`.
pub(crate) fn entries_of_row(table: &str, user_id: &str) -> Vec<Touch> {
    let row = [("user_id", user_id.to_owned())];
    touches(table, &row, None).into_iter().filter(is_entry).collect()
}

/// The tags that a change of any row of `table` touches.
pub(crate) fn tags_of(table: &str) -> Vec<Touch> {
    touches(table, &[], None)
}

/// Whether it names one entry, and not a tag.
fn is_entry(touch: &Touch) -> bool {
    matches!(touch, Touch::Entry { .. })
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
