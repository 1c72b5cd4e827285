//! A table's triggers on SQLite: after each change, and before a REPLACE that deletes other rows without a word.
//!
//! Nothing here can be NULL where the outbox forbids it: the conflict clause of a foreign `INSERT OR IGNORE` also rules
//! inside its triggers, and would skip the row.

use crate::journal::checksum::with_checksum;
use crate::journal::table::{Entry, FUNCTION_PREFIX, Table, quoted};

/// One trigger.
pub(super) struct Trigger {
    /// As the database has it, unquoted.
    pub(super) name: String,
    /// The statement that creates it, as the database keeps it: what stands between BEGIN and END is sealed.
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

/// A table's triggers.
pub(super) fn triggers(table: &Table) -> Vec<Trigger> {
    let insert = |tags, rows: &[Row]| {
        format!("    INSERT INTO larder_outbox (touched) VALUES ({});\n", list(tags, table, rows))
    };
    let inserted = insert(tags(table), &[Row::New]);
    let updated = insert(updated_tags(table), &[Row::Old, Row::NewWhereItDiffers]);
    let deleted = insert(tags(table), &[Row::Old]);
    let mut triggers = vec![
        trigger(table, "inserted", "AFTER INSERT", "", &inserted),
        trigger(table, "updated", "AFTER UPDATE", "", &updated),
        trigger(table, "deleted", "AFTER DELETE", "", &deleted),
    ];
    let mut keys = table.unique.clone();
    if table.has_rowid {
        keys.push(vec!["rowid".to_owned()]);
    }
    if keys.is_empty() {
        return triggers;
    }
    // The rows that a REPLACE will delete, which runs no trigger for them unless recursive_triggers is on.
    let clashes: Vec<_> = keys.iter().map(|key| clash(key)).collect();
    triggers.push(trigger(table, "insert_replaces", "BEFORE INSERT", "", &victims(table, &clashes)));
    let moves: Vec<_> = keys.iter().map(|key| moved(key)).collect();
    let clashes: Vec<_> =
        clashes.iter().zip(&moves).map(|(clash, moved)| format!("({moved}) AND {clash}")).collect();
    let when = format!("\n    WHEN {}", moves.join("\n        OR "));
    triggers.push(trigger(table, "update_replaces", "BEFORE UPDATE", &when, &victims(table, &clashes)));
    triggers
}

fn trigger(table: &Table, what: &str, event: &str, when: &str, body: &str) -> Trigger {
    let name = format!("{FUNCTION_PREFIX}{}_{what}", table.name);
    let (on, body) = (quoted(&table.name), with_checksum(body));
    Trigger { sql: format!("CREATE TRIGGER {} {event} ON {on}{when}\nBEGIN{body}END", quoted(&name)), name }
}

/// Which row an entry is taken from.
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

/// Those of what reads some columns are empty unless one of these changes: its type too, for 1 equals 1.0. Not as texts,
/// which have fewer digits than a number may have.
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

/// The expression of a list of touches: each begins with a comma, and the first comma is taken away.
fn list(tags: Vec<String>, table: &Table, rows: &[Row]) -> String {
    let entries = rows.iter().flat_map(|row| table.entries.iter().map(|entry| touch(entry, *row)));
    let touches: Vec<_> = tags.into_iter().chain(entries).collect();
    format!("'[' || substr(\n        {}, 2) || ']'", touches.join("\n        || "))
}

fn touch(entry: &Entry, row: Row) -> String {
    let name = row.name();
    let columns: Vec<_> = entry.columns.iter().map(|column| quoted(column)).collect();
    let mut conditions: Vec<_> =
        columns.iter().map(|column| format!("{name}.{column} IS NOT NULL")).collect();
    if matches!(row, Row::NewWhereItDiffers) {
        // As bytes: values that are equal to a collation (which a CAST passes on) may have different texts.
        let differs = columns.iter().map(|column| {
            format!("CAST(OLD.{column} AS TEXT) COLLATE BINARY IS NOT CAST(NEW.{column} AS TEXT)")
        });
        conditions.push(format!("({})", differs.collect::<Vec<_>>().join(" OR ")));
    }
    let parts: Vec<_> = columns.iter().map(|column| format!("CAST({name}.{column} AS TEXT)")).collect();
    let touch = format!("json_array('entry', '{}', {})", entry.class, parts.join(", "));
    format!("CASE WHEN {} THEN ',' || {touch} ELSE '' END", conditions.join(" AND "))
}

/// Journals the rows in the way of NEW.
fn victims(table: &Table, clashes: &[String]) -> String {
    format!(
        "    INSERT INTO larder_outbox (touched) SELECT {}\n        FROM {} AS victim\n        WHERE {};\n",
        list(tags(table), table, &[Row::Victim]),
        quoted(&table.name),
        clashes.join("\n            OR "),
    )
}

/// The victim's key is NEW's. The victim stands first, for its column's collation is the one that counts.
fn clash(key: &[String]) -> String {
    let parts = key.iter().map(|column| format!("victim.{0} = NEW.{0}", quoted(column)));
    format!("({})", parts.collect::<Vec<_>>().join(" AND "))
}

/// The update gives the row another key; with the same one, nobody but the row itself is in the way.
fn moved(key: &[String]) -> String {
    let parts = key.iter().map(|column| format!("NEW.{0} IS NOT OLD.{0}", quoted(column)));
    parts.collect::<Vec<_>>().join(" OR ")
}
