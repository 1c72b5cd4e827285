//! Statements that create many users, and the users of the demo.

use std::time::Duration;

use larder_sql::write::WriteTransaction;
use sqlx::AssertSqlSafe;

use crate::domain::audit::{Action, Event};
use crate::domain::identity::UserId;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{NewUser, User};
use crate::store::changes::lock_counts;
use crate::store::error::StoreError;
use crate::store::placeholders;
use crate::store::row::{self, COLUMNS, columns};
use crate::store::writing::Writer;

/// How many users one INSERT creates. A smaller number costs more round trips to PostgreSQL. A larger number is slow on
/// SQLite, which finds each `$n` by a search through the list of all parameters.
const USERS_PER_STATEMENT: usize = 50;
const CREDENTIAL_COLUMNS: usize = 3;

impl Writer {
    /// Creates all of these users or none, each with the same password hash, in the given order: the last one is the
    /// newest. Returns their ids.
    ///
    /// # Errors
    /// [`StoreError::Taken`], or errors of the database.
    pub async fn insert_many(&self, new: &[NewUser], password_hash: &str) -> Result<Vec<UserId>, StoreError> {
        let mut write = self.begin().await?;
        // The transaction locks all counts first. If each statement locked only the counts that it changes, two imports
        // could deadlock.
        lock_counts(&mut write).await?;
        let mut now = Timestamp::now();
        let mut ids = Vec::with_capacity(new.len());
        for new in new.chunks(USERS_PER_STATEMENT) {
            let mut users = Vec::with_capacity(new.len());
            for user in new {
                users.push(user.clone().created(UserId::generate(), now));
                now = now.after(Duration::from_micros(1));
            }
            insert_users(&mut write, &users.iter().collect::<Vec<_>>()).await?;
            let hashes: Vec<_> = users.iter().map(|user| (user.id, password_hash)).collect();
            insert_credentials(&mut write, &hashes, now).await?;
            ids.extend(users.iter().map(|user| user.id));
        }
        let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        self.commit(write, &[Event::of(Action::UserImport).number("count", count)]).await?;
        Ok(ids)
    }
}

/// Writes new users.
pub(super) async fn insert_users(write: &mut WriteTransaction, users: &[&User]) -> Result<(), StoreError> {
    for users in users.chunks(USERS_PER_STATEMENT) {
        let sql = format!(
            concat!("INSERT INTO users (", columns!(), ") VALUES {}"),
            placeholders::rows(users.len(), COLUMNS)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for user in users {
            query = row::bind(query, user)?;
        }
        query.execute(write.statement()).await?;
    }
    Ok(())
}

/// Writes the first passwords of users.
pub(super) async fn insert_credentials(
    write: &mut WriteTransaction,
    hashes: &[(UserId, &str)],
    now: Timestamp,
) -> Result<(), StoreError> {
    for hashes in hashes.chunks(USERS_PER_STATEMENT) {
        let values = placeholders::rows(hashes.len(), CREDENTIAL_COLUMNS);
        let sql = format!("INSERT INTO credentials (user_id, password_hash, changed_at) VALUES {values}");
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (id, hash) in hashes {
            query = query.bind(id.to_string()).bind(*hash).bind(now.as_micros());
        }
        query.execute(write.statement()).await?;
    }
    Ok(())
}
