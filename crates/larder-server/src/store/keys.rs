//! The keys that sign access tokens. They live in the database, so that its instances accept each other's tokens.

use std::fmt;

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::timestamp::Timestamp;
use crate::store::Store;
use crate::store::error::StoreError;

/// A signing key. It cannot be serialised, so it cannot be cached.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its name in the header of a token.
    pub kid: String,
    /// Such as `EdDSA`.
    pub algorithm: String,
    /// The private key as text, in the form its caller chose.
    pub private_key: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it only verifies; `None` for the one that signs.
    pub retired_at: Option<Timestamp>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Store {
    /// Every signing key, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        let query = sqlx::query(
            "SELECT kid, algorithm, private_key, created_at, retired_at FROM signing_keys
             ORDER BY created_at DESC, kid",
        );
        let rows = query.fetch_all(self.database.read()).await?;
        Ok(rows.iter().map(signing_key).collect::<Result<_, _>>()?)
    }

    /// Keeps this key unless one of its algorithm is in force already, and returns every key.
    ///
    /// Of several instances that start at once, one's key stays and all get that one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert_signing_key_if_none(&self, key: &SigningKey) -> Result<Vec<SigningKey>, StoreError> {
        let mut write = self.database.begin().await?;
        sqlx::query(
            "INSERT INTO signing_keys (kid, algorithm, private_key, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
        )
        .bind(key.kid.as_str())
        .bind(key.algorithm.as_str())
        .bind(key.private_key.as_str())
        .bind(key.created_at.as_micros())
        .execute(write.statement())
        .await?;
        // Made by the service for itself, once.
        self.commit(write, &[]).await?;
        self.signing_keys().await
    }
}

fn signing_key(row: &AnyRow) -> Result<SigningKey, sqlx::Error> {
    Ok(SigningKey {
        kid: row.try_get("kid")?,
        algorithm: row.try_get("algorithm")?,
        private_key: row.try_get("private_key")?,
        created_at: Timestamp::from_micros(row.try_get("created_at")?),
        retired_at: row.try_get::<Option<i64>, _>("retired_at")?.map(Timestamp::from_micros),
    })
}
