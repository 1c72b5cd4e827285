//! The leaderboard, and ranks from counts that triggers keep: no statement here counts users.

use sqlx::Row;

use crate::domain::identity::{UserId, Username};
use crate::domain::leaderboard::{LeaderboardQuery, LeaderboardRow, Standing};
use crate::domain::profile::AvatarUrl;
use crate::domain::text::Line;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::odd_rows;
use crate::store::row;

/// The number of active users with more points than the row `$of`, as an SQL expression. A level of `points_counts` is
/// one of the ten hexadecimal digits of a balance. For each level, the expression adds the users whose earlier digits
/// are the same and whose digit at this level is greater. It reads at most 15 prefixes per level, each with 16 shards.
///
/// Each level is a subquery. PostgreSQL then uses the index, whatever it estimates for the size of the table; for a
/// join it might not.
macro_rules! users_before {
    ($of:literal) => {
        concat!(
            "(SELECT CAST(SUM((
                 SELECT COALESCE(SUM(total), 0) FROM points_counts
                 WHERE level = column1
                   AND prefix > ",
            $of,
            ".points >> (4 * column1)
                   AND prefix <= (",
            $of,
            ".points >> (4 * column1)) | 15
             )) AS BIGINT) FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS levels)"
        )
    };
}

impl Store {
    /// One page of the leaderboard: active users, most points first, then by id.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn leaderboard(&self, part: LeaderboardQuery) -> Result<Vec<LeaderboardRow>, StoreError> {
        // The rows before the page are read from the index alone. Only the page's first row takes its rank from
        // `points_counts`, because it may share its rank with rows before the page. The ranks of the other rows follow
        // from the first one.
        let rows = sqlx::query(concat!(
            "SELECT page.id, username, full_name, avatar_url, page.points,
                    CASE WHEN page.place = 1 THEN ",
            users_before!("page"),
            " END AS before_first
             FROM (
                 SELECT id, points, row_number() OVER (ORDER BY points DESC, id) AS place FROM (
                     SELECT id, points FROM users WHERE is_active ORDER BY points DESC, id LIMIT $1 OFFSET $2
                 ) AS part
             ) AS page
             JOIN users ON users.id = page.id
             ORDER BY page.place"
        ))
        .bind(i64::from(part.limit.get()))
        .bind(i64::from(part.offset))
        .fetch_all(self.database.read())
        .await?;
        // A row that cannot be read is left out of the page, but the ranks count it.
        let mut above: Option<(i64, i64)> = None;
        let mut ranks = Vec::with_capacity(rows.len());
        let places = i64::from(part.offset) + 1..;
        for (row, place) in rows.iter().zip(places) {
            let points = row.try_get("points")?;
            let rank = match above {
                None => 1 + row.try_get::<i64, _>("before_first")?,
                Some((rank, of_above)) if of_above == points => rank,
                Some(_) => place,
            };
            above = Some((rank, points));
            ranks.push(rank);
        }
        let shown = odd_rows::each("users", "id", &rows, |row| {
            let text = |column| row.try_get::<Option<String>, _>(column);
            Ok(LeaderboardRow {
                rank: 0,
                id: row::user_id(row, "id")?,
                username: Username::stored(row.try_get("username")?),
                full_name: text("full_name")?.map(Line::stored),
                avatar_url: text("avatar_url")?.map(AvatarUrl::stored),
                points: row.try_get("points")?,
            })
        })?;
        let ranked = shown.into_iter().zip(ranks);
        Ok(ranked.filter_map(|(row, rank)| Some(LeaderboardRow { rank, ..row? })).collect())
    }

    /// A user's rank and points; `None` if there is no such user.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn standing(&self, user_id: UserId) -> Result<Option<Standing>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT points, CAST(is_active AS INTEGER) AS is_active, ",
            users_before!("users"),
            " AS users_before FROM users WHERE id = $1"
        ));
        let row = query.bind(user_id.to_string()).fetch_optional(self.database.read()).await?;
        let Some(row) = row else { return Ok(None) };
        let rank = 1 + row.try_get::<i64, _>("users_before")?;
        let is_active = row.try_get::<i64, _>("is_active")? != 0;
        Ok(Some(Standing { user_id, points: row.try_get("points")?, rank: is_active.then_some(rank) }))
    }
}
