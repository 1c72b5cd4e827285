//! Reads all users, page by page, in the order of their ids.

use sqlx::{AssertSqlSafe, Row as _};

use crate::domain::user::User;
use crate::store::error::StoreError;
use crate::store::row::{self, select_user};
use crate::store::{Store, odd_rows};

/// How many users a page has: enough that the round trips to PostgreSQL do not dominate, and some hundred KiB.
const USERS_PER_PAGE: i64 = 500;

/// A page of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPage {
    /// The users that can be read.
    pub users: Vec<User>,
    /// How many rows cannot be read; the log names them.
    pub unreadable: usize,
    /// The id of the last row, as it is in the database; `None`: there are no more rows.
    pub last: Option<String>,
}

impl Store {
    /// The users with the lowest ids after `after`.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn users_after(&self, after: Option<String>) -> Result<UserPage, StoreError> {
        let select = select_user!("WHERE users.id > $1 ORDER BY users.id LIMIT");
        let query = sqlx::query(AssertSqlSafe(format!("{select} {USERS_PER_PAGE}")));
        // Without `after`, the page begins after the empty text, which is less than every id but the empty one.
        let query = query.bind(after.unwrap_or_default());
        let rows = query.fetch_all(self.database.read()).await?;
        // The next page begins after the last row's id, as a text: the export goes on even if this row cannot be read.
        let last = rows.last().map(|row| row.try_get("id")).transpose()?;
        let users = odd_rows::readable("users", "id", &rows, row::user)?;
        Ok(UserPage { unreadable: rows.len() - users.len(), users, last })
    }
}
