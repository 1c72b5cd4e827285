//! The keys that sign access tokens. They are stored in the database, so that all instances on this database accept
//! each other's tokens.

use std::time::SystemTime;

use larder_identity::keys::SigningKey;
use larder_sql::write::WriteTransaction;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::audit::{Action, Event};
use crate::domain::timestamp::Timestamp;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::writing::Writer;

impl Store {
    /// Every signing key, newest first.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        let query = sqlx::query(
            "SELECT kid, algorithm, private_key, created_at, retired_at FROM signing_keys
             ORDER BY created_at DESC, kid",
        );
        let rows = query.fetch_all(self.database.read()).await?;
        Ok(rows.iter().map(signing_key).collect::<Result<_, _>>()?)
    }
}

impl Writer {
    /// Stores this key unless a key of its algorithm signs already, and returns every key.
    ///
    /// If several instances start at once, one key is stored, and all instances get that key.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn insert_signing_key_if_none(&self, key: &SigningKey) -> Result<Vec<SigningKey>, StoreError> {
        let mut write = self.begin().await?;
        insert(&mut write, key).await?;
        // The service creates its first key itself, so the audit log gets no entry.
        self.commit(write, &[]).await?;
        self.store().signing_keys().await
    }

    /// Sets the newest key to retire at `retired`, which may be in the future, and stores this key in its place.
    /// Deletes keys that retired before `forgotten`. Of several concurrent calls, one stores its key.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn rotate_signing_key(
        &self,
        key: &SigningKey,
        retired: Timestamp,
        forgotten: Timestamp,
    ) -> Result<(), StoreError> {
        let mut write = self.begin().await?;
        sqlx::query("DELETE FROM signing_keys WHERE retired_at < $1")
            .bind(forgotten.as_micros())
            .execute(write.statement())
            .await?;
        sqlx::query("UPDATE signing_keys SET retired_at = $2 WHERE algorithm = $1 AND retired_at IS NULL")
            .bind(key.algorithm.as_str())
            .bind(retired.as_micros())
            .execute(write.statement())
            .await?;
        insert(&mut write, key).await?;
        self.commit(write, &[Event::of(Action::KeyRotate)]).await
    }

    /// Deletes every key, ends every session and stores this key. Returns the number of sessions that ended.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn replace_signing_keys(&self, key: &SigningKey, now: Timestamp) -> Result<u64, StoreError> {
        let mut write = self.begin().await?;
        // The sessions are locked in the order of their users. Every transaction that ends the sessions of several
        // users uses this order, so two transactions cannot deadlock.
        let select =
            write.locking("SELECT id FROM sessions WHERE ended_at IS NULL ORDER BY user_id, created_at, id");
        sqlx::query(select).fetch_all(write.statement()).await?;
        let ended = sqlx::query("UPDATE sessions SET ended_at = $1 WHERE ended_at IS NULL")
            .bind(now.as_micros())
            .execute(write.statement())
            .await?
            .rows_affected();
        sqlx::query("DELETE FROM signing_keys").execute(write.statement()).await?;
        insert(&mut write, key).await?;
        let count = i64::try_from(ended).unwrap_or(i64::MAX);
        self.commit(write, &[Event::of(Action::KeyReplace).number("sessions", count)]).await?;
        Ok(ended)
    }

    /// Replaces the stored form of a key by `new`, if it still is `old`.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn replace_signing_key(&self, kid: &str, old: &str, new: &str) -> Result<(), StoreError> {
        let mut write = self.begin().await?;
        let query =
            sqlx::query("UPDATE signing_keys SET private_key = $3 WHERE kid = $1 AND private_key = $2");
        query.bind(kid).bind(old).bind(new).execute(write.statement()).await?;
        // The key is the same in another form, so the audit log gets no entry.
        self.commit(write, &[]).await
    }
}

/// Inserts the key unless another key of its algorithm signs.
async fn insert(write: &mut WriteTransaction, key: &SigningKey) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO signing_keys (kid, algorithm, private_key, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING",
    )
    .bind(key.kid.as_str())
    .bind(key.algorithm.as_str())
    .bind(key.private_key.as_str())
    .bind(Timestamp::from(key.created_at).as_micros())
    .execute(write.statement())
    .await?;
    Ok(())
}

fn signing_key(row: &AnyRow) -> Result<SigningKey, sqlx::Error> {
    Ok(SigningKey {
        kid: row.try_get("kid")?,
        algorithm: row.try_get("algorithm")?,
        private_key: row.try_get("private_key")?,
        created_at: instant(row.try_get("created_at")?),
        retired_at: row.try_get::<Option<i64>, _>("retired_at")?.map(instant),
    })
}

fn instant(micros: i64) -> SystemTime {
    Timestamp::from_micros(micros).into()
}
