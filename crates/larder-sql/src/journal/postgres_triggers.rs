//! A table's triggers on PostgreSQL: one function, one row trigger, one for TRUNCATE.
//!
//! Row triggers, because logical replication fires no others. ENABLE ALWAYS, because
//! `session_replication_role = replica` skips all others. SECURITY DEFINER with a fixed search path, because whoever
//! writes may know neither the outbox nor its schema; `pg_temp` comes last, or a temporary table could take the
//! outbox's place.

use larder::journal::Touch;

use crate::journal::table::{Entry, FUNCTION_PREFIX, Table, quoted};

/// The statements that create or replace them.
pub(super) fn of(table: &Table) -> String {
    let name = quoted(&table.name);
    let function = quoted(&format!("{FUNCTION_PREFIX}{}", table.name));
    let literal = function.replace('\'', "''");
    format!(
        "\
-- What a change of {name} touches.
CREATE OR REPLACE FUNCTION {function}() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES ({updated});
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES ({inserted});
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES ({deleted});
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('{truncated}');
    END IF;
    RETURN NULL;
END $$;
DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION {literal}() SET search_path = '
        || concat_ws(', ', nullif(current_setting('search_path'), ''), 'pg_temp');
END $$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON {name}
    FOR EACH ROW EXECUTE FUNCTION {function}();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON {name}
    FOR EACH STATEMENT EXECUTE FUNCTION {function}();
-- Also under session_replication_role = replica.
ALTER TABLE {name} ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE {name} ENABLE ALWAYS TRIGGER larder_journal_truncated;
",
        updated = list(table, &[Row::Old, Row::NewWhereItDiffers]),
        inserted = list(table, &[Row::New]),
        deleted = list(table, &[Row::Old]),
        truncated = serde_json::json!(table.whole()),
    )
}

/// Which row an entry is taken from.
#[derive(Clone, Copy)]
enum Row {
    Old,
    New,
    NewWhereItDiffers,
}

/// The expression of a list of touches. `concat_ws` leaves out what is NULL, as an entry is when a column is.
fn list(table: &Table, rows: &[Row]) -> String {
    let tags = table.tags.iter().map(|tag| format!("'{}'", serde_json::json!(Touch::Tag(tag.clone()))));
    let entries = rows.iter().flat_map(|row| table.entries.iter().map(|entry| touch(entry, *row)));
    let touches: Vec<_> = tags.chain(entries).collect();
    format!("'[' || concat_ws(',',\n            {}) || ']'", touches.join(",\n            "))
}

fn touch(entry: &Entry, row: Row) -> String {
    let name = if matches!(row, Row::Old) { "OLD" } else { "NEW" };
    let parts = entry.columns.iter().map(|column| format!("to_json({name}.{}::TEXT)::TEXT", quoted(column)));
    let parts: Vec<_> = parts.collect();
    let touch =
        format!("'[\"entry\",{},' || {} || ']'", serde_json::json!(entry.class), parts.join(" || ',' || "));
    if matches!(row, Row::NewWhereItDiffers) {
        // As bytes: values that are equal to their type (citext, numeric, a collation) may have different texts.
        let differs = entry.columns.iter().map(|column| {
            let column = quoted(column);
            format!("OLD.{column}::TEXT COLLATE \"C\" IS DISTINCT FROM NEW.{column}::TEXT COLLATE \"C\"")
        });
        format!("CASE WHEN {} THEN {touch} END", differs.collect::<Vec<_>>().join(" OR "))
    } else {
        touch
    }
}
