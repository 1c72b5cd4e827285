//! A table's triggers on SQLite: after each change, and before a REPLACE, which deletes other rows without running
//! their triggers.
//!
//! Invariant `touched_is_never_null`: no trigger inserts NULL into the outbox. The conflict clause of an application's
//! `INSERT OR IGNORE` also applies inside the triggers that it runs, so SQLite would skip such an outbox row without an
//! error.

use crate::dialect::Dialect;
use crate::journal::checksum::with_checksum;
use crate::journal::declaration;
use crate::journal::table::{ByColumns, FUNCTION_PREFIX, Table, quoted};

/// One trigger.
pub(super) struct Trigger {
    /// The name in the database, unquoted.
    pub(super) name: String,
    /// The CREATE statement as the database stores it. The text between BEGIN and END has a checksum.
    pub(super) sql: String,
}

/// The statements that create or replace a table's triggers.
pub(super) fn of(table: &Table) -> String {
    let mut sql = format!("-- What a change of {} touches.\n", quoted(&table.name));
    sql.push_str("-- A column that is missing fails the migration, and not the first write.\n");
    sql.push_str(&format!("SELECT {};\n", table.all_columns()));
    for Trigger { name, sql: create } in triggers(table) {
        sql.push_str(&format!("DROP TRIGGER IF EXISTS {};\n{create};\n", quoted(&name)));
    }
    sql
}

/// The statements that drop what [`of`] creates, for any declaration of the table.
pub(super) fn drops(table: &Table) -> String {
    let names = WHAT.map(|what| quoted(&name(table, what)));
    names.iter().map(|name| format!("DROP TRIGGER IF EXISTS {name};\n")).collect()
}

/// The ends of the names of a table's triggers.
const WHAT: [&str; 5] = ["inserted", "updated", "deleted", "insert_replaces", "update_replaces"];

fn name(table: &Table, what: &str) -> String {
    format!("{FUNCTION_PREFIX}{}_{what}", table.name)
}

/// A table's triggers.
pub(super) fn triggers(table: &Table) -> Vec<Trigger> {
    let insert = |tags, rows: &[Row]| {
        format!("    INSERT INTO larder_outbox (touched) VALUES ({});\n", list(tags, table, rows))
    };
    let inserted = insert(tags(table), &[Row::New]);
    let updated = insert(updated_tags(table), &[Row::Old, Row::NewWhereItDiffers]);
    let deleted = insert(tags(table), &[Row::Old]);
    let [on_insert, on_update, on_delete, insert_replaces, update_replaces] = WHAT;
    let mut triggers = vec![
        trigger(table, on_insert, "AFTER INSERT", "", &inserted),
        trigger(table, on_update, "AFTER UPDATE", "", &updated),
        trigger(table, on_delete, "AFTER DELETE", "", &deleted),
    ];
    let mut keys = table.unique.clone();
    if table.has_rowid {
        keys.push(vec!["rowid".to_owned()]);
    }
    if keys.is_empty() {
        return triggers;
    }
    // Journal the rows that a REPLACE will delete: unless recursive_triggers is on, SQLite runs no DELETE trigger for
    // them.
    let clashes: Vec<_> = keys.iter().map(|key| clash(key)).collect();
    triggers.push(trigger(table, insert_replaces, "BEFORE INSERT", "", &victims(table, &clashes)));
    let moves: Vec<_> = keys.iter().map(|key| moved(key)).collect();
    let clashes: Vec<_> =
        clashes.iter().zip(&moves).map(|(clash, moved)| format!("({moved}) AND {clash}")).collect();
    let when = format!("\n    WHEN {}", moves.join("\n        OR "));
    triggers.push(trigger(table, update_replaces, "BEFORE UPDATE", &when, &victims(table, &clashes)));
    triggers
}

fn trigger(table: &Table, what: &str, event: &str, when: &str, body: &str) -> Trigger {
    let name = name(table, what);
    let (on, body) = (
        quoted(&table.name),
        with_checksum(&format!("{}{body}", declaration::comment(table, Dialect::Sqlite))),
    );
    Trigger { sql: format!("CREATE TRIGGER {} {event} ON {on}{when}\nBEGIN{body}END", quoted(&name)), name }
}

/// The row from which a trigger takes the values.
#[derive(Clone, Copy)]
enum Row {
    Old,
    New,
    NewWhereItDiffers,
    Victim,
}

impl Row {
    fn name(self) -> &'static str {
        match self {
            Row::Old => "OLD",
            Row::New | Row::NewWhereItDiffers => "NEW",
            Row::Victim => "victim",
        }
    }
}

fn tags(table: &Table) -> Vec<String> {
    table.tags.iter().map(|tag| format!("',{}'", tag.json())).collect()
}

/// The SQL expressions of the tags that an UPDATE touches. A tag that reads some columns is an empty text unless one of
/// these columns changes. A change of the type counts too, because 1 equals 1.0. The trigger compares values and not
/// texts, because the text of a number may have fewer digits than the number.
fn updated_tags(table: &Table) -> Vec<String> {
    let tags = table.tags.iter().map(|tag| {
        let Some(columns) = table.columns_of(tag) else { return format!("',{}'", tag.json()) };
        let differs = columns.into_iter().map(|column| {
            let column = quoted(column);
            format!(
                "OLD.{column} COLLATE BINARY IS NOT NEW.{column} OR typeof(OLD.{column}) IS NOT typeof(NEW.{column})"
            )
        });
        let differs: Vec<_> = differs.collect();
        format!("CASE WHEN {} THEN ',{}' ELSE '' END", differs.join("\n            OR "), tag.json())
    });
    tags.collect()
}

/// The SQL expression of a JSON list of touches. Each touch begins with a comma, and `substr` removes the first comma.
fn list(tags: Vec<String>, table: &Table, rows: &[Row]) -> String {
    let by_columns = rows.iter().flat_map(|row| table.by_columns.iter().map(|one| touch(one, *row)));
    let touches: Vec<_> = tags.into_iter().chain(by_columns).collect();
    format!("'[' || substr(\n        {}, 2) || ']'", touches.join("\n        || "))
}

fn touch(one: &ByColumns, row: Row) -> String {
    let name = row.name();
    let columns: Vec<_> = one.columns.iter().map(|column| quoted(column)).collect();
    let mut conditions: Vec<_> =
        columns.iter().map(|column| format!("{name}.{column} IS NOT NULL")).collect();
    if matches!(row, Row::NewWhereItDiffers) {
        // Compare bytes: a collation, which CAST keeps, may treat different texts as equal.
        let differs = columns
            .iter()
            .map(|column| format!("{} COLLATE BINARY IS NOT {}", text("OLD", column), text("NEW", column)));
        conditions.push(format!("({})", differs.collect::<Vec<_>>().join(" OR ")));
    }
    let parts: Vec<_> = columns.iter().map(|column| text(name, column)).collect();
    let touch = format!("json_array('{}', '{}', {})", one.kind.word(), one.name, parts.join(", "));
    format!("CASE WHEN {} THEN ',' || {touch} ELSE '' END", conditions.join(" AND "))
}

/// The SQL expression of a value's text. A BLOB of 16 bytes is a UUID, as sqlx and other libraries bind it: its text is its
/// hexadecimal digits, which [`spellings`](super::uuid_text::spellings) completes. As characters its bytes would be no text.
fn text(row: &str, column: &str) -> String {
    let value = format!("{row}.{column}");
    format!(
        "CASE WHEN typeof({value}) = 'blob' AND length({value}) = 16 THEN hex({value}) ELSE CAST({value} AS TEXT) END"
    )
}

/// Journals the rows that a REPLACE deletes because they conflict with NEW.
fn victims(table: &Table, clashes: &[String]) -> String {
    format!(
        "    INSERT INTO larder_outbox (touched) SELECT {}\n        FROM {} AS victim\n        WHERE {};\n",
        list(tags(table), table, &[Row::Victim]),
        quoted(&table.name),
        clashes.join("\n            OR "),
    )
}

/// The condition that the victim has NEW's key. The victim's column is the left operand, because SQLite uses the left
/// operand's collation.
fn clash(key: &[String]) -> String {
    let parts = key.iter().map(|column| format!("victim.{0} = NEW.{0}", quoted(column)));
    format!("({})", parts.collect::<Vec<_>>().join(" AND "))
}

/// The condition that the update changes the row's key. If the key stays the same, no other row can conflict.
fn moved(key: &[String]) -> String {
    let parts = key.iter().map(|column| format!("NEW.{0} IS NOT OLD.{0}", quoted(column)));
    parts.collect::<Vec<_>>().join(" OR ")
}
