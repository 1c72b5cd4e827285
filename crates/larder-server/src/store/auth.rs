//! The authentication state against which the token of every request is checked.

use sqlx::Row;
use uuid::Uuid;

use crate::domain::auth::AuthState;
use crate::domain::identity::UserId;
use crate::domain::permission::Permission;
use crate::domain::timestamp::Timestamp;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::odd_rows;
use crate::store::row;

impl Store {
    /// The present authentication state of a user, with the sessions that are live at `now`.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn auth_state(&self, id: UserId, now: Timestamp) -> Result<Option<AuthState>, StoreError> {
        // The statement returns one row per live session and per permission; without any, one row with NULLs.
        let rows = sqlx::query(
            "SELECT role, CAST(is_active AS INTEGER) AS is_active, COALESCE(epoch, 0) AS epoch,
                    session_id, permission
             FROM users
             LEFT JOIN credentials ON credentials.user_id = users.id
             LEFT JOIN (
                 SELECT user_id, id AS session_id, CAST(NULL AS TEXT) AS permission FROM sessions
                 WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2
                 UNION ALL
                 SELECT user_id, NULL, permission FROM permissions WHERE user_id = $1
             ) AS held ON held.user_id = users.id
             WHERE users.id = $1",
        )
        .bind(id.to_string())
        .bind(now.as_micros())
        .fetch_all(self.database.read())
        .await?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let mut permissions = Vec::new();
        for row in &rows {
            permissions.extend(row.try_get::<Option<String>, _>("permission")?.map(Permission::stored));
        }
        let ids = odd_rows::readable("sessions", "session_id", &rows, |row| {
            row::parsed_option::<Uuid>(row, "session_id")
        })?;
        let sessions = ids.into_iter().flatten().collect();
        Ok(Some(AuthState {
            user_id: id,
            role: row::parsed(first, "role")?,
            is_active: first.try_get::<i64, _>("is_active")? != 0,
            epoch: first.try_get("epoch")?,
            sessions,
            permissions,
        }))
    }
}
