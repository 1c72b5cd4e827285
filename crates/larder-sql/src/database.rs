//! One database behind a pool of connections: many readers, and on SQLite a single writer.
//!
//! Invariants:
//! - `fresh_reads`: what [`Database::read`] hands out is never inside a transaction, so a statement on it sees
//!   everything committed before it began;
//! - `single_writer`: on SQLite every write goes through one connection, and no reader's connection can write.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::address::{Address, PostgresAddress, sqlite_url};
use crate::completeness::Completeness;
use crate::connecting::connector::Connector;
use crate::connecting::pool::{PooledConnection, SqlPool};
use crate::dialect::Dialect;
use crate::error::Error;
use crate::keyed_mutex::{KeyGuard, KeyedMutex};
use crate::options::{DatabaseOptions, Pooler};

/// How long a caller waits for a connection to PostgreSQL.
pub(crate) const POSTGRES_TIMEOUT: Duration = Duration::from_secs(2);
const SQLITE_READERS: u32 = 4;
/// Also SQLite's own `busy_timeout`, which the pragmas below spell in milliseconds.
const SQLITE_TIMEOUT: Duration = Duration::from_secs(5);
/// As long as SQLite's writers wait for each other.
const ROW_LOCK_TIMEOUT: Duration = SQLITE_TIMEOUT;
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// FULL: in WAL mode NORMAL may lose the last commits with the power, which others may have cached by then.
/// The cache of pages may grow to 16 MiB (SQLite's default is 2): what one search reads of 100,000 rows must fit.
const SQLITE_SETTINGS: &str = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; \
     PRAGMA recursive_triggers = ON; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384";
const SQLITE_READS_ONLY: &str = "PRAGMA query_only = ON";

/// A database of PostgreSQL or SQLite. Clones share the connections.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    dialect: Dialect,
    readers: SqlPool,
    /// On PostgreSQL the same connections, of which writers hold at most half.
    writers: SqlPool,
    /// Where PostgreSQL's migrations find a session; `None` if only a pooler in transaction mode is known.
    sessions: Option<Connector>,
    row_locks: KeyedMutex,
    statements: AtomicU64,
    completeness: Completeness,
}

impl Database {
    /// Connects as [`Database::open`] does, with defaults for everything but the URL.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::open(&DatabaseOptions::new(url)).await
    }

    /// Connects to `sqlite://path` (folder and file are made when missing) or `postgres://…`.
    ///
    /// PostgreSQL gets up to [`POOL_SIZE`](crate::options::POOL_SIZE) connections: the journal's own, half of the rest for
    /// writers, all of the rest for readers, so that readers never wait for writers. Each is handed out within 2 s: if the
    /// server has none to give, the caller waits for one that another caller returns. Writers wait up to 5 s for a lock.
    /// Several servers are tried in the URL's order, and the one that can be written to is used. A standby is refused, also when it
    /// is the only server: see [`Database::replica`].
    ///
    /// SQLite runs in WAL mode with 4 connections that only read and one that writes, each waiting up to 5 s for a lock and
    /// caching up to 16 MiB of pages: at most 80 MiB together.
    ///
    /// # Errors
    /// A URL that cannot be used, named without its password; or a database that does not answer, with what it said.
    pub async fn open(options: &DatabaseOptions) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        options.check()?;
        match Address::parse(&options.url)? {
            Address::Sqlite(path) => Self::sqlite(&path).await,
            Address::Postgres(address) => {
                if !address.left_out.is_empty() {
                    let left_out = &address.left_out;
                    tracing::warn!(?left_out, "the URL of the database has parameters that are not known");
                }
                Self::postgres(&address, options).await
            }
        }
    }

    /// Whether [`Database::connect`] could use this URL, as far as can be told without connecting.
    ///
    /// # Errors
    /// [`ErrorKind::Address`](crate::error::ErrorKind::Address), which says what is allowed.
    ///
    /// # Examples
    ///
    /// ```
    /// use larder_sql::database::Database;
    ///
    /// assert!(Database::check_url("sqlite://guests.db").is_ok());
    /// assert!(Database::check_url("mysql://localhost/guests").is_err());
    /// ```
    pub fn check_url(url: &str) -> Result<(), Error> {
        Address::parse(url).map(drop)
    }

    async fn postgres(address: &PostgresAddress, options: &DatabaseOptions) -> Result<Self, Error> {
        let is_pooled = options.pooler == Pooler::Transaction || address.has_transaction_pooler;
        let sessions = match &options.direct_url {
            Some(url) => match Address::parse(url)? {
                Address::Postgres(address) => Some(Connector::postgres(&address, false)?),
                Address::Sqlite(_) => None,
            },
            None if is_pooled => None,
            None => Some(Connector::postgres(address, false)?),
        };
        // The journal's own connection leaves the pool for good.
        let lent = options.pool_size - 1;
        let readers = SqlPool::new(Connector::postgres(address, is_pooled)?, lent, POSTGRES_TIMEOUT);
        // What has no transaction of its own gets one, for the time-out for locks that goes with it.
        let writers = readers.sharing((lent / 2).max(1), Dialect::Postgres.begin());
        // Whether the database answers, and as what it refuses.
        drop(readers.acquire().await?);
        Ok(Self::new(Dialect::Postgres, readers, writers, sessions))
    }

    async fn sqlite(path: &Path) -> Result<Self, Error> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::unavailable)?;
        }
        let url = sqlite_url(path)?;
        let pool = |connections, pragmas| -> Result<SqlPool, Error> {
            Ok(SqlPool::new(Connector::sqlite(&url, pragmas)?, connections, SQLITE_TIMEOUT))
        };
        let writers = pool(1, &[SQLITE_SETTINGS])?;
        enter_wal(&writers).await?;
        let readers = pool(SQLITE_READERS, &[SQLITE_SETTINGS, SQLITE_READS_ONLY])?;
        drop(readers.acquire().await?);
        Ok(Self::new(Dialect::Sqlite, readers, writers, None))
    }

    fn new(dialect: Dialect, readers: SqlPool, writers: SqlPool, sessions: Option<Connector>) -> Self {
        let (row_locks, statements, completeness) =
            (KeyedMutex::default(), AtomicU64::new(0), Completeness::default());
        let shared = Shared { dialect, readers, writers, sessions, row_locks, statements, completeness };
        Self { shared: Arc::new(shared) }
    }

    /// The executor for one fresh autocommit statement, which it counts.
    ///
    /// A cache's loader must use only this or [`Database::read_connection`], never a transaction's snapshot: what it loads has to be at
    /// least as new as the moment the load began. What is read in a transaction that was open before is not kept; see
    /// [`larder::loading::spoil`].
    pub fn read(&self) -> &SqlPool {
        self.count();
        &self.shared.readers
    }

    /// As [`Database::read`], for statements that are nobody's request: not counted.
    pub(crate) fn readers(&self) -> &SqlPool {
        &self.shared.readers
    }

    /// For one autocommit statement that writes. Not counted.
    pub(crate) fn writers(&self) -> &SqlPool {
        &self.shared.writers
    }

    /// What the journals of this database have last found.
    pub(crate) fn completeness(&self) -> &Completeness {
        &self.shared.completeness
    }

    /// A transaction that is ready to write.
    pub(crate) async fn begin_write(&self) -> Result<PooledConnection, Error> {
        let mut loan = self.shared.writers.acquire().await?;
        loan.begin(self.shared.dialect.begin()).await?;
        Ok(loan)
    }

    /// Where PostgreSQL's migrations find a session; `None` on SQLite.
    pub(crate) fn session(&self) -> Result<Option<&Connector>, Error> {
        match (self.shared.dialect, &self.shared.sessions) {
            (Dialect::Sqlite, _) => Ok(None),
            (Dialect::Postgres, Some(source)) => Ok(Some(source)),
            (Dialect::Postgres, None) => Err(needs_session()),
        }
    }

    /// A turn among this process's writers of `row`. On SQLite there is one connection that writes, so it is the turn.
    pub(crate) async fn lock_row(&self, row: &str) -> Result<Option<KeyGuard>, Error> {
        if self.dialect() == Dialect::Sqlite {
            return Ok(None);
        }
        let turn = tokio::time::timeout(ROW_LOCK_TIMEOUT, self.shared.row_locks.lock(row)).await;
        turn.map(Some).map_err(Error::unavailable)
    }

    /// How many statements ran so far: reads, and statements of write transactions without BEGIN and COMMIT.
    pub fn statements(&self) -> u64 {
        self.shared.statements.load(Ordering::Relaxed)
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        self.shared.dialect
    }

    /// Asks the database for a sign of life, for at most 1 s. Not counted as a statement.
    ///
    /// # Errors
    /// No answer in time.
    pub async fn ping(&self) -> Result<(), Error> {
        let answer = sqlx::query("SELECT 1").execute(&self.shared.readers);
        match tokio::time::timeout(PING_TIMEOUT, answer).await {
            Ok(answer) => answer.map(drop).map_err(Error::from),
            Err(late) => Err(match self.shared.readers.refusal() {
                Some(refusal) => Error::unavailable(refusal),
                None => Error::unavailable(late),
            }),
        }
    }

    /// Waits for running statements and closes every connection.
    pub async fn close(&self) {
        self.shared.readers.close().await;
        // On PostgreSQL the same, and closed by now.
        self.shared.writers.close().await;
    }

    pub(crate) fn count(&self) {
        self.shared.statements.fetch_add(1, Ordering::Relaxed);
    }
}

/// Switches the file to write-ahead logging, which is written into the file and lasts.
///
/// SQLite does not wait for its `busy_timeout` here, so two processes that open a new file at once need this loop.
async fn enter_wal(writers: &SqlPool) -> Result<(), Error> {
    let deadline = Instant::now() + SQLITE_TIMEOUT;
    loop {
        match sqlx::query("PRAGMA journal_mode = WAL").execute(writers).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// What a migration sends through a pooler in transaction mode would end up in several sessions.
fn needs_session() -> Error {
    Error::schema(
        "migrations are pending, and they need a session, which a pooler in transaction mode does not keep: set \
         DATABASE_DIRECT_URL to the address of the server itself",
    )
}

#[cfg(test)]
#[path = "database_tests.rs"]
mod tests;
