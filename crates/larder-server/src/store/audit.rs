//! The audit log. Each entry is written in the transaction of the change that it describes, and is never modified.
//! Admins read the log.

use larder_sql::dialect::Dialect;
use larder_sql::write::WriteTransaction;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use crate::domain::audit::{Action, Actor, Event};
use crate::domain::audit_query::{AuditCursor, AuditQuery};
use crate::domain::identity::UserId;
use crate::domain::timestamp::Timestamp;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::{odd_rows, placeholders, row};

/// The greatest number of events in one statement.
const EVENTS_PER_STATEMENT: usize = 100;
const COLUMNS: usize = 6;

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The id, a UUIDv7: later entries of one instance have higher ids.
    pub id: Uuid,
    /// When the entry was written.
    pub at: Timestamp,
    /// The user that acted; `None` if no user was logged in. The user may be deleted by now.
    pub actor_id: Option<UserId>,
    /// What was done; see [`Action`].
    pub action: String,
    /// The user that the action concerns. The user may be deleted by now.
    pub target_id: Option<UserId>,
    /// A JSON object; [`Event`] says what it may hold.
    pub details: serde_json::Value,
}

/// First for PostgreSQL, then for SQLite: a query that finds the triggers that refuse every change of a written entry,
/// and the names that the migrations give these triggers.
const GUARDS: [(&str, &[&str]); 2] = [
    (
        "SELECT CAST(tgname AS TEXT) AS name FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
         WHERE tgrelid = 'audit_log'::regclass AND tgenabled = 'A' AND prosrc LIKE '%RAISE EXCEPTION%'",
        &["audit_log_row_kept", "audit_log_kept"],
    ),
    (
        "SELECT name FROM sqlite_schema
         WHERE type = 'trigger' AND tbl_name = 'audit_log' AND sql LIKE '%RAISE(ABORT%'",
        &["audit_log_unchanged", "audit_log_undeleted", "audit_log_unreplaced"],
    ),
];

impl Store {
    /// The triggers of the log that are missing, off, or refuse nothing: without them, a written entry can be changed.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn lost_guards(&self) -> Result<Vec<&'static str>, StoreError> {
        let (query, wanted) = match self.database.dialect() {
            Dialect::Postgres => GUARDS[0],
            Dialect::Sqlite => GUARDS[1],
        };
        let rows = sqlx::query(query).fetch_all(self.database.read()).await?;
        let present = rows.iter().map(|row| row.try_get("name")).collect::<Result<Vec<String>, _>>()?;
        Ok(wanted.iter().copied().filter(|guard| !present.iter().any(|name| name == guard)).collect())
    }

    /// Entries of the log, newest first: at most `limit` entries that can be read. The query's own limit is ignored.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn audit(&self, asked: &AuditQuery, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let mut most = limit as usize;
        loop {
            let rows = self.audit_rows(asked, most).await?;
            let mut entries = odd_rows::readable("audit_log", "id", &rows, entry)?;
            let missing = rows.len() - entries.len();
            if missing == 0 || entries.len() >= limit as usize || rows.len() < most {
                entries.truncate(limit as usize);
                return Ok(entries);
            }
            // Each iteration asks for more rows, to replace those that cannot be read.
            most += missing;
        }
    }

    async fn audit_rows(&self, asked: &AuditQuery, most: usize) -> Result<Vec<AnyRow>, StoreError> {
        let query = sqlx::query(
            "SELECT id, at, actor_id, action, target_id, details FROM audit_log
             WHERE (CAST($1 AS TEXT) IS NULL OR actor_id = $1)
               AND (CAST($2 AS TEXT) IS NULL OR target_id = $2)
               AND (CAST($3 AS TEXT) IS NULL OR action = $3)
               AND (CAST($4 AS TEXT) IS NULL OR id < $4)
             ORDER BY id DESC LIMIT $5",
        );
        let query = query
            .bind(asked.actor.map(|id| id.to_string()))
            .bind(asked.target.map(|id| id.to_string()))
            .bind(asked.action.map(Action::as_str))
            .bind(asked.after.map(|AuditCursor(id)| id.to_string()))
            .bind(most as i64);
        Ok(query.fetch_all(self.database.read()).await?)
    }
}

/// Writes the events into the log, in the transaction of the change.
pub(super) async fn record(
    write: &mut WriteTransaction,
    actor: Actor,
    events: &[Event],
) -> Result<(), StoreError> {
    let now = Timestamp::now().as_micros();
    for events in events.chunks(EVENTS_PER_STATEMENT) {
        let values = placeholders::rows(events.len(), COLUMNS);
        let sql =
            format!("INSERT INTO audit_log (id, at, actor_id, action, target_id, details) VALUES {values}");
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for event in events {
            query = query
                .bind(Uuid::now_v7().to_string())
                .bind(now)
                .bind(actor.id().map(|id| id.to_string()))
                .bind(event.action.as_str())
                .bind(event.target.map(|id| id.to_string()))
                .bind(event.details());
        }
        query.execute(write.statement()).await?;
    }
    Ok(())
}

fn entry(row: &AnyRow) -> Result<Entry, sqlx::Error> {
    let details: String = row.try_get("details")?;
    Ok(Entry {
        id: row::parsed(row, "id")?,
        at: Timestamp::from_micros(row.try_get("at")?),
        actor_id: row::parsed_option(row, "actor_id")?,
        action: row.try_get("action")?,
        target_id: row::parsed_option(row, "target_id")?,
        details: serde_json::from_str(&details).map_err(|error| row::undecodable("details", error))?,
    })
}
