//! The cache entries and tags that each row of the service touches, as the database's triggers journal them.
//!
//! The migrations `0011_journal.sql` hold these declarations as SQL; a test compares the two.

use std::collections::BTreeSet;

use larder::journal::Touch;
use larder_sql::journal::{SqlJournal, Table};

use crate::domain::identity::UserId;
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

/// Every entry that belongs to one user and is found by its id. Clearing a user by hand invalidates them, and what the
/// user's row touches.
pub fn entries_of_user(id: &str) -> Vec<Touch> {
    let tables = tables();
    let of_rows = tables.iter().flat_map(Table::entries).filter(|(_, columns)| *columns == ["user_id"]);
    let classes: BTreeSet<_> = OF_USER.into_iter().chain(of_rows.map(|(class, _)| class)).collect();
    classes.into_iter().map(|class| Touch::entry(class, [id])).collect()
}

/// A part of a profile: a table and a class of the same name.
fn part(name: &str) -> Table {
    Table::new(name).entry(name, &["user_id"]).entry("full_profile", &["user_id"]).unique(&["user_id"])
}

/// The tags of values about many users; every change of a user touches them.
const OF_ALL: [&str; 4] = ["user_list", "superadmin_user_list", "user_stats", "dashboard_stats"];

/// The columns of `users` that `store/leaderboard.rs` reads for the leaderboard and for ranks.
const LEADERBOARD_READS: [&str; 6] = ["id", "username", "full_name", "avatar_url", "points", "is_active"];

/// The columns of `users` that `store/achievements.rs` reads for the newest achievements; their points are in
/// `achievements`.
const RECENT_ACHIEVEMENTS_READ: [&str; 5] = ["id", "username", "full_name", "avatar_url", "is_active"];

/// The classes with one entry per user, by the user's id.
const OF_USER: [&str; 9] = [
    "user_personal_stats",
    "user_details",
    "auth_state",
    "profile",
    "full_profile",
    "preferences",
    "languages",
    "accessibility",
    "interests",
];

/// The touches of an update of these columns of this user's row, as `tables` declares them.
pub(super) fn touches_of_update(user: &User, columns: &[&str]) -> Vec<Touch> {
    let reads_any = |read: &[&str]| columns.iter().any(|column| read.contains(column));
    let leaderboard = reads_any(&LEADERBOARD_READS).then_some("leaderboard");
    let recent = reads_any(&RECENT_ACHIEVEMENTS_READ).then_some("recent_achievements");
    let tags = OF_ALL.into_iter().chain(leaderboard).chain(recent);
    tags.map(|tag| Touch::Tag(tag.to_owned())).chain(entries_of_row(user)).collect()
}

/// The entries that belong to this user's row, as `tables` declares them.
pub(crate) fn entries_of_row(user: &User) -> impl Iterator<Item = Touch> {
    let names = [
        ("user_email", Some(user.email.as_str())),
        ("user_username", Some(user.username.as_str())),
        ("user_phone", user.phone.as_ref().map(|phone| phone.as_str())),
        ("user_external", user.external_id.as_ref().map(|external| external.as_str())),
    ];
    let names = names.into_iter().filter_map(|(class, name)| Some(Touch::entry(class, [name?])));
    let id = user.id.to_string();
    OF_USER.map(|class| Touch::entry(class, [&id])).into_iter().chain(names)
}

/// The touches of a change of a user's sessions, as `tables` declares them.
pub(super) fn touches_of_sessions(user_id: UserId) -> Vec<Touch> {
    let own = ["auth_state", "user_personal_stats"];
    let own = own.map(|class| Touch::entry(class, [user_id.to_string()]));
    own.into_iter().chain([Touch::Tag("superadmin_user_list".to_owned())]).collect()
}

/// The touches of a change of a user's permissions.
pub(super) fn touches_of_permissions(user_id: UserId) -> Vec<Touch> {
    let classes = ["permissions", "user_details", "auth_state"];
    classes.map(|class| Touch::entry(class, [user_id.to_string()])).to_vec()
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
