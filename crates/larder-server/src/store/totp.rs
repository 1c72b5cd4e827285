//! Second factors and their recovery codes. They are always read from the database, and each code can be used once.

use larder_identity::sealing::SealedSecret;
use larder_sql::write::WriteTransaction;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::audit::{Action, Event};
use crate::domain::identity::UserId;
use crate::domain::timestamp::Timestamp;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::odd_rows;
use crate::store::row;
use crate::store::writing::Writer;

/// A user's second factor. It cannot be serialised, so it cannot be cached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotpRow {
    /// The secret from which codes are computed.
    pub secret: SealedSecret,
    /// Since when logins need the second factor; `None` until a code has confirmed it.
    pub confirmed_at: Option<Timestamp>,
    /// How many recovery codes are left.
    pub recovery_codes: i64,
}

impl Store {
    /// A user's second factor, confirmed or not.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn totp(&self, user_id: UserId) -> Result<Option<TotpRow>, StoreError> {
        let query = sqlx::query(
            "SELECT secret, confirmed_at,
                    (SELECT COUNT(*) FROM recovery_codes
                     WHERE recovery_codes.user_id = totp.user_id AND used_at IS NULL) AS recovery_codes
             FROM totp WHERE user_id = $1",
        );
        let row = query.bind(user_id.to_string()).fetch_optional(self.database.read()).await?;
        let read = |row: AnyRow| {
            Ok(TotpRow {
                secret: SealedSecret(row.try_get("secret")?),
                confirmed_at: row.try_get::<Option<i64>, _>("confirmed_at")?.map(Timestamp::from_micros),
                recovery_codes: row.try_get("recovery_codes")?,
            })
        };
        Ok(row.map(read).transpose().map_err(|error: sqlx::Error| error)?)
    }

    /// Every secret. When the service starts, it checks that it can open each of them.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn totp_secrets(&self) -> Result<Vec<(UserId, SealedSecret)>, StoreError> {
        let rows = sqlx::query("SELECT user_id, secret FROM totp").fetch_all(self.database.read()).await?;
        let read = |row: &AnyRow| Ok((row::user_id(row, "user_id")?, SealedSecret(row.try_get("secret")?)));
        Ok(odd_rows::readable("totp", "user_id", &rows, read)?)
    }
}

impl Writer {
    /// Replaces the stored form of a secret, if it still is `old`.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn replace_totp_secret(
        &self,
        user_id: UserId,
        old: &SealedSecret,
        new: &SealedSecret,
    ) -> Result<(), StoreError> {
        let mut write = self.begin().await?;
        let query = sqlx::query("UPDATE totp SET secret = $3 WHERE user_id = $1 AND secret = $2");
        let query = query.bind(user_id.to_string()).bind(old.0.as_str()).bind(new.0.as_str());
        query.execute(write.statement()).await?;
        // The secret is the same in another form, so the audit log gets no entry.
        self.commit(write, &[]).await
    }

    /// Begins an enrolment. If there is an unconfirmed enrolment, this one replaces it. Returns `false` if a second
    /// factor is confirmed already.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn enroll_totp(
        &self,
        user_id: UserId,
        secret: &SealedSecret,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let query = sqlx::query(
            "INSERT INTO totp (user_id, secret, created_at) VALUES ($1, $2, $3)
             ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, created_at = excluded.created_at
             WHERE totp.confirmed_at IS NULL",
        );
        let query = query.bind(user_id.to_string()).bind(secret.0.as_str()).bind(now.as_micros());
        let begun = query.execute(write.statement()).await?.rows_affected() == 1;
        // The factor is off until it is confirmed, so the audit log gets no entry.
        self.commit(write, &[]).await?;
        Ok(begun)
    }

    /// Confirms the enrolment with this secret, marks the time step of its first code as used, and stores the hashes of
    /// the recovery codes. Returns whether the enrolment still existed and was unconfirmed.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn confirm_totp(
        &self,
        user_id: UserId,
        secret: &SealedSecret,
        step: i64,
        now: Timestamp,
        recovery_hashes: &[String],
    ) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let query = sqlx::query(
            "UPDATE totp SET confirmed_at = $3, last_step = $4
             WHERE user_id = $1 AND secret = $2 AND confirmed_at IS NULL",
        );
        let query = query.bind(user_id.to_string()).bind(secret.0.as_str()).bind(now.as_micros()).bind(step);
        if query.execute(write.statement()).await?.rows_affected() == 0 {
            return Ok(false);
        }
        for hash in recovery_hashes {
            insert_recovery(&mut write, user_id, hash).await?;
        }
        self.commit(write, &[Event::on(Action::TotpEnable, user_id)]).await?;
        Ok(true)
    }

    /// Marks a time step as used: from now on, codes of this step or of earlier steps are refused. Returns whether the
    /// step was unused; of several concurrent calls, one succeeds.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn use_totp_step(&self, user_id: UserId, step: i64) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let query = sqlx::query(
            "UPDATE totp SET last_step = $2 WHERE user_id = $1 AND last_step < $2 AND confirmed_at IS NOT NULL",
        );
        let query = query.bind(user_id.to_string()).bind(step);
        let used = query.execute(write.statement()).await?.rows_affected() == 1;
        // The audit log has an entry for the action that needed the code, so the use of the code gets no entry.
        self.commit(write, &[]).await?;
        Ok(used)
    }

    /// Marks a recovery code as used. Returns whether it existed and was unused; of several concurrent calls, one
    /// succeeds.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn use_recovery_code(
        &self,
        user_id: UserId,
        hash: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let query = sqlx::query(
            "UPDATE recovery_codes SET used_at = $3 WHERE user_id = $1 AND code_hash = $2 AND used_at IS NULL",
        );
        let query = query.bind(user_id.to_string()).bind(hash).bind(now.as_micros());
        let used = query.execute(write.statement()).await?.rows_affected() == 1;
        let events = if used { vec![Event::on(Action::RecoveryCodeUse, user_id)] } else { vec![] };
        self.commit(write, &events).await?;
        Ok(used)
    }

    /// Removes a second factor with its recovery codes. Returns whether there was one.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn delete_totp(&self, user_id: UserId) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let query = sqlx::query("DELETE FROM totp WHERE user_id = $1").bind(user_id.to_string());
        let deleted = query.execute(write.statement()).await?.rows_affected() == 1;
        let events = if deleted { vec![Event::on(Action::TotpDisable, user_id)] } else { vec![] };
        self.commit(write, &events).await?;
        Ok(deleted)
    }
}

async fn insert_recovery(
    write: &mut WriteTransaction,
    user_id: UserId,
    hash: &str,
) -> Result<(), StoreError> {
    let query = sqlx::query("INSERT INTO recovery_codes (user_id, code_hash) VALUES ($1, $2)");
    query.bind(user_id.to_string()).bind(hash).execute(write.statement()).await?;
    Ok(())
}
