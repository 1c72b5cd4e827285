//! API keys. The hash is read by a statement of its own, so that it is never part of a cached value.

use std::fmt;

use larder_sql::write::WriteTransaction;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::domain::api_key::{ApiKeyId, ApiKeyName, ApiKeyState, NewApiKey};
use crate::domain::audit::{Action, Event};
use crate::domain::identity::UserId;
use crate::domain::timestamp::Timestamp;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::odd_rows;
use crate::store::row;
use crate::store::unchanged::UnchangedRow;
use crate::store::writing::Writer;

/// The greatest number of keys that one user can have.
const KEYS_OF_USER: i64 = 50;

/// The SHA-256 of a key, in hex. It cannot be serialised, so it cannot be cached.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyHash(pub String);

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyHash(…)")
    }
}

/// A key as its user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// The state without the secret.
    pub state: ApiKeyState,
    /// The name that the user gave the key.
    pub name: ApiKeyName,
    /// The last day on which the key was used, in UTC, such as `2026-11-21`.
    pub last_used_on: Option<String>,
}

/// The result of adding a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKeyInserted {
    /// The key is stored and valid.
    Done(ApiKeyState),
    /// The user has the greatest number of keys already.
    TooMany,
    /// There is no such user, or it is inactive.
    NotFound,
}

impl Store {
    /// The state of a key.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn api_key(&self, id: ApiKeyId) -> Result<Option<ApiKeyState>, StoreError> {
        let query =
            sqlx::query("SELECT id, user_id, scopes, created_at, expires_at FROM api_keys WHERE id = $1");
        let row = query.bind(id.to_string()).fetch_optional(self.database.read()).await?;
        Ok(row.as_ref().map(state).transpose()?)
    }

    /// The hash with which a key is compared.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn api_key_hash(&self, id: ApiKeyId) -> Result<Option<ApiKeyHash>, StoreError> {
        let query = sqlx::query("SELECT key_hash FROM api_keys WHERE id = $1").bind(id.to_string());
        let row = query.fetch_optional(self.database.read()).await?;
        Ok(row.map(|row| row.try_get("key_hash")).transpose()?.map(ApiKeyHash))
    }

    /// A user's keys, newest first.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn api_keys_of(&self, user_id: UserId) -> Result<Vec<ApiKeyRow>, StoreError> {
        let query = sqlx::query(
            "SELECT id, user_id, name, scopes, created_at, expires_at, used_on FROM api_keys
             LEFT JOIN api_key_uses ON key_id = id
             WHERE user_id = $1 ORDER BY created_at DESC, id",
        );
        let rows = query.bind(user_id.to_string()).fetch_all(self.database.read()).await?;
        let read = |row: &AnyRow| {
            Ok(ApiKeyRow {
                state: state(row)?,
                name: ApiKeyName::stored(row.try_get("name")?),
                last_used_on: row.try_get("used_on")?,
            })
        };
        Ok(odd_rows::readable("api_keys", "id", &rows, read)?)
    }
}

impl Writer {
    /// Stores a key of an active user.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn insert_api_key(
        &self,
        user_id: UserId,
        id: ApiKeyId,
        hash: &ApiKeyHash,
        new: NewApiKey,
        expires_at: Option<Timestamp>,
    ) -> Result<ApiKeyInserted, StoreError> {
        let mut write = self.begin_for(user_id).await?;
        // Until the commit, the row lock keeps other writers from adding a key to this user and from deactivating the
        // user.
        if !row::locked(&mut write, user_id).await?.is_some_and(|user| user.is_active) {
            return Ok(ApiKeyInserted::NotFound);
        }
        if count(&mut write, user_id).await? >= KEYS_OF_USER {
            return Ok(ApiKeyInserted::TooMany);
        }
        let scopes = new.scopes;
        let state = ApiKeyState { id, user_id, scopes, created_at: Timestamp::now(), expires_at };
        sqlx::query(
            "INSERT INTO api_keys (id, user_id, name, key_hash, scopes, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(id.to_string())
        .bind(user_id.to_string())
        .bind(new.name.as_str())
        .bind(hash.0.as_str())
        .bind(scopes.to_text())
        .bind(state.created_at.as_micros())
        .bind(expires_at.map(Timestamp::as_micros))
        .execute(write.statement())
        .await?;
        self.commit(write, &[Event::on(Action::ApiKeyCreate, user_id)]).await?;
        Ok(ApiKeyInserted::Done(state))
    }

    /// Deletes a key of this user. Returns whether the key existed.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn delete_api_key(&self, user_id: UserId, id: ApiKeyId) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let query = sqlx::query("DELETE FROM api_keys WHERE id = $1 AND user_id = $2");
        let query = query.bind(id.to_string()).bind(user_id.to_string());
        let deleted = query.execute(write.statement()).await?.rows_affected() == 1;
        if !deleted {
            // Another instance may have deleted the key and stopped before it published the change. So this write
            // publishes the key's entry again.
            self.found_unchanged(|| UnchangedRow::known_by("api_keys", "id", &id));
        }
        // If there was no such key, nothing was deleted, so the audit log gets no entry.
        let events = if deleted { vec![Event::on(Action::ApiKeyDelete, user_id)] } else { vec![] };
        self.commit(write, &events).await?;
        Ok(deleted)
    }

    /// Stores the day on which a key was used, if it is later than the stored day.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn used_api_key(&self, id: ApiKeyId, day: &str) -> Result<(), StoreError> {
        let mut write = self.begin().await?;
        // The key's row is locked: otherwise a deletion between the SELECT and the INSERT would break the foreign key.
        let query = format!(
            "INSERT INTO api_key_uses (key_id, used_on)
             SELECT id, used_on FROM (SELECT id, CAST($2 AS TEXT) AS used_on FROM api_keys WHERE id = $1{}) AS key
             WHERE true
             ON CONFLICT (key_id) DO UPDATE SET used_on = excluded.used_on
             WHERE api_key_uses.used_on < excluded.used_on",
            write.dialect().for_update()
        );
        sqlx::query(AssertSqlSafe(query)).bind(id.to_string()).bind(day).execute(write.statement()).await?;
        // A use does not change the key, so the audit log gets no entry.
        self.commit(write, &[]).await
    }
}

async fn count(write: &mut WriteTransaction, user_id: UserId) -> Result<i64, StoreError> {
    let query = sqlx::query("SELECT COUNT(*) AS total FROM api_keys WHERE user_id = $1");
    Ok(query.bind(user_id.to_string()).fetch_one(write.statement()).await?.try_get("total")?)
}

fn state(row: &AnyRow) -> Result<ApiKeyState, sqlx::Error> {
    Ok(ApiKeyState {
        id: row::parsed(row, "id")?,
        user_id: row::user_id(row, "user_id")?,
        scopes: row::parsed(row, "scopes")?,
        created_at: Timestamp::from_micros(row.try_get("created_at")?),
        expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(Timestamp::from_micros),
    })
}
