//! Converts rows of the outbox into touches: those of all transactions for a poll, or those of one transaction for its
//! writer.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};

use crate::dialect::Dialect;
use crate::error::Error;
use crate::inspected::Completeness;
use crate::journal::uuid_text::spellings;
use crate::journal::{OutboxRow, OwnRows, postgres, sqlite};
use crate::write::WriteTransaction;
use larder::journal::{Change, ChangeId, Touch, touches_of};

/// The changes that `rows` describe. The rows of one change must be adjacent. `None` if a row cannot be parsed.
pub(super) fn parse(rows: &[OutboxRow]) -> Option<Vec<Change>> {
    let of_change = |rows: &[OutboxRow]| {
        let touches: serde_json::Result<Vec<Vec<Touch>>> = rows.iter().map(touches_of_row).collect();
        Ok(Change { id: name(rows), touches: touches?.concat() })
    };
    let changes: serde_json::Result<_> = rows.chunk_by(|a, b| a.change == b.change).map(of_change).collect();
    changes.inspect_err(log).ok()
}

fn touches_of_row(row: &OutboxRow) -> serde_json::Result<Vec<Touch>> {
    let of_row: Vec<Vec<Option<String>>> = serde_json::from_slice(&row.touched)?;
    of_row
        .into_iter()
        .flat_map(spellings)
        .map(|words| Touch::try_from(words).map_err(serde::de::Error::custom))
        .collect()
}

/// Combines all of `rows` into one change. Instead of an entry it touches the entry's class, and instead of a tag by
/// columns the tag's group. `None` if a row cannot be parsed, or if there are more than `limit` touches.
///
/// The id of the result consists of the ids of the first and the last change. No writer stores such an id in Redis, so
/// the relay also invalidates what writers have already invalidated.
pub(super) fn summarize(rows: &[OutboxRow], limit: usize) -> Option<Change> {
    let mut touches = HashSet::new();
    for row in rows {
        let of_row: Vec<Vec<Option<String>>> = serde_json::from_slice(&row.touched).inspect_err(log).ok()?;
        for words in of_row {
            let touch = match words.as_slice() {
                [Some(kind), Some(name), _, ..] if kind == "entry" || kind == "tag" => {
                    Touch::Tag(name.clone())
                }
                _ => Touch::try_from(words).inspect_err(log).ok()?,
            };
            touches.insert(touch);
        }
        if touches.len() > limit {
            return None;
        }
    }
    let (first, last) = (&rows.first()?.change, &rows.last()?.change);
    Some(Change { id: ChangeId::new(format!("{first}..{last}")), touches: touches.into_iter().collect() })
}

/// Does not log the row itself, because it contains values.
fn log(error: &impl std::fmt::Display) {
    tracing::error!(%error, "a row of the outbox cannot be read, so everything counts as touched");
}

/// The id of the change that these rows form: the transaction, and a digest of the rows that does not depend on their
/// order. If rows are added after the writer read the id, the relay computes another id and invalidates the change. If
/// instances of two Rust versions compute different digests, the relay invalidates the change once more, which is safe.
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

/// What a transaction has changed so far.
pub(super) struct OwnChanges {
    /// Sorted, and without duplicates.
    pub(super) touches: Vec<Touch>,
    /// Empty if they are unknown.
    pub(super) ids: Vec<ChangeId>,
}

impl OwnChanges {
    /// Every entry, with no name of a change.
    pub(super) fn everything() -> Self {
        OwnChanges { touches: vec![Touch::Everything], ids: Vec::new() }
    }

    pub(super) fn new(completeness: &Completeness, rows: OwnRows) -> Self {
        let rows = match rows {
            OwnRows::Known(rows) => rows,
            OwnRows::Everything => return Self::everything(),
            OwnRows::Silent => {
                completeness.note_silence();
                return Self::everything();
            }
        };
        // While the journal has known defects, rows may be missing even if the catalog's facts equal those of the
        // inspection.
        if !completeness.defects().is_empty() {
            return Self::everything();
        }
        let Some(changes) = parse(&rows) else { return Self::everything() };
        let ids = changes.iter().map(|change| change.id.clone()).collect();
        let mut touches = touches_of(changes);
        touches.sort_unstable();
        OwnChanges { touches, ids }
    }
}

impl WriteTransaction {
    /// The touches that the triggers have journalled for this transaction so far, sorted and without duplicates. Call
    /// it right before the commit, which then returns the ids of the changes.
    ///
    /// It costs one statement; on SQLite it costs two. If a PostgreSQL database has deferrable constraint triggers, it
    /// costs three: it runs the triggers that the transaction has deferred, so that their changes are among the
    /// touches. If such a trigger refuses the transaction, this call fails. Deferred foreign keys stay deferred.
    ///
    /// Returns [`Touch::Everything`] if an outbox row cannot be parsed, while
    /// [`SqlJournal`](crate::journal::SqlJournal) has a defect, or if the transaction changed rows that the journal may
    /// not have. In the last case the journal gets a defect, and the receipt says `queued`. It also
    /// returns that after DDL of PostgreSQL that changes rows without a trigger, such as TRUNCATE of a partition; then the
    /// receipt says `sent`.
    ///
    /// # Errors
    /// [`ErrorKind::NoJournal`](crate::error::ErrorKind::NoJournal) if there is no outbox, or if the transaction is on a
    /// former primary; else the database's error.
    pub async fn touched(&mut self) -> Result<Vec<Touch>, Error> {
        let rows = match self.dialect() {
            Dialect::Postgres => self.own_postgres().await?,
            Dialect::Sqlite => self.own_sqlite().await?,
        };
        let OwnChanges { touches, ids } = OwnChanges::new(self.database().completeness(), rows);
        self.changes = ids;
        Ok(touches)
    }

    async fn own_postgres(&mut self) -> Result<OwnRows, Error> {
        let facts = postgres::facts(self.database().completeness());
        let own = || sqlx::query_as::<_, postgres::OwnRow>(postgres::OWN).bind(facts.clone());
        let mut row = own().fetch_one(self.statement()).await.map_err(Error::of_own_rows)?;
        self.database().note_foreign(row.life()?)?;
        if let Some(run) = row.run_deferred() {
            sqlx::query(run).execute(self.statement()).await?;
            row = own().fetch_one(self.statement()).await.map_err(Error::of_own_rows)?;
        }
        // A write transaction is READ COMMITTED, so no row is unread.
        row.changed()
    }

    async fn own_sqlite(&mut self) -> Result<OwnRows, Error> {
        let last = sqlite::last_row(self.database()).await?;
        let own = sqlx::query_as(sqlite::OWN).bind(last.id);
        let rows = own.fetch_all(self.statement()).await.map_err(Error::of_outbox)?;
        Ok(sqlite::own_rows(self.database().completeness(), rows))
    }
}
