//! One database behind a pool of connections: many readers, and on SQLite a single writer.
//!
//! Invariants:
//! - `fresh_reads`: [`Database::read`] never lends a connection that is inside a transaction, so a statement on it sees
//!   every commit before the statement began;
//! - `single_writer`: on SQLite every write goes through one connection, and the readers' connections cannot write.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::address::{Address, PostgresAddress, sqlite_url};
use crate::connecting::connector::Connector;
use crate::connecting::pool::{PooledConnection, SqlPool};
use crate::connecting::succession::Life;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::exposure;
use crate::inspected::Completeness;
use crate::keyed_mutex::{KeyGuard, KeyedMutex};
use crate::options::{DatabaseOptions, Pooler};

/// Time-out of a caller that waits for a connection to PostgreSQL.
pub(crate) const POSTGRES_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
const SQLITE_READERS: u32 = 4;
/// Time-out of a caller that waits for a connection to SQLite. The pragmas below repeat it in milliseconds as
/// `busy_timeout`.
const SQLITE_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a writer on PostgreSQL waits in [`Database::lock_row`]: as long as a writer on SQLite waits for the write
/// lock.
const ROW_LOCK_TIMEOUT: Duration = SQLITE_ACQUIRE_TIMEOUT;
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// `recursive_triggers`: without it, SQLite runs no DELETE trigger for a row that `INSERT OR REPLACE` deletes.
/// `synchronous = FULL`: with NORMAL in WAL mode, a power failure may undo the last commits, and a cache may already
/// hold their values. `cache_size`: 16 MiB of pages (SQLite's default is 2 MiB), enough for the pages that one search
/// of 100,000 rows reads.
const SQLITE_SETTINGS: &str = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; \
     PRAGMA recursive_triggers = ON; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384";
const SQLITE_READS_ONLY: &str = "PRAGMA query_only = ON";

/// A PostgreSQL or SQLite database. Clones share the connections.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("dialect", &self.shared.dialect).finish_non_exhaustive()
    }
}

struct Shared {
    dialect: Dialect,
    readers: SqlPool,
    /// On PostgreSQL these are the connections of `readers`, and writers hold at most half of them. On SQLite it is one
    /// other connection.
    writers: SqlPool,
    /// Opens connections that keep one server session, for PostgreSQL's migrations. `None` on SQLite, and if the
    /// options name only a pooler in transaction mode.
    sessions: Option<Connector>,
    /// [`DatabaseOptions::existing`].
    must_exist: bool,
    row_locks: KeyedMutex,
    statements: AtomicU64,
    completeness: Completeness,
}

impl Database {
    /// Connects as [`Database::open`] does, with defaults for every option but the URL.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::open(&DatabaseOptions::new(url)).await
    }

    /// Connects to `sqlite://path` or `postgres://…`. A missing folder or file of SQLite is created, for its owner alone,
    /// unless the options say [`existing`](DatabaseOptions::existing).
    ///
    /// PostgreSQL: at most [`DatabaseOptions::pool_size`] connections. One is the journal's. Writers use at most half
    /// of the others and readers may use all of them, so writers cannot use up the readers' connections. A caller waits
    /// up to 2 s for a connection; if the server refuses a new one, the caller waits for one that another caller
    /// returns. Writers wait up to 5 s for a lock. If the URL lists several servers, larder tries them in that order
    /// and uses the first primary. It refuses a standby, even if the URL lists no other server; for standbys see
    /// [`Database::replica`].
    ///
    /// SQLite: WAL mode, 4 connections that only read, one that writes, and one of the journal. Each waits up to 5 s
    /// for a lock and caches up to 16 MiB of pages, so all six cache at most 96 MiB.
    ///
    /// # Errors
    /// The URL cannot be used (the error's text never shows its password), the file has to exist and does not, or the
    /// database does not answer (the error's text contains the database's own error).
    pub async fn open(options: &DatabaseOptions) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        options.check()?;
        match Address::parse(&options.url)? {
            Address::Sqlite(path) => Self::sqlite(&path, options.must_exist).await,
            Address::Postgres(address) => {
                if !address.left_out.is_empty() {
                    let left_out = &address.left_out;
                    tracing::warn!(?left_out, "ignoring unknown parameters of the database URL");
                }
                Self::postgres(&address, options).await
            }
        }
    }

    /// Whether [`Database::connect`] could use this URL. It checks only the text and does not connect.
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

    /// The files of a SQLite database that other users can read or write, and its folder if other users can replace the
    /// files in it; each with its permissions. None for PostgreSQL. [`Database::open`] creates a missing file for its
    /// owner alone, and does not change the permissions of an existing one.
    ///
    /// # Errors
    /// As [`Database::check_url`].
    pub fn exposed_files(url: &str) -> Result<Vec<(PathBuf, u32)>, Error> {
        match Address::parse(url)? {
            Address::Sqlite(path) => Ok(exposure::of_database(&path)),
            Address::Postgres(_) => Ok(Vec::new()),
        }
    }

    async fn postgres(address: &PostgresAddress, options: &DatabaseOptions) -> Result<Self, Error> {
        let is_pooled = options.pooler == Pooler::Transaction || address.has_transaction_pooler;
        let sessions = match &options.direct_url {
            Some(url) => match Address::parse(url)? {
                Address::Postgres(address) => Some(Connector::postgres(&address, false)?),
                Address::Sqlite(_) => None,
            },
            None if is_pooled => None,
            None => Some(Connector::postgres(address, false)?.like(options.like.clone())),
        };
        // The journal takes one connection out of the pool and keeps it, so the pool lends one less.
        let lent = options.pool_size - 1;
        let connector = Connector::postgres(address, is_pooled)?.like(options.like.clone());
        let readers = SqlPool::new(connector, lent, POSTGRES_ACQUIRE_TIMEOUT);
        // Even a single statement of a writer runs in a transaction: `SET LOCAL lock_timeout` has an effect only inside
        // one.
        let writers = readers.sharing((lent / 2).max(1), Dialect::Postgres.begin());
        // Fails early if the database does not answer or refuses the connection.
        drop(readers.acquire().await?);
        Ok(Self::new(Dialect::Postgres, readers, writers, sessions, options.must_exist))
    }

    async fn sqlite(path: &Path, must_exist: bool) -> Result<Self, Error> {
        match must_exist {
            // A file that is removed right after this is created again, empty. Then there is no migration in it, and
            // `migrate` refuses it.
            true if !path.exists() => return Err(missing(path)),
            true => {}
            false => exposure::create(path).map_err(Error::unavailable)?,
        }
        let url = sqlite_url(path)?;
        let pool = |connections, pragmas| -> Result<SqlPool, Error> {
            Ok(SqlPool::new(Connector::sqlite(&url, pragmas)?, connections, SQLITE_ACQUIRE_TIMEOUT))
        };
        let writers = pool(1, &[SQLITE_SETTINGS])?;
        enter_wal(&writers).await?;
        let readers = pool(SQLITE_READERS, &[SQLITE_SETTINGS, SQLITE_READS_ONLY])?;
        drop(readers.acquire().await?);
        Ok(Self::new(Dialect::Sqlite, readers, writers, None, must_exist))
    }

    fn new(
        dialect: Dialect,
        readers: SqlPool,
        writers: SqlPool,
        sessions: Option<Connector>,
        must_exist: bool,
    ) -> Self {
        let (row_locks, statements, completeness) =
            (KeyedMutex::default(), AtomicU64::new(0), Completeness::default());
        let shared =
            Shared { dialect, readers, writers, sessions, must_exist, row_locks, statements, completeness };
        Self { shared: Arc::new(shared) }
    }

    /// The executor for one fresh autocommit statement. Counts it in [`Database::statements`].
    ///
    /// A cache's loader must use only this or [`Database::read_connection`], and never a transaction's snapshot: a
    /// loaded value must contain every commit before the load began. If a loader reads in a transaction that was open
    /// before the statement, the loaded value is not stored; see [`larder::loading::spoil`].
    pub fn read(&self) -> &SqlPool {
        self.count();
        &self.shared.readers
    }

    /// As [`Database::read`], for larder's own statements. Does not count the statement.
    pub(crate) fn readers(&self) -> &SqlPool {
        &self.shared.readers
    }

    /// The executor for one autocommit statement that writes. Does not count the statement.
    pub(crate) fn writers(&self) -> &SqlPool {
        &self.shared.writers
    }

    /// As [`Database::meet`], for a connection that larder has opened: another system counts, too.
    pub(crate) fn note(&self, life: Life) -> Result<(), Error> {
        let noted = self.shared.readers.source().succession().note(life);
        noted.map(drop).map_err(|newest| Error::former_primary(newest.timeline))
    }

    /// Notes that a statement has run on a server in this life.
    ///
    /// # Errors
    /// The server is a former primary: another connection has led to its successor.
    pub(crate) fn note_foreign(&self, life: Life) -> Result<(), Error> {
        self.shared
            .readers
            .source()
            .succession()
            .note_foreign(life)
            .map_err(|newest| Error::former_primary(newest.timeline))
    }

    /// What the last inspection of this database's journals found.
    pub(crate) fn completeness(&self) -> &Completeness {
        &self.shared.completeness
    }

    /// Opens a transaction that may write.
    pub(crate) async fn begin_write(&self) -> Result<PooledConnection, Error> {
        let mut loan = self.shared.writers.acquire().await?;
        loan.begin(self.shared.dialect.begin()).await?;
        Ok(loan)
    }

    /// Whether the database had to be there already.
    pub(crate) fn must_exist(&self) -> bool {
        self.shared.must_exist
    }

    /// The connector for PostgreSQL's migrations, which need a session; `None` on SQLite.
    pub(crate) fn session(&self) -> Result<Option<&Connector>, Error> {
        match (self.shared.dialect, &self.shared.sessions) {
            (Dialect::Sqlite, _) => Ok(None),
            (Dialect::Postgres, Some(source)) => Ok(Some(source)),
            (Dialect::Postgres, None) => Err(needs_session()),
        }
    }

    /// Locks `row` against this process's other writers. `None` on SQLite, where all writers queue for one connection
    /// anyway.
    pub(crate) async fn lock_row(&self, row: &str) -> Result<Option<KeyGuard>, Error> {
        if self.dialect() == Dialect::Sqlite {
            return Ok(None);
        }
        let turn = tokio::time::timeout(ROW_LOCK_TIMEOUT, self.shared.row_locks.lock(row)).await;
        turn.map(Some).map_err(Error::unavailable)
    }

    /// The number of statements so far: reads, and statements of write transactions without BEGIN and COMMIT.
    pub fn statements(&self) -> u64 {
        // Relaxed: a counter, on which no other data depends.
        self.shared.statements.load(Ordering::Relaxed)
    }

    /// The kind of database.
    pub fn dialect(&self) -> Dialect {
        self.shared.dialect
    }

    /// Checks that the database answers within 1 s. Does not count as a statement.
    ///
    /// # Errors
    /// The database does not answer in time.
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

    /// Checks that a write transaction can begin, and on PostgreSQL that the server is no standby: a pooler may have led the
    /// connection to one. Does not count as a statement.
    ///
    /// If there is no answer within 1 s, the check succeeds: another writer may hold the write lock for longer.
    ///
    /// # Errors
    /// No write transaction can begin.
    pub async fn ping_writer(&self) -> Result<(), Error> {
        let begun = async {
            let mut loan = self.shared.writers.acquire().await?;
            loan.begin(self.shared.dialect.begin_on_primary()).await?;
            loan.rollback().await.map_err(Error::from)
        };
        tokio::time::timeout(PING_TIMEOUT, begun).await.unwrap_or(Ok(()))
    }

    /// Waits for running statements and closes every connection.
    pub async fn close(&self) {
        self.shared.readers.close().await;
        // On PostgreSQL the writers share these connections, so this returns at once.
        self.shared.writers.close().await;
    }

    pub(crate) fn count(&self) {
        self.shared.statements.fetch_add(1, Ordering::Relaxed);
    }
}

/// Switches the file to write-ahead logging. The file keeps this setting.
///
/// Retries every 20 ms, because SQLite ignores `busy_timeout` for this pragma: if two processes open a new file at
/// once, SQLite refuses one of them.
async fn enter_wal(writers: &SqlPool) -> Result<(), Error> {
    let deadline = Instant::now() + SQLITE_ACQUIRE_TIMEOUT;
    loop {
        match sqlx::query("PRAGMA journal_mode = WAL").execute(writers).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// The error for a file that has to exist.
fn missing(path: &Path) -> Error {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Error::address(format!("there is no file {}, and it is not created", path.display()))
}

/// The error if the options name only a pooler in transaction mode. Such a pooler could run a migration's statements in
/// several sessions.
fn needs_session() -> Error {
    Error::schema(
        "migrations are pending, and they need a session, which a pooler in transaction mode does not keep: set \
         DATABASE_DIRECT_URL to the address of the server itself",
    )
}

#[cfg(test)]
#[path = "database_tests.rs"]
mod tests;
