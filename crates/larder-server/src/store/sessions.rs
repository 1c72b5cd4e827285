//! Sessions and their refresh tokens, each of which is good once.
//!
//! Invariants:
//! - `one_current_token`: of a session's tokens at most one is unused, and exactly one rotation uses it;
//! - `reuse_ends_the_family`: a token that comes a second time ends its session, whoever sent it;
//! - `at_most_20_live`: a user's oldest sessions end when a new one would be the 21st.

use larder_sql::write::WriteTransaction;
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::domain::audit::{Action, Event};
use crate::domain::identity::UserId;
use crate::domain::timestamp::Timestamp;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::journal::touches_of_sessions;
use crate::store::odd_rows;
use crate::store::row;
use crate::store::writing::Writer;

/// Live sessions that may stay when one is opened.
const OLDER_SESSIONS: i64 = 19;

/// A session to open.
#[derive(Debug, Clone, Copy)]
pub struct NewSession<'a> {
    /// Its id, the `sid` of its tokens.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: UserId,
    /// The epoch that was read with the password hash.
    pub epoch: i64,
    /// SHA-256 of the first refresh token, in hex.
    pub token_hash: &'a str,
    /// This moment.
    pub now: Timestamp,
    /// When it ends by itself; rotation does not prolong it.
    pub expires_at: Timestamp,
}

/// What became of a session to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It is open.
    Done {
        /// Older sessions that ended to make room.
        ended: Vec<Uuid>,
    },
    /// The user is gone, inactive, or has another epoch by now: the password must be checked again.
    Outdated,
}

/// What became of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// It was current; the new one is now.
    Done {
        /// The session.
        session: Uuid,
        /// Whose it is.
        user_id: UserId,
        /// The user's epoch, as this transaction saw it.
        epoch: i64,
        /// When the session ends by itself.
        expires_at: Timestamp,
    },
    /// It had been used before, so its session has ended.
    Reused {
        /// The session.
        session: Uuid,
        /// Whose it was.
        user_id: UserId,
    },
    /// Nobody ever got such a token, or its session is long forgotten.
    Unknown,
    /// Its session ended or expired.
    Expired,
}

/// A refresh token that nobody has used, without the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshRow {
    /// Its session.
    pub session: Uuid,
    /// Whose it is.
    pub user_id: UserId,
    /// Since when it is good.
    pub issued_at: Timestamp,
    /// Until when its session lasts.
    pub expires_at: Timestamp,
}

impl Writer {
    /// Opens a session.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open_session(&self, new: NewSession<'_>) -> Result<Opened, StoreError> {
        let mut write = self.begin_for(new.user_id).await?;
        // Between reading the hash and now the password may have changed; the lock keeps it as it is.
        let user = row::locked(&mut write, new.user_id).await?;
        let query = sqlx::query("SELECT epoch FROM credentials WHERE user_id = $1");
        let credentials = query.bind(new.user_id.to_string()).fetch_optional(write.statement()).await?;
        let epoch = credentials.map(|row| row.try_get::<i64, _>("epoch")).transpose()?;
        if !user.is_some_and(|user| user.is_active) || epoch != Some(new.epoch) {
            return Ok(Opened::Outdated);
        }
        // Long expired ones are of no use to anybody.
        sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND expires_at <= $2")
            .bind(new.user_id.to_string())
            .bind(new.now.as_micros())
            .execute(write.statement())
            .await?;
        let ended = end_oldest(&mut write, &new).await?;
        sqlx::query("INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(new.id.to_string())
            .bind(new.user_id.to_string())
            .bind(new.now.as_micros())
            .bind(new.expires_at.as_micros())
            .execute(write.statement())
            .await?;
        insert_token(&mut write, new.token_hash, new.id, new.now).await?;
        self.commit(write, &[Event::on(Action::SessionOpen, new.user_id)]).await?;
        Ok(Opened::Done { ended })
    }

    /// Uses a refresh token up and issues the next one. Of several at once, one wins, the next is reuse and ends the session,
    /// and the others find it ended.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn rotate_refresh(
        &self,
        old_hash: &str,
        new_hash: &str,
        now: Timestamp,
    ) -> Result<Rotated, StoreError> {
        let mut write = self.begin().await?;
        // Of sessions that have a user: sqlite3 deletes users by hand and leaves what refers to them.
        let select = write.locking(
            "SELECT id, user_id, expires_at, ended_at FROM sessions
             WHERE id = (SELECT session_id FROM refresh_tokens WHERE token_hash = $1)
               AND EXISTS (SELECT 1 FROM users WHERE users.id = sessions.user_id)",
        );
        let Some(row) = sqlx::query(select).bind(old_hash).fetch_optional(write.statement()).await? else {
            return Ok(Rotated::Unknown);
        };
        let session: Uuid = row::parsed(&row, "id")?;
        let user_id = row::user_id(&row, "user_id")?;
        // Of a session that is over no token is current, and none comes a second time.
        if !is_live(&row, now)? {
            return Ok(Rotated::Expired);
        }
        let used =
            sqlx::query("UPDATE refresh_tokens SET used_at = $2 WHERE token_hash = $1 AND used_at IS NULL")
                .bind(old_hash)
                .bind(now.as_micros())
                .execute(write.statement())
                .await?;
        let outcome = if used.rows_affected() == 0 {
            end(&mut write, session, now).await?;
            Rotated::Reused { session, user_id }
        } else {
            insert_token(&mut write, new_hash, session, now).await?;
            let query = sqlx::query("SELECT epoch FROM credentials WHERE user_id = $1");
            let epoch =
                query.bind(user_id.to_string()).fetch_one(write.statement()).await?.try_get("epoch")?;
            let expires_at = Timestamp::from_micros(row.try_get("expires_at")?);
            Rotated::Done { session, user_id, epoch, expires_at }
        };
        let reuse = [Event::on(Action::SessionReuse, user_id)];
        // A session that goes on is no event: it happens by itself, every quarter of an hour.
        let events = if matches!(outcome, Rotated::Reused { .. }) { &reuse[..] } else { &[] };
        self.commit(write, events).await?;
        Ok(outcome)
    }

    /// Ends a session. Returns whose it was, if it was live.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_session(&self, session: Uuid, now: Timestamp) -> Result<Option<UserId>, StoreError> {
        let mut write = self.begin().await?;
        let ended = end(&mut write, session, now).await?;
        if ended.is_none() {
            let query = sqlx::query("SELECT user_id FROM sessions WHERE id = $1").bind(session.to_string());
            if let Some(row) = query.fetch_optional(write.statement()).await? {
                let user_id = row::user_id(&row, "user_id")?;
                self.touch(|| touches_of_sessions(user_id));
            }
        }
        // One that had ended before was logged then.
        let events = ended.map(|user_id| Event::on(Action::SessionClose, user_id));
        self.commit(write, events.as_slice()).await?;
        Ok(ended)
    }
}

impl Store {
    /// Whose session a refresh token belongs to, used or not.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn user_by_refresh(&self, hash: &str) -> Result<Option<UserId>, StoreError> {
        let query = sqlx::query(
            "SELECT user_id FROM sessions WHERE id = (SELECT session_id FROM refresh_tokens WHERE token_hash = $1)",
        );
        let row = query.bind(hash).fetch_optional(self.database.read()).await?;
        Ok(row.map(|row| row::user_id(&row, "user_id")).transpose()?)
    }

    /// The session of a refresh token, used or not.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn session_by_refresh(&self, hash: &str) -> Result<Option<Uuid>, StoreError> {
        let query = sqlx::query("SELECT session_id FROM refresh_tokens WHERE token_hash = $1").bind(hash);
        let row = query.fetch_optional(self.database.read()).await?;
        Ok(row.map(|row| row::parsed(&row, "session_id")).transpose()?)
    }

    /// A refresh token that is good for one refresh.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn unused_refresh(&self, hash: &str, now: Timestamp) -> Result<Option<RefreshRow>, StoreError> {
        let query = sqlx::query(
            "SELECT session_id, user_id, issued_at, expires_at FROM refresh_tokens
             JOIN sessions ON sessions.id = session_id
             WHERE token_hash = $1 AND used_at IS NULL AND ended_at IS NULL AND expires_at > $2
               AND EXISTS (SELECT 1 FROM users WHERE users.id = sessions.user_id)",
        );
        let row = query.bind(hash).bind(now.as_micros()).fetch_optional(self.database.read()).await?;
        let read = |row: AnyRow| {
            Ok(RefreshRow {
                session: row::parsed(&row, "session_id")?,
                user_id: row::user_id(&row, "user_id")?,
                issued_at: Timestamp::from_micros(row.try_get("issued_at")?),
                expires_at: Timestamp::from_micros(row.try_get("expires_at")?),
            })
        };
        Ok(row.map(read).transpose().map_err(|error: sqlx::Error| error)?)
    }
}

/// Ends every session of a user whose row is locked.
pub(super) async fn end_all(
    write: &mut WriteTransaction,
    user_id: UserId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE sessions SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL")
        .bind(user_id.to_string())
        .bind(now.as_micros())
        .execute(write.statement())
        .await?;
    Ok(())
}

async fn end(
    write: &mut WriteTransaction,
    session: Uuid,
    now: Timestamp,
) -> Result<Option<UserId>, StoreError> {
    let query =
        sqlx::query("UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL RETURNING user_id");
    let query = query.bind(session.to_string()).bind(now.as_micros());
    let row = query.fetch_optional(write.statement()).await?;
    Ok(row.map(|row| row::user_id(&row, "user_id")).transpose()?)
}

/// Ends what is more than may stay beside a new session. The user's row is locked, so nobody adds one meanwhile.
async fn end_oldest(write: &mut WriteTransaction, new: &NewSession<'_>) -> Result<Vec<Uuid>, StoreError> {
    let rows = sqlx::query(
        "UPDATE sessions SET ended_at = $2 WHERE id IN (
             SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL
             ORDER BY created_at DESC, id DESC LIMIT 1000 OFFSET $3
         ) RETURNING id",
    )
    .bind(new.user_id.to_string())
    .bind(new.now.as_micros())
    .bind(OLDER_SESSIONS)
    .fetch_all(write.statement())
    .await?;
    Ok(odd_rows::readable("sessions", "id", &rows, |row| row::parsed(row, "id"))?)
}

async fn insert_token(
    write: &mut WriteTransaction,
    hash: &str,
    session: Uuid,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO refresh_tokens (token_hash, session_id, issued_at) VALUES ($1, $2, $3)")
        .bind(hash)
        .bind(session.to_string())
        .bind(now.as_micros())
        .execute(write.statement())
        .await?;
    Ok(())
}

fn is_live(session: &AnyRow, now: Timestamp) -> Result<bool, sqlx::Error> {
    let ended: Option<i64> = session.try_get("ended_at")?;
    let expires: i64 = session.try_get("expires_at")?;
    Ok(ended.is_none() && expires > now.as_micros())
}
