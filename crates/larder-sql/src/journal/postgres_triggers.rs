//! A table's triggers on PostgreSQL: one function, one row trigger and one TRUNCATE trigger.
//!
//! They are row triggers, because logical replication fires only those. They are ENABLE ALWAYS, because
//! `session_replication_role = replica` skips all others. The function is SECURITY DEFINER, because a writer may have
//! no right to the outbox or its schema.
//!
//! Invariant `names_are_qualified`: the function names the schema of everything that it uses, including operators. It
//! runs with its owner's rights under its caller's search path, so with an unqualified name the caller could make it
//! run other code. `SET search_path` would also prevent that, but costs as much as the rest of the trigger.

use crate::dialect::Dialect;
use crate::journal::checksum::{digest, with_checksum};
use crate::journal::declaration;
use crate::journal::table::{ByColumns, FUNCTION_PREFIX, NAME_BYTES, Table, Tag, quoted};

/// Placeholder in a function's text for the schema of the outbox, which only the database knows.
pub(super) const SCHEMA: &str = "@schema@";
/// The trigger that journals rows.
pub(super) const ROW_TRIGGER: &str = "larder_journal";
/// The trigger that journals TRUNCATE.
pub(super) const TRUNCATE_TRIGGER: &str = "larder_journal_truncated";
/// The limit for a bulk change. After a transaction has changed this many rows of one table, `larder_outbox_covers`
/// counts the next ones. After as many again, it inserts one outbox row that touches the complete table, and the
/// transaction journals no more rows of that table.
pub(super) const BULK_ROWS: u32 = 2_000;

/// The statements that create or replace a table's triggers.
pub(super) fn of(table: &Table) -> String {
    let name = quoted(&table.name);
    let function = quoted(&function_name(table));
    format!(
        "\
-- What a change of {name} touches.
DO $migration$ BEGIN
-- A column that is missing fails the migration, and not the first write.
PERFORM {all_columns};
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION {function}() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $${body}$$;
$function$, '{SCHEMA}', (
    -- The writer that fires the trigger may have another search path.
    SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
)); END $migration$;
CREATE OR REPLACE TRIGGER {ROW_TRIGGER} AFTER INSERT OR UPDATE OR DELETE ON {name}
    FOR EACH ROW EXECUTE FUNCTION {function}();
CREATE OR REPLACE TRIGGER {TRUNCATE_TRIGGER} AFTER TRUNCATE ON {name}
    FOR EACH STATEMENT EXECUTE FUNCTION {function}();
-- Also under session_replication_role = replica.
{row_always};
{truncate_always};
",
        all_columns = table.all_columns(),
        body = body(table),
        row_always = always(&name, ROW_TRIGGER),
        truncate_always = always(&name, TRUNCATE_TRIGGER),
    )
}

/// The statements that drop what [`of`] creates.
pub(super) fn drops(table: &Table) -> String {
    let (name, function) = (quoted(&table.name), quoted(&function_name(table)));
    format!(
        "DROP TRIGGER IF EXISTS {ROW_TRIGGER} ON {name};
DROP TRIGGER IF EXISTS {TRUNCATE_TRIGGER} ON {name};
DROP FUNCTION IF EXISTS {function}();
"
    )
}

/// The name of a table's trigger function: the table's name after a prefix. PostgreSQL cuts a name that is too long, so
/// that two tables could share a function; a digest of the table's name then replaces the end.
pub(super) fn function_name(table: &Table) -> String {
    let name = format!("{FUNCTION_PREFIX}{}", table.name);
    if name.len() <= NAME_BYTES {
        return name;
    }
    let digest = digest(&table.name);
    let end = name.floor_char_boundary(NAME_BYTES - 1 - digest.len());
    format!("{}_{digest}", &name[..end])
}

/// The statement that makes a trigger fire under every `session_replication_role`. `table` must be quoted.
pub(super) fn always(table: &str, trigger: &str) -> String {
    format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")
}

/// Returns a function's text with the schema `place` replaced by the placeholder [`SCHEMA`]. The checksum is computed
/// over this form.
pub(super) fn unplaced(text: &str, place: &str) -> String {
    text.replace(&format!("{place}.larder_outbox"), &format!("{SCHEMA}.larder_outbox"))
}

/// The text of a table's trigger function, with a checksum. The pre-check for bulk changes reads counters that may
/// include earlier transactions of the session, so it may call `larder_outbox_covers` too often, which is safe. If
/// `track_counts` is off, the trigger never calls that function and journals every row.
///
/// If a column was renamed or dropped, the row touches everything: an error would make each write of the table fail.
/// The block that catches the error writes nothing, so its subtransaction takes no transaction number.
pub(super) fn body(table: &Table) -> String {
    let whole = serde_json::json!(table.all_touches());
    let count = |what| format!("pg_catalog.pg_stat_get_xact_tuples_{what}(TG_RELID)");
    with_checksum(&format!(
        "\
{declares}DECLARE
    touches pg_catalog.text;
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND {inserted_rows} OPERATOR(pg_catalog.+) {updated_rows} OPERATOR(pg_catalog.+) {deleted_rows}
            OPERATOR(pg_catalog.>) {BULK_ROWS} AND {SCHEMA}.larder_outbox_covers(TG_RELID, '{whole}') THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND {is_same} THEN
            touches := {updated_alike};
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            touches := {updated};
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
            touches := {inserted};
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
            touches := {deleted};
        ELSE
            touches := '{whole}';
        END IF;
    EXCEPTION WHEN undefined_column THEN
        touches := '[[\"everything\"]]';
    END;
    INSERT INTO {SCHEMA}.larder_outbox (touched) VALUES (touches);
    RETURN NULL;
END ",
        declares = declaration::comment(table, Dialect::Postgres),
        inserted_rows = count("inserted"),
        updated_rows = count("updated"),
        deleted_rows = count("deleted"),
        is_same = is_same(table),
        updated_alike = list(updated_tags(table), &[by_columns(table, "OLD")]),
        updated = list(updated_tags(table), &[by_columns(table, "OLD"), new_ones_that_differ(table)]),
        inserted = list(tags(table), &[by_columns(table, "NEW")]),
        deleted = list(tags(table), &[by_columns(table, "OLD")]),
    ))
}

/// Placeholder for the key parts in the text of several touches that share these parts. No name contains it, because
/// names cannot contain a control character.
const PARTS: char = '\u{1}';

/// Groups the declarations that have the same columns, in the order in which these columns first appear.
fn groups(table: &Table) -> Vec<(&[String], Vec<&ByColumns>)> {
    let mut groups: Vec<(&[String], Vec<&ByColumns>)> = Vec::new();
    for one in &table.by_columns {
        match groups.iter_mut().find(|(columns, _)| *columns == one.columns.as_slice()) {
            Some((_, group)) => group.push(one),
            None => groups.push((&one.columns, vec![one])),
        }
    }
    groups
}

/// The SQL expressions of the tags that an INSERT or a DELETE touches.
fn tags(table: &Table) -> Vec<String> {
    let tags: Vec<_> = table.tags.iter().map(Tag::json).collect();
    if tags.is_empty() { tags } else { vec![format!("'{}'", tags.join(","))] }
}

/// The SQL expressions of the tags that an UPDATE touches. A tag that reads some columns is NULL unless one of these
/// columns changes. The trigger compares binary images of columns: equal values of a type may look different, some
/// types have no equality, and texts depend on the session's settings.
fn updated_tags(table: &Table) -> Vec<String> {
    let of_any: Vec<_> = table.tags.iter().filter(|tag| tag.reads.is_none()).map(Tag::json).collect();
    let of_any = (!of_any.is_empty()).then(|| format!("'{}'", of_any.join(",")));
    let of_some = table.tags.iter().filter_map(|tag| {
        let columns = table.columns_of(tag)?;
        Some(format!("CASE WHEN {} THEN '{}' END", images(&columns, "*<>"), tag.json()))
    });
    of_any.into_iter().chain(of_some).collect()
}

/// Compares the binary images of these columns of the old and the new row. Without the cast to `record`, PostgreSQL
/// would compare column by column, for which there are no image operators.
fn images(columns: &[&String], operator: &str) -> String {
    let image = |row| {
        let columns = columns.iter().map(|column| format!("{row}.{}", quoted(column)));
        format!("ROW({})::pg_catalog.record", columns.collect::<Vec<_>>().join(", "))
    };
    format!("{} OPERATOR(pg_catalog.{operator}) {}", image("OLD"), image("NEW"))
}

/// The SQL expression of a JSON list of touches. `concat_ws` skips NULLs: a touch is NULL if one of its columns is.
fn list(tags: Vec<String>, by_columns: &[Vec<String>]) -> String {
    let touches: Vec<_> = tags.into_iter().chain(by_columns.iter().flatten().cloned()).collect();
    let touches = touches.join(",\n                ");
    format!("pg_catalog.concat('[', pg_catalog.concat_ws(',',\n                {touches}), ']')")
}

/// The SQL expressions of what a row touches by its columns: one expression for all touches that share their columns.
fn by_columns(table: &Table, row: &str) -> Vec<String> {
    groups(table).into_iter().map(|(columns, group)| touches(columns, &group, row)).collect()
}

fn new_ones_that_differ(table: &Table) -> Vec<String> {
    let touch = |(columns, group): (&[String], Vec<&ByColumns>)| {
        let differs: Vec<_> =
            columns.iter().map(|column| format!("({}) IS NOT TRUE", equals(column))).collect();
        format!("CASE WHEN {} THEN {} END", differs.join(" OR "), touches(columns, &group, "NEW"))
    };
    groups(table).into_iter().map(touch).collect()
}

fn touches(columns: &[String], group: &[&ByColumns], row: &str) -> String {
    const THEN: &str = " OPERATOR(pg_catalog.||) ";
    let parts = columns.iter().map(|column| {
        let value = text(row, column);
        format!("pg_catalog.to_json({value})::pg_catalog.text")
    });
    let parts = parts.collect::<Vec<_>>().join(&format!("{THEN}','{THEN}"));
    let begin = |one: &ByColumns| format!("[\"{}\",{},", one.kind.word(), serde_json::json!(one.name));
    if let [one] = group {
        return format!("'{}'{THEN}{parts}{THEN}']'", begin(one));
    }
    let touches = group.iter().map(|one| format!("{}{PARTS}]", begin(one)));
    let touches = touches.collect::<Vec<_>>().join(",").replace(PARTS, "\\x01");
    format!("pg_catalog.replace(E'{touches}', E'\\x01', {parts})")
}

/// The condition that none of the columns by which the table touches changes. Most updates fulfil it: then OLD and NEW
/// touch the same, and the trigger journals OLD's touches only.
fn is_same(table: &Table) -> String {
    let mut columns: Vec<_> = table.by_columns.iter().flat_map(|one| &one.columns).collect();
    columns.sort();
    columns.dedup();
    // Equal images have equal texts. If equal texts have different images, the trigger's next branch compares the
    // texts.
    if columns.is_empty() { "TRUE".to_owned() } else { images(&columns, "*=") }
}

/// The condition that the old and the new text are equal; NULL if one of them is NULL. It compares bytes, because a
/// type (citext, numeric) or a collation may treat values with different texts as equal.
fn equals(column: &str) -> String {
    let (old, new) = (text("OLD", column), text("NEW", column));
    format!("{old} COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) {new} COLLATE pg_catalog.\"C\"")
}

fn text(row: &str, column: &str) -> String {
    format!("{row}.{}::pg_catalog.text", quoted(column))
}
