//! The journal: the database's own record of what each change touches, whoever makes the change.
//!
//! An application declares its [`Table`]s and puts the SQL of [`migration`] into its migrations; from then on triggers
//! append to an outbox. [`SqlJournal`] reads it. See `docs/journal.md`.

mod migration;
mod position;
mod postgres;
mod postgres_triggers;
mod sqlite;
mod sqlite_triggers;
mod table;
mod touched;

use std::time::Duration;

use async_trait::async_trait;
use larder::journal::{Changes, DatabaseId, Failure, Journal, Position, Since, Touch};
use larder::policy::Policy;
use tokio::sync::Mutex;

use crate::connecting::connection::SqlConnection;
use crate::database::Database;
use crate::dialect::Dialect;
use crate::error::Error;

pub use crate::journal::migration::{migration, outbox, triggers};
pub use crate::journal::table::Table;

/// The longest residence of an entry, a lease, and slack for clocks and slow relays.
const KEEP: Duration = Policy::TTL_MAX.saturating_add(Duration::from_secs(3 + 57));
const LIMIT: usize = 10_000;
/// How long one statement of the journal's own connection may take.
const STATEMENT: Duration = Duration::from_secs(2);
/// Rows that one statement of a prune deletes, so that none holds its locks for long.
const PRUNED_AT_ONCE: i64 = 1000;
/// Statements of one prune; what is left is for the next.
const PRUNE_STATEMENTS: usize = 100;
/// Marks within the time that rows are kept, so that they stay few however often is pruned.
const MARKS: u32 = 64;

/// The journal of a database, in which `migration` created the outbox.
///
/// It has a connection of its own beside those of the [`Database`], so that a relay never waits for a request's. None of
/// its statements count among [`Database::statements`].
///
/// # Examples
///
/// ```no_run
/// # async fn open() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use larder::journal::Journal;
/// use larder_sql::database::Database;
/// use larder_sql::journal::SqlJournal;
///
/// let database = Database::connect("sqlite://guests.db").await?;
/// let journal = SqlJournal::open(&database).await?;
/// let from = journal.since(None).await?.position;
/// let changes = journal.since(Some(&from)).await?.changes;
/// # Ok(())
/// # }
/// ```
pub struct SqlJournal {
    database: Database,
    keep: Duration,
    limit: usize,
    connection: Mutex<Option<Own>>,
}

/// The journal's own connection, and on SQLite what it has seen.
struct Own {
    connection: SqlConnection,
    seen: Option<sqlite::Seen>,
}

/// What one statement said, all of one snapshot.
struct Answer {
    database: DatabaseId,
    position: Position,
    /// `None` when nobody can tell.
    rows: Option<Vec<OutboxRow>>,
}

/// One row of the outbox.
struct OutboxRow {
    /// Names the change that it belongs to.
    change: String,
    /// As bytes, for SQLite does not keep text from being no text.
    touched: Vec<u8>,
}

impl SqlJournal {
    /// Opens the journal of `database`. Keeps rows for an hour and a minute, and answers
    /// [`Changes::Unknown`] for more than 10,000 rows at once.
    ///
    /// # Errors
    /// [`ErrorKind::NoJournal`](crate::error::ErrorKind::NoJournal) where there is no outbox, or the database is in
    /// recovery; else what the database says.
    pub async fn open(database: &Database) -> Result<Self, Error> {
        let journal =
            Self { database: database.clone(), keep: KEEP, limit: LIMIT, connection: Mutex::new(None) };
        journal.ask(None).await?;
        Ok(journal)
    }

    /// For how long rows are kept at least. Default: [`Policy::TTL_MAX`] and a minute. A consumer that was away for longer
    /// gets [`Changes::Unknown`]; less is for tests.
    #[must_use]
    pub fn keep(self, keep: Duration) -> Self {
        Self { keep, ..self }
    }

    /// How many rows [`Journal::since`] brings at most; more are [`Changes::Unknown`]. Default 10,000.
    #[must_use]
    pub fn limit(self, rows: usize) -> Self {
        Self { limit: rows, ..self }
    }

    async fn own(&self) -> Result<Own, Error> {
        let mut connection = self.database.readers().acquire().await?.detach();
        if self.database.dialect() == Dialect::Postgres {
            // Whoever asks gives up after a while and asks again: the server has to give up too.
            connection.limit_statements(STATEMENT).await?;
        }
        Ok(Own { connection, seen: None })
    }

    async fn ask(&self, position: Option<&Position>) -> Result<Answer, Error> {
        let mut slot = self.connection.lock().await;
        if self.database.readers().is_closed() {
            return Err(sqlx::Error::PoolClosed.into());
        }
        // Taken out meanwhile: after a failure, or when this future is dropped half-way, the connection is in a state
        // that nobody knows.
        let mut own = match slot.take() {
            Some(own) => own,
            None => self.own().await?,
        };
        let answer = match self.database.dialect() {
            Dialect::Postgres => postgres::ask(&mut own.connection, position, self.limit).await?,
            Dialect::Sqlite => sqlite::ask(&mut own, position, self.limit).await?,
        };
        *slot = Some(own);
        Ok(answer)
    }
}

#[async_trait]
impl Journal for SqlJournal {
    async fn database(&self) -> Result<DatabaseId, Failure> {
        Ok(self.ask(None).await?.database)
    }

    async fn since(&self, position: Option<&Position>) -> Result<Since, Failure> {
        let Answer { database, position, rows } = self.ask(position).await?;
        let changes = rows.and_then(|rows| touched::parse(&rows)).map_or(Changes::Unknown, Changes::Known);
        Ok(Since { database, position, changes })
    }

    async fn append(&self, touches: &[Touch]) -> Result<(), Failure> {
        if touches.is_empty() {
            return Ok(());
        }
        let insert = sqlx::query("INSERT INTO larder_outbox (touched) VALUES ($1)");
        let touched = serde_json::to_string(touches)?;
        insert.bind(touched).execute(self.database.writers()).await.map_err(Error::from)?;
        Ok(())
    }

    async fn prune(&self) -> Result<u64, Failure> {
        Ok(match self.database.dialect() {
            Dialect::Postgres => postgres::prune(self.database.writers(), self.keep).await?,
            Dialect::Sqlite => sqlite::prune(self.database.writers(), self.keep).await?,
        })
    }
}

/// Durations as the databases count them here: microseconds.
fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
