//! Opens, lists and ends sessions.
//!
//! Invariant `at_most_so_many_live`: if a new session exceeds the limit, the least recently used sessions end. A
//! session is used when it is opened and when its refresh token rotates.

use larder_sql::write::WriteTransaction;
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::domain::audit::{Action, Event};
use crate::domain::identity::UserId;
use crate::domain::timestamp::Timestamp;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::odd_rows;
use crate::store::row;
use crate::store::unchanged::UnchangedRow;
use crate::store::writing::Writer;

/// The SQL expression for the time at which a session of the outer statement was last used.
macro_rules! last_used {
    () => {
        "COALESCE((SELECT MAX(issued_at) FROM refresh_tokens WHERE session_id = sessions.id), sessions.created_at)"
    };
}
pub(super) use last_used;

/// A session to open.
#[derive(Debug, Clone, Copy)]
pub struct NewSession<'a> {
    /// The session's id, which is the `sid` of its tokens.
    pub id: Uuid,
    /// The user.
    pub user_id: UserId,
    /// The epoch that was read with the password hash.
    pub epoch: i64,
    /// SHA-256 of the first refresh token, in hex.
    pub token_hash: &'a str,
    /// The present time.
    pub now: Timestamp,
    /// When the session expires; rotation does not prolong it.
    pub expires_at: Timestamp,
    /// How many live sessions the user may have, the new one included.
    pub most: u32,
}

/// A live session, as its user sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRow {
    /// The session's id.
    pub id: Uuid,
    /// When the session was opened.
    pub created_at: Timestamp,
    /// When the session was opened or last refreshed.
    pub last_used_at: Timestamp,
    /// When the session ends, however often it is refreshed.
    pub expires_at: Timestamp,
}

/// The result of opening a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The session is open.
    Done {
        /// The sessions that ended to keep the limit.
        ended: Vec<Uuid>,
    },
    /// The user does not exist, is inactive, or has another epoch: the password must be checked again.
    Outdated,
}

impl Writer {
    /// Opens a session.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn open_session(&self, new: NewSession<'_>) -> Result<Opened, StoreError> {
        let mut write = self.begin_for(new.user_id).await?;
        // The password may have changed since its hash was read. The lock on the user keeps the epoch as it is until
        // the commit.
        let user = row::locked(&mut write, new.user_id).await?;
        let query = sqlx::query("SELECT epoch FROM credentials WHERE user_id = $1");
        let credentials = query.bind(new.user_id.to_string()).fetch_optional(write.statement()).await?;
        let epoch = credentials.map(|row| row.try_get::<i64, _>("epoch")).transpose()?;
        if !user.is_some_and(|user| user.is_active) || epoch != Some(new.epoch) {
            return Ok(Opened::Outdated);
        }
        // Expired sessions are deleted here, as no request needs them.
        sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND expires_at <= $2")
            .bind(new.user_id.to_string())
            .bind(new.now.as_micros())
            .execute(write.statement())
            .await?;
        let ended = end_least_used(&mut write, &new).await?;
        sqlx::query("INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(new.id.to_string())
            .bind(new.user_id.to_string())
            .bind(new.now.as_micros())
            .bind(new.expires_at.as_micros())
            .execute(write.statement())
            .await?;
        insert_token(&mut write, new.token_hash, new.id, new.now).await?;
        let evicted = ended.iter().map(|_| Event::on(Action::SessionEvict, new.user_id));
        let events: Vec<_> = evicted.chain([Event::on(Action::SessionOpen, new.user_id)]).collect();
        self.commit(write, &events).await?;
        Ok(Opened::Done { ended })
    }

    /// Ends a live session of this user. Returns whether the session was live.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn end_session_of(
        &self,
        user_id: UserId,
        session: Uuid,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let query = sqlx::query(
            "UPDATE sessions SET ended_at = $3 WHERE id = $1 AND user_id = $2 AND ended_at IS NULL",
        );
        let query = query.bind(session.to_string()).bind(user_id.to_string()).bind(now.as_micros());
        let is_ended = query.execute(write.statement()).await?.rows_affected() == 1;
        if !is_ended {
            self.found_unchanged(|| UnchangedRow::belonging_to(user_id, "sessions"));
        }
        // A session that had ended before has its entry in the log already.
        let event = is_ended.then(|| Event::on(Action::SessionClose, user_id));
        self.commit(write, event.as_slice()).await?;
        Ok(is_ended)
    }

    /// Ends every session of this user.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn end_sessions_of(&self, user_id: UserId, now: Timestamp) -> Result<(), StoreError> {
        let mut write = self.begin_for(user_id).await?;
        let ended = end_all(&mut write, user_id, now).await?;
        if ended == 0 {
            self.found_unchanged(|| UnchangedRow::belonging_to(user_id, "sessions"));
        }
        let count = i64::try_from(ended).unwrap_or(i64::MAX);
        // If no session was live, none ended, so the audit log gets no entry.
        let event = (ended > 0).then(|| Event::on(Action::SessionClose, user_id).number("count", count));
        self.commit(write, event.as_slice()).await
    }

    /// Ends a session. Returns its user if the session was live.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn end_session(&self, session: Uuid, now: Timestamp) -> Result<Option<UserId>, StoreError> {
        let mut write = self.begin().await?;
        let ended = end(&mut write, session, now).await?;
        if ended.is_none() {
            let query = sqlx::query("SELECT user_id FROM sessions WHERE id = $1").bind(session.to_string());
            if let Some(row) = query.fetch_optional(write.statement()).await? {
                let user_id = row::user_id(&row, "user_id")?;
                self.found_unchanged(|| UnchangedRow::belonging_to(user_id, "sessions"));
            }
        }
        // A session that had ended before has its entry in the log already.
        let events = ended.map(|user_id| Event::on(Action::SessionClose, user_id));
        self.commit(write, events.as_slice()).await?;
        Ok(ended)
    }
}

impl Store {
    /// The live sessions of a user that were used at `used_since` or later, the most recently used first.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn sessions_of(
        &self,
        user_id: UserId,
        now: Timestamp,
        used_since: Timestamp,
    ) -> Result<Vec<SessionRow>, StoreError> {
        let query = sqlx::query(concat!(
            "SELECT id, created_at, expires_at, ",
            last_used!(),
            " AS last_used_at FROM sessions
             WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 AND ",
            last_used!(),
            " > $3 ORDER BY last_used_at DESC, id DESC"
        ));
        let query = query.bind(user_id.to_string()).bind(now.as_micros()).bind(used_since.as_micros());
        let rows = query.fetch_all(self.database.read()).await?;
        let read = |row: &AnyRow| {
            Ok(SessionRow {
                id: row::parsed(row, "id")?,
                created_at: Timestamp::from_micros(row.try_get("created_at")?),
                last_used_at: Timestamp::from_micros(row.try_get("last_used_at")?),
                expires_at: Timestamp::from_micros(row.try_get("expires_at")?),
            })
        };
        Ok(odd_rows::readable("sessions", "id", &rows, read)?)
    }
}

/// Ends every session of a user whose row is locked. Returns how many were live.
pub(super) async fn end_all(
    write: &mut WriteTransaction,
    user_id: UserId,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let query = sqlx::query("UPDATE sessions SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL");
    let query = query.bind(user_id.to_string()).bind(now.as_micros());
    Ok(query.execute(write.statement()).await?.rows_affected())
}

pub(super) async fn end(
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

/// Ends the least recently used sessions, so that one more session fits into the limit. The lock on the user's row
/// keeps other writers from adding a session.
async fn end_least_used(write: &mut WriteTransaction, new: &NewSession<'_>) -> Result<Vec<Uuid>, StoreError> {
    let rows = sqlx::query(concat!(
        "UPDATE sessions SET ended_at = $2 WHERE id IN (
             SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL ORDER BY ",
        last_used!(),
        " DESC, id DESC LIMIT 1000 OFFSET $3
         ) RETURNING id"
    ))
    .bind(new.user_id.to_string())
    .bind(new.now.as_micros())
    .bind(i64::from(new.most.saturating_sub(1)))
    .fetch_all(write.statement())
    .await?;
    Ok(odd_rows::readable("sessions", "id", &rows, |row| row::parsed(row, "id"))?)
}

pub(super) async fn insert_token(
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

pub(super) fn is_live(session: &AnyRow, now: Timestamp) -> Result<bool, sqlx::Error> {
    let ended: Option<i64> = session.try_get("ended_at")?;
    let expires: i64 = session.try_get("expires_at")?;
    Ok(ended.is_none() && expires > now.as_micros())
}
