//! What only superadmins see of users, and the statistics about one user.

use std::collections::HashMap;
use std::fmt::Write as _;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::domain::identity::UserId;
use crate::domain::statistics::{AccountOverview, PersonalStats, SessionLife};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::odd_rows;
use crate::store::row::{self, Query};
use crate::store::sessions::last_used;

/// How a user logs in.
#[derive(Default)]
struct Access {
    epoch: i64,
    password_changed_at: Option<Timestamp>,
    last_login_at: Option<Timestamp>,
    sessions: Vec<SessionLife>,
}

impl Store {
    /// Adds the login data to at most 100 users.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn overviews(&self, users: Vec<User>) -> Result<Vec<AccountOverview>, StoreError> {
        let ids: Vec<_> = users.iter().map(|user| user.id).collect();
        let mut accesses = self.accesses(&ids).await?;
        let overview = |user: User| {
            let access = accesses.remove(&user.id).unwrap_or_default();
            AccountOverview {
                user,
                has_password: access.password_changed_at.is_some(),
                password_changed_at: access.password_changed_at,
                epoch: access.epoch,
                last_login_at: access.last_login_at,
                sessions: access.sessions,
            }
        };
        Ok(users.into_iter().map(overview).collect())
    }

    /// Statistics about one user.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn personal_stats(&self, id: UserId) -> Result<Option<PersonalStats>, StoreError> {
        let Some(user) = self.user(id).await? else { return Ok(None) };
        let access = self.accesses(&[id]).await?.remove(&id).unwrap_or_default();
        Ok(Some(PersonalStats {
            id,
            member_since: user.created_at,
            updated_at: user.updated_at,
            points: user.points,
            last_login_at: access.last_login_at,
            password_changed_at: access.password_changed_at,
            sessions: access.sessions,
        }))
    }

    async fn accesses(&self, ids: &[UserId]) -> Result<HashMap<UserId, Access>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        // The database finds the latest session at the end of an index range. A user has at most
        // `LARDER_SESSIONS_PER_USER` sessions (default 20) whose `ended_at` is NULL, so the join returns few rows.
        let query = of_users(
            concat!(
                "SELECT users.id AS user_id, COALESCE(epoch, 0) AS epoch, credentials.changed_at,
                        (SELECT MAX(created_at) FROM sessions WHERE user_id = users.id) AS last_login_at,
                        expires_at, ",
                last_used!(),
                " AS last_used_at
                 FROM users
                 LEFT JOIN credentials ON credentials.user_id = users.id
                 LEFT JOIN sessions ON sessions.user_id = users.id AND ended_at IS NULL
                 WHERE users.id IN "
            ),
            ids,
        );
        let rows = query.fetch_all(self.database.read()).await?;
        let mut accesses: HashMap<UserId, Access> = HashMap::with_capacity(ids.len());
        let read = |row: &AnyRow| {
            let access = Access {
                epoch: row.try_get("epoch")?,
                password_changed_at: moment(row, "changed_at")?,
                last_login_at: moment(row, "last_login_at")?,
                sessions: session(row)?.into_iter().collect(),
            };
            Ok((row::user_id(row, "user_id")?, access))
        };
        // There is one row for each session that has not ended.
        for (id, mut read) in odd_rows::readable("sessions", "user_id", &rows, read)? {
            let access = accesses.entry(id).or_default();
            read.sessions.append(&mut access.sessions);
            *access = read;
        }
        for access in accesses.values_mut() {
            access.sessions.sort();
        }
        Ok(accesses)
    }
}

/// The session of a row; `None` if the user has none.
fn session(row: &AnyRow) -> Result<Option<SessionLife>, sqlx::Error> {
    let times = moment(row, "last_used_at")?.zip(moment(row, "expires_at")?);
    Ok(times.map(|(last_used_at, expires_at)| SessionLife { last_used_at, expires_at }))
}

fn moment(row: &AnyRow, column: &'static str) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_micros))
}

/// `select`, followed by the list of these ids.
fn of_users(select: &str, ids: &[UserId]) -> Query<'static> {
    let mut sql = format!("{select}($1");
    for number in 2..=ids.len() {
        // Writing to a String cannot fail.
        let _ = write!(sql, ", ${number}");
    }
    sql.push(')');
    ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, id| query.bind(id.to_string()))
}
