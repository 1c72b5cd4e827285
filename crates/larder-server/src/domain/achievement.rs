//! Achievements: badges that a user was awarded, each once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::fields::Fields;
use crate::domain::identity::{UserId, UserRef, Username};
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::paging::Limit;
use crate::domain::permission::slug;
use crate::domain::points::MOST_POINTS;
use crate::domain::profile::AvatarUrl;
use crate::domain::text::{FullName, text_type};
use crate::domain::timestamp::Timestamp;

/// The largest `data` of an achievement, in bytes of JSON.
const DATA_BYTES: usize = 4096;
const DEFAULT_RECENT: &str = "10";
const DAY: Duration = Duration::from_secs(24 * 3600);

text_type! {
    /// Which badge: 1 to 64 of `a-z 0-9 . _ -`.
    BadgeType
}

impl BadgeType {
    /// Checks.
    ///
    /// # Errors
    /// Other characters or a length out of bounds.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        slug(raw).map(Self)
    }
}

text_type! {
    @bare
    /// What an application keeps with an achievement: a JSON object of at most 4 KiB, as its text.
    AwardData
}

impl AwardData {
    /// Checks.
    ///
    /// # Errors
    /// Not an object, or too large.
    pub fn new(value: &Value) -> Result<Self, Invalid> {
        let text = value.to_string();
        match value.is_object() {
            true if text.len() <= DATA_BYTES => Ok(Self(text)),
            true => Err(Invalid::new("is too large; at most 4096 bytes of JSON are allowed")),
            false => Err(Invalid::new("must be a JSON object")),
        }
    }

    /// The object.
    pub fn to_value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl Default for AwardData {
    fn default() -> Self {
        Self("{}".to_owned())
    }
}

/// An achievement to award.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Award {
    /// Which badge.
    pub badge_type: BadgeType,
    /// What is kept with it.
    pub data: AwardData,
    /// Points that are booked with it.
    pub points: i64,
}

/// The body of `POST achievements/award`.
#[derive(Debug)]
pub struct AwardBody {
    /// To whom.
    pub user: UserRef,
    /// What.
    pub award: Award,
}

impl AwardBody {
    /// Parses a body.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown.
    pub fn parse(body: Value) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let user = fields.required("user_id", str::parse::<UserRef>);
        let badge_type = fields.required("badge_type", BadgeType::parse);
        let data = fields.value("data", AwardData::new).unwrap_or_default();
        let points = fields.optional_number("points", |points| match points {
            0..=MOST_POINTS => Ok(points),
            _ => Err(Invalid::new("must be 0 to 1099511627775")),
        });
        let points = points.unwrap_or_default();
        let built = user.zip(badge_type);
        fields
            .finish(built.map(|(user, badge_type)| Self { user, award: Award { badge_type, data, points } }))
    }
}

/// An achievement, as the database holds it and as it is cached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Achievement {
    /// Its id, a UUID of version 7.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: UserId,
    /// Which badge.
    pub badge_type: BadgeType,
    /// What is kept with it.
    pub data: AwardData,
    /// The points that were booked with it.
    pub points: i64,
    /// The id of who awarded it; `None` when other software did.
    pub awarded_by: Option<String>,
    /// When.
    pub awarded_at: Timestamp,
}

/// A user's achievements in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Summary {
    /// Whose they are.
    pub user_id: UserId,
    /// How many.
    pub total: i64,
    /// The points that were booked with them.
    pub points: i64,
    /// The points of each badge, of the newest 1,000.
    pub by_badge: BTreeMap<BadgeType, i64>,
    /// The newest badge.
    pub latest: Option<BadgeType>,
    /// When it was awarded.
    pub latest_at: Option<Timestamp>,
}

/// What a user's achievements come to, as cached: the moments, of which each answer counts those in its windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwardTimes {
    /// Whose they are.
    pub user_id: UserId,
    /// How many.
    pub total: i64,
    /// When the first was awarded.
    pub first_at: Option<Timestamp>,
    /// When the latest was awarded.
    pub latest_at: Option<Timestamp>,
    /// When each of those was awarded that were recent when this was read, newest first.
    pub recent: Vec<Timestamp>,
}

/// What a user's achievements come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AwardStats {
    /// Whose they are.
    pub user_id: UserId,
    /// How many.
    pub total: i64,
    /// How many in the last 7 days.
    pub last_7_days: usize,
    /// How many in the last 30 days.
    pub last_30_days: usize,
    /// When the first was awarded.
    pub first_at: Option<Timestamp>,
    /// When the latest was awarded.
    pub latest_at: Option<Timestamp>,
}

impl AwardTimes {
    /// What they come to at `now`.
    pub fn at(&self, now: Timestamp) -> AwardStats {
        let within = |days: u32| self.recent.iter().filter(|awarded| awarded.after(DAY * days) > now).count();
        AwardStats {
            user_id: self.user_id,
            total: self.total,
            last_7_days: within(7),
            last_30_days: within(RECENT_DAYS),
            first_at: self.first_at,
            latest_at: self.latest_at,
        }
    }
}

/// The widest window that [`AwardStats`] counts, in days.
pub const RECENT_DAYS: u32 = 30;

/// An achievement as everybody sees it among the newest of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[allow(missing_docs, reason = "each field is named after its type, which is documented")]
pub struct RecentAchievement {
    pub id: Uuid,
    pub user_id: UserId,
    pub username: Username,
    pub full_name: Option<FullName>,
    pub avatar_url: Option<AvatarUrl>,
    pub badge_type: BadgeType,
    pub points: i64,
    pub awarded_at: Timestamp,
}

/// The parameters of the newest achievements as they stand in the URL.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RecentParams {
    /// How many at most: 1 to 100, by default 10.
    #[param(pattern = "^([1-9]|[1-9][0-9]|100)$")]
    pub limit: Option<String>,
}

impl RecentParams {
    /// Parses the parameters.
    ///
    /// # Errors
    /// A wrong `limit`.
    pub fn limit(&self) -> Result<Limit, ValidationErrors> {
        let limit = Limit::parse(self.limit.as_deref().unwrap_or(DEFAULT_RECENT));
        limit.map_err(|invalid| ValidationErrors::one("limit", invalid))
    }
}

/// The parameters of a summary as they stand in the URL.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OfUserParams {
    /// Whose: a UUID of version 7, an external id, or `me`. Default: `me`.
    #[param(pattern = "^[._-]{0,63}[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    pub user: Option<String>,
}

impl OfUserParams {
    /// Parses the parameters.
    ///
    /// # Errors
    /// A wrong `user`.
    pub fn user(&self) -> Result<UserRef, ValidationErrors> {
        let user = self.user.as_deref().unwrap_or("me").parse();
        user.map_err(|invalid| ValidationErrors::one("user", invalid))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(body: Value) -> Vec<String> {
        AwardBody::parse(body).unwrap_err().iter().map(|(field, _)| field.to_owned()).collect()
    }

    #[test]
    fn awards_are_parsed_whole() {
        let AwardBody { award, .. } = AwardBody::parse(
            json!({ "user_id": "123", "badge_type": "early_bird", "points": 5, "data": {"a": "\0"} }),
        )
        .unwrap();
        assert_eq!((award.points, award.data.to_value()), (5, json!({"a": "\0"})));
        assert!(
            AwardBody::parse(json!({ "user_id": "me", "badge_type": "a", "data": null, "points": null }))
                .is_ok()
        );
        assert_eq!(fields(json!({ "x": 1 })), ["badge_type", "user_id", "x"]);
        for data in [json!([]), json!("{}"), json!(1), json!({ "a": "x".repeat(4096) })] {
            assert_eq!(fields(json!({ "user_id": "1", "badge_type": "a", "data": data })), ["data"]);
        }
        for points in [json!(-1), json!(1_i64 << 40), json!(0.5), json!("1")] {
            assert_eq!(fields(json!({ "user_id": "1", "badge_type": "a", "points": points })), ["points"]);
        }
    }

    #[test]
    fn windows_move_on_while_the_value_stays() {
        let at = |days: u32| Timestamp::from_micros(0).after(DAY * days);
        let times = AwardTimes {
            user_id: UserId::generate(),
            total: 9,
            first_at: None,
            latest_at: Some(at(20)),
            recent: vec![at(20), at(10)],
        };
        let counts = |now| (times.at(now).last_7_days, times.at(now).last_30_days);
        assert_eq!(counts(at(21)), (1, 2));
        assert_eq!(counts(at(27)), (0, 2));
        assert_eq!(counts(at(45)), (0, 1));
    }
}
