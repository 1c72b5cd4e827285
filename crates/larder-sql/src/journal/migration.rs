//! The SQL that an application puts into its migrations: the outbox, and the triggers that fill it.

use crate::dialect::Dialect;
use crate::error::Error;
use crate::journal::checksum::with_checksum;
use crate::journal::postgres_triggers::always;
use crate::journal::table::Table;
use crate::journal::{postgres_triggers, sqlite_triggers};

/// Creates the tables of the outbox that are missing. An outbox of the first release becomes unlogged and gets the
/// table `larder_outbox_life`.
const POSTGRES_TABLES: &str = "\
-- What each change touched, in its own transaction. Triggers write it, larder's relays read it, age prunes it.
-- No primary key: commits become visible in another order than they were numbered, so nothing else is of use.
-- Unlogged: the outbox costs no write-ahead log, and logical replication leaves it alone. After a crash it is empty, and
-- so is the table of its life, by which every consumer notices: a consumer that finds no life inserts one, and every
-- position from before is unknown.
CREATE UNLOGGED TABLE IF NOT EXISTS larder_outbox (
    xid     XID8 NOT NULL DEFAULT pg_current_xact_id(),
    touched TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS larder_outbox_xid ON larder_outbox (xid);

-- By when which transactions had ended; `applied` ones may have been pruned away.
CREATE UNLOGGED TABLE IF NOT EXISTS larder_outbox_marks (
    taken_at BIGINT NOT NULL,
    floor    XID8 NOT NULL,
    applied  BOOLEAN NOT NULL
);

-- No key: a restore may bring a row where a consumer has just inserted one, and all of them together are the life.
CREATE UNLOGGED TABLE IF NOT EXISTS larder_outbox_life (
    id    UUID NOT NULL DEFAULT gen_random_uuid(),
    begun TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
DO $migration$ BEGIN
    IF EXISTS (
        SELECT FROM pg_class WHERE oid = CAST('larder_outbox' AS REGCLASS) AND relpersistence = 'p'
    ) THEN
        ALTER TABLE larder_outbox SET UNLOGGED;
        ALTER TABLE larder_outbox_marks SET UNLOGGED;
    END IF;
    IF NOT EXISTS (SELECT FROM larder_outbox_life) THEN
        INSERT INTO larder_outbox_life DEFAULT VALUES;
    END IF;
END $migration$;
-- Never empty: to a session that sees no row, the outbox is hidden.
INSERT INTO larder_outbox (touched) VALUES ('[]');
";

/// The text of `larder_outbox_covers`, which keeps the outbox short during bulk changes. The function returns whether
/// an outbox row of this transaction already touches the complete table: then the trigger that calls it inserts no
/// further row. The function inserts that row itself once it has counted [`BULK_ROWS`](postgres_triggers::BULK_ROWS)
/// calls for the table. The count and the row's place are settings of the transaction. A session can forge them without
/// harm: because of a wrong count the row is only inserted earlier or later, and the function reads the row at the
/// place and compares it.
const COVERS: &str = "\
DECLARE
    setting CONSTANT pg_catalog.text := pg_catalog.concat('larder.bulk_', relation);
    own     CONSTANT pg_catalog.text := pg_catalog.pg_current_xact_id()::pg_catalog.text;
    state   pg_catalog.text[] := pg_catalog.string_to_array(pg_catalog.current_setting(setting, TRUE), ' ');
    place   pg_catalog.tid;
BEGIN
    IF (state[1] OPERATOR(pg_catalog.=) own) IS NOT TRUE THEN
        state := ARRAY[own, '0'];
    END IF;
    IF state[3] IS NOT NULL THEN
        PERFORM 1 FROM @schema@.larder_outbox AS written
            WHERE written.ctid OPERATOR(pg_catalog.=) state[3]::pg_catalog.tid
            AND written.xid OPERATOR(pg_catalog.=) own::pg_catalog.xid8
            AND written.touched OPERATOR(pg_catalog.=) whole;
        IF FOUND THEN
            RETURN TRUE;
        END IF;
    END IF;
    IF state[2]::pg_catalog.int4 OPERATOR(pg_catalog.<) {bulk_rows} THEN
        PERFORM pg_catalog.set_config(
            setting, pg_catalog.concat_ws(' ', own, state[2]::pg_catalog.int4 OPERATOR(pg_catalog.+) 1), TRUE
        );
        RETURN FALSE;
    END IF;
    INSERT INTO @schema@.larder_outbox (touched) VALUES (whole) RETURNING ctid INTO place;
    PERFORM pg_catalog.set_config(setting, pg_catalog.concat_ws(' ', own, state[2], place), TRUE);
    RETURN TRUE;
END ";

/// The text of `larder_outbox_kept`, the trigger function that guards the outbox. If a program changes or deletes rows
/// that pruning would keep, a consumer may not have seen them, so the function inserts a row that touches everything.
/// Pruning itself deletes only rows below the floor of the applied marks, and rows that came with a dump from another
/// server; for these rows the function inserts nothing.
const KEPT: &str = "\
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        PERFORM 1 FROM gone
            WHERE gone.xid OPERATOR(pg_catalog.<) pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
            AND gone.xid OPERATOR(pg_catalog.>=) COALESCE((
                SELECT mark.floor FROM @schema@.larder_outbox_marks AS mark
                WHERE mark.applied
                AND mark.floor OPERATOR(pg_catalog.<=) pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())
                ORDER BY mark.floor USING OPERATOR(pg_catalog.>) LIMIT 1
            ), '0'::pg_catalog.xid8)
            LIMIT 1;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO @schema@.larder_outbox (touched) VALUES ('[[\"everything\"]]');
    RETURN NULL;
END ";

/// The text of a function of the outbox, with a checksum.
pub(super) fn outbox_function(name: OutboxFunction) -> String {
    let text = match name {
        OutboxFunction::Covers => COVERS.replace("{bulk_rows}", &postgres_triggers::BULK_ROWS.to_string()),
        OutboxFunction::Kept => KEPT.to_owned(),
    };
    with_checksum(&text)
}

/// The functions that belong to the outbox itself.
#[derive(Clone, Copy)]
pub(super) enum OutboxFunction {
    /// `larder_outbox_covers`.
    Covers,
    /// `larder_outbox_kept`.
    Kept,
}

/// The SQL that creates the outbox's own functions and triggers, or replaces what has their names.
pub(super) fn guards(dialect: Dialect) -> String {
    if dialect == Dialect::Sqlite {
        let guard = |(name, sql): &(&str, &str)| format!("DROP TRIGGER IF EXISTS {name};\n{sql};\n");
        return SQLITE_GUARDS.iter().map(guard).collect();
    }
    let always = POSTGRES_GUARDS.map(|name| format!("{};\n", always("larder_outbox", name))).concat();
    format!(
        "\
DO $migration$ DECLARE
    -- The sessions that run these functions may have another search path.
    place CONSTANT TEXT := (
        SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
    );
BEGIN
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION @schema@.larder_outbox_covers(relation OID, whole TEXT) RETURNS BOOLEAN LANGUAGE plpgsql AS $${covers}$$;
$function$, '@schema@', place);
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION @schema@.larder_outbox_kept() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $${kept}$$;
$function$, '@schema@', place);
EXECUTE format('REVOKE ALL ON FUNCTION %s.larder_outbox_covers(OID, TEXT), %s.larder_outbox_kept() FROM PUBLIC', place, place);
END $migration$;
CREATE OR REPLACE TRIGGER larder_outbox_deleted AFTER DELETE ON larder_outbox REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION larder_outbox_kept();
CREATE OR REPLACE TRIGGER larder_outbox_updated AFTER UPDATE ON larder_outbox
    FOR EACH STATEMENT EXECUTE FUNCTION larder_outbox_kept();
CREATE OR REPLACE TRIGGER larder_outbox_truncated AFTER TRUNCATE ON larder_outbox
    FOR EACH STATEMENT EXECUTE FUNCTION larder_outbox_kept();
{always}",
        covers = outbox_function(OutboxFunction::Covers),
        kept = outbox_function(OutboxFunction::Kept),
    )
}

/// The triggers that guard the outbox on PostgreSQL.
pub(super) const POSTGRES_GUARDS: [&str; 3] =
    ["larder_outbox_deleted", "larder_outbox_updated", "larder_outbox_truncated"];

/// The triggers that guard the outbox on SQLite, as the database stores them. If a program changes or deletes rows that
/// pruning would keep, a consumer may not have seen them, so the trigger inserts a row that touches everything. Pruning
/// itself deletes only rows below the floor of a mark.
pub(super) const SQLITE_GUARDS: [(&str, &str); 2] = [
    (
        "larder_outbox_deleted",
        "CREATE TRIGGER larder_outbox_deleted AFTER DELETE ON larder_outbox
    WHEN OLD.id >= (SELECT COALESCE(MAX(floor), 0) FROM larder_outbox_marks)
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[[\"everything\"]]');
END",
    ),
    (
        "larder_outbox_updated",
        "CREATE TRIGGER larder_outbox_updated AFTER UPDATE ON larder_outbox
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[[\"everything\"]]');
END",
    ),
];

const SQLITE_TABLES: &str = "\
-- What each change touched, in its own transaction. Triggers write it, larder's relays read it, age prunes it.
-- The stamp tells two rows of one id apart after the file was restored from an older copy.
CREATE TABLE IF NOT EXISTS larder_outbox (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    stamp   BIGINT NOT NULL DEFAULT (random()),
    touched TEXT NOT NULL
);
-- Never empty: a position is a row.
INSERT INTO larder_outbox (touched) VALUES ('[]');

-- By when which rows were there.
CREATE TABLE IF NOT EXISTS larder_outbox_marks (
    taken_at BIGINT NOT NULL,
    floor    BIGINT NOT NULL
);

-- Which database this is. A copy of the file has the same one.
CREATE TABLE IF NOT EXISTS larder_identity (
    id       TEXT NOT NULL,
    only_row INTEGER NOT NULL DEFAULT 1 UNIQUE CHECK (only_row = 1)
);
INSERT INTO larder_identity (id) SELECT lower(hex(randomblob(16))) WHERE NOT EXISTS (SELECT 1 FROM larder_identity);
";

/// The SQL of the outbox and of the triggers of `tables`. It creates what is missing and replaces the triggers. So for
/// each change of the declarations, add a new migration with this SQL for all tables. The SQL may run again with the
/// same tables.
///
/// # Errors
/// [`ErrorKind::Declaration`](crate::error::ErrorKind::Declaration) for names that cannot be used.
///
/// # Examples
///
/// ```
/// use larder_sql::dialect::Dialect;
/// use larder_sql::journal::{Table, migration};
///
/// let guests = Table::new("guests").entry("guest", &["id"]).unique(&["id"]);
/// let sql = migration(Dialect::Postgres, &[guests]).unwrap();
/// assert!(sql.contains("TABLE IF NOT EXISTS larder_outbox"));
/// ```
pub fn migration(dialect: Dialect, tables: &[Table]) -> Result<String, Error> {
    let outbox = match dialect {
        Dialect::Postgres => POSTGRES_TABLES,
        Dialect::Sqlite => SQLITE_TABLES,
    };
    Ok(format!("{outbox}\n{}\n{}", guards(dialect), triggers(dialect, tables)?))
}

/// The part of [`migration()`] that creates or replaces the triggers of `tables`. The outbox must exist.
///
/// # Errors
/// [`ErrorKind::Declaration`](crate::error::ErrorKind::Declaration) for names that cannot be used.
pub fn triggers(dialect: Dialect, tables: &[Table]) -> Result<String, Error> {
    let mut sql = Vec::with_capacity(tables.len());
    Table::check_all(tables)?;
    for table in tables {
        sql.push(match dialect {
            Dialect::Postgres => postgres_triggers::of(table),
            Dialect::Sqlite => sqlite_triggers::of(table),
        });
    }
    Ok(sql.join("\n"))
}

/// The SQL that drops the triggers of `tables`, for tables that no class reads any more. First deploy the release that
/// no longer declares these tables. For an instance that still declares one of them, this SQL makes the journal
/// incomplete: its polls fail, and within the staleness bound it stops using Redis and the copies that Redis or the
/// journal guards.
///
/// # Errors
/// As [`triggers`].
pub fn drop_triggers(dialect: Dialect, tables: &[Table]) -> Result<String, Error> {
    Table::check_all(tables)?;
    let drops = match dialect {
        Dialect::Postgres => postgres_triggers::drops,
        Dialect::Sqlite => sqlite_triggers::drops,
    };
    Ok(tables.iter().map(drops).collect::<Vec<_>>().join("\n"))
}
