//! The rows of the outbox as touches: of all transactions, or of this one alone.

use larder::journal::Touch;
use sqlx::Row;

use crate::dialect::Dialect;
use crate::error::Error;
use crate::write::Write;

/// What `rows` say; `None` when one of them says nothing we understand.
pub(super) fn parse(rows: &[Vec<u8>]) -> Option<Vec<Touch>> {
    let mut touches = Vec::with_capacity(rows.len());
    for row in rows {
        match serde_json::from_slice::<Vec<Touch>>(row) {
            Ok(some) => touches.extend(some),
            Err(error) => {
                // Not the row itself, which holds values.
                tracing::error!(%error, "a row of the outbox cannot be read, so everything counts as touched");
                return None;
            }
        }
    }
    touches.sort_unstable();
    touches.dedup();
    Some(touches)
}

impl Write {
    /// What this transaction has touched so far, each once: what its triggers journalled. To be asked right before
    /// the commit; one statement. [`Touch::Everything`] when a row of it cannot be read.
    ///
    /// # Errors
    /// [`ErrorKind::NoJournal`](crate::error::ErrorKind::NoJournal) where there is no outbox; else what the database says.
    pub async fn touched(&mut self) -> Result<Vec<Touch>, Error> {
        let rows = match self.dialect() {
            Dialect::Postgres => self.touched_postgres().await?,
            Dialect::Sqlite => self.touched_sqlite().await?,
        };
        Ok(parse(&rows).unwrap_or_else(|| vec![Touch::Everything]))
    }

    async fn touched_postgres(&mut self) -> Result<Vec<Vec<u8>>, Error> {
        // If assigned: asking must not make a transaction one that writes.
        let query = "SELECT touched FROM larder_outbox WHERE xid = pg_current_xact_id_if_assigned()";
        let rows = sqlx::query(query).fetch_all(self.statement()).await.map_err(without_outbox)?;
        let texts = rows.iter().map(|row| Ok(row.try_get::<String, _>("touched")?.into_bytes()));
        texts.collect()
    }

    async fn touched_sqlite(&mut self) -> Result<Vec<Vec<u8>>, Error> {
        // Nobody else can commit meanwhile, so the last row that a reader sees is the last before ours.
        let query = "SELECT COALESCE(MAX(id), 0) FROM larder_outbox";
        let before = sqlx::query(query).fetch_one(self.database().readers()).await.map_err(without_outbox)?;
        let before: i64 = before.try_get(0)?;
        // As bytes, for SQLite does not keep text from being no text.
        let query = "SELECT CAST(touched AS BLOB) FROM larder_outbox WHERE id > $1";
        let rows = sqlx::query(query).bind(before).fetch_all(self.statement()).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
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
