//! One row a class: how long it keeps its entries, what touches them, and which callers may see their keys.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use larder::class::{Class, ClassBuilder};
use larder::codec::Codec;
use larder::error::Error;
use larder::key::Key;
use larder::policy::Policy;
use larder_sql::journal::Table;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cached::ABSENT;
use crate::domain::role::Role;

/// One class of the service.
#[derive(Debug, PartialEq, Eq)]
pub struct ClassRow {
    /// Its name in keys, in the journal and in the settings.
    pub name: &'static str,
    /// The TTL of an entry, unless a setting overrides it.
    pub ttl: Duration,
    /// The settings that override the TTL, the most specific first; `CACHE_DEFAULT_TTL` comes last.
    pub variables: &'static [&'static str],
    /// The changes that touch its entries. The journal's triggers are made from them.
    pub touched_by: &'static [TouchedBy],
    /// Which callers may learn that an entry exists.
    pub keys_for: KeysFor,
}

/// A change of a row of `table` that touches entries of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TouchedBy {
    /// It touches the entry whose key's parts are the values of these columns, in this order.
    Entry {
        /// The row's table.
        table: &'static str,
        /// The columns.
        columns: &'static [&'static str],
    },
    /// It touches every entry, by the tag that has the class's name.
    All {
        /// The row's table.
        table: &'static str,
        /// The loader reads only these columns of the table, so an UPDATE of others touches no entry; `None`: every
        /// UPDATE touches them all.
        reads: Option<&'static [&'static str]>,
    },
}

impl TouchedBy {
    /// The table whose changes touch entries.
    pub fn table(&self) -> &'static str {
        match self {
            Self::Entry { table, .. } | Self::All { table, .. } => table,
        }
    }

    /// Adds to the declaration of [the table](Self::table) that its rows touch entries of this class.
    pub(super) fn declare(&self, class: &str, table: Table) -> Table {
        match self {
            Self::Entry { columns, .. } => table.entry(class, columns),
            Self::All { reads: Some(columns), .. } => table.tag_reading(class, columns),
            Self::All { reads: None, .. } => table.tag(class),
        }
    }
}

const fn entry(table: &'static str, columns: &'static [&'static str]) -> TouchedBy {
    TouchedBy::Entry { table, columns }
}

const fn all(table: &'static str) -> TouchedBy {
    TouchedBy::All { table, reads: None }
}

const fn all_reading(table: &'static str, columns: &'static [&'static str]) -> TouchedBy {
    TouchedBy::All { table, reads: Some(columns) }
}

/// The columns of `users` that `store/leaderboard.rs` reads for the leaderboard and for ranks.
const LEADERBOARD_READS: [&str; 6] = ["id", "username", "full_name", "avatar_url", "points", "is_active"];

/// The columns of `users` that `store/achievements.rs` reads for the newest achievements; their points are in
/// `achievements`.
const RECENT_ACHIEVEMENTS_READ: [&str; 5] = ["id", "username", "full_name", "avatar_url", "is_active"];

/// Which callers may learn that an entry of a class exists: its key may hold an address or a search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeysFor {
    /// None: the default for a class that says nothing else.
    #[default]
    NoCaller,
    /// Superadmins.
    Superadmins,
    /// Admins and superadmins.
    Admins,
    /// Admins and superadmins; if the first part of the key is the role `superadmin`, superadmins alone.
    Readers,
}

impl KeysFor {
    /// Whether a caller of this role may learn of the entry whose key has these parts.
    pub fn admits(self, role: Role, parts: &[Option<String>]) -> bool {
        let is_superadmins = || parts.first() == Some(&Some(Role::Superadmin.as_str().to_owned()));
        match self {
            Self::NoCaller => false,
            Self::Superadmins => role == Role::Superadmin,
            Self::Admins => role >= Role::Admin,
            Self::Readers => role == Role::Superadmin || (role >= Role::Admin && !is_superadmins()),
        }
    }

    /// Those of a class; none may see the keys of a class without a row.
    pub fn of(class: &str) -> Self {
        CLASSES.iter().find(|row| row.name == class).map(|row| row.keys_for).unwrap_or_default()
    }
}

macro_rules! classes {
    (@) => {
        KeysFor::NoCaller
    };
    (@ $keys_for:ident) => {
        KeysFor::$keys_for
    };
    ($($row:ident = $name:literal, $seconds:literal, [$($variable:literal),*], [$($touched_by:expr),*]
        $(, $keys_for:ident)?;)+) => {
        $(
            #[doc = concat!("The class `", $name, "`.")]
            pub const $row: ClassRow = ClassRow {
                name: $name,
                ttl: Duration::from_secs($seconds),
                variables: &[$($variable),*],
                touched_by: &[$($touched_by),*],
                keys_for: classes!(@ $($keys_for)?),
            };
        )+

        /// Every class of the service. The order of the rows is that of the touches in the triggers.
        pub const CLASSES: &[ClassRow] = &[$($row),+];
    };
}

classes! {
    USER_DETAILS = "user_details", 180, ["USER_DETAILS_TTL", "USER_CACHE_TTL"], [entry("users", &["id"]), entry("permissions", &["user_id"])], Admins;
    AUTH_STATE = "auth_state", 300, [], [entry("users", &["id"]), entry("credentials", &["user_id"]), entry("sessions", &["user_id"]), entry("permissions", &["user_id"])], Admins;
    USER_PERSONAL_STATS = "user_personal_stats", 3600, ["CACHE_USER_TTL"], [entry("users", &["id"]), entry("credentials", &["user_id"]), entry("sessions", &["user_id"])], Admins;
    USER_EMAIL = "user_email", 300, ["USER_CACHE_TTL"], [entry("users", &["email"])], Superadmins;
    USER_USERNAME = "user_username", 300, ["USER_CACHE_TTL"], [entry("users", &["username"])], Admins;
    USER_PHONE = "user_phone", 300, ["USER_CACHE_TTL"], [entry("users", &["phone"])], Superadmins;
    USER_EXTERNAL = "user_external", 300, ["USER_CACHE_TTL"], [entry("users", &["external_id"])], Superadmins;
    USER_LIST = "user_list", 60, ["USER_LIST_TTL"], [all("users"), all("user_counts")], Readers;
    SUPERADMIN_USER_LIST = "superadmin_user_list", 900, ["SUPERADMIN_USER_LIST_TTL"], [all("users"), all("credentials"), all("sessions"), all("user_counts")], Superadmins;
    USER_STATS = "user_stats", 300, ["USER_STATS_TTL"], [all("users"), all("user_counts"), all("user_days")], Admins;
    DASHBOARD_STATS = "dashboard_stats", 600, ["DASHBOARD_STATS_TTL"], [all("users"), all("user_counts"), all("user_days")], Admins;
    PROFILE = "profile", 180, ["USER_PROFILE_TTL"], [entry("users", &["id"])], Admins;
    FULL_PROFILE = "full_profile", 3600, ["CACHE_USER_TTL"], [entry("users", &["id"]), entry("preferences", &["user_id"]), entry("languages", &["user_id"]), entry("accessibility", &["user_id"]), entry("interests", &["user_id"])], Admins;
    PREFERENCES = "preferences", 3600, ["CACHE_USER_TTL"], [entry("users", &["id"]), entry("preferences", &["user_id"])], Admins;
    LANGUAGES = "languages", 3600, ["CACHE_USER_TTL"], [entry("users", &["id"]), entry("languages", &["user_id"])], Admins;
    ACCESSIBILITY = "accessibility", 3600, ["CACHE_USER_TTL"], [entry("users", &["id"]), entry("accessibility", &["user_id"])], Admins;
    INTERESTS = "interests", 3600, ["CACHE_USER_TTL"], [entry("users", &["id"]), entry("interests", &["user_id"])], Admins;
    LEADERBOARD = "leaderboard", 900, ["CACHE_LEADERBOARD_TTL"], [all_reading("users", &LEADERBOARD_READS), all("achievements")], Admins;
    // It is tagged `leaderboard`, so what touches the leaderboard touches it.
    LEADERBOARD_STANDING = "leaderboard_standing", 900, ["CACHE_LEADERBOARD_TTL"], [], Admins;
    ACHIEVEMENTS = "achievements", 1800, ["CACHE_ACHIEVEMENT_TTL"], [entry("achievements", &["user_id"])], Admins;
    ACHIEVEMENT_SUMMARY = "achievement_summary", 1800, ["CACHE_ACHIEVEMENT_TTL"], [entry("achievements", &["user_id"])], Admins;
    ACHIEVEMENT_STATS = "achievement_stats", 1800, ["CACHE_ACHIEVEMENT_TTL"], [entry("achievements", &["user_id"])], Admins;
    RECENT_ACHIEVEMENTS = "recent_achievements", 300, [], [all_reading("users", &RECENT_ACHIEVEMENTS_READ), all("achievements")], Admins;
    PERMISSIONS = "permissions", 300, [], [entry("permissions", &["user_id"])], Admins;
    API_KEY = "api_key", 300, [], [entry("api_keys", &["id"])], Admins;
}

/// The settings of all classes. The default keeps the TTL of each row and has every class on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies {
    ttls: BTreeMap<&'static str, Duration>,
    off: BTreeSet<&'static str>,
}

impl Policies {
    /// Sets the TTL of a class: 1 s to [`Policy::TTL_MAX`].
    pub fn set_ttl(&mut self, row: &ClassRow, ttl: Duration) {
        self.ttls.insert(row.name, ttl);
    }

    /// Starts a class switched off; it can be switched on at runtime.
    pub fn switch_off(&mut self, row: &ClassRow) {
        self.off.insert(row.name);
    }

    /// The TTL of a class.
    pub fn ttl(&self, row: &ClassRow) -> Duration {
        self.ttls.get(row.name).copied().unwrap_or(row.ttl)
    }

    /// Whether a class starts switched on.
    pub fn is_on(&self, row: &ClassRow) -> bool {
        !self.off.contains(row.name)
    }

    /// Opens a class: `begin` makes its builder from its name and may add to it, such as tags.
    ///
    /// # Errors
    /// Those of [`ClassBuilder::open`].
    pub fn open<'a, K, V>(
        &self,
        row: &ClassRow,
        begin: impl FnOnce(&str) -> ClassBuilder<'a, K, V>,
    ) -> Result<Class<K, V>, Error>
    where
        K: Key + ?Sized,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let policy = Policy::ttl(self.ttl(row)).absent_for(ABSENT);
        // The service's values are plain types: postcard carries them, in fewer bytes than the default codec and
        // faster.
        let class = begin(row.name).policy(policy).codec(Codec::Postcard).open()?;
        class.set_enabled(self.is_on(row));
        Ok(class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    classes! {
        SILENT = "silent", 60, [], [];
    }

    #[test]
    fn a_class_that_names_no_readers_shows_its_keys_to_no_caller() {
        assert_eq!(CLASSES.iter().map(|row| row.keys_for).collect::<Vec<_>>(), [KeysFor::NoCaller]);
        assert!(!KeysFor::of("no_class").admits(Role::Superadmin, &[]), "a class without a row");
    }

    #[test]
    fn keys_that_hold_what_superadmins_alone_see_are_for_superadmins() {
        let list_of = |role: Role| [Some(role.as_str().to_owned()), None];
        for (class, parts, for_admins) in [
            ("user_details", [None, None], true),
            ("user_email", [None, None], false),
            ("user_list", list_of(Role::Admin), true),
            ("user_list", list_of(Role::Superadmin), false),
        ] {
            let keys_for = KeysFor::of(class);
            assert!(keys_for.admits(Role::Superadmin, &parts), "{class}");
            assert_eq!(keys_for.admits(Role::Admin, &parts), for_admins, "{class}");
            assert!(!keys_for.admits(Role::User, &parts), "{class}");
        }
    }
}
