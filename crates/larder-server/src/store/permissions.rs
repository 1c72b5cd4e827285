//! Grants, revokes and reads permissions.

use std::collections::BTreeSet;

use larder_sql::write::WriteTransaction;
use sqlx::{AssertSqlSafe, Row};

use crate::domain::audit::{Action, Event};
use crate::domain::identity::UserId;
use crate::domain::permission::{Grant, Permission};
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::odd_rows;
use crate::store::placeholders;
use crate::store::row;
use crate::store::unchanged::UnchangedRow;
use crate::store::writing::Writer;

/// The greatest number of permissions of one user. It has a limit because each request compares all of them.
pub const MOST_PERMISSIONS: i64 = 100;

/// The greatest number of values in one query: SQLite finds each `$n` by a search through the list of all parameters.
const VALUES_PER_STATEMENT: usize = 100;

/// The result of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granted {
    /// The user has the permission, by this grant or an earlier one.
    Done(Grant),
    /// The user has [`MOST_PERMISSIONS`] already.
    TooMany,
    /// There is no such user, or its role differs from the one by which the caller's rights were checked.
    Outdated,
}

/// The result of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// The user does not have the permission, by this revocation or an earlier one.
    Done,
    /// There is no such user, or its role differs from the one by which the caller's rights were checked.
    Outdated,
}

impl Store {
    /// The permissions of a user, by name.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn permissions(&self, user_id: UserId) -> Result<Vec<Grant>, StoreError> {
        let query = sqlx::query(
            "SELECT permission, granted_by, granted_at FROM permissions WHERE user_id = $1 ORDER BY permission",
        );
        let rows = query.bind(user_id.to_string()).fetch_all(self.database.read()).await?;
        Ok(odd_rows::readable("permissions", "permission", &rows, |row| {
            Ok(Grant {
                permission: Permission::stored(row.try_get("permission")?),
                granted_by: row.try_get("granted_by")?,
                granted_at: Timestamp::from_micros(row.try_get("granted_at")?),
            })
        })?)
    }
}

impl Store {
    /// Whether the user has any permission.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn has_permission(&self, user_id: UserId) -> Result<bool, StoreError> {
        let query = sqlx::query("SELECT permission FROM permissions WHERE user_id = $1 LIMIT 1");
        let row = query.bind(user_id.to_string()).fetch_optional(self.database.read()).await?;
        Ok(row.is_some())
    }
}

/// Those of these users that have a row in `table`, which has the column `user_id`. The transaction has locked the users,
/// as a grant of a permission does first.
pub(super) async fn having(
    write: &mut WriteTransaction,
    table: &'static str,
    ids: impl IntoIterator<Item = &UserId>,
) -> Result<BTreeSet<UserId>, StoreError> {
    let mut found = BTreeSet::new();
    let ids: Vec<_> = ids.into_iter().collect();
    for ids in ids.chunks(VALUES_PER_STATEMENT) {
        let list = placeholders::rows(1, ids.len());
        let sql = format!("SELECT DISTINCT user_id FROM {table} WHERE user_id IN {list}");
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = ids.iter().fold(query, |query, id| query.bind(id.to_string()));
        for row in query.fetch_all(write.statement()).await? {
            found.insert(row::user_id(&row, "user_id")?);
        }
    }
    Ok(found)
}

impl Writer {
    /// Grants a permission to a user whose role still is `judged`, the role by which the caller's rights were checked.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn grant(
        &self,
        user_id: UserId,
        judged: Role,
        permission: &Permission,
        actor: UserId,
    ) -> Result<Granted, StoreError> {
        let mut write = self.begin_for(user_id).await?;
        if row::locked(&mut write, user_id).await?.is_none_or(|user| user.role != judged) {
            return Ok(Granted::Outdated);
        }
        let rows = sqlx::query(
            "SELECT permission, granted_by, granted_at FROM permissions WHERE user_id = $1 ORDER BY permission",
        );
        let rows = rows.bind(user_id.to_string()).fetch_all(write.statement()).await?;
        for row in &rows {
            if row.try_get::<String, _>("permission")? == permission.as_str() {
                self.found_unchanged(|| UnchangedRow::belonging_to(user_id, "permissions"));
                return Ok(Granted::Done(Grant {
                    permission: permission.clone(),
                    granted_by: row.try_get("granted_by")?,
                    granted_at: Timestamp::from_micros(row.try_get("granted_at")?),
                }));
            }
        }
        if rows.len() as i64 >= MOST_PERMISSIONS {
            return Ok(Granted::TooMany);
        }
        let grant = Grant {
            permission: permission.clone(),
            granted_by: Some(actor.to_string()),
            granted_at: Timestamp::now(),
        };
        sqlx::query(
            "INSERT INTO permissions (user_id, permission, granted_by, granted_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(user_id.to_string())
        .bind(permission.as_str())
        .bind(grant.granted_by.as_deref())
        .bind(grant.granted_at.as_micros())
        .execute(write.statement())
        .await?;
        let event = Event::on(Action::PermissionGrant, user_id).permission(permission);
        self.commit(write, &[event]).await?;
        Ok(Granted::Done(grant))
    }

    /// Revokes a permission of a user whose role still is `judged`, the role by which the caller's rights were checked.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn revoke(
        &self,
        user_id: UserId,
        judged: Role,
        permission: &Permission,
    ) -> Result<Revoked, StoreError> {
        let mut write = self.begin_for(user_id).await?;
        if row::locked(&mut write, user_id).await?.is_none_or(|user| user.role != judged) {
            return Ok(Revoked::Outdated);
        }
        let removed = sqlx::query("DELETE FROM permissions WHERE user_id = $1 AND permission = $2")
            .bind(user_id.to_string())
            .bind(permission.as_str())
            .execute(write.statement())
            .await?;
        if removed.rows_affected() == 0 {
            self.found_unchanged(|| UnchangedRow::belonging_to(user_id, "permissions"));
        }
        // If the user did not have the permission, nothing was revoked, so the audit log gets no entry.
        let event = Event::on(Action::PermissionRevoke, user_id).permission(permission);
        let events = if removed.rows_affected() == 0 { vec![] } else { vec![event] };
        self.commit(write, &events).await?;
        Ok(Revoked::Done)
    }
}
