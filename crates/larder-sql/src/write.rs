//! A write transaction. It is rolled back unless it is committed.

use larder::journal::ChangeId;
use sqlx::AssertSqlSafe;
use std::fmt;

use crate::connecting::connection::SqlConnection;
use crate::connecting::pool::PooledConnection;
use crate::database::Database;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::keyed_mutex::KeyGuard;

/// A write transaction.
///
/// A drop rolls it back. On SQLite it takes the write lock when it begins, so that a second writer waits for the lock
/// at the beginning and does not fail in the middle.
pub struct WriteTransaction {
    // Rust drops fields in this order: the rollback starts before `_row_guard` gives the row lock to the next writer.
    transaction: PooledConnection,
    database: Database,
    /// The ids of this transaction's changes in the journal. Each statement empties the list, and
    /// [`WriteTransaction::touched`] fills it again.
    pub(crate) changes: Vec<ChangeId>,
    _row_guard: Option<KeyGuard>,
}

impl fmt::Debug for WriteTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTransaction").field("database", &self.database).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens a write transaction.
    ///
    /// # Errors
    /// There is no connection in time. On SQLite also: the write lock is not free in time.
    pub async fn begin(&self) -> Result<WriteTransaction, Error> {
        let transaction = self.begin_write().await?;
        Ok(WriteTransaction { transaction, database: self.clone(), changes: Vec::new(), _row_guard: None })
    }

    /// As [`Database::begin`], for a transaction that first locks one row in the database. `row` is any name that the
    /// application gives to that row. On PostgreSQL, this process's writers of one row queue, for up to 5 s, for a lock
    /// in memory before they take a connection. So at most one of them holds a connection, and a contended row does not
    /// use up the pool. This lock does not replace the database's: lock the row there with
    /// [`WriteTransaction::locking`]. On SQLite all writers queue for the one write connection.
    ///
    /// A task that holds one row lock must not wait for a second one: two such tasks could deadlock.
    ///
    /// # Errors
    /// As [`Database::begin`], and if the row lock is not free in time.
    pub async fn begin_for(&self, row: &str) -> Result<WriteTransaction, Error> {
        let turn = self.lock_row(row).await?;
        Ok(WriteTransaction { _row_guard: turn, ..self.begin().await? })
    }
}

impl WriteTransaction {
    /// The executor for one statement of this transaction. Counts the statement. Inside a cache's load it
    /// [spoils](larder::loading::spoil) the load: the loaded value is not stored.
    pub fn statement(&mut self) -> &mut SqlConnection {
        self.database.count();
        self.changes.clear();
        &mut self.transaction
    }

    /// The kind of database.
    pub fn dialect(&self) -> Dialect {
        self.database.dialect()
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// The statement `select`, which also locks its rows until the transaction ends.
    pub fn locking(&self, select: &'static str) -> AssertSqlSafe<String> {
        AssertSqlSafe(format!("{select}{}", self.dialect().for_update()))
    }

    /// Commits. Returns the ids of the changes in the journal, for
    /// [`Cache::committed`](larder::cache::Cache::committed). They are known only if [`WriteTransaction::touched`] was
    /// the last statement; else the list is empty.
    ///
    /// # Errors
    /// After an error it is unknown whether the changes were committed.
    pub async fn commit(mut self) -> Result<Vec<ChangeId>, Error> {
        self.transaction.commit().await?;
        Ok(self.changes)
    }

    /// Rolls back and waits for the database's answer.
    ///
    /// # Errors
    /// The connection broke. The database rolls the changes back in that case too.
    pub async fn rollback(mut self) -> Result<(), Error> {
        Ok(self.transaction.rollback().await?)
    }
}
