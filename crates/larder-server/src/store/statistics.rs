//! Statistics over all users, from the counts that triggers keep. Each statement reads a bounded number of rows,
//! however many users there are.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::statistics::{Count, Day, SignUps};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::odd_rows;
use crate::store::row;

impl Store {
    /// The number of users per role and status, and the sum of their points.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn counts(&self) -> Result<Vec<Count>, StoreError> {
        let query = sqlx::query(
            "SELECT role, CAST(is_active AS INTEGER) AS is_active, CAST(SUM(users) AS BIGINT) AS users,
                    CAST(SUM(points) AS BIGINT) AS points
             FROM user_counts GROUP BY role, is_active",
        );
        let rows = query.fetch_all(self.database.read()).await?;
        let count = |row: &AnyRow| -> Result<Count, sqlx::Error> {
            Ok(Count {
                role: row::parsed(row, "role")?,
                is_active: row.try_get::<i64, _>("is_active")? != 0,
                users: row.try_get("users")?,
                points: row.try_get("points")?,
            })
        };
        Ok(odd_rows::readable("user_counts", "role", &rows, count)?)
    }

    /// How many of the existing users were created on each day from `first` to `last`, in this order. Days without a
    /// new user are left out.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn sign_ups(&self, first: Day, last: Day) -> Result<Vec<SignUps>, StoreError> {
        let query = sqlx::query(
            "SELECT day, CAST(SUM(users) AS BIGINT) AS users FROM user_days
             WHERE day BETWEEN $1 AND $2 GROUP BY day ORDER BY day",
        );
        let query = query.bind(first.number()).bind(last.number());
        let rows = query.fetch_all(self.database.read()).await?;
        let day = |row: &AnyRow| -> Result<SignUps, sqlx::Error> {
            Ok(SignUps { day: Day::from_number(row.try_get("day")?), users: row.try_get("users")? })
        };
        let days = odd_rows::readable("user_days", "day", &rows, day)?;
        Ok(days.into_iter().filter(|day| day.users != 0).collect())
    }
}
