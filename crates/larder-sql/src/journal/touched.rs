//! Converts rows of the outbox into touches: those of all transactions for a poll, or those of one transaction for its
//! writer.

use std::hash::{DefaultHasher, Hasher};

use larder::journal::{Change, ChangeId, Touch, touches_of};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::dialect::Dialect;
use crate::error::Error;
use crate::journal::{OutboxRow, postgres, sqlite};
use crate::write::WriteTransaction;

/// The changes that `rows` describe. The rows of one change must be adjacent. `None` if a row cannot be parsed.
pub(super) fn parse(rows: &[OutboxRow]) -> Option<Vec<Change>> {
    let of_change = |rows: &[OutboxRow]| {
        let touches: serde_json::Result<Vec<Vec<Touch>>> =
            rows.iter().map(|row| serde_json::from_slice(&row.touched)).collect();
        Ok(Change { id: name(rows), touches: touches?.concat() })
    };
    let changes: serde_json::Result<_> = rows.chunk_by(|a, b| a.change == b.change).map(of_change).collect();
    changes
        .inspect_err(|error| {
            // Do not log the row itself, because it contains values.
            tracing::error!(%error, "a row of the outbox cannot be read, so everything counts as touched");
        })
        .ok()
}

/// The id of the change that these rows form: the transaction, and a digest of the rows that does not depend on their
/// order. If rows are added after the writer read its id, the id no longer matches, so the relay invalidates the change.
/// If instances of two Rust versions compute different digests, the relay invalidates the change once more, which is
/// safe.
fn name(rows: &[OutboxRow]) -> ChangeId {
    let digest = |row: &OutboxRow| {
        let mut hasher = DefaultHasher::new();
        hasher.write(&row.touched);
        hasher.finish()
    };
    let sum = rows.iter().map(digest).fold(0, u64::wrapping_add);
    let change = rows.first().map_or("", |row| &row.change);
    ChangeId::new(format!("{change}/{sum:016x}"))
}

impl WriteTransaction {
    /// The touches that the triggers have journalled for this transaction so far, sorted and without duplicates. Call
    /// it right before the commit, which then returns the ids of the changes. It costs one statement. If a PostgreSQL
    /// database has deferrable constraint triggers, it costs three, and runs those that the transaction has deferred:
    /// what they change is among the touches, and a constraint that they find violated fails here. Returns
    /// [`Touch::Everything`] if an outbox row cannot be parsed, or if the transaction changed rows that the journal may
    /// not have: then [`SqlJournal`](crate::journal::SqlJournal) has a defect, and the acknowledgement says `queued`.
    ///
    /// # Errors
    /// [`ErrorKind::NoJournal`](crate::error::ErrorKind::NoJournal) if there is no outbox; else the database's error.
    pub async fn touched(&mut self) -> Result<Vec<Touch>, Error> {
        let rows = match self.dialect() {
            Dialect::Postgres => self.touched_postgres().await?,
            Dialect::Sqlite => self.touched_sqlite().await?,
        };
        let completeness = self.database().completeness();
        let Some(rows) = rows else {
            completeness.note_silence();
            return Ok(vec![Touch::Everything]);
        };
        // While the journal has known defects, rows may be missing although the facts are those of the inspection.
        if !completeness.defects().is_empty() {
            return Ok(vec![Touch::Everything]);
        }
        let Some(changes) = parse(&rows) else { return Ok(vec![Touch::Everything]) };
        self.changes = changes.iter().map(|change| change.id.clone()).collect();
        let mut touches = touches_of(changes);
        touches.sort_unstable();
        Ok(touches)
    }

    /// `None` if the transaction changed rows that the journal may not have.
    async fn touched_postgres(&mut self) -> Result<Option<Vec<OutboxRow>>, Error> {
        let mut rows = self.own_postgres().await?;
        if rows.first().map(|row| row.try_get::<i32, _>("may_defer")).transpose()? == Some(1) {
            sqlx::query("SET CONSTRAINTS ALL IMMEDIATE").execute(self.statement()).await?;
            rows = self.own_postgres().await?;
        }
        let Some(first) = rows.first() else { return Ok(Some(Vec::new())) };
        if first.try_get::<i32, _>("is_silent")? != 0 {
            return Ok(None);
        }
        let database = postgres::identity(first)?;
        let own = rows.iter().filter_map(|row| postgres::own_row(&database, row).transpose());
        own.collect::<Result<_, _>>().map(Some)
    }

    async fn own_postgres(&mut self) -> Result<Vec<AnyRow>, Error> {
        let facts = self.database().completeness().facts().unwrap_or_else(|| "{}".to_owned());
        let query = sqlx::query(postgres::OWN).bind(facts);
        query.fetch_all(self.statement()).await.map_err(Error::of_outbox)
    }

    /// As [`WriteTransaction::touched_postgres`].
    async fn touched_sqlite(&mut self) -> Result<Option<Vec<OutboxRow>>, Error> {
        // This transaction holds the write lock, so no other writer can commit now: the last row that a reader sees is
        // the last one before this transaction's rows.
        let query = "SELECT COALESCE(MAX(id), 0) FROM larder_outbox";
        let before =
            sqlx::query(query).fetch_one(self.database().readers()).await.map_err(Error::of_outbox)?;
        let before: i64 = before.try_get(0)?;
        let facts = self.database().completeness().facts();
        let rows = sqlx::query(sqlite::OWN).bind(before).fetch_all(self.statement()).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let version: i64 = first.try_get("schema_version")?;
        if facts.is_some_and(|facts| facts != version.to_string()) {
            return Ok(None);
        }
        // If this transaction has no outbox rows, the result is one row without one.
        let has_rows = first.try_get::<Option<i64>, _>("fresh_id")?.is_some();
        let own = if has_rows { &rows[..] } else { &[] };
        own.iter().map(sqlite::outbox_row).collect::<Result<_, _>>().map(Some)
    }
}
