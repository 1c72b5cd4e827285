//! What each row of the service stands for in the cache, as the database's triggers journal it.
//!
//! The migrations `0011_journal.sql` hold these declarations as SQL; a test compares the two.

use std::collections::BTreeSet;

use larder::journal::Touch;
use larder_sql::journal::{SqlJournal, Table};

use crate::domain::identity::UserId;
use crate::domain::user::User;
use crate::store::Store;
use crate::store::error::StoreError;

/// The tables whose changes touch something cached.
pub fn tables() -> Vec<Table> {
    vec![
        // With all that belongs to it: where foreign keys are off, nothing else goes when a user is deleted.
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
        // Touched also when the user goes: with foreign keys off its keys stay, and its authentication state does not.
        Table::new("api_keys").entry("api_key", &["id"]).unique(&["id"]),
        // Neither the ledger nor the counts of points: they change nothing without a row of users.
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
        // For hands that mend them: whatever changes users touches all this already.
        Table::new("user_counts")
            .tag("user_list")
            .tag("superadmin_user_list")
            .tag("user_stats")
            .tag("dashboard_stats")
            .unique(&["shard", "role", "is_active"]),
        Table::new("user_days").tag("user_stats").tag("dashboard_stats").unique(&["day", "shard"]),
    ]
}

/// Every entry that is a user's own, found by its id: what is dropped when one user is cleared by hand, together with what
/// its row touches.
pub fn entries_of_user(id: &str) -> Vec<Touch> {
    let tables = tables();
    let of_rows = tables.iter().flat_map(Table::entries).filter(|(_, columns)| *columns == ["user_id"]);
    let classes: BTreeSet<_> = OF_USER.into_iter().chain(of_rows.map(|(class, _)| class)).collect();
    classes.into_iter().map(|class| Touch::entry(class, [id])).collect()
}

/// A part of a profile, in a table and a class of the same name.
fn part(name: &str) -> Table {
    Table::new(name).entry(name, &["user_id"]).entry("full_profile", &["user_id"]).unique(&["user_id"])
}

/// The tags of what shows many users, dropped with every change of one.
const OF_ALL: [&str; 4] = ["user_list", "superadmin_user_list", "user_stats", "dashboard_stats"];

/// The columns of `users` that `store/leaderboard.rs` reads: for the leaderboard, and for ranks, which fall with it.
const LEADERBOARD_READS: [&str; 6] = ["id", "username", "full_name", "avatar_url", "points", "is_active"];

/// The columns of `users` that `store/achievements.rs` reads for the newest of all; the points are the achievement's own.
const RECENT_ACHIEVEMENTS_READ: [&str; 5] = ["id", "username", "full_name", "avatar_url", "is_active"];

/// The classes that have an entry for each user, by its id.
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

/// What an update of these columns of this user's row touches, as `tables` declares it.
pub(super) fn touches_of_update(user: &User, columns: &[&str]) -> Vec<Touch> {
    let reads_any = |read: &[&str]| columns.iter().any(|column| read.contains(column));
    let leaderboard = reads_any(&LEADERBOARD_READS).then_some("leaderboard");
    let recent = reads_any(&RECENT_ACHIEVEMENTS_READ).then_some("recent_achievements");
    let tags = OF_ALL.into_iter().chain(leaderboard).chain(recent);
    tags.map(|tag| Touch::Tag(tag.to_owned())).chain(entries_of_row(user)).collect()
}

/// The entries that this user's row stands for, as `tables` declares it.
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

/// What a change of a user's sessions touches, as `tables` declares it.
pub(super) fn touches_of_sessions(user_id: UserId) -> Vec<Touch> {
    let own = ["auth_state", "user_personal_stats"];
    let own = own.map(|class| Touch::entry(class, [user_id.to_string()]));
    own.into_iter().chain([Touch::Tag("superadmin_user_list".to_owned())]).collect()
}

/// What a change of a user's permissions touches.
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
