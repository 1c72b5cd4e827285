//! Statistics about all users, and about one user.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::identity::UserId;
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// How many days the statistics cover, including the present day.
pub(crate) const DAYS: u16 = 30;

/// A day in UTC. JSON has its date, `2026-11-21`; compact formats have its number since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, format = Date)]
pub struct Day(i64);

impl Day {
    /// The day that contains `moment`.
    pub fn of(moment: Timestamp) -> Self {
        Self(moment.as_micros().div_euclid(MICROS_PER_DAY))
    }

    /// The present day.
    pub fn today() -> Self {
        Self::of(Timestamp::now())
    }

    /// The day `number` days after 1970-01-01.
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The number of days after 1970-01-01.
    pub fn number(self) -> i64 {
        self.0
    }

    /// The day `days` days earlier.
    #[must_use]
    pub fn before(self, days: u16) -> Self {
        Self(self.0.saturating_sub(i64::from(days)))
    }

    fn as_date(self) -> String {
        let midnight = Timestamp::from_micros(self.0.saturating_mul(MICROS_PER_DAY)).to_string();
        midnight.split('T').next().unwrap_or_default().to_owned()
    }
}

impl Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.as_date())
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Day {
    /// Reads only compact formats, such as the format of a cached entry. JSON is not needed, because no request
    /// contains a day.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self)
    }
}

/// How many of the existing users were created on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignUps {
    /// The day, in UTC.
    pub day: Day,
    /// How many users.
    pub users: i64,
}

/// The sign-ups of each of the last [`DAYS`] days, `last` included; a day without any has 0.
pub(crate) fn every_day(last: Day, sign_ups: &[SignUps]) -> Vec<SignUps> {
    let of = |day| sign_ups.iter().find(|sign_ups| sign_ups.day == day).copied();
    let days = (0..DAYS).rev().map(|days| last.before(days));
    days.map(|day| of(day).unwrap_or(SignUps { day, users: 0 })).collect()
}

/// The users of one role and status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is what its name says")]
pub struct Count {
    pub role: Role,
    pub is_active: bool,
    pub users: i64,
    pub points: i64,
}

/// How many users have a role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[allow(missing_docs, reason = "each field is named after its role")]
pub struct ByRole {
    pub user: i64,
    pub admin: i64,
    pub superadmin: i64,
}

/// How many of the existing users are new, by days in UTC; the last day is not over yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NewUsers {
    /// How many were created today.
    pub today: i64,
    /// How many were created in the last 7 days, including today.
    pub last_7_days: i64,
    /// How many were created in the last 30 days, including today.
    pub last_30_days: i64,
}

/// The points of all users.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Points {
    /// The sum over all users.
    pub total: i64,
    /// The mean per user; 0 if there is no user.
    pub mean: f64,
}

/// Statistics over all users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UserStatistics {
    /// The day for which the new users are counted, in UTC.
    pub day: Day,
    /// How many users there are.
    pub total: i64,
    /// Of these, how many are active.
    pub active: i64,
    /// Of all users, how many are inactive.
    pub inactive: i64,
    /// How many users have each role.
    pub by_role: ByRole,
    /// How many users are new.
    pub new_users: NewUsers,
    /// The points of all users.
    pub points: Points,
}

impl UserStatistics {
    /// The statistics on `day`, from the counts on that day and from the sign-ups of that day and the days before.
    pub(crate) fn of(day: Day, counts: &[Count], sign_ups: &[SignUps]) -> Self {
        let users = |is_meant: &dyn Fn(&Count) -> bool| {
            counts.iter().filter(|count| is_meant(count)).map(|count| count.users).sum::<i64>()
        };
        let with_role = |role| users(&|count| count.role == role);
        let since = |days| {
            let first = day.before(days);
            sign_ups.iter().filter(|sign_ups| sign_ups.day >= first).map(|sign_ups| sign_ups.users).sum()
        };
        let total = users(&|_| true);
        let points: i64 = counts.iter().map(|count| count.points).sum();
        Self {
            day,
            total,
            active: users(&|count| count.is_active),
            inactive: users(&|count| !count.is_active),
            by_role: ByRole {
                user: with_role(Role::User),
                admin: with_role(Role::Admin),
                superadmin: with_role(Role::Superadmin),
            },
            new_users: NewUsers { today: since(0), last_7_days: since(6), last_30_days: since(29) },
            points: Points {
                total: points,
                mean: if total > 0 { points as f64 / total as f64 } else { 0.0 },
            },
        }
    }
}

/// The content of a dashboard: the statistics, the recent sign-ups and the newest users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dashboard {
    /// The statistics over all users.
    pub statistics: UserStatistics,
    /// The sign-ups of each of the last 30 days in UTC, today last; a day without any has 0.
    pub sign_ups: Vec<SignUps>,
    /// The five newest users, newest first, with all fields. The API layer removes the fields that the reader may not
    /// see.
    pub newest: Vec<User>,
}

/// Statistics about one user, as cached. Values that depend on the present time are computed for each answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonalStats {
    /// The user.
    pub id: UserId,
    /// When the user was created.
    pub member_since: Timestamp,
    /// When the user's row last changed.
    pub updated_at: Timestamp,
    /// The user's points.
    pub points: i64,
    /// When the user opened its latest session that is still stored. Expired sessions stay stored for some time.
    pub last_login_at: Option<Timestamp>,
    /// When the user set its password; `None` without a password.
    pub password_changed_at: Option<Timestamp>,
    /// The sessions of the user, without those that were ended.
    pub sessions: Vec<SessionLife>,
}

/// What decides how long a session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionLife {
    /// When the session was opened or last refreshed, as of the load. A later refresh does not invalidate the cached
    /// entry.
    pub last_used_at: Timestamp,
    /// When the session ends, however often it is refreshed.
    pub expires_at: Timestamp,
}

impl SessionLife {
    fn is_live(&self, now: Timestamp, idle: Duration) -> bool {
        self.expires_at > now && self.last_used_at.after(idle) > now
    }
}

/// How many of these sessions can still be used at `now`, if a session ends that was not used for `idle`.
pub fn live_sessions(sessions: &[SessionLife], now: Timestamp, idle: Duration) -> usize {
    sessions.iter().filter(|session| session.is_live(now, idle)).count()
}

/// Whether one of these sessions, which were loaded at most `age` ago, counts as idle at `now` but may have been
/// refreshed since the load. A session that was idle at the load can never be refreshed.
pub fn may_be_refreshed(sessions: &[SessionLife], now: Timestamp, idle: Duration, age: Duration) -> bool {
    let loaded = now.before(age);
    sessions.iter().any(|session| session.is_live(loaded, idle) && session.last_used_at.after(idle) <= now)
}

/// A user as superadmins see it, as cached: with its login methods, but without any secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountOverview {
    /// The user.
    pub user: User,
    /// Whether the user can log in with a password.
    pub has_password: bool,
    /// When the password was set.
    pub password_changed_at: Option<Timestamp>,
    /// How often the user's tokens were made invalid, counted from 1; 0 without a password.
    pub epoch: i64,
    /// When the user opened its latest session that is still stored.
    pub last_login_at: Option<Timestamp>,
    /// The sessions of the user, without those that were ended.
    pub sessions: Vec<SessionLife>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_end_at_midnight_in_utc() {
        let day = Day::of(Timestamp::from_micros(1_700_000_000_123_456));
        assert_eq!(serde_json::to_value(day).unwrap(), "2023-11-14");
        assert_eq!(serde_json::to_value(day.before(14)).unwrap(), "2023-10-31");
        let midnight = day.number() * MICROS_PER_DAY;
        assert_eq!(Day::of(Timestamp::from_micros(midnight)), day);
        assert_eq!(Day::of(Timestamp::from_micros(midnight - 1)), day.before(1));
        assert_eq!(Day::of(Timestamp::from_micros(-1)).number(), -1);
    }

    #[test]
    fn expired_and_idle_sessions_are_not_live() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let session = |used, end| SessionLife { last_used_at: at(used), expires_at: at(end) };
        let (idle, age) = (Duration::from_secs(10), Duration::from_secs(3));
        let sessions = [session(0, 5), session(0, 50), session(6, 15), session(6, 50)];
        for (now, live, is_unsure) in [
            (4, 4, false),
            (5, 3, false),
            (9, 3, false),
            (10, 2, true),
            (12, 2, true),
            (13, 2, false),
            (15, 1, false),
            (16, 0, true),
        ] {
            assert_eq!(live_sessions(&sessions, at(now), idle), live, "at {now}");
            assert_eq!(may_be_refreshed(&sessions, at(now), idle, age), is_unsure, "at {now}");
        }
    }
}
