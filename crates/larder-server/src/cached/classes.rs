//! The classes of the service, one row each. A row has the type of the key, the type of the value, the loader, the
//! changes that touch an entry (make it invalid), the TTL, and the callers that may see the keys.
//!
//! Do not move an existing row: the triggers in the journal's migrations list the classes in the order of the rows, and
//! a test compares both.

use std::time::Duration;

use larder::cache::Cache;
use larder::class::{Answer, Class};
use larder::error::Error;
use larder::policy::Consistency;

use crate::cached::class_row::TouchedBy::{All, AllReading, Entry};
use crate::cached::class_row::{ClassRow, KeysFor};
use crate::cached::declaring::classes;
use crate::cached::lists::{self, ListPage};
use crate::cached::policies::Policies;
use crate::cached::statistics;
use crate::domain::achievement::{Achievement, AwardTimes, RecentAchievement, Summary};
use crate::domain::api_key::{ApiKeyId, ApiKeyState};
use crate::domain::auth::AuthState;
use crate::domain::contact::{Email, Phone};
use crate::domain::identity::{ExternalId, UserId, Username};
use crate::domain::leaderboard::{LeaderboardQuery, LeaderboardRow, Standing};
use crate::domain::paging::{Limit, ListQuery};
use crate::domain::parts::accessibility::Accessibility;
use crate::domain::parts::full::FullProfile;
use crate::domain::parts::interests::Interests;
use crate::domain::parts::languages::Languages;
use crate::domain::parts::preferences::Preferences;
use crate::domain::permission::Grant;
use crate::domain::statistics::{AccountOverview, Dashboard, Day, PersonalStats, UserStatistics};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{PublicUser, User};
use crate::store::Store;
use crate::store::error::StoreError;

/// The columns of `users` that `store/leaderboard.rs` reads for the leaderboard and for ranks.
const LEADERBOARD_READS: &[&str] = &["id", "username", "full_name", "avatar_url", "points", "is_active"];

/// The columns of `users` that `store/achievements.rs` reads for the newest achievements. `points` is not among them:
/// the points of an achievement are in the table `achievements`.
const RECENT_ACHIEVEMENTS_READ: &[&str] = &["id", "username", "full_name", "avatar_url", "is_active"];

classes! {
    /// A user. The touch by `permissions` is superfluous, because the loader does not read this table. It stays because
    /// its removal needs a new migration of the journal.
    user_details: UserId => User {
        load: |store, id| store.user(*id),
        touched_by: [Entry("users", &["id"]), Entry("permissions", &["user_id"])],
        ttl_seconds: 180,
        variables: ["USER_DETAILS_TTL", "USER_CACHE_TTL"],
        keys_for: Admins,
    }

    /// The state against which a user's tokens are checked. It decides about rights, so its value is never read from
    /// Redis. It leaves out what has expired, so it changes with the time and is not audited.
    auth_state: UserId => AuthState {
        load: |store, id| store.auth_state(*id, Timestamp::now()),
        touched_by: [
            Entry("users", &["id"]),
            Entry("credentials", &["user_id"]),
            Entry("sessions", &["user_id"]),
            Entry("permissions", &["user_id"])
        ],
        ttl_seconds: 300,
        variables: [],
        keys_for: Admins,
        with: memory_only().unaudited(),
    }

    /// Statistics about one user.
    user_personal_stats: UserId => PersonalStats {
        load: |store, id| store.personal_stats(*id),
        touched_by: [
            Entry("users", &["id"]),
            Entry("credentials", &["user_id"]),
            Entry("sessions", &["user_id"])
        ],
        ttl_seconds: 3600,
        variables: ["CACHE_USER_TTL"],
        keys_for: Admins,
    }

    /// The id of the user with this e-mail address.
    user_email: Email => UserId {
        load: |store, email| store.id_by_email(email),
        touched_by: [Entry("users", &["email"])],
        ttl_seconds: 300,
        variables: ["USER_CACHE_TTL"],
        keys_for: Superadmins,
    }

    /// The id of the user with this name.
    user_username: Username => UserId {
        load: |store, username| store.id_by_username(username),
        touched_by: [Entry("users", &["username"])],
        ttl_seconds: 300,
        variables: ["USER_CACHE_TTL"],
        keys_for: Admins,
    }

    /// The id of the user with this telephone number.
    user_phone: Phone => UserId {
        load: |store, phone| store.id_by_phone(phone),
        touched_by: [Entry("users", &["phone"])],
        ttl_seconds: 300,
        variables: ["USER_CACHE_TTL"],
        keys_for: Superadmins,
    }

    /// The id of the user with this external id.
    user_external: ExternalId => UserId {
        load: |store, external| store.id_by_external(external),
        touched_by: [Entry("users", &["external_id"])],
        ttl_seconds: 300,
        variables: ["USER_CACHE_TTL"],
        keys_for: Superadmins,
    }

    /// One page of a list of users; each role has its own list.
    user_list: ListQuery => ListPage<User> {
        load: |store, query| lists::page(store, query),
        touched_by: [All("users"), All("user_counts")],
        ttl_seconds: 60,
        variables: ["USER_LIST_TTL"],
        keys_for: ByRoleInKey,
    }

    /// One page of the list for superadmins. It also has each user's login data: password and sessions, without
    /// secrets.
    superadmin_user_list: ListQuery => ListPage<AccountOverview> {
        load: |store, query| lists::overviews(store, query),
        touched_by: [All("users"), All("credentials"), All("sessions"), All("user_counts")],
        ttl_seconds: 900,
        variables: ["SUPERADMIN_USER_LIST_TTL"],
        keys_for: Superadmins,
    }

    /// Statistics over all users, as of a day. The key holds the day, so no entry is served on another day.
    user_stats: Day => UserStatistics {
        load: |store, day| statistics::of_users(store, *day),
        touched_by: [All("users"), All("user_counts"), All("user_days")],
        ttl_seconds: 300,
        variables: ["USER_STATS_TTL"],
        keys_for: Admins,
    }

    /// What the dashboard shows on a day. The key holds the day, so no entry is served on another day.
    dashboard_stats: Day => Dashboard {
        load: |store, day| statistics::dashboard(store, *day),
        touched_by: [All("users"), All("user_counts"), All("user_days")],
        ttl_seconds: 600,
        variables: ["DASHBOARD_STATS_TTL"],
        keys_for: Admins,
    }

    /// What every user may see of a user.
    profile: UserId => PublicUser {
        load: |store, id| async { Ok::<_, StoreError>(store.user(*id).await?.as_ref().map(PublicUser::from)) },
        touched_by: [Entry("users", &["id"])],
        ttl_seconds: 180,
        variables: ["USER_PROFILE_TTL"],
        keys_for: Admins,
    }

    /// A user with every part of its profile.
    full_profile: UserId => FullProfile {
        load: |store, id| store.full_profile(*id),
        touched_by: [
            Entry("users", &["id"]),
            Entry("preferences", &["user_id"]),
            Entry("languages", &["user_id"]),
            Entry("accessibility", &["user_id"]),
            Entry("interests", &["user_id"])
        ],
        ttl_seconds: 3600,
        variables: ["CACHE_USER_TTL"],
        keys_for: Admins,
    }

    /// A part of a user's profile: its preferences.
    preferences: UserId => Preferences {
        load: |store, id| store.part(*id),
        touched_by: [Entry("users", &["id"]), Entry("preferences", &["user_id"])],
        ttl_seconds: 3600,
        variables: ["CACHE_USER_TTL"],
        keys_for: Admins,
    }

    /// A part of a user's profile: its languages.
    languages: UserId => Languages {
        load: |store, id| store.part(*id),
        touched_by: [Entry("users", &["id"]), Entry("languages", &["user_id"])],
        ttl_seconds: 3600,
        variables: ["CACHE_USER_TTL"],
        keys_for: Admins,
    }

    /// A part of a user's profile: its accessibility settings.
    accessibility: UserId => Accessibility {
        load: |store, id| store.part(*id),
        touched_by: [Entry("users", &["id"]), Entry("accessibility", &["user_id"])],
        ttl_seconds: 3600,
        variables: ["CACHE_USER_TTL"],
        keys_for: Admins,
    }

    /// A part of a user's profile: its interests.
    interests: UserId => Interests {
        load: |store, id| store.part(*id),
        touched_by: [Entry("users", &["id"]), Entry("interests", &["user_id"])],
        ttl_seconds: 3600,
        variables: ["CACHE_USER_TTL"],
        keys_for: Admins,
    }

    /// One page of the leaderboard. The touch by `achievements` is superfluous, because the loader does not read this
    /// table. It stays because its removal needs a new migration of the journal.
    leaderboard: LeaderboardQuery => Vec<LeaderboardRow> {
        load: |store, query| store.leaderboard(*query),
        touched_by: [AllReading("users", LEADERBOARD_READS), All("achievements")],
        ttl_seconds: 900,
        variables: ["CACHE_LEADERBOARD_TTL"],
        keys_for: Admins,
    }

    /// A user's rank and points. Each entry has the tag `leaderboard`, so a change that touches the leaderboard also
    /// touches this entry.
    leaderboard_standing: UserId => Standing {
        load: |store, id| store.standing(*id),
        touched_by: [],
        ttl_seconds: 900,
        variables: ["CACHE_LEADERBOARD_TTL"],
        keys_for: Admins,
        with: tagged("leaderboard"),
    }

    /// A user's achievements, newest first.
    achievements: UserId => Vec<Achievement> {
        load: |store, id| store.achievements(*id),
        touched_by: [Entry("achievements", &["user_id"])],
        ttl_seconds: 1800,
        variables: ["CACHE_ACHIEVEMENT_TTL"],
        keys_for: Admins,
    }

    /// The summary of a user's achievements.
    achievement_summary: UserId => Summary {
        load: |store, id| store.achievement_summary(*id),
        touched_by: [Entry("achievements", &["user_id"])],
        ttl_seconds: 1800,
        variables: ["CACHE_ACHIEVEMENT_TTL"],
        keys_for: Admins,
    }

    /// When a user was awarded achievements: how many, the first, the latest and the recent ones. What is recent changes
    /// with the time, so it is not audited.
    achievement_stats: UserId => AwardTimes {
        load: |store, id| store.award_times(*id, Timestamp::now()),
        touched_by: [Entry("achievements", &["user_id"])],
        ttl_seconds: 1800,
        variables: ["CACHE_ACHIEVEMENT_TTL"],
        keys_for: Admins,
        with: unaudited(),
    }

    /// The newest achievements of all active users.
    recent_achievements: Limit => Vec<RecentAchievement> {
        load: |store, limit| store.recent_achievements(*limit),
        touched_by: [AllReading("users", RECENT_ACHIEVEMENTS_READ), All("achievements")],
        ttl_seconds: 300,
        variables: [],
        keys_for: Admins,
    }

    /// A user's permissions, sorted by name, for display only. The class `auth_state` decides what a caller may do.
    permissions: UserId => Vec<Grant> {
        load: |store, id| store.permissions(*id),
        touched_by: [Entry("permissions", &["user_id"])],
        ttl_seconds: 300,
        variables: [],
        keys_for: Admins,
        with: memory_only(),
    }

    /// An API key by its public id: owner, scopes and state. No entry holds a key or a key's hash.
    api_key: ApiKeyId => ApiKeyState {
        load: |store, id| store.api_key(*id),
        touched_by: [Entry("api_keys", &["id"])],
        ttl_seconds: 300,
        variables: [],
        keys_for: Admins,
        with: memory_only(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::role::Role;

    #[test]
    fn keys_that_hold_what_superadmins_alone_see_are_for_superadmins() {
        let list_of = |role: Role| [Some(role.as_str().to_owned()), None];
        for (class, parts, for_admins) in [
            ("user_details", [None, None], true),
            ("user_email", [None, None], false),
            ("user_list", list_of(Role::Admin), true),
            ("user_list", list_of(Role::Superadmin), false),
        ] {
            let keys_for = keys_for(class);
            assert!(keys_for.admits(Role::Superadmin, &parts), "{class}");
            assert_eq!(keys_for.admits(Role::Admin, &parts), for_admins, "{class}");
            assert!(!keys_for.admits(Role::User, &parts), "{class}");
        }
    }
}
