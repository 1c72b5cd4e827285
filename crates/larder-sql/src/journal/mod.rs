//! The journal: the database's own record of what each change touches, whoever makes the change.
//!
//! An application declares its [`Table`]s and puts the SQL of [`migration`] into its migrations; from then on triggers
//! append to an outbox. [`SqlJournal`] reads it. See `docs/journal.md`.

mod checksum;
pub(crate) mod completeness;
mod file;
mod identity_age;
mod mending;
mod migration;
mod position;
mod postgres;
mod postgres_triggers;
mod query;
mod sqlite;
mod sqlite_triggers;
mod table;
mod touched;
mod verifying;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use larder::journal::{Changes, ChangesSince, DatabaseId, Failure, Incompleteness, Journal, Position, Touch};
use larder::policy::Policy;
use tokio::sync::Mutex;

use crate::connecting::connection::SqlConnection;
use crate::database::Database;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::journal::completeness::{Attestation, Inspection};
use crate::journal::identity_age::IdentityAge;
use crate::journal::query::{JournalAnswer, JournalQuery, OutboxRow};

pub use crate::journal::completeness::Defect;
pub use crate::journal::migration::{migration, outbox, triggers, upgrade};
pub use crate::journal::table::Table;

/// The longest residence of an entry, a lease, and slack for clocks and slow relays.
const RETENTION: Duration = Policy::TTL_MAX.saturating_add(Duration::from_secs(3 + 57));
const ROWS_MAX: usize = 10_000;
/// How long after a defect was found it is looked for again, though nothing has changed.
const INSPECTION_INTERVAL: Duration = Duration::from_secs(5);
/// How long one statement of the journal's own connection may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);
/// Rows that one statement of a prune deletes, so that none holds its locks for long.
const PRUNE_BATCH_ROWS: i64 = 1000;
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
pub struct SqlJournal {
    database: Database,
    tables: Vec<Table>,
    keep: Duration,
    limit: usize,
    /// Only in a proof: silence is believed, whatever is attested.
    trusts_silence: bool,
    /// What is harmless to mend is mended unasked.
    mends: bool,
    identity_age: IdentityAge,
    /// Guarded by its lock, which is held while the connection is in use: passes of one journal come one after the other.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    own: Option<JournalConnection>,
    inspected: Option<LastInspection>,
}

/// The journal's own connection, and on SQLite what it has seen.
struct JournalConnection {
    connection: SqlConnection,
    /// On SQLite what tells the file from all others that there are.
    file: String,
    seen: Option<sqlite::LastAnswer>,
}

/// The last inspection.
struct LastInspection {
    /// What was attested when it was made.
    attested: Attestation,
    inspection: Inspection,
    at: Instant,
}

impl LastInspection {
    /// Whether it need not be made again for a pass that attested this.
    fn is_good_for(&self, attested: &Attestation) -> bool {
        let is_due = !self.inspection.defects.is_empty() && self.at.elapsed() > INSPECTION_INTERVAL;
        self.attested == *attested && !is_due
    }
}

impl SqlJournal {
    /// Opens the journal of `database`, which is to be complete for `tables`: as the migrations declared them. Keeps rows for
    /// an hour and a minute, and answers [`Changes::Unknown`] for more than 10,000 rows at once.
    ///
    /// A journal with [defects](SqlJournal::inspect) opens: until they are mended, whatever asks it gets an error that names them.
    ///
    /// # Errors
    /// [`ErrorKind::Declaration`](crate::error::ErrorKind::Declaration) for a table that cannot be declared like this;
    /// [`ErrorKind::NoJournal`](crate::error::ErrorKind::NoJournal) where there is no outbox, or the database is in
    /// recovery; else what the database says.
    pub async fn open(database: &Database, tables: Vec<Table>) -> Result<Self, Error> {
        let journal = Self::new(database, tables)?;
        journal.inspect().await?;
        Ok(journal)
    }

    /// As [`SqlJournal::open`], for looking alone: mends nothing unless [`SqlJournal::mend`] is called. For a command line.
    ///
    /// # Errors
    /// As [`SqlJournal::open`].
    pub async fn open_for_inspection(database: &Database, tables: Vec<Table>) -> Result<Self, Error> {
        let journal = Self { mends: false, ..Self::new(database, tables)? };
        journal.inspect().await?;
        Ok(journal)
    }

    fn new(database: &Database, tables: Vec<Table>) -> Result<Self, Error> {
        tables.iter().try_for_each(Table::check)?;
        Ok(Self {
            database: database.clone(),
            tables,
            keep: RETENTION,
            limit: ROWS_MAX,
            trusts_silence: false,
            mends: true,
            identity_age: IdentityAge::default(),
            state: Mutex::default(),
        })
    }

    /// Looks at once whether the journal is complete: what keeps it from being so, or nothing.
    ///
    /// # Errors
    /// As [`SqlJournal::open`].
    pub async fn inspect(&self) -> Result<Vec<Defect>, Error> {
        let mut state = self.state.lock().await;
        let mut own = self.take_connection(&mut state).await?;
        let (_, attested) = self.ask_on(&mut own, None).await?;
        let inspected = self.inspect_on(&mut own, attested).await?;
        let defects = inspected.inspection.defects.clone();
        // Else the next pass would not notice that it sees otherwise than the pass before.
        let has_same_view = |last: &LastInspection| last.attested.role_view == inspected.attested.role_view;
        if state.inspected.as_ref().is_none_or(has_same_view) {
            state.inspected = Some(inspected);
        }
        if defects.is_empty() {
            state.own = Some(own);
        }
        Ok(defects)
    }

    /// What the last look has found; see [`SqlJournal::inspect`], which looks now.
    pub fn defects(&self) -> Vec<Defect> {
        self.database.completeness().defects()
    }

    /// For how long rows are kept at least. Default: [`Policy::TTL_MAX`] and a minute. A consumer that was away for longer
    /// gets [`Changes::Unknown`]; less is for tests.
    #[must_use]
    pub fn keep(self, keep: Duration) -> Self {
        Self { keep, ..self }
    }

    /// How many rows [`Journal::changes_since`] brings at most; more are [`Changes::Unknown`]. Default 10,000.
    #[must_use]
    pub fn limit(self, rows: usize) -> Self {
        Self { limit: rows, ..self }
    }

    /// Believes silence, to show that a proof catches it.
    #[cfg(feature = "proof")]
    #[doc(hidden)]
    #[must_use]
    pub fn trusting_silence(self) -> Self {
        self.database.completeness().forget();
        Self { trusts_silence: true, ..self }
    }

    /// The connection, taken out of its slot meanwhile: after a failure, or when the future is dropped half-way, the
    /// connection is in an unknown state and does not go back.
    async fn take_connection(&self, state: &mut State) -> Result<JournalConnection, Error> {
        if self.database.readers().is_closed() {
            return Err(sqlx::Error::PoolClosed.into());
        }
        if let Some(own) = state.own.take() {
            return Ok(own);
        }
        let mut connection = self.database.readers().acquire().await?.detach();
        if self.database.dialect() == Dialect::Postgres {
            // A consumer that asks gives up after a while and asks again: the server has to give up too.
            connection.limit_statements(STATEMENT_TIMEOUT).await?;
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
        let query = JournalQuery { position, limit: self.limit, trusts_silence: self.trusts_silence };
        match self.database.dialect() {
            Dialect::Postgres => {
                let names = completeness::postgres::names(&self.tables);
                postgres::ask(&mut own.connection, query, &names).await
            }
            Dialect::Sqlite => sqlite::ask(own, query).await,
        }
    }

    /// Asks. Inspects if the attestation differs from the last inspection's, and every 5 s while there are defects, because a remedy
    /// may have failed on a lock.
    ///
    /// A connection that met a defect, or saw no row of the outbox, ends with that pass: PostgreSQL keeps the plan of a statement
    /// that it prepared under row security, and hides rows with it also after the role has got the right to see them.
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
            // A write may have noted a silence since the last pass: this one has looked.
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
            // Other rows may be seen under the same digest, and new sessions may mean other tables by the names: this one ends.
            answer.rows = None;
        } else {
            state.own = Some(own);
        }
        self.identity_age.note(&answer);
        Ok(answer)
    }

    /// Inspects, and mends what is mended unasked.
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
        match self.database.dialect() {
            Dialect::Postgres => {
                completeness::postgres::inspect(&mut own.connection, &self.tables, !self.mends).await
            }
            Dialect::Sqlite => completeness::sqlite::inspect(&mut own.connection, &self.tables).await,
        }
    }
}

#[async_trait]
impl Journal for SqlJournal {
    async fn database(&self) -> Result<DatabaseId, Failure> {
        Ok(self.ask(None).await?.database)
    }

    async fn changes_since(&self, position: Option<&Position>) -> Result<ChangesSince, Failure> {
        let JournalAnswer { database, position, rows, .. } = self.ask(position).await?;
        let changes = rows.and_then(|rows| touched::parse(&rows)).map_or(Changes::Unknown, Changes::Known);
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

    fn incompleteness(&self) -> Option<Incompleteness> {
        self.database.completeness().incompleteness()
    }

    fn incomplete_episodes(&self) -> u64 {
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

/// Durations as the databases count them here: microseconds.
fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
