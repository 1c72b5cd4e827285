//! The cache entries and tags that each row of the service touches, as the database's triggers journal them.
//!
//! The migrations `0011_journal.sql` hold these declarations as SQL; a test compares the two.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use larder::journal::Touch;
use larder_sql::journal::{SqlJournal, Table};

use crate::domain::api_key::ApiKeyId;
use crate::domain::user::User;
use crate::store::Store;
use crate::store::error::StoreError;

/// The tables whose changes touch a cached entry.
pub fn tables() -> Vec<Table> {
    vec![
        // The row also touches the entries of the user's other rows: without foreign keys, a deletion of the user
        // deletes no other row.
        Table::new("users")
            .entry("user_details", &["id"])
            .entry("auth_state", &["id"])
            .entry("user_personal_stats", &["id"])
            .entry("user_email", &["email"])
            .entry("user_username", &["username"])
            .entry("user_phone", &["phone"])
            .entry("user_external", &["external_id"])
            .entry("profile", &["id"])
            .entry("full_profile", &["id"])
            .entry("preferences", &["id"])
            .entry("languages", &["id"])
            .entry("accessibility", &["id"])
            .entry("interests", &["id"])
            .tag("user_list")
            .tag("superadmin_user_list")
            .tag("user_stats")
            .tag("dashboard_stats")
            .tag_reading("leaderboard", &LEADERBOARD_READS)
            .tag_reading("recent_achievements", &RECENT_ACHIEVEMENTS_READ)
            .unique(&["id"])
            .unique(&["email"])
            .unique(&["username"])
            .unique(&["phone"])
            .unique(&["external_id"]),
        Table::new("credentials")
            .entry("auth_state", &["user_id"])
            .entry("user_personal_stats", &["user_id"])
            .tag("superadmin_user_list")
            .unique(&["user_id"]),
        Table::new("sessions")
            .entry("auth_state", &["user_id"])
            .entry("user_personal_stats", &["user_id"])
            .tag("superadmin_user_list")
            .unique(&["id"]),
        part("preferences"),
        part("languages"),
        part("accessibility"),
        part("interests"),
        // A deletion of the user deletes its keys, and so touches them. Without foreign keys they stay, but the user's
        // authentication state is gone, and each request checks it.
        Table::new("api_keys").entry("api_key", &["id"]).unique(&["id"]),
        // The ledger and the counts of points are not listed: they change only together with a row of users.
        Table::new("achievements")
            .entry("achievements", &["user_id"])
            .entry("achievement_summary", &["user_id"])
            .entry("achievement_stats", &["user_id"])
            .tag("leaderboard")
            .tag("recent_achievements")
            .unique(&["id"])
            .unique(&["user_id", "badge_type"]),
        Table::new("permissions")
            .entry("permissions", &["user_id"])
            .entry("user_details", &["user_id"])
            .entry("auth_state", &["user_id"])
            .unique(&["user_id", "permission"]),
        // These entries serve operators that repair the counts. A change of a user touches the same tags already.
        Table::new("user_counts")
            .tag("user_list")
            .tag("superadmin_user_list")
            .tag("user_stats")
            .tag("dashboard_stats")
            .unique(&["shard", "role", "is_active"]),
        Table::new("user_days").tag("user_stats").tag("dashboard_stats").unique(&["day", "shard"]),
    ]
}

/// A part of a profile: a table and a class of the same name.
fn part(name: &str) -> Table {
    Table::new(name).entry(name, &["user_id"]).entry("full_profile", &["user_id"]).unique(&["user_id"])
}

/// The columns of `users` that `store/leaderboard.rs` reads for the leaderboard and for ranks.
const LEADERBOARD_READS: [&str; 6] = ["id", "username", "full_name", "avatar_url", "points", "is_active"];

/// The columns of `users` that `store/achievements.rs` reads for the newest achievements; their points are in
/// `achievements`.
const RECENT_ACHIEVEMENTS_READ: [&str; 5] = ["id", "username", "full_name", "avatar_url", "is_active"];

/// [`tables`], made once.
static TABLES: LazyLock<Vec<Table>> = LazyLock::new(tables);

/// What the trigger of `table` journals for a change of one row; see [`Table::touches`].
fn touches_of(table: &str, row: impl Fn(&str) -> Option<String>, changed: Option<&[&str]>) -> Vec<Touch> {
    let table = TABLES.iter().find(|declared| declared.name() == table).expect("the table is declared above");
    table.touches(row, changed)
}

/// The touches of an update of these columns of this user's row.
pub(super) fn touches_of_update(user: &User, columns: &[&str]) -> Vec<Touch> {
    touches_of("users", |column| key_column(user, column), Some(columns))
}

/// The touches of a change of a row that belongs to this user and names it in `user_id`.
pub(crate) fn touches_of_user_row(table: &str, user: &str) -> Vec<Touch> {
    touches_of(table, |column| (column == "user_id").then(|| user.to_owned()), None)
}

/// The touches of a change of this API key.
pub(super) fn touches_of_api_key(id: ApiKeyId) -> Vec<Touch> {
    touches_of("api_keys", |column| (column == "id").then(|| id.to_string()), None)
}

/// Every entry that belongs to this user: those that are found by its id, whichever row they are read from, and those
/// that are found by its names.
pub(crate) fn entries_of(user: &User) -> BTreeSet<Touch> {
    let mut entries = entries_of_id(&user.id.to_string());
    let of_row = touches_of("users", |column| key_column(user, column), None);
    entries.extend(of_row.into_iter().filter(is_entry));
    entries
}

/// Every entry that is found by a user's id.
pub(crate) fn entries_of_id(id: &str) -> BTreeSet<Touch> {
    let by_id = |column: &str| (column == "user_id").then(|| id.to_owned());
    let of_users = touches_of("users", |column| (column == "id").then(|| id.to_owned()), None);
    let touches = of_users.into_iter().chain(TABLES.iter().flat_map(|table| table.touches(by_id, None)));
    touches.filter(is_entry).collect()
}

/// The tags that a change of any row of `table` touches.
pub(crate) fn tags_of(table: &str) -> Vec<Touch> {
    touches_of(table, |_| None, None)
}

/// Whether it names one entry, and not a tag.
pub(crate) fn is_entry(touch: &Touch) -> bool {
    matches!(touch, Touch::Entry { .. })
}

/// The text of a column of `users` that is part of a key; `None` for NULL.
fn key_column(user: &User, column: &str) -> Option<String> {
    match column {
        "id" => Some(user.id.to_string()),
        "email" => Some(user.email.as_str().to_owned()),
        "username" => Some(user.username.as_str().to_owned()),
        "phone" => user.phone.as_ref().map(|phone| phone.as_str().to_owned()),
        "external_id" => user.external_id.as_ref().map(|external| external.as_str().to_owned()),
        _ => None,
    }
}

impl Store {
    /// Opens the journal.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn journal(&self) -> Result<SqlJournal, StoreError> {
        Ok(SqlJournal::open(&self.database, tables()).await?)
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
