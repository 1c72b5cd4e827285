//! Reading users: one, several, by what they are called, and the list.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, Row};

use crate::domain::contact::{Email, Phone};
use crate::domain::identity::{ExternalId, UserId, Username};
use crate::domain::paging::{Cursor, Filter, ListQuery, Position};
use crate::domain::user::User;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::row::{self, select_user};

/// More ids than this are asked for in several statements.
const IDS_PER_STATEMENT: usize = 500;

/// A part of the list of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The users, newest first.
    pub users: Vec<User>,
    /// Where the list goes on; `None` at its end.
    pub next: Option<Cursor>,
}

impl Store {
    /// The user with this id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let query = sqlx::query(select_user!("WHERE users.id = $1")).bind(id.to_string());
        let row = query.fetch_optional(self.database.read()).await?;
        Ok(row.as_ref().map(row::user).transpose()?)
    }

    /// The users with these ids, in no order, without those that do not exist.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn users_by_ids(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        let mut users = Vec::with_capacity(ids.len());
        for ids in ids.chunks(IDS_PER_STATEMENT) {
            let mut sql = String::from(select_user!("WHERE users.id IN ($1"));
            for number in 2..=ids.len() {
                // Writing to a String cannot fail.
                let _ = write!(sql, ", ${number}");
            }
            sql.push(')');
            let query = sqlx::query(AssertSqlSafe(sql));
            let query = ids.iter().fold(query, |query, id| query.bind(id.to_string()));
            for row in query.fetch_all(self.database.read()).await? {
                users.push(row::user(&row)?);
            }
        }
        Ok(users)
    }

    /// The id of the user that another system knows by this id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn id_by_external(&self, external: &ExternalId) -> Result<Option<UserId>, StoreError> {
        self.id_of("SELECT id FROM users WHERE external_id = $1", external.as_str()).await
    }

    /// The id of the user with this e-mail address.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn id_by_email(&self, email: &Email) -> Result<Option<UserId>, StoreError> {
        self.id_of("SELECT id FROM users WHERE email = $1", email.as_str()).await
    }

    /// The id of the user with this name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn id_by_username(&self, username: &Username) -> Result<Option<UserId>, StoreError> {
        self.id_of("SELECT id FROM users WHERE username = $1", username.as_str()).await
    }

    /// The id of the user with this telephone number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn id_by_phone(&self, phone: &Phone) -> Result<Option<UserId>, StoreError> {
        self.id_of("SELECT id FROM users WHERE phone = $1", phone.as_str()).await
    }

    async fn id_of(&self, select: &'static str, value: &str) -> Result<Option<UserId>, StoreError> {
        let row = sqlx::query(select).bind(value).fetch_optional(self.database.read()).await?;
        Ok(row.map(|row| row::user_id(&row, "id")).transpose()?)
    }

    /// A part of the list of users, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list(&self, list: &ListQuery) -> Result<Listed, StoreError> {
        let limit = i64::from(list.limit.get());
        let query = match &list.position {
            Position::Page(page) => sqlx::query(select_user!(
                "WHERE (CAST($1 AS TEXT) IS NULL OR role = $1)
                   AND (CAST($2 AS INTEGER) IS NULL OR CAST(is_active AS INTEGER) = $2)
                 ORDER BY users.created_at DESC, users.id DESC LIMIT $3 OFFSET $4"
            ))
            .bind(list.filter.role.map(|role| role.as_str()))
            .bind(list.filter.is_active.map(i64::from))
            // One more than asked for tells whether the list goes on.
            .bind(limit + 1)
            .bind(i64::from(page.get() - 1) * limit),
            Position::Cursor(cursor) => sqlx::query(select_user!(
                "WHERE (CAST($1 AS TEXT) IS NULL OR role = $1)
                   AND (CAST($2 AS INTEGER) IS NULL OR CAST(is_active AS INTEGER) = $2)
                   AND (users.created_at, users.id) < ($4, $5)
                 ORDER BY users.created_at DESC, users.id DESC LIMIT $3"
            ))
            .bind(list.filter.role.map(|role| role.as_str()))
            .bind(list.filter.is_active.map(i64::from))
            .bind(limit + 1)
            .bind(cursor.created_at.as_micros())
            .bind(cursor.id.to_string()),
        };
        let rows = query.fetch_all(self.database.read()).await?;
        let mut users = rows.iter().map(row::user).collect::<Result<Vec<_>, _>>()?;
        let asked = list.limit.get() as usize;
        let more = users.len() > asked;
        users.truncate(asked);
        let next = users.last().filter(|_| more).map(Cursor::after);
        Ok(Listed { users, next })
    }

    /// How many users there are; without a filter this reads 16 rows, however many there are.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn total(&self, filter: &Filter) -> Result<i64, StoreError> {
        let query = if *filter == Filter::default() {
            sqlx::query("SELECT CAST(SUM(total) AS BIGINT) AS total FROM user_totals")
        } else {
            sqlx::query(
                "SELECT COUNT(*) AS total FROM users
                 WHERE (CAST($1 AS TEXT) IS NULL OR role = $1)
                   AND (CAST($2 AS INTEGER) IS NULL OR CAST(is_active AS INTEGER) = $2)",
            )
            .bind(filter.role.map(|role| role.as_str()))
            .bind(filter.is_active.map(i64::from))
        };
        Ok(query.fetch_one(self.database.read()).await?.try_get("total")?)
    }
}
