//! Achievements: badges that a user was awarded. A user has each badge at most once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::openapi::schema::ObjectBuilder;
use uuid::Uuid;

use crate::domain::fields::{OrDefault, body};
use crate::domain::identity::{UserId, UserRef, Username};
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::json::{from_json, integer, integer_of, whole};
use crate::domain::paging::Limit;
use crate::domain::permission::slug;
use crate::domain::points::MOST_POINTS;
use crate::domain::profile::AvatarUrl;
use crate::domain::strict;
use crate::domain::text::{FullName, text_type};
use crate::domain::timestamp::Timestamp;

/// The greatest length of an achievement's `data`, in bytes of JSON.
const DATA_BYTES: usize = 4096;
const TOO_LARGE: &str = "is too large; at most 4096 bytes of JSON are allowed";
const DEFAULT_RECENT: &str = "10";
const DAY: Duration = Duration::from_secs(24 * 3600);

text_type! {
    /// The name of a badge: 1 to 64 of `a-z 0-9 . _ -`.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9_.-]+$")]
    BadgeType
}

impl BadgeType {
    /// Checks the text.
    ///
    /// # Errors
    /// The text has other characters, or its length is out of bounds.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        slug(raw).map(Self)
    }
}

text_type! {
    @bare
    /// The data that an application keeps with an achievement: the text of a JSON object of at most 4 KiB.
    AwardData
}

impl AwardData {
    /// Checks the value.
    ///
    /// # Errors
    /// The value is not an object, or it is too large.
    pub fn new(value: &Value) -> Result<Self, Invalid> {
        let text = value.to_string();
        match value.is_object() {
            true if text.len() <= DATA_BYTES => Ok(Self(text)),
            true => Err(Invalid::new(TOO_LARGE)),
            false => Err(Invalid::new("must be a JSON object")),
        }
    }

    /// The same data in the spelling of `body`, from which it was parsed. The spelling matters for numbers: a [`Value`]
    /// does not distinguish `1.0` from `1.00`, and holds no number exactly that needs more than 64 bits.
    ///
    /// # Errors
    /// The value is too large in the spelling of `body`.
    pub fn as_sent(self, body: &[u8]) -> Result<Self, Invalid> {
        #[derive(Deserialize)]
        struct Sent<'a> {
            #[serde(borrow)]
            data: Option<&'a RawValue>,
        }
        let sent = serde_json::from_slice::<Sent<'_>>(body).ok().and_then(|sent| sent.data);
        match sent.map(|data| strict::compact(data.get())) {
            None => Ok(self),
            Some(text) if text.len() <= DATA_BYTES => Ok(Self(text)),
            Some(_) => Err(Invalid::new(TOO_LARGE)),
        }
    }

    /// The JSON object, as it was sent.
    pub fn to_json(&self) -> Box<RawValue> {
        // Other software may have written a text that is not JSON. Such a text is shown as `null`.
        RawValue::from_string(self.0.clone()).unwrap_or_else(|_| RawValue::NULL.to_owned())
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
    /// The badge.
    pub badge_type: BadgeType,
    /// The application's data.
    pub data: AwardData,
    /// The points that are booked with the achievement.
    pub points: i64,
}

from_json!(AwardData, whole, Self::new, ObjectBuilder::new());

body! {
    /// An achievement to award.
    #[schema(AwardRequest, {"user_id": "staff-7", "badge_type": "first_steps", "points": 10})]
    #[derive(Debug)]
    pub struct AwardBody {
        /// The user: a UUID of version 7, or an external id.
        pub user_id: UserRef,
        /// The badge; a user can have each once.
        pub badge_type: BadgeType,
        /// The data that is stored with the achievement: an object of at most 4096 bytes of JSON. Default: `{}`.
        pub data: AwardData as OrDefault<Option<AwardData>>,
        /// Points that are booked with the achievement. Default: 0.
        pub points: i64 as OrDefault<Option<AwardPoints>>,
    }
}

enum AwardPoints {}

from_json!(AwardPoints => i64, integer_of, award_points, integer(0, MOST_POINTS));

fn award_points(points: i64) -> Result<i64, Invalid> {
    match points {
        0..=MOST_POINTS => Ok(points),
        _ => Err(Invalid::new("must be 0 to 1099511627775")),
    }
}

/// An achievement, as the database holds it and as it is cached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Achievement {
    /// The id, a UUID of version 7.
    pub id: Uuid,
    /// The user who has the achievement.
    pub user_id: UserId,
    /// The badge.
    pub badge_type: BadgeType,
    /// The application's data.
    pub data: AwardData,
    /// The points that were booked with the achievement.
    pub points: i64,
    /// The id of the user who awarded the achievement; `None` if another program did.
    pub awarded_by: Option<String>,
    /// When the achievement was awarded.
    pub awarded_at: Timestamp,
}

/// The summary of a user's achievements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Summary {
    /// The user.
    pub user_id: UserId,
    /// How many achievements the user has.
    pub total: i64,
    /// The points that were booked with all of them.
    pub points: i64,
    /// The points of each badge, for the newest 1,000.
    pub by_badge: BTreeMap<BadgeType, i64>,
    /// The newest badge.
    pub latest: Option<BadgeType>,
    /// When the newest badge was awarded.
    pub latest_at: Option<Timestamp>,
}

/// When a user was awarded achievements, as cached. The entry has times and not counts, because the count for the last
/// 7 or 30 days depends on the time of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwardTimes {
    /// The user.
    pub user_id: UserId,
    /// How many achievements the user has.
    pub total: i64,
    /// When the first was awarded.
    pub first_at: Option<Timestamp>,
    /// When the latest was awarded.
    pub latest_at: Option<Timestamp>,
    /// When the achievements of the last [`RECENT_DAYS`] days before the load were awarded, newest first.
    pub recent: Vec<Timestamp>,
}

/// How many achievements a user has and when they were awarded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AwardStats {
    /// The user.
    pub user_id: UserId,
    /// How many achievements the user has.
    pub total: i64,
    /// How many of them were awarded in the last 7 days.
    pub last_7_days: usize,
    /// How many of them were awarded in the last 30 days.
    pub last_30_days: usize,
    /// When the first was awarded.
    pub first_at: Option<Timestamp>,
    /// When the latest was awarded.
    pub latest_at: Option<Timestamp>,
}

impl AwardTimes {
    /// The counts at `now`.
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

/// One of the newest achievements of all users, as every user sees it.
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

/// The parameters of the newest achievements, as in the URL.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RecentParams {
    /// How many at most: 1 to 100, by default 10.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    pub limit: Option<String>,
}

impl RecentParams {
    /// The parsed `limit`.
    ///
    /// # Errors
    /// `limit` is invalid.
    pub fn limit(&self) -> Result<Limit, ValidationErrors> {
        let limit = Limit::parse(self.limit.as_deref().unwrap_or(DEFAULT_RECENT));
        limit.map_err(|invalid| ValidationErrors::one("limit", invalid))
    }
}

/// The parameters of a summary, as in the URL.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OfUserParams {
    /// The user: a UUID of version 7, an external id, or `me`. Default: `me`.
    #[param(pattern = "^[._|@+=-]{0,127}[A-Za-z0-9][A-Za-z0-9._|@+=-]{0,127}$")]
    pub user: Option<String>,
}

impl OfUserParams {
    /// Returns the user that is meant; without `user`, the caller.
    ///
    /// # Errors
    /// `user` is invalid.
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
    fn an_award_is_parsed_or_its_wrong_fields_are_named() {
        let award = AwardBody::parse(
            json!({ "user_id": "123", "badge_type": "early_bird", "points": 5, "data": {"a": "\0"} }),
        )
        .unwrap();
        assert_eq!((award.points, award.data.to_json().get()), (5, r#"{"a":"\u0000"}"#));
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
    fn the_windows_move_while_the_cached_value_stays() {
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
