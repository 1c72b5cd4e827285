//! One database behind pools of connections: many readers, and on SQLite a single writer.
//!
//! Invariants:
//! - `fresh_reads`: what [`Database::read`] hands out is never inside a transaction, so a statement on it sees
//!   everything committed before it began;
//! - `single_writer`: on SQLite every write goes through one connection, and no reader's connection can write.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Executor, Transaction};

use crate::address::{Address, sqlite_url};
use crate::dialect::Dialect;
use crate::error::Error;
use crate::journal::completeness::Completeness;
use crate::turns::{Turn, Turns};

const POSTGRES_READERS: u32 = 10;
const POSTGRES_WRITERS: u32 = 10;
const POSTGRES_WAIT: Duration = Duration::from_secs(2);
const SQLITE_READERS: u32 = 4;
/// Also SQLite's own `busy_timeout`, which the pragmas below spell in milliseconds.
const SQLITE_WAIT: Duration = Duration::from_secs(5);
/// As long as SQLite's writers wait for each other.
const TURN_WAIT: Duration = SQLITE_WAIT;
const PING_WAIT: Duration = Duration::from_secs(1);
/// A connection that idled longer is tried before it is used: the server may have restarted meanwhile.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// FULL: in WAL mode NORMAL may lose the last commits with the power, which others may have cached by then.
/// The cache of pages may grow to 16 MiB (SQLite's default is 2): what one search reads of 100,000 rows must fit.
const SQLITE_SETTINGS: &str = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; \
     PRAGMA recursive_triggers = ON; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384";
const SQLITE_READS_ONLY: &str = "PRAGMA query_only = ON";
/// A server set up with another default level would give loaders an old snapshot, or needless failures.
const POSTGRES_SETTINGS: &str = "SET default_transaction_isolation TO 'read committed'";
/// Whoever holds a row, in psql and for long, does not keep a connection with it. As SQLite's `busy_timeout`.
const POSTGRES_LOCKS: &str = "SET lock_timeout TO '5s'";

/// A database of PostgreSQL or SQLite. Clones share the connections.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    dialect: Dialect,
    readers: AnyPool,
    writers: AnyPool,
    turns: Turns,
    statements: AtomicU64,
    completeness: Completeness,
}

/// The two migration folders of an application, one for each dialect, with equal version numbers.
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    /// For PostgreSQL.
    pub postgres: &'static Migrator,
    /// For SQLite.
    pub sqlite: &'static Migrator,
}

impl Database {
    /// Connects to `sqlite://path` (folder and file are made when missing) or `postgres://…`.
    ///
    /// PostgreSQL gets up to 10 connections that read and 10 that write, 2 s to hand one out, and those that write wait up
    /// to 5 s for a lock: readers never wait for writers. SQLite runs in WAL mode with 4 connections
    /// that only read and one that writes, each waiting up to 5 s for a lock and caching up to 16 MiB of pages: at
    /// most 80 MiB together.
    ///
    /// # Errors
    /// A URL that cannot be used, named without its password; or a database that does not answer.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        match Address::parse(url)? {
            Address::Sqlite(path) => Self::sqlite(&path).await,
            Address::Postgres { url, left_out } => {
                if !left_out.is_empty() {
                    tracing::warn!(?left_out, "the URL of the database has parameters that are not known");
                }
                Self::postgres(&url).await
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

    async fn postgres(url: &str) -> Result<Self, Error> {
        let readers = pool(POSTGRES_READERS, POSTGRES_WAIT, &[POSTGRES_SETTINGS]).connect(url).await?;
        let settings = &[POSTGRES_SETTINGS, POSTGRES_LOCKS];
        let writers = pool(POSTGRES_WRITERS, POSTGRES_WAIT, settings).connect(url).await?;
        Ok(Self::new(Dialect::Postgres, readers, writers))
    }

    async fn sqlite(path: &Path) -> Result<Self, Error> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::unavailable)?;
        }
        let url = sqlite_url(path)?;
        let writers = pool(1, SQLITE_WAIT, &[SQLITE_SETTINGS]).connect(&url).await?;
        enter_wal(&writers).await?;
        let settings = &[SQLITE_SETTINGS, SQLITE_READS_ONLY];
        let readers = pool(SQLITE_READERS, SQLITE_WAIT, settings).connect(&url).await?;
        Ok(Self::new(Dialect::Sqlite, readers, writers))
    }

    fn new(dialect: Dialect, readers: AnyPool, writers: AnyPool) -> Self {
        let (turns, statements, completeness) =
            (Turns::default(), AtomicU64::new(0), Completeness::default());
        Self { shared: Arc::new(Shared { dialect, readers, writers, turns, statements, completeness }) }
    }

    /// The executor for one fresh autocommit statement, which it counts.
    ///
    /// A cache's loader must use only this, never a transaction's snapshot: what it loads has to be at least as
    /// new as the moment the load began.
    pub fn read(&self) -> &AnyPool {
        self.count();
        &self.shared.readers
    }

    /// As [`Database::read`], for statements that are nobody's request: not counted.
    pub(crate) fn readers(&self) -> &AnyPool {
        &self.shared.readers
    }

    /// For one autocommit statement that writes. Not counted.
    pub(crate) fn writers(&self) -> &AnyPool {
        &self.shared.writers
    }

    /// What the journals of this database have last found.
    pub(crate) fn completeness(&self) -> &Completeness {
        &self.shared.completeness
    }

    /// A transaction that is ready to write.
    pub(crate) async fn writing(&self) -> Result<Transaction<'static, Any>, Error> {
        Ok(self.shared.writers.begin_with(self.shared.dialect.begin()).await?)
    }

    /// A turn among this process's writers of `row`. On SQLite there is one connection that writes, so it is the turn.
    pub(crate) async fn turn(&self, row: &str) -> Result<Option<Turn>, Error> {
        if self.dialect() == Dialect::Sqlite {
            return Ok(None);
        }
        let turn = tokio::time::timeout(TURN_WAIT, self.shared.turns.take(row)).await;
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
        match tokio::time::timeout(PING_WAIT, answer).await {
            Ok(answer) => answer.map(drop).map_err(Error::from),
            Err(late) => Err(Error::unavailable(late)),
        }
    }

    /// Brings the schema up to date. Any number of processes may do so at once on one database.
    ///
    /// # Errors
    /// A migration failed, or one that ran before has changed since.
    pub async fn migrate(&self, migrations: Migrations) -> Result<(), Error> {
        let outcome = match self.shared.dialect {
            // sqlx holds an advisory lock meanwhile, for which whoever comes second waits as long as it takes.
            Dialect::Postgres => migrations.postgres.run(&self.shared.readers).await,
            // sqlx locks nothing here, so one transaction around everything does: whoever comes second waits,
            // and then finds the work done.
            Dialect::Sqlite => {
                let mut transaction = self.writing().await?;
                match migrations.sqlite.run(&mut transaction).await {
                    Ok(()) => return Ok(transaction.commit().await?),
                    failed => failed,
                }
            }
        };
        outcome.map_err(|error| Error::from(sqlx::Error::from(error)))
    }

    /// Waits for running statements and closes every connection.
    pub async fn close(&self) {
        self.shared.readers.close().await;
        self.shared.writers.close().await;
    }

    pub(crate) fn count(&self) {
        self.shared.statements.fetch_add(1, Ordering::Relaxed);
    }
}

fn pool(connections: u32, wait: Duration, settings: &'static [&'static str]) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(wait)
        // sqlx would otherwise ping before every use, which doubles the round trips of a read.
        .test_before_acquire(false)
        .before_acquire(|connection: &mut AnyConnection, used| {
            Box::pin(async move {
                if used.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                for setting in settings {
                    connection.execute(*setting).await?;
                }
                Ok(())
            })
        })
}

/// Switches the file to write-ahead logging, which is written into the file and lasts.
///
/// SQLite does not wait for its `busy_timeout` here, so two processes that open a new file at once need this loop.
async fn enter_wal(writers: &AnyPool) -> Result<(), Error> {
    let deadline = Instant::now() + SQLITE_WAIT;
    loop {
        match sqlx::query("PRAGMA journal_mode = WAL").execute(writers).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

#[cfg(test)]
#[path = "database_tests.rs"]
mod tests;
