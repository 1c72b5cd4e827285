//! The leaderboard: which part of it, its rows, and where one user stands.

use serde::{Deserialize, Serialize};

use crate::domain::identity::{UserId, Username};
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::paging::Limit;
use crate::domain::profile::AvatarUrl;
use crate::domain::text::FullName;

const DEFAULT_LIMIT: &str = "10";
/// Deeper rows cost the database a walk over everything before them; a user's own rank does not.
const MOST_ROWS: u32 = 10_000;

/// A part of the leaderboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderboardQuery {
    /// How many rows at most.
    pub limit: Limit,
    /// How many rows to pass over.
    pub offset: u32,
}

/// The parameters of the leaderboard as they stand in the URL.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LeaderboardParams {
    /// How many rows at most: 1 to 100, by default 10.
    #[param(pattern = "^([1-9]|[1-9][0-9]|100)$")]
    pub limit: Option<String>,
    /// How many rows to pass over, by default 0; with the limit at most 10000.
    #[param(pattern = "^[0-9]{1,4}$")]
    pub offset: Option<String>,
}

impl LeaderboardQuery {
    /// Parses the parameters.
    ///
    /// # Errors
    /// Every parameter that is wrong.
    pub fn parse(params: &LeaderboardParams) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let limit = params.limit.as_deref().unwrap_or(DEFAULT_LIMIT);
        let limit = errors.keep("limit", Limit::parse(limit)).unwrap_or_default();
        let raw = params.offset.as_deref().unwrap_or("0");
        let offset = errors.keep("offset", offset(raw, limit)).unwrap_or_default();
        if errors.is_empty() { Ok(Self { limit, offset }) } else { Err(errors) }
    }
}

fn offset(raw: &str, limit: Limit) -> Result<u32, Invalid> {
    let digits = !raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_digit());
    match raw.parse::<u32>() {
        Ok(offset) if offset <= MOST_ROWS - limit.get() => Ok(offset),
        _ if digits => Err(Invalid::new(
            "lies too deep: offset plus limit may be at most 10000; leaderboard/me tells any rank",
        )),
        _ => Err(Invalid::new("must be a whole number from 0")),
    }
}

/// A row of the leaderboard: what everybody may see of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[allow(missing_docs, reason = "each field is named after its type, which is documented")]
pub struct LeaderboardRow {
    /// 1 plus the number of active users with more points: users with equal points share a rank.
    pub rank: i64,
    pub id: UserId,
    pub username: Username,
    pub full_name: Option<FullName>,
    pub avatar_url: Option<AvatarUrl>,
    pub points: i64,
}

/// Where a user stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Standing {
    /// The user.
    pub user_id: UserId,
    /// Its points.
    pub points: i64,
    /// 1 plus the number of active users with more points; `null` for an inactive user, who is not ranked.
    pub rank: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(limit: &str, offset: &str) -> Result<LeaderboardQuery, ValidationErrors> {
        let params = LeaderboardParams { limit: Some(limit.to_owned()), offset: Some(offset.to_owned()) };
        LeaderboardQuery::parse(&params)
    }

    #[test]
    fn parts_are_bounded_and_errors_named() {
        let first = LeaderboardQuery::parse(&LeaderboardParams::default()).unwrap();
        assert_eq!((first.limit.get(), first.offset), (10, 0));
        assert_eq!(parse("100", "9900").unwrap().offset, 9900);
        for (limit, offset) in
            [("100", "9901"), ("1", "10000"), ("1", "-1"), ("1", ""), ("1", "+"), ("1", "99999999999")]
        {
            let errors = parse(limit, offset).unwrap_err();
            assert!(errors.get("offset").is_some() && errors.get("limit").is_none(), "{limit} {offset}");
        }
        assert_eq!(parse("0", "x").unwrap_err().iter().count(), 2);
    }
}
