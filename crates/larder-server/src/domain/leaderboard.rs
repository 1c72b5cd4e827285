//! The leaderboard: its query, its rows, and the rank of one user.

use serde::{Deserialize, Serialize};

use crate::domain::identity::{UserId, Username};
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::paging::Limit;
use crate::domain::profile::AvatarUrl;
use crate::domain::text::FullName;

const DEFAULT_LIMIT: &str = "10";
/// The number of the last row that a page can show. It has a limit because the database reads all rows before a page.
/// The rank of one user needs no such read.
const MOST_ROWS: u32 = 10_000;

/// One page of the leaderboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderboardQuery {
    /// How many rows at most.
    pub limit: Limit,
    /// How many rows to skip.
    pub offset: u32,
}

/// The parameters of the leaderboard, as in the URL.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LeaderboardParams {
    /// How many rows at most: 1 to 100, by default 10.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    pub limit: Option<String>,
    /// How many rows to skip, by default 0; offset plus limit at most 10000.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 9_999)]
    pub offset: Option<String>,
}

impl LeaderboardQuery {
    /// Parses the parameters.
    ///
    /// # Errors
    /// Every invalid parameter.
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
            "is too large: offset plus limit may be at most 10000; leaderboard/me returns your rank",
        )),
        _ => Err(Invalid::new("must be an integer from 0")),
    }
}

/// A row of the leaderboard, with what every user may see.
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

/// A user's rank and points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Standing {
    /// The user.
    pub user_id: UserId,
    /// The user's points.
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
    fn pages_are_bounded_and_errors_are_named() {
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
