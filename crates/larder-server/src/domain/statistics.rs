//! Figures about all users, and about one.

use serde::{Deserialize, Serialize};

use crate::domain::identity::UserId;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A day in UTC. In JSON it is a date, `2026-11-21`; in compact formats its number since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, format = Date)]
pub struct Day(i64);

impl Day {
    /// The day of a moment.
    pub fn of(moment: Timestamp) -> Self {
        Self(moment.as_micros().div_euclid(MICROS_PER_DAY))
    }

    /// The day that is so many days after 1970-01-01.
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// How many days after 1970-01-01.
    pub fn number(self) -> i64 {
        self.0
    }

    /// So many days earlier.
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
    /// Only from compact formats, such as a cached entry: nobody sends us a day.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self)
    }
}

/// How many of the present users were created on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignUps {
    /// The day, in UTC.
    pub day: Day,
    /// How many.
    pub users: i64,
}

/// How many users have a role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[allow(missing_docs, reason = "each field is named after its role")]
pub struct ByRole {
    pub user: i64,
    pub admin: i64,
    pub superadmin: i64,
}

/// How many of the present users are new, by days in UTC of which the last is not over yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NewUsers {
    /// Created today.
    pub today: i64,
    /// Created in the last 7 days, with today.
    pub last_7_days: i64,
    /// Created in the last 30 days, with today.
    pub last_30_days: i64,
}

/// The points of all users.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Points {
    /// Of all together.
    pub total: i64,
    /// Per user; 0 when there is none.
    pub mean: f64,
}

/// Figures over all users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UserStatistics {
    /// The day of the figures that depend on one, in UTC.
    pub day: Day,
    /// How many users there are.
    pub total: i64,
    /// Of these, how many are active.
    pub active: i64,
    /// And how many are not.
    pub inactive: i64,
    /// By role.
    pub by_role: ByRole,
    /// The new ones.
    pub new_users: NewUsers,
    /// The points.
    pub points: Points,
}

/// What a dashboard shows: the figures, and how they came about lately.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dashboard {
    /// Over all users.
    pub statistics: UserStatistics,
    /// For each of the last 30 days in UTC, today last; a day without any is there with 0.
    pub sign_ups: Vec<SignUps>,
    /// The five who came last, newest first. Whole: each reader is shown what it may see.
    pub newest: Vec<User>,
}

/// Figures about one user, as cached: what is true of them at a moment is computed when they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonalStats {
    /// The user.
    pub id: UserId,
    /// When it was created.
    pub member_since: Timestamp,
    /// When its row changed last.
    pub updated_at: Timestamp,
    /// Its points.
    pub points: i64,
    /// When it opened its latest session that is remembered; sessions are for some time after they expired.
    pub last_login_at: Option<Timestamp>,
    /// When it set its password; `None` without one.
    pub password_changed_at: Option<Timestamp>,
    /// When each of its sessions expires that nobody has ended.
    pub session_ends: Vec<Timestamp>,
}

/// How many of these sessions have not expired yet.
pub fn live_sessions(session_ends: &[Timestamp], now: Timestamp) -> usize {
    session_ends.iter().filter(|end| **end > now).count()
}

/// A user as only superadmins see it, as cached: with how it logs in, but nothing to log in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountOverview {
    /// The user.
    pub user: User,
    /// Whether it can log in with a password.
    pub has_password: bool,
    /// When that was set.
    pub password_changed_at: Option<Timestamp>,
    /// How often its tokens were made void, from 1 on; 0 without a password.
    pub epoch: i64,
    /// When it opened its latest session that is remembered.
    pub last_login_at: Option<Timestamp>,
    /// When each of its sessions expires that nobody has ended.
    pub session_ends: Vec<Timestamp>,
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
    fn sessions_that_expired_are_not_live() {
        let at = |micros| Timestamp::from_micros(micros);
        assert_eq!(live_sessions(&[at(1), at(2), at(3)], at(2)), 1);
    }
}
