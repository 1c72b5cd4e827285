//! A table's triggers on PostgreSQL: one function, one row trigger, one for TRUNCATE.
//!
//! Row triggers, because logical replication fires no others. ENABLE ALWAYS, because
//! `session_replication_role = replica` skips all others. SECURITY DEFINER, because whoever writes may have no right to
//! the outbox or its schema.
//!
//! Invariant `names_are_qualified`: a function that runs with its owner's rights under its caller's search path names
//! the schema of everything it uses, operators too, or the caller could have it run something else. `SET search_path`
//! would do as well, and costs as much as all the rest of the trigger.

use crate::journal::table::{Entry, FUNCTION_PREFIX, Table, quoted};

/// The statements that create or replace them.
pub(super) fn of(table: &Table) -> String {
    let name = quoted(&table.name);
    let function = quoted(&format!("{FUNCTION_PREFIX}{}", table.name));
    format!(
        "\
-- What a change of {name} touches.
DO $migration$ BEGIN
-- A column that is not there is to be missed now, not by the first write.
PERFORM {all_columns};
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION {function}() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND {is_same} THEN
        {INSERT} VALUES ({updated_alike});
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        {INSERT} VALUES ({updated});
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        {INSERT} VALUES ({inserted});
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        {INSERT} VALUES ({deleted});
    ELSE
        {INSERT} VALUES ('{truncated}');
    END IF;
    RETURN NULL;
END $$;
$function$, '{INSERT}', (
    -- Whoever fires the trigger may look for tables elsewhere.
    SELECT format('INSERT INTO %I.larder_outbox (touched)', nspname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
)); END $migration$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON {name}
    FOR EACH ROW EXECUTE FUNCTION {function}();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON {name}
    FOR EACH STATEMENT EXECUTE FUNCTION {function}();
-- Also under session_replication_role = replica.
ALTER TABLE {name} ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE {name} ENABLE ALWAYS TRIGGER larder_journal_truncated;
",
        all_columns = table.all_columns(),
        is_same = is_same(table),
        updated_alike = list(updated_tags(table), table, &[Row::Old]),
        updated = list(updated_tags(table), table, &[Row::Old, Row::NewWhereItDiffers]),
        inserted = list(tags(table), table, &[Row::New]),
        deleted = list(tags(table), table, &[Row::Old]),
        truncated = serde_json::json!(table.whole()),
    )
}

const INSERT: &str = "INSERT INTO larder_outbox (touched)";

/// Which row an entry is taken from.
#[derive(Clone, Copy)]
enum Row {
    Old,
    New,
    NewWhereItDiffers,
}

fn tags(table: &Table) -> Vec<String> {
    table.tags.iter().map(|tag| format!("'{}'", tag.json())).collect()
}

/// Those of what reads some columns are NULL unless one of these changes. As images, for values that are equal to their
/// type may look different, some types know no equality, and texts depend on the session's settings. `record` keeps
/// PostgreSQL from taking it for a comparison column by column, which knows no images.
fn updated_tags(table: &Table) -> Vec<String> {
    let tags = table.tags.iter().map(|tag| {
        let Some(columns) = table.columns_of(tag) else { return format!("'{}'", tag.json()) };
        let image = |row| {
            let columns = columns.iter().map(|column| format!("{row}.{}", quoted(column)));
            format!("ROW({})::pg_catalog.record", columns.collect::<Vec<_>>().join(", "))
        };
        let differs = format!("{} OPERATOR(pg_catalog.*<>) {}", image("OLD"), image("NEW"));
        format!("CASE WHEN {differs} THEN '{}' END", tag.json())
    });
    tags.collect()
}

/// The expression of a list of touches. `concat_ws` leaves out what is NULL, as an entry is when a column is.
fn list(tags: Vec<String>, table: &Table, rows: &[Row]) -> String {
    let entries = rows.iter().flat_map(|row| table.entries.iter().map(|entry| touch(entry, *row)));
    let touches: Vec<_> = tags.into_iter().chain(entries).collect();
    let touches = touches.join(",\n            ");
    format!("pg_catalog.concat('[', pg_catalog.concat_ws(',',\n            {touches}), ']')")
}

fn touch(entry: &Entry, row: Row) -> String {
    const THEN: &str = " OPERATOR(pg_catalog.||) ";
    let name = if matches!(row, Row::Old) { "OLD" } else { "NEW" };
    let parts = entry.columns.iter().map(|column| {
        let value = text(name, column);
        format!("pg_catalog.to_json({value})::pg_catalog.text")
    });
    let parts = parts.collect::<Vec<_>>().join(&format!("{THEN}','{THEN}"));
    let touch = format!("'[\"entry\",{},'{THEN}{parts}{THEN}']'", serde_json::json!(entry.class));
    if matches!(row, Row::NewWhereItDiffers) {
        let differs: Vec<_> =
            entry.columns.iter().map(|column| format!("({}) IS NOT TRUE", equals(column))).collect();
        format!("CASE WHEN {} THEN {touch} END", differs.join(" OR "))
    } else {
        touch
    }
}

/// No entry's column changes, as in most updates: then the old row says it all.
fn is_same(table: &Table) -> String {
    let mut columns: Vec<_> = table.entries.iter().flat_map(|entry| &entry.columns).collect();
    columns.sort();
    columns.dedup();
    let same = columns.into_iter().map(|column| {
        format!("({} OR {} IS NULL AND {} IS NULL)", equals(column), text("OLD", column), text("NEW", column))
    });
    let same: Vec<_> = same.collect();
    if same.is_empty() { "TRUE".to_owned() } else { same.join("\n        AND ") }
}

/// Compared as bytes: values that are equal to their type (citext, numeric, a collation) may have different texts. NULL
/// when one of the two is.
fn equals(column: &str) -> String {
    let (old, new) = (text("OLD", column), text("NEW", column));
    format!("{old} COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) {new} COLLATE pg_catalog.\"C\"")
}

fn text(row: &str, column: &str) -> String {
    format!("{row}.{}::pg_catalog.text", quoted(column))
}
