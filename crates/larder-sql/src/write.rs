//! A write transaction: opened ready to write, rolled back unless committed.

use larder::journal::ChangeId;
use sqlx::AssertSqlSafe;

use crate::connecting::connection::SqlConnection;
use crate::connecting::pool::PooledConnection;
use crate::database::Database;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::keyed_mutex::KeyGuard;

/// A write transaction.
///
/// Dropping it rolls back. On SQLite it holds the one write lock from its first moment, so that two writers wait
/// for each other instead of failing half-way.
pub struct WriteTransaction {
    // Fields drop in this order: the next has its turn when the locks are on their way out.
    transaction: PooledConnection,
    database: Database,
    /// As what the journal has all that was done so far; empty when nobody has asked since the last statement.
    pub(crate) changes: Vec<ChangeId>,
    _row_guard: Option<KeyGuard>,
}

impl Database {
    /// Opens a write transaction.
    ///
    /// # Errors
    /// No connection, or on SQLite no write lock, in time.
    pub async fn begin(&self) -> Result<WriteTransaction, Error> {
        let transaction = self.begin_write().await?;
        Ok(WriteTransaction { transaction, database: self.clone(), changes: Vec::new(), _row_guard: None })
    }

    /// As [`Database::begin`], for a transaction that first locks the row that `row` names, by a name that is the
    /// application's own. Its writers in this process take turns before they take a connection: however many want one
    /// row, whoever holds it and for how long, the connections stay free for others. On PostgreSQL they wait up to 5 s for
    /// their turn; on SQLite all writers take turns anyway.
    ///
    /// Nobody waits for two turns, or two could wait for each other.
    ///
    /// # Errors
    /// As [`Database::begin`], and no turn in time.
    pub async fn begin_for(&self, row: &str) -> Result<WriteTransaction, Error> {
        let turn = self.lock_row(row).await?;
        Ok(WriteTransaction { _row_guard: turn, ..self.begin().await? })
    }
}

impl WriteTransaction {
    /// The executor for one statement of this transaction, which it counts. Inside a cache's load it
    /// [spoils](larder::loading::spoil) the load: what it brings is not kept.
    pub fn statement(&mut self) -> &mut SqlConnection {
        self.database.count();
        self.changes.clear();
        &mut self.transaction
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        self.database.dialect()
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// `select` with its rows locked until the transaction ends.
    pub fn locking(&self, select: &'static str) -> AssertSqlSafe<String> {
        AssertSqlSafe(format!("{select}{}", self.dialect().for_update()))
    }

    /// Makes the changes durable and visible. Returns the names by which the journal has them, for
    /// [`Cache::committed`](larder::cache::Cache::committed): if [`WriteTransaction::touched`] was asked and no other statement after it,
    /// else none.
    ///
    /// # Errors
    /// After an error it is unknown whether the changes were made.
    pub async fn commit(mut self) -> Result<Vec<ChangeId>, Error> {
        self.transaction.commit().await?;
        Ok(self.changes)
    }

    /// Undoes everything and waits until that is done.
    ///
    /// # Errors
    /// The changes are undone even then: the connection is gone.
    pub async fn rollback(mut self) -> Result<(), Error> {
        Ok(self.transaction.rollback().await?)
    }
}
