//! The journal: the database's own record of what each change touches, whichever program makes the change. A change
//! *touches* the cache entries and tags that it makes invalid.
//!
//! An application declares its [`Table`]s and puts the SQL of [`migration`] into its migrations. From then on, triggers
//! write the touches of each change into a table, the outbox, and [`SqlJournal`] reads that table. See
//! `docs/journal.md`.

mod checksum;
pub(crate) mod completeness;
mod declaration;
mod file;
mod identity_age;
mod joined;
mod mending;
mod migration;
mod position;
mod postgres;
mod postgres_triggers;
mod query;
mod sqlite;
mod sqlite_triggers;
mod state;
mod table;
mod touched;
mod uuid_text;
mod verifying;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use larder::journal::{
    Changes, ChangesSince, DatabaseId, Failure, FaultEpisodes, Journal, JournalFault, Position, Touch,
};
use tokio::sync::Mutex;

use crate::connecting::succession::Life;
use crate::database::Database;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::journal::completeness::{Attestation, Inspection};
use crate::journal::identity_age::IdentityAge;
use crate::journal::query::{JournalAnswer, JournalQuery, OutboxRow, OwnRows};
use crate::journal::state::{JournalConnection, LastInspection, State};

pub use crate::journal::completeness::Defect;
pub use crate::journal::joined::{ApplicationPool, ApplicationTransaction, CommitExt};
pub use crate::journal::migration::{drop_triggers, migration, triggers};
pub use crate::journal::table::Table;

/// How long rows of the outbox are kept. A consumer that was away for longer drops everything. No entry's TTL depends
/// on this time.
const RETENTION: Duration = Duration::from_mins(61);
/// The most rows that a poll reports one by one, unless [`SqlJournal::limit`] sets another number.
const ROWS_MAX: usize = 10_000;
/// A poll reads up to this many times [`SqlJournal::limit`] rows, about 10 MB. If it reads more than the limit, it
/// reports only which classes and tags these rows touch.
const SUMMARY_FACTOR: usize = 10;
/// The server's time-out for each statement of the journal's own connection.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);
/// The most rows that one statement of a prune deletes, so that no statement holds its locks for long.
const PRUNE_BATCH_ROWS: i64 = 1000;
/// The most DELETE statements of one prune; the next prune continues.
const PRUNE_STATEMENTS: usize = 100;
/// Prunes take at most this many marks in one retention time, however often they run. A mark has an instant and a
/// floor: at that instant, every row below the floor was committed. So once the mark is as old as the retention time,
/// these rows are at least as old, and a prune may delete them.
const MARKS: u32 = 64;

/// The journal of a database in which the SQL of [`migration()`] has created the outbox.
///
/// It has its own connection beside those of the [`Database`], so that a relay never waits for a request's connection.
/// Its statements do not count in [`Database::statements`].
///
/// # Examples
///
/// ```no_run
/// # async fn open() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use larder::journal::Journal;
/// use larder_sql::database::Database;
/// use larder_sql::journal::{SqlJournal, Table};
///
/// let database = Database::connect("sqlite://guests.db").await?;
/// let guests = Table::new("guests").entry("guest", &["id"]).unique(&["id"]);
/// let journal = SqlJournal::open(&database, vec![guests]).await?;
/// let from = journal.changes_since(None).await?.position;
/// let changes = journal.changes_since(Some(&from)).await?.changes;
/// # Ok(())
/// # }
/// ```
///
/// Cheap to clone: clones share the connection.
#[derive(Clone)]
pub struct SqlJournal {
    database: Database,
    tables: Arc<[Table]>,
    keep: Duration,
    limit: usize,
    /// Only for a proof: the journal does not compare attestations, so it takes an answer without rows for "nothing
    /// changed".
    trusts_silence: bool,
    /// Whether the journal applies harmless remedies without an operator.
    mends: bool,
    identity_age: Arc<IdentityAge>,
    /// A poll holds the lock while it uses the connection, so the polls of one journal run one after the other. It is
    /// an async mutex, because polls hold it across awaits.
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for SqlJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables: Vec<&str> = self.tables.iter().map(Table::name).collect();
        f.debug_struct("SqlJournal")
            .field("database", &self.database)
            .field("tables", &tables)
            .finish_non_exhaustive()
    }
}

impl SqlJournal {
    /// Opens the journal of `database`. `tables` must be those that the migrations declared; this function inspects the
    /// journal for them. By default the journal keeps rows for an hour and a minute, and a poll reports up to 10,000
    /// rows one by one; see [`SqlJournal::limit`].
    ///
    /// A journal with [defects](SqlJournal::inspect) opens too. Until they are mended, each poll returns an error that
    /// names them.
    ///
    /// # Errors
    /// [`ErrorKind::Declaration`](crate::error::ErrorKind::Declaration) for a table that cannot be declared like this;
    /// [`ErrorKind::NoJournal`](crate::error::ErrorKind::NoJournal) if there is no outbox or the database is in
    /// recovery; else the database's error.
    pub async fn open(database: &Database, tables: Vec<Table>) -> Result<Self, Error> {
        let journal = Self::new(database, tables)?;
        journal.inspect().await?;
        Ok(journal)
    }

    /// As [`SqlJournal::open`], but mends nothing unless [`SqlJournal::mend`] is called. For command-line tools that
    /// only inspect.
    ///
    /// # Errors
    /// As [`SqlJournal::open`].
    pub async fn open_for_inspection(database: &Database, tables: Vec<Table>) -> Result<Self, Error> {
        let journal = Self { mends: false, ..Self::new(database, tables)? };
        journal.inspect().await?;
        Ok(journal)
    }

    fn new(database: &Database, tables: Vec<Table>) -> Result<Self, Error> {
        Table::check_all(&tables)?;
        Ok(Self {
            database: database.clone(),
            tables: tables.into(),
            keep: RETENTION,
            limit: ROWS_MAX,
            trusts_silence: false,
            mends: true,
            identity_age: Arc::default(),
            state: Arc::default(),
        })
    }

    /// Inspects the journal now. Returns the defects that keep it from being complete; none if it is complete.
    ///
    /// # Errors
    /// As [`SqlJournal::open`].
    pub async fn inspect(&self) -> Result<Vec<Defect>, Error> {
        let mut state = self.state.lock().await;
        let mut own = self.take_connection(&mut state).await?;
        let (_, attested) = self.ask_on(&mut own, None).await?;
        let inspected = self.inspect_on(&mut own, attested).await?;
        let defects = inspected.inspection.defects.clone();
        // If `role_view` has changed, keep the last inspection: by it the next poll finds the change and closes its
        // connection.
        let has_same_view = |last: &LastInspection| last.attested.role_view == inspected.attested.role_view;
        if state.inspected.as_ref().is_none_or(has_same_view) {
            state.inspected = Some(inspected);
        }
        if defects.is_empty() {
            state.own = Some(own);
        }
        Ok(defects)
    }

    /// The defects that the last inspection found, and those that write transactions have noted since.
    /// [`SqlJournal::inspect`] inspects now.
    pub fn defects(&self) -> Vec<Defect> {
        self.database.completeness().defects()
    }

    /// The least time for which rows are kept. Default: 61 minutes. A consumer that was away for
    /// longer gets [`Changes::Unknown`]. A shorter time is for tests.
    #[must_use]
    pub fn keep(self, keep: Duration) -> Self {
        Self { keep, ..self }
    }

    /// The most rows that [`Journal::changes_since`] reports one by one. If there are more, and at most ten times as many,
    /// it reports which classes and tags they touch. Beyond that it answers [`Changes::Unknown`]. Default: 10,000.
    #[must_use]
    pub fn limit(self, rows: usize) -> Self {
        Self { limit: rows, ..self }
    }

    /// Removes the rule that an answer without rows needs an attestation. A proof removes it to show that the proof
    /// detects the stale reads that follow.
    #[cfg(feature = "proof")]
    #[doc(hidden)]
    #[must_use]
    pub fn trusting_silence(self) -> Self {
        self.database.completeness().forget();
        Self { trusts_silence: true, ..self }
    }

    /// Takes the connection out of its slot, or opens one. The caller puts it back only after success: after a failure,
    /// or if the future is dropped before its end, the connection is in an unknown state and is closed.
    async fn take_connection(&self, state: &mut State) -> Result<JournalConnection, Error> {
        if self.database.readers().is_closed() {
            return Err(sqlx::Error::PoolClosed.into());
        }
        self.database.readers().source().survey_if_due();
        let own = state.own.take().filter(|own| self.database.readers().may_keep(&own.connection));
        if let Some(own) = own {
            return Ok(own);
        }
        let mut connection = self.database.readers().acquire().await?.detach();
        if self.database.dialect() == Dialect::Postgres {
            // A consumer stops waiting after a time-out and polls again, so the server must also stop the old
            // statement.
            connection.limit_statements(STATEMENT_TIMEOUT);
        }
        let file = match self.database.dialect() {
            Dialect::Postgres => String::new(),
            Dialect::Sqlite => file::identity(&mut connection).await?,
        };
        Ok(JournalConnection { connection, file, seen: None })
    }

    async fn ask_on(
        &self,
        own: &mut JournalConnection,
        position: Option<&Position>,
    ) -> Result<(JournalAnswer, Attestation), Error> {
        let limit = self.limit.saturating_mul(SUMMARY_FACTOR);
        let query = JournalQuery { position, limit, trusts_silence: self.trusts_silence };
        match self.database.dialect() {
            Dialect::Postgres => {
                let names = table::names(&self.tables);
                let asked = postgres::ask(&mut own.connection, query, &names).await;
                if asked.as_ref().is_err_and(Error::is_of_standby) {
                    // Only a pooler can lead an open connection there, and so the others: each is asked again what it leads to.
                    self.database.readers().source().succession().invalidate_connections();
                }
                let (answer, attested) = asked?;
                // A pooler may lead to another server now, also of another system: then each connection is asked again.
                self.database.note(Life::of(&answer.database))?;
                Ok((answer, attested))
            }
            Dialect::Sqlite => sqlite::ask(own, query).await,
        }
    }

    /// Runs one poll. It inspects if the attestation differs from that of the last inspection. While there are defects,
    /// it also inspects every 5 s, because a remedy may have failed on a lock.
    ///
    /// If a poll finds a defect or sees no row of the outbox, it closes its connection: PostgreSQL keeps the plan of a
    /// statement that it prepared under row security, and hides rows with that plan even after the role gets the right
    /// to see them.
    async fn ask(&self, position: Option<&Position>) -> Result<JournalAnswer, Error> {
        let mut state = self.state.lock().await;
        let mut own = self.take_connection(&mut state).await?;
        let (mut answer, attested) = self.ask_on(&mut own, position).await?;
        let last_seen = state.inspected.as_ref().map(|last| last.attested.role_view.clone());
        let has_other_view = last_seen.is_some_and(|last| last != attested.role_view);
        if !self.trusts_silence {
            let is_inspected = state.inspected.as_ref().is_some_and(|last| last.is_good_for(&attested));
            if !is_inspected {
                state.inspected = Some(self.inspect_on(&mut own, attested).await?);
            }
            // A write transaction may have noted a defect since the last poll. Replace it by the result of the
            // inspection, which is valid now: this poll has compared the attestation.
            let inspection = state.inspected.as_ref().map(|last| &last.inspection);
            inspection.into_iter().for_each(|inspection| self.database.completeness().set(inspection));
            let defects: Vec<_> =
                inspection.into_iter().flat_map(|found| &found.defects).map(ToString::to_string).collect();
            if !defects.is_empty() {
                let defects = defects.join("; ");
                return Err(Error::no_journal(format!("the journal is incomplete: {defects}")));
            }
            if !answer.shows_outbox {
                return Err(Error::unavailable("the outbox was hidden; asking again on another connection"));
            }
        }
        if has_other_view && !self.trusts_silence {
            // The role's view (row security, search path) has changed: the same digest may come with other rows, and in
            // a new session the names may mean other tables. So the changes are unknown and the connection is closed.
            answer.rows = None;
        } else {
            state.own = Some(own);
        }
        self.identity_age.note(&answer);
        Ok(answer)
    }

    /// Inspects, and mends the defects that the journal mends by itself.
    async fn inspect_on(
        &self,
        own: &mut JournalConnection,
        attested: Attestation,
    ) -> Result<LastInspection, Error> {
        let mut inspection = self.run_inspection(own).await?;
        let mut is_mended = false;
        for defect in inspection.defects.iter().filter(|_| self.mends) {
            if let Some(remedy) = defect.remedy_at_once() {
                is_mended |= self.apply(defect, remedy).await;
            }
        }
        if is_mended {
            inspection = self.run_inspection(own).await?;
        }
        self.database.completeness().set(&inspection);
        Ok(LastInspection { attested, inspection, at: Instant::now() })
    }

    async fn run_inspection(&self, own: &mut JournalConnection) -> Result<Inspection, Error> {
        let connection = &mut own.connection;
        let mut inspection = match self.database.dialect() {
            Dialect::Postgres => completeness::postgres::inspect(connection, &self.tables, !self.mends).await,
            Dialect::Sqlite => completeness::sqlite::inspect(connection, &self.tables).await,
        }?;
        // The types of key columns may have changed since `Builder::build` looked at them.
        let wrong = self.wrong_columns_on(connection).await?;
        inspection.defects.extend(wrong.into_iter().map(Defect::new));
        Ok(inspection)
    }
}

#[async_trait]
impl Journal for SqlJournal {
    async fn database(&self) -> Result<DatabaseId, Failure> {
        Ok(self.ask(None).await?.database)
    }

    async fn changes_since(&self, position: Option<&Position>) -> Result<ChangesSince, Failure> {
        let JournalAnswer { database, position, rows, .. } = self.ask(position).await?;
        let changes = rows.and_then(|rows| match rows.len() <= self.limit {
            true => touched::parse(&rows),
            false => Some(vec![touched::summarize(&rows, self.limit)?]),
        });
        let changes = changes.map_or(Changes::Unknown, Changes::Known);
        Ok(ChangesSince { database, position, changes })
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

    fn identity_since(&self) -> Option<Instant> {
        self.identity_age.since()
    }

    fn is_succeeded(&self, database: &DatabaseId) -> bool {
        self.database.readers().source().succession().has_succeeded(database)
    }

    fn incompleteness(&self) -> Option<JournalFault> {
        self.database.completeness().incompleteness()
    }

    fn imprecision(&self) -> Option<JournalFault> {
        self.database.completeness().imprecision()
    }

    fn fault_episodes(&self) -> FaultEpisodes {
        self.database.completeness().episodes()
    }

    async fn declaration_errors(&self) -> Result<Vec<String>, Failure> {
        Ok(self.wrong_columns().await?)
    }

    async fn prune(&self) -> Result<u64, Failure> {
        Ok(match self.database.dialect() {
            Dialect::Postgres => postgres::prune(self.database.writers(), self.keep).await?,
            Dialect::Sqlite => sqlite::prune(self.database.writers(), self.keep).await?,
        })
    }
}

/// A duration in microseconds, the unit of the SQL in this module.
fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
