//! Reads the outbox on PostgreSQL. A position is a snapshot, because transactions do not commit in the order of their
//! numbers.

use std::time::Duration;

use larder::journal::DatabaseId;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::connecting::connection::SqlConnection;
use crate::connecting::pool::SqlPool;
use crate::connecting::succession::Life;
use crate::error::{Error, IN_RECOVERY};
use crate::inspected::Completeness;
use crate::journal::completeness::facts::{is_restructured, is_silent};
use crate::journal::completeness::postgres::{BEGIN_LIFE, attestation};
use crate::journal::completeness::{self, Attestation};
use crate::journal::position::{self, Snapshot};
use crate::journal::{
    JournalAnswer, JournalQuery, MARKS, OutboxRow, OwnRows, PRUNE_BATCH_ROWS, PRUNE_STATEMENTS, micros,
};

/// The columns of [`identity`], from `pg_control_system()`. The oid is included because a database that was dropped and
/// created again has another oid, and the oid of the outbox because each schema can have one.
macro_rules! identity {
    () => {
        "CAST(system_identifier AS TEXT) || ':' ||
             (SELECT CAST(oid AS TEXT) FROM pg_database WHERE datname = current_database()) || ':' ||
             CAST(CAST(CAST('larder_outbox' AS REGCLASS) AS OID) AS TEXT) AS system,
         CASE WHEN pg_is_in_recovery() THEN NULL
              ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline"
    };
}

/// The columns of [`running`]. `started` is the server's start time in microseconds. It distinguishes a server from a
/// copy of its files: the copy runs as another process, which did not start in the same microsecond. `age` is the time
/// for which the server has been the primary: since its start, or since a promotion emptied the outbox and
/// [`BEGIN_LIFE`] inserted a row into `larder_outbox_life`. A row that a migration inserted there does not count.
macro_rules! start {
    () => {
        "CAST(CAST(extract(epoch FROM pg_postmaster_start_time()) * 1000000 AS BIGINT) AS TEXT) AS started,
         CAST(extract(epoch FROM clock_timestamp() - GREATEST(pg_postmaster_start_time(), (SELECT max(begun)
             FROM larder_outbox_life WHERE substr(CAST(id AS TEXT), 15, 1) = '8'))) * 1000000 AS BIGINT) AS age"
    };
}

/// One statement, because under READ COMMITTED one statement reads one snapshot: that of `pg_current_snapshot()`.
///
/// It returns the rows that were not visible at the position: those of transactions that began after the position or
/// were running at it. A row whose number is above the current snapshot came with a dump from another server and is
/// ignored. The rows come as one text with one line each, grouped by transaction: a result with a thousand rows would
/// cost ten times as much.
const SINCE: &str = concat!(
    "SELECT ",
    identity!(),
    ", ",
    start!(),
    ", ",
    attestation!(),
    ", CAST(pg_current_snapshot() AS TEXT) AS snapshot,
           CAST((SELECT xid FROM larder_outbox WHERE xid < pg_snapshot_xmax(pg_current_snapshot())
                ORDER BY xid DESC LIMIT 1) AS TEXT) AS last,
           CAST((SELECT floor FROM larder_outbox_marks
                WHERE applied AND floor <= pg_snapshot_xmin(pg_current_snapshot())
                ORDER BY floor DESC LIMIT 1) AS TEXT) AS floor,
           fresh.count AS count, fresh.lines AS lines
    FROM pg_control_system(), LATERAL (
        SELECT COUNT(*) AS count,
            string_agg(CAST(xid AS TEXT) || ' ' || replace(touched, E'\n', ' '), E'\n' ORDER BY xid) AS lines
        FROM (
            (SELECT xid, touched FROM larder_outbox
                 WHERE xid >= pg_snapshot_xmax(CAST(CAST($1 AS TEXT) AS PG_SNAPSHOT))
                   AND xid < pg_snapshot_xmax(pg_current_snapshot())
                 ORDER BY xid LIMIT $2)
            UNION ALL
            (SELECT xid, touched FROM larder_outbox
                 WHERE xid = ANY (ARRAY (SELECT pg_snapshot_xip(CAST(CAST($1 AS TEXT) AS PG_SNAPSHOT))))
                 ORDER BY xid LIMIT $2)
        ) AS row
    ) AS fresh"
);

/// What the transaction that runs this query has changed: one row. `lines` has its outbox rows, as in [`SINCE`]; NULL if
/// there are none. `_if_assigned`, because the query must not give a number to a transaction that only reads.
/// `deferrable`: the names of the constraint triggers that can run at COMMIT, and so add rows after this statement. Those
/// of schemas without USAGE are left out: the transaction may not name them.
///
/// A SERIALIZABLE transaction reads no row of the outbox. All transactions insert at the same end of its index, so
/// PostgreSQL would find that two overlapping ones read and write the same, and would roll one back. [`OF_CHANGE`] reads
/// their rows after the commit. CASE evaluates the subquery, and so reads the table, only if its condition holds.
pub(super) const OWN: &str = concat!(
    "SELECT ",
    identity!(),
    ", CAST(",
    is_silent!(),
    " AS INTEGER) AS is_silent, CAST(",
    is_restructured!(),
    " AS INTEGER) AS is_restructured,
    (SELECT string_agg(DISTINCT quote_ident(nspname) || '.' || quote_ident(conname), ', ')
        FROM pg_constraint JOIN pg_namespace ON pg_namespace.oid = connamespace
        WHERE contype = 't' AND condeferrable AND has_schema_privilege(pg_namespace.oid, 'USAGE')) AS deferrable,
    CASE WHEN current_setting('transaction_isolation') = 'serializable' THEN
        CAST(pg_current_xact_id_if_assigned() AS TEXT) END AS unread,
    CASE WHEN current_setting('transaction_isolation') <> 'serializable' THEN (
        SELECT string_agg(CAST(xid AS TEXT) || ' ' || replace(touched, E'\n', ' '), E'\n') FROM larder_outbox
        WHERE xid = pg_current_xact_id_if_assigned()) END AS lines
    FROM pg_control_system()"
);

/// The outbox rows of the committed transaction `$1`, as in [`SINCE`].
pub(super) const OF_CHANGE: &str = "
    SELECT string_agg(CAST(xid AS TEXT) || ' ' || replace(touched, E'\n', ' '), E'\n') FROM larder_outbox
    WHERE xid = CAST(CAST($1 AS TEXT) AS XID8)";

/// Takes a mark: the time, and a floor below which every transaction has ended. Times are those of the server's clock,
/// so the clocks of processes do not matter. If that clock jumps ahead, rows are pruned too early; positions below the
/// floor then become unknown, which is safe.
///
/// The floor is never above the last row, so pruning keeps that row.
const MARK: &str = "
    INSERT INTO larder_outbox_marks (taken_at, floor, applied)
    SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT),
           LEAST(pg_snapshot_xmin(pg_current_snapshot()), last.xid), FALSE
    FROM (SELECT xid FROM larder_outbox WHERE xid < pg_snapshot_xmax(pg_current_snapshot())
              ORDER BY xid DESC LIMIT 1) AS last
    WHERE NOT EXISTS (SELECT 1 FROM larder_outbox_marks
        WHERE taken_at > CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) - $1)";

/// Applies the marks that are at least `$1` µs old: a prune may then delete the rows below their floors.
const APPLY: &str = "
    UPDATE larder_outbox_marks SET applied = TRUE
    WHERE NOT applied AND taken_at <= CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) - $1";

/// Deletes every applied mark except the highest, and marks whose floor is in the future, because they came with a dump
/// from another server.
const FORGET_MARKS: &str = "
    DELETE FROM larder_outbox_marks AS mark WHERE floor > pg_snapshot_xmin(pg_current_snapshot()) OR applied
        AND EXISTS (SELECT 1 FROM larder_outbox_marks AS higher
            WHERE higher.applied AND (higher.floor, higher.taken_at) > (mark.floor, mark.taken_at))";

/// Deletes rows below the highest applied floor, and rows above the snapshot, which came with a dump from another
/// server. If two instances prune at the same time, one waits for the other's statement and then finds the rows
/// deleted.
const PRUNE: &str = "
    DELETE FROM larder_outbox WHERE ctid = ANY (ARRAY (
        (SELECT ctid FROM larder_outbox
             WHERE xid < (SELECT floor FROM larder_outbox_marks
                 WHERE applied AND floor <= pg_snapshot_xmin(pg_current_snapshot()) ORDER BY floor DESC LIMIT 1)
             ORDER BY xid LIMIT $1)
        UNION ALL
        (SELECT ctid FROM larder_outbox WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())
             ORDER BY xid LIMIT $1)))";

pub(super) async fn ask(
    connection: &mut SqlConnection,
    query: JournalQuery<'_>,
    names: &str,
) -> Result<(JournalAnswer, Attestation), Error> {
    let from = query.position.and_then(position::split);
    let from = from.and_then(|parts| Some((Snapshot::parse(parts.at)?, parts)));
    let mut row = since(connection, from.as_ref().map(|(at, _)| at), query.limit, names).await?;
    let is_new =
        row.try_get::<i32, _>("is_alive")? == 0 || row.try_get::<Option<String>, _>("last")?.is_none();
    if is_new && !completeness::postgres::attested(&row)?.is_hidden() {
        sqlx::query(BEGIN_LIFE).execute(&mut *connection).await?;
        row = since(connection, from.as_ref().map(|(at, _)| at), query.limit, names).await?;
    }
    let place = identity(&row)?;
    let attested = completeness::postgres::attested(&row)?;
    let is_empty = row.try_get::<Option<String>, _>("last")?.is_none();
    let number = |column| -> Result<u64, Error> {
        let text: Option<String> = row.try_get(column)?;
        Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
    };
    let (last, floor) = (number("last")?, number("floor")?);
    let Some(now) = Snapshot::parse(row.try_get("snapshot")?) else {
        return Err(Error::no_journal("the database's snapshot has a form that larder does not know"));
    };
    let is_within = usize::try_from(row.try_get::<i64, _>("count")?).is_ok_and(|count| count <= query.limit);
    let is_known = is_within
        && from.is_some_and(|(at, parts)| {
            parts.database == place
                && query.is_attested(&parts, &attested.digest)
                && at.can_go_on(&now, floor)
        });
    let lines = row.try_get::<Option<String>, _>("lines")?.unwrap_or_default();
    let rows = is_known.then(|| outbox_rows(&place, &lines));
    let position = position::of(&place, &now.cut((last + 1).max(floor)), &attested.digest);
    let (database, age) = running(&place, &row)?;
    let shows_outbox = !is_empty && !attested.is_hidden();
    Ok((JournalAnswer { database, age: Some(age), position, rows, shows_outbox }, attested))
}

async fn since(
    connection: &mut SqlConnection,
    from: Option<&Snapshot>,
    limit: usize,
    names: &str,
) -> Result<AnyRow, Error> {
    let query = sqlx::query(SINCE)
        .bind(from.map(ToString::to_string))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1))
        .bind(names);
    query.fetch_one(connection).await.map_err(Error::of_outbox)
}

/// Parses one row from each line: the transaction's number, a space, and its touches as JSON.
fn outbox_rows(database: &DatabaseId, lines: &str) -> Vec<OutboxRow> {
    let row = |line: &str| {
        let (xid, touched) = line.split_once(' ').unwrap_or((line, ""));
        OutboxRow { change: change(database, xid), touched: touched.as_bytes().to_vec() }
    };
    lines.lines().map(row).collect()
}

/// The id of the change that a transaction made. The transaction's number is unique only on this timeline and only
/// after the commit: the server may assign the number of an uncommitted transaction again after a crash.
fn change(database: &DatabaseId, xid: &str) -> String {
    format!("{database}/{xid}")
}

/// The row of [`OWN`].
#[derive(sqlx::FromRow)]
pub(super) struct OwnRow {
    /// The system of the server on which the statement ran.
    pub(super) system: String,
    timeline: Option<String>,
    is_silent: i32,
    is_restructured: i32,
    deferrable: Option<String>,
    /// The number of a SERIALIZABLE transaction that has one. Its rows are to be read after its commit.
    pub(super) unread: Option<String>,
    lines: Option<String>,
}

/// The inspected facts in the form that [`OWN`] needs.
pub(super) fn facts(completeness: &Completeness) -> String {
    completeness.facts().unwrap_or_else(|| "{}".to_owned())
}

impl OwnRow {
    /// The life of the server on which the statement ran.
    pub(super) fn life(&self) -> Result<Life, Error> {
        Ok(Life::of(&identity_of(self.system.clone(), self.timeline.clone())?))
    }

    /// The statement that runs the constraint triggers which this transaction may have deferred to its COMMIT. Run
    /// [`OWN`] again after it. It does not name foreign keys and unique keys: a trigger may rely on their deferral, and
    /// they change no row.
    pub(super) fn run_deferred(&self) -> Option<AssertSqlSafe<String>> {
        let names = self.deferrable.as_ref()?;
        // PostgreSQL has quoted the names.
        Some(AssertSqlSafe(format!("SET CONSTRAINTS {names} IMMEDIATE")))
    }

    /// What the transaction changed, without the [unread](Self::unread) rows.
    pub(super) fn changed(&self) -> Result<OwnRows, Error> {
        if self.is_silent != 0 {
            return Ok(OwnRows::Silent);
        }
        if self.is_restructured != 0 {
            return Ok(OwnRows::Everything);
        }
        self.rows(self.lines.as_deref()).map(OwnRows::Known)
    }

    /// The outbox rows of these lines.
    pub(super) fn rows(&self, lines: Option<&str>) -> Result<Vec<OutboxRow>, Error> {
        let database = identity_of(self.system.clone(), self.timeline.clone())?;
        Ok(outbox_rows(&database, lines.unwrap_or_default()))
    }
}

fn identity(row: &AnyRow) -> Result<DatabaseId, Error> {
    identity_of(row.try_get("system")?, row.try_get("timeline")?)
}

fn identity_of(system: String, timeline: Option<String>) -> Result<DatabaseId, Error> {
    let Some(timeline) = timeline else {
        return Err(Error::no_journal(IN_RECOVERY));
    };
    let Ok(timeline) = u64::from_str_radix(&timeline, 16) else {
        return Err(Error::no_journal("the database's timeline has a form that larder does not know"));
    };
    Ok(DatabaseId { system, timeline })
}

/// The identity of the running database, and its age. Positions and changes do not contain the server's start, so they
/// stay valid after a clean restart. After a crash they do not: the crash empties `larder_outbox_life`, whose rows are
/// part of the attestation.
fn running(place: &DatabaseId, row: &AnyRow) -> Result<(DatabaseId, Duration), Error> {
    let started: String = row.try_get("started")?;
    let system = format!("{}:{started}", place.system);
    // The age is negative if the server's clock was set back.
    let age = u64::try_from(row.try_get::<i64, _>("age")?).unwrap_or(0);
    Ok((DatabaseId { system, timeline: place.timeline }, Duration::from_micros(age)))
}

/// Runs each statement in a transaction of its own and in this order. So a reader for which a row is deleted also sees
/// the floor above that row.
pub(super) async fn prune(writers: &SqlPool, keep: Duration) -> Result<u64, Error> {
    sqlx::query(MARK).bind(micros(keep / MARKS)).execute(writers).await.map_err(Error::of_outbox)?;
    sqlx::query(APPLY).bind(micros(keep)).execute(writers).await?;
    sqlx::query(FORGET_MARKS).execute(writers).await?;
    let mut pruned = 0;
    for _ in 0..PRUNE_STATEMENTS {
        let gone = sqlx::query(PRUNE).bind(PRUNE_BATCH_ROWS).execute(writers).await?.rows_affected();
        pruned += gone;
        if gone < PRUNE_BATCH_ROWS.unsigned_abs() {
            break;
        }
    }
    Ok(pruned)
}
