//! Awards achievements, reads the achievements of one user, and reads the newest achievements of all users.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::domain::achievement::{
    Achievement, Award, AwardData, AwardTimes, BadgeType, RECENT_DAYS, RecentAchievement, Summary,
};
use crate::domain::audit::{Action, Event};
use crate::domain::identity::{UserId, Username};
use crate::domain::paging::Limit;
use crate::domain::points::MOST_POINTS;
use crate::domain::profile::AvatarUrl;
use crate::domain::role::Role;
use crate::domain::text::Line;
use crate::domain::timestamp::Timestamp;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::odd_rows;
use crate::store::row;
use crate::store::writing::Writer;

const DAY_MICROS: i64 = Duration::from_secs(24 * 3600).as_micros() as i64;

/// The result of an award.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Awarded {
    /// The achievement was awarded and its points were booked.
    Done(Achievement),
    /// The user has this badge already.
    Already,
    /// The user is inactive.
    Inactive,
    /// The balance would rise above [`MOST_POINTS`].
    OutOfBounds,
    /// There is no such user, or its role differs from the one by which the caller's rights were checked.
    Outdated,
}

impl Writer {
    /// Awards an achievement to a user whose role still is `judged`, the role by which the caller's rights were
    /// checked. Triggers of the database book the achievement's points.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn award(
        &self,
        user_id: UserId,
        judged: Role,
        award: &Award,
        actor: UserId,
    ) -> Result<Awarded, StoreError> {
        let mut write = self.begin_for(user_id).await?;
        let user = row::locked(&mut write, user_id).await?;
        let Some(user) = user.filter(|user| user.role == judged) else {
            return Ok(Awarded::Outdated);
        };
        if !user.is_active {
            return Ok(Awarded::Inactive);
        }
        let query = sqlx::query("SELECT id FROM achievements WHERE user_id = $1 AND badge_type = $2")
            .bind(user_id.to_string())
            .bind(award.badge_type.as_str());
        if query.fetch_optional(write.statement()).await?.is_some() {
            return Ok(Awarded::Already);
        }
        if user.points + award.points > MOST_POINTS {
            return Ok(Awarded::OutOfBounds);
        }
        let achievement = Achievement {
            id: Uuid::now_v7(),
            user_id,
            badge_type: award.badge_type.clone(),
            data: award.data.clone(),
            points: award.points,
            awarded_by: Some(actor.to_string()),
            awarded_at: Timestamp::now(),
        };
        let inserted = sqlx::query(
            "INSERT INTO achievements (id, user_id, badge_type, data, points, awarded_by, awarded_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(achievement.id.to_string())
        .bind(user_id.to_string())
        .bind(achievement.badge_type.as_str())
        .bind(achievement.data.as_str())
        .bind(achievement.points)
        .bind(achievement.awarded_by.as_deref())
        .bind(achievement.awarded_at.as_micros())
        .execute(write.statement())
        .await;
        match inserted.map_err(StoreError::from) {
            // Since the check, another program has inserted the same badge without a lock on the user's row.
            Err(StoreError::Taken { .. }) => return Ok(Awarded::Already),
            inserted => inserted?,
        };
        let event = Event::on(Action::AchievementAward, user_id).badge(&achievement.badge_type);
        self.commit(write, &[event.number("points", achievement.points)]).await?;
        Ok(Awarded::Done(achievement))
    }
}

impl Store {
    /// A user's achievements, newest first; at most the newest 1,000.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn achievements(&self, user_id: UserId) -> Result<Vec<Achievement>, StoreError> {
        let query = sqlx::query(
            "SELECT id, user_id, badge_type, data, points, awarded_by, awarded_at FROM achievements
             WHERE user_id = $1 ORDER BY awarded_at DESC, id DESC LIMIT 1000",
        );
        let rows = query.bind(user_id.to_string()).fetch_all(self.database.read()).await?;
        Ok(odd_rows::readable("achievements", "id", &rows, achievement)?)
    }

    /// The summary of a user's achievements.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn achievement_summary(&self, user_id: UserId) -> Result<Summary, StoreError> {
        let rows = sqlx::query(
            "SELECT badge_type, points, awarded_at, COUNT(*) OVER () AS total,
                    CAST(SUM(points) OVER () AS BIGINT) AS sum
             FROM achievements WHERE user_id = $1 ORDER BY awarded_at DESC, id DESC LIMIT 1000",
        );
        let rows = rows.bind(user_id.to_string()).fetch_all(self.database.read()).await?;
        let mut by_badge = BTreeMap::new();
        for row in &rows {
            by_badge.insert(BadgeType::stored(row.try_get("badge_type")?), row.try_get("points")?);
        }
        let Some(latest) = rows.first() else {
            return Ok(Summary { user_id, total: 0, points: 0, by_badge, latest: None, latest_at: None });
        };
        Ok(Summary {
            user_id,
            total: latest.try_get("total")?,
            points: latest.try_get("sum")?,
            by_badge,
            latest: Some(BadgeType::stored(latest.try_get("badge_type")?)),
            latest_at: Some(Timestamp::from_micros(latest.try_get("awarded_at")?)),
        })
    }

    /// When a user was awarded achievements: how many, the first, the latest and the recent ones.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn award_times(&self, user_id: UserId, now: Timestamp) -> Result<AwardTimes, StoreError> {
        let all = sqlx::query(
            "SELECT COUNT(*) AS total, MIN(awarded_at) AS first_at, MAX(awarded_at) AS latest_at
             FROM achievements WHERE user_id = $1",
        );
        let all = all.bind(user_id.to_string()).fetch_one(self.database.read()).await?;
        let recent = sqlx::query(
            "SELECT awarded_at FROM achievements WHERE user_id = $1 AND awarded_at > $2
             ORDER BY awarded_at DESC LIMIT 1000",
        );
        let since = now.as_micros() - i64::from(RECENT_DAYS) * DAY_MICROS;
        let recent = recent.bind(user_id.to_string()).bind(since).fetch_all(self.database.read()).await?;
        let recent = recent.iter().map(|row| Ok(Timestamp::from_micros(row.try_get("awarded_at")?)));
        let time =
            |column| Ok::<_, sqlx::Error>(all.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_micros));
        Ok(AwardTimes {
            user_id,
            total: all.try_get("total")?,
            first_at: time("first_at")?,
            latest_at: time("latest_at")?,
            recent: recent.collect::<Result<_, sqlx::Error>>()?,
        })
    }

    /// The newest achievements of active users. Only the newest 1,000 achievements of all users are searched, so the
    /// number of rows that are read has a limit even if most users are inactive.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn recent_achievements(&self, limit: Limit) -> Result<Vec<RecentAchievement>, StoreError> {
        let rows = sqlx::query(
            "SELECT newest.id, user_id, username, full_name, avatar_url, badge_type, newest.points, awarded_at
             FROM (
                 SELECT id, user_id, badge_type, points, awarded_at FROM achievements
                 ORDER BY awarded_at DESC, id DESC LIMIT 1000
             ) AS newest
             JOIN users ON users.id = user_id
             WHERE is_active
             ORDER BY awarded_at DESC, newest.id DESC LIMIT $1",
        );
        let rows = rows.bind(i64::from(limit.get())).fetch_all(self.database.read()).await?;
        Ok(odd_rows::readable("achievements", "id", &rows, |row| {
            let text = |column| row.try_get::<Option<String>, _>(column);
            Ok(RecentAchievement {
                id: row::parsed(row, "id")?,
                user_id: row::user_id(row, "user_id")?,
                username: Username::stored(row.try_get("username")?),
                full_name: text("full_name")?.map(Line::stored),
                avatar_url: text("avatar_url")?.map(AvatarUrl::stored),
                badge_type: BadgeType::stored(row.try_get("badge_type")?),
                points: row.try_get("points")?,
                awarded_at: Timestamp::from_micros(row.try_get("awarded_at")?),
            })
        })?)
    }
}

fn achievement(row: &AnyRow) -> Result<Achievement, sqlx::Error> {
    Ok(Achievement {
        id: row::parsed(row, "id")?,
        user_id: row::user_id(row, "user_id")?,
        badge_type: BadgeType::stored(row.try_get("badge_type")?),
        data: AwardData::stored(row.try_get("data")?),
        points: row.try_get("points")?,
        awarded_by: row.try_get("awarded_by")?,
        awarded_at: Timestamp::from_micros(row.try_get("awarded_at")?),
    })
}
