//! The rows of the outbox as touches: of all transactions, or of this one alone.

use larder::journal::{Change, Touch, touches_of};
use sqlx::Row;

use crate::dialect::Dialect;
use crate::error::Error;
use crate::journal::{OutboxRow, postgres, sqlite};
use crate::write::Write;

/// What `rows` say, of which those of one change follow each other; `None` when one of them says nothing we understand.
pub(super) fn parse(rows: Vec<OutboxRow>) -> Option<Vec<Change>> {
    let mut changes: Vec<Change> = Vec::new();
    for row in rows {
        let touches = match serde_json::from_slice::<Vec<Touch>>(&row.touched) {
            Ok(touches) => touches,
            Err(error) => {
                // Not the row itself, which holds values.
                tracing::error!(%error, "a row of the outbox cannot be read, so everything counts as touched");
                return None;
            }
        };
        match changes.last_mut().filter(|change| change.id == row.change) {
            Some(change) => change.touches.extend(touches),
            None => changes.push(Change { id: row.change, touches }),
        }
    }
    Some(changes)
}

impl Write {
    /// What this transaction has touched so far, each once: what its triggers journalled. To be asked right before
    /// the commit, which then says as which changes; one statement. [`Touch::Everything`] when a row of it cannot be read.
    ///
    /// # Errors
    /// [`ErrorKind::NoJournal`](crate::error::ErrorKind::NoJournal) where there is no outbox; else what the database says.
    pub async fn touched(&mut self) -> Result<Vec<Touch>, Error> {
        let rows = match self.dialect() {
            Dialect::Postgres => self.touched_postgres().await?,
            Dialect::Sqlite => self.touched_sqlite().await?,
        };
        let Some(changes) = parse(rows) else { return Ok(vec![Touch::Everything]) };
        self.changes = changes.iter().map(|change| change.id.clone()).collect();
        Ok(touches_of(changes))
    }

    async fn touched_postgres(&mut self) -> Result<Vec<OutboxRow>, Error> {
        let rows = sqlx::query(postgres::OWN).fetch_all(self.statement()).await.map_err(without_outbox)?;
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        let database = postgres::identity(first)?;
        rows.iter().map(|row| postgres::outbox_row(&database, row)).collect()
    }

    async fn touched_sqlite(&mut self) -> Result<Vec<OutboxRow>, Error> {
        // Nobody else can commit meanwhile, so the last row that a reader sees is the last before ours.
        let query = "SELECT COALESCE(MAX(id), 0) FROM larder_outbox";
        let before = sqlx::query(query).fetch_one(self.database().readers()).await.map_err(without_outbox)?;
        let before: i64 = before.try_get(0)?;
        let rows = sqlx::query(sqlite::OWN).bind(before).fetch_all(self.statement()).await?;
        rows.iter().map(sqlite::outbox_row).collect()
    }
}

/// Says so when a statement failed because there is no outbox.
pub(super) fn without_outbox(error: sqlx::Error) -> Error {
    let is_missing = error.as_database_error().is_some_and(|error| {
        let is_postgres = error.code().is_some_and(|code| code == "42P01");
        (is_postgres || error.message().starts_with("no such table")) && error.message().contains("larder_")
    });
    if is_missing {
        return Error::no_journal(
            "the database has no outbox; the application's migrations have to create it with what \
             larder_sql::journal::migration returns",
        );
    }
    error.into()
}
