//! Completeness of the journal on PostgreSQL: the queries for the attestation and the inspection, and the defects.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::connecting::connection::SqlConnection;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::journal::checksum::has_valid_checksum;
use crate::journal::completeness::columns::TriggerColumns;
use crate::journal::completeness::facts::{FACTS, is_hidden};
use crate::journal::completeness::{Attestation, Defect, Inspection, absent_table};
use crate::journal::declaration;
use crate::journal::migration::{POSTGRES_GUARDS, guards};
use crate::journal::postgres_triggers::{self, ROW_TRIGGER, TRUNCATE_TRIGGER, always, unplaced};
use crate::journal::table::{Table, names, quoted};

/// The columns of [`attested`]. `$3` is the list of the declared names, joined by U+0001.
///
/// Beside the relations, the digest contains: the outbox's defaults; its life (the rows of `larder_outbox_life`), which
/// a crash ends; the transactions that were prepared before that life, because the crash has deleted their outbox rows;
/// and the labels of enums, because renaming a label changes the values of rows without firing a trigger.
///
/// `role_view` begins with `t` if row security is active on a table of the outbox. Then follow: which tables the
/// declared names mean and whether row security is active on them, and the settings of roles and databases, which new
/// sessions take over.
macro_rules! attestation {
    () => {
        concat!(
            "CAST(hashtextextended(concat_ws('|',
                 (SELECT string_agg(CAST(id AS TEXT), ',' ORDER BY id) FROM larder_outbox_life),
                 (SELECT string_agg(concat_ws(' ', about.oid, ",
            $crate::journal::completeness::facts::fact!(),
            "), '|' ORDER BY about.oid) FROM ",
            $crate::journal::completeness::facts::journalling!(),
            "),
                 (SELECT string_agg(concat_ws(' ', oid, xmin), ',' ORDER BY oid) FROM pg_attrdef
                     WHERE adrelid = to_regclass('larder_outbox')),
                 (SELECT string_agg(CAST(transaction AS TEXT), ',' ORDER BY gid) FROM pg_prepared_xacts
                     WHERE database = current_database() AND prepared < (SELECT max(begun) FROM larder_outbox_life)),
                 ", $crate::journal::completeness::facts::enums!(), "
             ), 0) AS TEXT) AS attestation,
             concat_ws(' ', ", $crate::journal::completeness::facts::is_hidden!(), ", (
                 SELECT string_agg(concat_ws('/', COALESCE(CAST(to_regclass(name) AS OID), 0),
                     row_security_active(CAST(to_regclass(name) AS OID))), ',' ORDER BY nth)
                 FROM unnest(string_to_array($3, E'\\x01')) WITH ORDINALITY AS declared (name, nth)
             ), (SELECT string_agg(concat_ws('/', setdatabase, setrole, xmin), ',' ORDER BY setdatabase, setrole)
                 FROM pg_db_role_setting
                 WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                     AND setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user)))) AS role_view,
             CAST(EXISTS (SELECT 1 FROM larder_outbox_life) AS INTEGER) AS is_alive"
        )
    };
}

pub(in crate::journal) use attestation;

/// Begins a new life of the outbox after a crash or a promotion has emptied its tables, and inserts a row into an empty
/// outbox. Several instances may run it at the same time. The id is a UUID of version 8, which distinguishes it from
/// the life that a migration begins.
pub(in crate::journal) const BEGIN_LIFE: &str = "
    WITH begun AS (
        INSERT INTO larder_outbox_life (id)
            SELECT CAST(overlay(CAST(gen_random_uuid() AS TEXT) PLACING '8' FROM 15) AS UUID) WHERE NOT EXISTS (SELECT 1 FROM larder_outbox_life)
    )
    INSERT INTO larder_outbox (touched) SELECT '[[\"everything\"]]' WHERE NOT EXISTS (SELECT 1 FROM larder_outbox)";

const OUTBOX: &str = concat!(
    "SELECT CAST(about.relkind AS TEXT) AS relkind, quote_ident(nspname) AS place, CAST(",
    is_hidden!(),
    " AS INTEGER) AS is_hidden,
        CAST((SELECT bool_or(relrowsecurity) FROM pg_class WHERE oid IN
            (about.oid, to_regclass('larder_outbox_marks'), to_regclass('larder_outbox_life'))) AS INTEGER) AS has_row_security,
        CAST(about.relrowsecurity AND about.relforcerowsecurity AS INTEGER) AS is_forced,
        (SELECT COUNT(DISTINCT relpersistence) FROM pg_class WHERE oid IN
            (about.oid, to_regclass('larder_outbox_marks'), to_regclass('larder_outbox_life'))) AS persistences,
        CAST(EXISTS (SELECT 1 FROM pg_rewrite WHERE ev_class = about.oid) AS INTEGER) AS has_rules,
        (SELECT string_agg(quote_ident(tgname), ', ' ORDER BY tgname) FROM pg_trigger
            WHERE tgrelid = about.oid AND NOT tgisinternal
                AND tgname NOT IN ('larder_outbox_deleted', 'larder_outbox_updated', 'larder_outbox_truncated'))
            AS foreign_triggers,
        (SELECT string_agg(CAST(tgenabled AS TEXT), '') FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
            WHERE tgrelid = about.oid AND proname = 'larder_outbox_kept' AND pronamespace = relnamespace AND tgqual IS NULL
                AND (tgname, tgtype) IN (('larder_outbox_deleted', 8), ('larder_outbox_updated', 16),
                    ('larder_outbox_truncated', 32))) AS guards,
        (SELECT prosrc FROM pg_proc WHERE proname = 'larder_outbox_covers' AND pronamespace = relnamespace AND pronargs = 2)
            AS covers,
        (SELECT prosrc FROM pg_proc WHERE proname = 'larder_outbox_kept' AND pronamespace = relnamespace AND pronargs = 0)
            AS kept,
        (SELECT string_agg(pg_get_expr(adbin, adrelid), ', ' ORDER BY adnum) FROM pg_attrdef
            WHERE adrelid = about.oid) AS defaults
    FROM pg_class AS about JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE about.oid = to_regclass('larder_outbox')"
);

/// The remedy if row security is on, which can hide rows of the outbox from a role. It is often on, because the
/// automatic checks of hosted databases recommend it.
const NO_ROW_SECURITY: &str = "ALTER TABLE larder_outbox DISABLE ROW LEVEL SECURITY; \
    ALTER TABLE larder_outbox_marks DISABLE ROW LEVEL SECURITY; ALTER TABLE larder_outbox_life DISABLE ROW LEVEL SECURITY";

const UNLOGGED: &str = "ALTER TABLE larder_outbox SET UNLOGGED; ALTER TABLE larder_outbox_marks SET UNLOGGED; \
    ALTER TABLE larder_outbox_life SET UNLOGGED";

/// The declared tables and those under them: partitions, and tables that inherit.
const TABLES: &str = "
    WITH RECURSIVE tree (name, nth, root, id) AS (
        SELECT name, nth, CAST(to_regclass(name) AS OID), CAST(to_regclass(name) AS OID)
            FROM unnest(string_to_array($1, E'\\x01')) WITH ORDINALITY AS declared (name, nth)
        UNION ALL
        SELECT name, nth, root, inhrelid FROM tree JOIN pg_inherits ON inhparent = tree.id
    )
    SELECT nth, CAST(id = root AS INTEGER) AS is_root, CAST(CAST(id AS REGCLASS) AS TEXT) AS table_name,
        CAST(relkind AS TEXT) AS relkind, CAST(relispartition AS INTEGER) AS is_partition,
        CAST(by_row.tgenabled AS TEXT) AS row_enabled,
        CAST(by_row.tgtype = 29 AND by_row.tgqual IS NULL AND by_row.tgattr = '' AS INTEGER) AS row_is_whole,
        code.prosrc AS body, CAST(code.prosecdef AS INTEGER) AS is_definer,
        CAST(by_truncate.tgenabled AS TEXT) AS truncate_enabled,
        CAST(by_truncate.tgtype = 32 AND by_truncate.tgfoid = by_row.tgfoid AS INTEGER) AS truncate_is_whole
    FROM tree LEFT JOIN pg_class ON pg_class.oid = id
        LEFT JOIN pg_trigger AS by_row ON by_row.tgrelid = id AND by_row.tgname = 'larder_journal'
        LEFT JOIN pg_proc AS code ON code.oid = by_row.tgfoid
        LEFT JOIN pg_trigger AS by_truncate ON by_truncate.tgrelid = id AND by_truncate.tgname = 'larder_journal_truncated'
    ORDER BY nth, is_root DESC, table_name";

pub(in crate::journal) fn attested(row: &AnyRow) -> Result<Attestation, Error> {
    Ok(Attestation { digest: row.try_get("attestation")?, role_view: row.try_get("role_view")? })
}

pub(in crate::journal) async fn inspect(
    connection: &mut SqlConnection,
    tables: &[Table],
    for_every_role: bool,
) -> Result<Inspection, Error> {
    // Read the facts before the rest: if something changes in between, a write transaction finds that its facts differ.
    let facts = sqlx::query(FACTS).bind(names(tables)).fetch_one(&mut *connection).await?.try_get("facts")?;
    let mut defects = Vec::new();
    let Some(outbox) = sqlx::query(OUTBOX).fetch_optional(&mut *connection).await? else {
        let defects = vec![Defect::new("the table larder_outbox is gone")];
        return Ok(Inspection { defects, imprecisions: Vec::new(), facts });
    };
    of_outbox(&outbox, for_every_role, &mut defects)?;
    let place: String = outbox.try_get("place")?;
    let mut columns = TriggerColumns::default();
    for row in sqlx::query(TABLES).bind(names(tables)).fetch_all(&mut *connection).await? {
        let nth: i64 = row.try_get("nth")?;
        if let Some(table) = usize::try_from(nth - 1).ok().and_then(|nth| tables.get(nth)) {
            of_table(table, &row, &place, &mut defects)?;
            columns.add(&table.name, row.try_get::<Option<&str>, _>("body")?.unwrap_or_default());
        }
    }
    let imprecisions = columns.missing(connection).await?;
    Ok(Inspection { defects, imprecisions, facts })
}

/// Finds the defects of the outbox. `for_every_role`: also those that affect only other roles than the one that asks.
fn of_outbox(row: &AnyRow, for_every_role: bool, defects: &mut Vec<Defect>) -> Result<(), Error> {
    if row.try_get::<String, _>("relkind")? != "r" {
        defects.push(Defect::new("larder_outbox is not an ordinary table"));
    }
    if flag(row, "is_hidden")? {
        defects.push(
            Defect::new("row-level security hides rows of larder_outbox from this role")
                .mended_by(NO_ROW_SECURITY),
        );
    } else if for_every_role && flag(row, "has_row_security")? {
        defects.push(
            Defect::new("row-level security is on for a table of the outbox, and hides rows from roles that do not own it")
                .mended_by(NO_ROW_SECURITY),
        );
    } else if flag(row, "is_forced")? {
        defects.push(
            Defect::new(
                "row-level security is forced on larder_outbox, so that triggers may fail to write to it",
            )
            .mended_by("ALTER TABLE larder_outbox NO FORCE ROW LEVEL SECURITY"),
        );
    }
    if row.try_get::<i64, _>("persistences")? != 1 {
        defects.push(
            Defect::new("of larder_outbox, larder_outbox_marks and larder_outbox_life, a crash would empty some and not all")
                .mended_by(UNLOGGED),
        );
    }
    if flag(row, "has_rules")? {
        defects.push(Defect::new("larder_outbox has rewrite rules, which may swallow its rows"));
    }
    if let Some(names) = row.try_get::<Option<String>, _>("foreign_triggers")? {
        defects.push(Defect::new(format!("larder_outbox has triggers that are not larder's: {names}")));
    }
    if row.try_get::<Option<String>, _>("defaults")?.as_deref() != Some("pg_current_xact_id()") {
        defects.push(
            Defect::new("the default of larder_outbox.xid is not the transaction's number")
                .mended_by("ALTER TABLE larder_outbox ALTER COLUMN xid SET DEFAULT pg_current_xact_id()"),
        );
    }
    let place: String = row.try_get("place")?;
    let is_ours = |column| -> Result<bool, Error> {
        let text: Option<String> = row.try_get(column)?;
        Ok(text.is_some_and(|text| has_valid_checksum(&unplaced(&text, &place))))
    };
    if !is_ours("covers")? || !is_ours("kept")? {
        defects.push(
            Defect::new("a function of larder_outbox is missing or was changed by hand")
                .mended_by(guards(Dialect::Postgres)),
        );
    }
    match row.try_get::<Option<String>, _>("guards")?.as_deref() {
        Some("AAA") => {}
        Some(states) if states.len() == POSTGRES_GUARDS.len() => {
            let remedy = POSTGRES_GUARDS.map(|guard| always("larder_outbox", guard)).join("; ");
            let defect = Defect::new("a trigger that guards larder_outbox does not fire ALWAYS");
            defects.push(defect.mended_by(remedy).at_once());
        }
        _ => defects.push(
            Defect::new("a trigger that guards larder_outbox is missing")
                .mended_by(guards(Dialect::Postgres)),
        ),
    }
    Ok(())
}

fn of_table(table: &Table, row: &AnyRow, place: &str, defects: &mut Vec<Defect>) -> Result<(), Error> {
    let text = |column| row.try_get::<Option<String>, _>(column);
    let create = || postgres_triggers::of(table);
    let is_root = row.try_get::<Option<i32>, _>("is_root")? == Some(1);
    let Some(name) = text("table_name")? else {
        defects.push(absent_table(table));
        return Ok(());
    };
    if !matches!(text("relkind")?.as_deref(), Some("r" | "p")) {
        defects
            .push(Defect::new(format!("{name} is not a table, so what changes behind it is not journalled")));
        return Ok(());
    }
    let Some(enabled) = text("row_enabled")? else {
        let defect = Defect::new(format!("{name} has no trigger {ROW_TRIGGER}"));
        // An inheriting table has no declaration. The remedy of a partitioned table mends its partitions too.
        let is_declared = is_root || flag(row, "is_partition")?;
        let defect = if is_declared { defect.mended_by(create()) } else { defect };
        let is_listed = is_declared && defects.iter().any(|known| known.remedy() == defect.remedy());
        defects.extend((!is_listed).then_some(defect));
        return Ok(());
    };
    defects.extend(of_firing(&name, ROW_TRIGGER, &enabled));
    if !flag(row, "row_is_whole")? {
        let what = format!(
            "the trigger {ROW_TRIGGER} of {name} does not fire after each INSERT, UPDATE and DELETE of a row"
        );
        defects.push(Defect::new(what).mended_by(create()));
    }
    let body = text("body")?.unwrap_or_default();
    let defect = of_function(table, &body, place, flag(row, "is_definer")?).map(Defect::new);
    let defect = defect.map(|defect| defect.mended_by(create()));
    // A partition's trigger runs the function of its parent. List the function's defect once.
    defects.extend(defect.filter(|defect| !defects.contains(defect)));
    // A TRUNCATE of a partition does not fire its parent's trigger. It changes the partition's storage, so the
    // attestation changes.
    if is_root {
        match text("truncate_enabled")? {
            Some(enabled) if flag(row, "truncate_is_whole")? => {
                defects.extend(of_firing(&name, TRUNCATE_TRIGGER, &enabled));
            }
            _ => defects.push(
                Defect::new(format!("{name} has no trigger {TRUNCATE_TRIGGER} as larder creates it"))
                    .mended_by(create()),
            ),
        }
    }
    Ok(())
}

/// The defect of a trigger that does not fire under every `session_replication_role`.
fn of_firing(table: &str, trigger: &str, enabled: &str) -> Option<Defect> {
    let remedy = always(table, trigger);
    match enabled {
        "A" => None,
        // Not `at_once`: a program has switched the trigger off on purpose and may still be running.
        "D" => Some(Defect::new(format!("the trigger {trigger} of {table} is disabled")).mended_by(remedy)),
        // ENABLE TRIGGER ALL, which pg_restore and fixture loaders use, removes ALWAYS as a side effect.
        _ => Some(
            Defect::new(format!("the trigger {trigger} of {table} does not fire ALWAYS"))
                .mended_by(remedy)
                .at_once(),
        ),
    }
}

/// What is wrong with a trigger's function. A function of another release is accepted if it journals everything that is
/// declared.
fn of_function(table: &Table, body: &str, place: &str, is_definer: bool) -> Option<String> {
    let name = quoted(&table.name);
    if !is_definer {
        return Some(format!(
            "the trigger function of {name} does not run with its owner's rights (SECURITY DEFINER)"
        ));
    }
    let body = unplaced(body, place);
    if body == postgres_triggers::body(table) {
        return None;
    }
    if !has_valid_checksum(&body) {
        return Some(format!(
            "the trigger function of {name} was changed by hand, or by a release without checksums"
        ));
    }
    let missing = declaration::missing(table, Dialect::Postgres, &body);
    (!missing.is_empty()).then(|| {
        format!(
            "the trigger function of {name}, made of another declaration, does not journal {}",
            missing.join(", ")
        )
    })
}

fn flag(row: &AnyRow, column: &str) -> Result<bool, Error> {
    Ok(row.try_get::<Option<i32>, _>(column)? == Some(1))
}
