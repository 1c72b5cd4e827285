//! The policy of each class: TTL and the settings that change it, one row per class.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use larder::class::{Class, ClassBuilder};
use larder::codec::Codec;
use larder::error::Error;
use larder::key::Key;
use larder::policy::Policy;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cached::ABSENT;

/// One class of the service.
#[derive(Debug, PartialEq, Eq)]
pub struct ClassRow {
    /// Its name in keys, in the journal and in the settings.
    pub name: &'static str,
    /// The TTL of an entry, unless a setting overrides it.
    pub ttl: Duration,
    /// The settings that override the TTL, the most specific first; `CACHE_DEFAULT_TTL` comes last.
    pub variables: &'static [&'static str],
}

macro_rules! classes {
    ($($row:ident = $name:literal, $seconds:literal, [$($variable:literal),*];)+) => {
        $(
            #[doc = concat!("The class `", $name, "`.")]
            pub const $row: ClassRow = ClassRow {
                name: $name,
                ttl: Duration::from_secs($seconds),
                variables: &[$($variable),*],
            };
        )+

        /// Every class of the service.
        pub const CLASSES: &[ClassRow] = &[$($row),+];
    };
}

classes! {
    USER_DETAILS = "user_details", 180, ["USER_DETAILS_TTL", "USER_CACHE_TTL"];
    AUTH_STATE = "auth_state", 300, [];
    USER_EMAIL = "user_email", 300, ["USER_CACHE_TTL"];
    USER_USERNAME = "user_username", 300, ["USER_CACHE_TTL"];
    USER_PHONE = "user_phone", 300, ["USER_CACHE_TTL"];
    USER_EXTERNAL = "user_external", 300, ["USER_CACHE_TTL"];
    USER_LIST = "user_list", 60, ["USER_LIST_TTL"];
    SUPERADMIN_USER_LIST = "superadmin_user_list", 900, ["SUPERADMIN_USER_LIST_TTL"];
    USER_STATS = "user_stats", 300, ["USER_STATS_TTL"];
    DASHBOARD_STATS = "dashboard_stats", 600, ["DASHBOARD_STATS_TTL"];
    USER_PERSONAL_STATS = "user_personal_stats", 3600, ["CACHE_USER_TTL"];
    PROFILE = "profile", 180, ["USER_PROFILE_TTL"];
    FULL_PROFILE = "full_profile", 3600, ["CACHE_USER_TTL"];
    PREFERENCES = "preferences", 3600, ["CACHE_USER_TTL"];
    LANGUAGES = "languages", 3600, ["CACHE_USER_TTL"];
    ACCESSIBILITY = "accessibility", 3600, ["CACHE_USER_TTL"];
    INTERESTS = "interests", 3600, ["CACHE_USER_TTL"];
    LEADERBOARD = "leaderboard", 900, ["CACHE_LEADERBOARD_TTL"];
    LEADERBOARD_STANDING = "leaderboard_standing", 900, ["CACHE_LEADERBOARD_TTL"];
    ACHIEVEMENTS = "achievements", 1800, ["CACHE_ACHIEVEMENT_TTL"];
    ACHIEVEMENT_SUMMARY = "achievement_summary", 1800, ["CACHE_ACHIEVEMENT_TTL"];
    ACHIEVEMENT_STATS = "achievement_stats", 1800, ["CACHE_ACHIEVEMENT_TTL"];
    RECENT_ACHIEVEMENTS = "recent_achievements", 300, [];
    PERMISSIONS = "permissions", 300, [];
    API_KEY = "api_key", 300, [];
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
