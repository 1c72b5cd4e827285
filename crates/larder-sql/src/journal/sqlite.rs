//! Reads the outbox on SQLite. A position is a row: there is one writer at a time, so rows are committed in the order
//! of their ids.

use std::time::Duration;

use larder::journal::DatabaseId;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::connecting::pool::SqlPool;
use crate::database::Database;
use crate::error::Error;
use crate::inspected::Completeness;
use crate::journal::completeness::Attestation;
use crate::journal::position::{self, OutboxPosition};
use crate::journal::state::{JournalConnection, LastAnswer};
use crate::journal::{
    JournalAnswer, JournalQuery, MARKS, OutboxRow, OwnRows, PRUNE_BATCH_ROWS, PRUNE_STATEMENTS, micros,
};

/// One statement, because one statement reads one snapshot. Pruning deletes the lowest rows first, so if a position's
/// row exists, all rows above it exist.
const SINCE: &str = "
    SELECT (SELECT id FROM larder_identity) AS system, last.id AS id, last.stamp AS stamp,
           (SELECT schema_version FROM pragma_schema_version) AS schema_version,
           (SELECT COUNT(*) FROM larder_outbox WHERE id = $1 AND stamp = $2) AS is_known,
           fresh.id AS fresh_id, fresh.stamp AS fresh_stamp, CAST(fresh.touched AS BLOB) AS touched
    FROM (SELECT id, stamp FROM larder_outbox ORDER BY id DESC LIMIT 1) AS last
    LEFT JOIN (SELECT id, stamp, touched FROM larder_outbox WHERE id > $1 ORDER BY id LIMIT $3) AS fresh";

/// The file of the connection that asks.
macro_rules! file {
    () => {
        "(SELECT file FROM pragma_database_list WHERE name = 'main') AS file"
    };
}

/// As [`OwnRow::file`]; empty if the database is in memory.
#[cfg(feature = "sqlite")]
pub(super) const FILE: &str = concat!("SELECT ", file!());

/// The outbox rows with an id above `$1`, each with the version of the schema and the file. If there are none, the result
/// is one row with these two and NULLs.
pub(super) const OWN: &str = concat!(
    "SELECT schema_version, ",
    file!(),
    ", id AS fresh_id, stamp AS fresh_stamp, CAST(touched AS BLOB) AS touched
    FROM pragma_schema_version LEFT JOIN larder_outbox ON id > $1 ORDER BY id"
);

const NOW: &str = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)";

pub(super) async fn ask(
    own: &mut JournalConnection,
    query: JournalQuery<'_>,
) -> Result<(JournalAnswer, Attestation), Error> {
    let JournalQuery { position, limit, .. } = query;
    // Read the version before the query: a commit between the two makes the next poll query again.
    let version = sqlx::query("PRAGMA data_version").fetch_one(&mut own.connection).await?.try_get(0)?;
    if let Some(seen) = &own.seen
        && seen.version == version
        && position.is_none_or(|position| *position == seen.position)
    {
        let rows = position.is_some().then(Vec::new);
        let answer = JournalAnswer {
            database: seen.database.clone(),
            age: None,
            position: seen.position.clone(),
            rows,
            shows_outbox: true,
        };
        return Ok((answer, seen.attested.clone()));
    }
    let from = position.and_then(position::split);
    let from = from.and_then(|parts| Some((OutboxPosition::parse(parts.at)?, parts)));
    let rows = sqlx::query(SINCE)
        .bind(from.as_ref().map(|(row, _)| row.id))
        .bind(from.as_ref().map(|(row, _)| row.stamp))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1))
        .fetch_all(&mut own.connection)
        .await
        .map_err(Error::of_outbox)?;
    let Some(first) = rows.first() else {
        return Err(Error::no_journal(
            "the outbox is empty: its last row must stay. Insert one that touches everything",
        ));
    };
    let Some(system) = first.try_get("system")? else {
        return Err(Error::no_journal("the table larder_identity is empty"));
    };
    let place = DatabaseId { system, timeline: 0 };
    let database = DatabaseId { system: format!("{}:{}", place.system, own.file), timeline: 0 };
    let is_row_there = first.try_get::<i64, _>("is_known")? == 1;
    let attestation = first.try_get::<i64, _>("schema_version")?.to_string();
    let is_known = is_row_there
        && rows.len() <= limit
        && from.is_some_and(|(_, parts)| parts.database == place && query.is_attested(&parts, &attestation));
    // If there are no new outbox rows, the result is one row in which `touched` is NULL.
    let has_rows = first.try_get::<Option<Vec<u8>>, _>("touched")?.is_some();
    let fresh = if has_rows { &rows[..] } else { &[] };
    let outbox = || fresh.iter().map(outbox_row).collect::<Result<_, _>>();
    let outbox = is_known.then(outbox).transpose()?;
    let last = OutboxPosition { id: first.try_get("id")?, stamp: first.try_get("stamp")? };
    let position = position::of(&place, &last, &attestation);
    let attested = Attestation { digest: attestation, role_view: String::new() };
    let (database_seen, position_seen) = (database.clone(), position.clone());
    own.seen = Some(LastAnswer {
        version,
        database: database_seen,
        position: position_seen,
        attested: attested.clone(),
    });
    Ok((JournalAnswer { database, age: None, position, rows: outbox, shows_outbox: true }, attested))
}

/// Each outbox row is a change, so one transaction may make several changes. The random stamp distinguishes a row from
/// one that had the same id before the file was restored from an older copy.
fn outbox_row(row: &AnyRow) -> Result<OutboxRow, Error> {
    let it = OutboxPosition { id: row.try_get("fresh_id")?, stamp: row.try_get("fresh_stamp")? };
    Ok(OutboxRow { change: it.to_string(), touched: row.try_get("touched")? })
}

/// A row of [`OWN`].
#[derive(sqlx::FromRow)]
pub(super) struct OwnRow {
    schema_version: i64,
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(dead_code, reason = "only a joined pool can be of another file")
    )]
    file: Option<String>,
    fresh_id: Option<i64>,
    fresh_stamp: Option<i64>,
    touched: Option<Vec<u8>>,
}

#[cfg(feature = "sqlite")]
impl OwnRow {
    /// Whether the transaction is on this file. The ids of another file's outbox are unrelated to those of this one.
    pub(super) fn is_of_file(&self, file: &str) -> bool {
        self.file.as_deref().is_some_and(|own| crate::journal::file::is_same(own.as_ref(), file.as_ref()))
    }
}

/// The outbox's last row that a reader sees.
#[derive(sqlx::FromRow)]
pub(super) struct LastRow {
    /// While a transaction holds the write lock, no other writer can commit, so all rows with a higher id are the
    /// transaction's own.
    pub(super) id: i64,
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(dead_code, reason = "only a joined pool can be of another file")
    )]
    pub(super) file: String,
}

pub(super) async fn last_row(database: &Database) -> Result<LastRow, Error> {
    const LAST: &str = concat!("SELECT COALESCE(MAX(id), 0) AS id, ", file!(), " FROM larder_outbox");
    sqlx::query_as(LAST).fetch_one(database.readers()).await.map_err(Error::of_outbox)
}

/// What the transaction changed. If it has no outbox row, `rows` is one row with NULLs. If the schema has another version
/// than the inspected one, triggers may be missing.
pub(super) fn own_rows(completeness: &Completeness, rows: Vec<OwnRow>) -> OwnRows {
    let version = rows.first().map(|row| row.schema_version.to_string());
    if version.is_none() || completeness.facts().is_some_and(|facts| Some(facts) != version) {
        return OwnRows::Silent;
    }
    let own = rows.into_iter().filter_map(|OwnRow { fresh_id, fresh_stamp, touched, .. }| {
        let row = OutboxPosition { id: fresh_id?, stamp: fresh_stamp? };
        Some(OutboxRow { change: row.to_string(), touched: touched? })
    });
    OwnRows::Known(own.collect())
}

/// Deletes rows below the floor that is at least `keep` old. The floor is the id that the last row had when the mark
/// was taken. That row is kept.
pub(super) async fn prune(writers: &SqlPool, keep: Duration) -> Result<u64, Error> {
    let mark = format!(
        "INSERT INTO larder_outbox_marks (taken_at, floor)
         SELECT {NOW}, id FROM (SELECT id FROM larder_outbox ORDER BY id DESC LIMIT 1)
         WHERE NOT EXISTS (SELECT 1 FROM larder_outbox_marks WHERE taken_at > {NOW} - $1)"
    );
    let forget_marks = format!(
        "DELETE FROM larder_outbox_marks WHERE taken_at <
             (SELECT MAX(taken_at) FROM larder_outbox_marks WHERE taken_at <= {NOW} - $1)"
    );
    let prune = format!(
        "DELETE FROM larder_outbox WHERE id IN (
             SELECT id FROM larder_outbox
             WHERE id < (SELECT MAX(floor) FROM larder_outbox_marks WHERE taken_at <= {NOW} - $1)
               AND id < (SELECT MAX(id) FROM larder_outbox)
             ORDER BY id LIMIT $2)"
    );
    let run = async |sql: String, time: Duration| {
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(micros(time)).bind(PRUNE_BATCH_ROWS);
        query.execute(writers).await.map(|done| done.rows_affected()).map_err(Error::of_outbox)
    };
    run(mark, keep / MARKS).await?;
    run(forget_marks, keep).await?;
    let mut pruned = 0;
    for _ in 0..PRUNE_STATEMENTS {
        let gone = run(prune.clone(), keep).await?;
        pruned += gone;
        if gone < PRUNE_BATCH_ROWS.unsigned_abs() {
            break;
        }
    }
    Ok(pruned)
}
