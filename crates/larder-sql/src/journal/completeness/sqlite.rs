//! Completeness of the journal on SQLite. It depends on the schema, and every change of the schema raises its version.

use std::collections::HashMap;

use sqlx::Row as _;

use crate::connecting::connection::SqlConnection;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::journal::checksum::has_valid_checksum;
use crate::journal::completeness::{Defect, Inspection, absent_table};
use crate::journal::declaration;
use crate::journal::migration::{SQLITE_GUARDS, guards};
use crate::journal::sqlite_triggers::{self, Trigger};
use crate::journal::table::{FUNCTION_PREFIX, Table};

/// Every change of the schema that any connection commits raises this number.
const SCHEMA_VERSION: &str = "SELECT schema_version FROM pragma_schema_version";

const SCHEMA: &str = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type IN ('table', 'trigger')";

pub(in crate::journal) async fn inspect(
    connection: &mut SqlConnection,
    tables: &[Table],
) -> Result<Inspection, Error> {
    // Read the version before the schema: if the schema changes in between, a write transaction finds another version.
    let version: i64 = sqlx::query(SCHEMA_VERSION).fetch_one(&mut *connection).await?.try_get(0)?;
    let mut kept_tables = Vec::new();
    let mut triggers = HashMap::new();
    for row in sqlx::query(SCHEMA).fetch_all(connection).await? {
        let (kind, name, of): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if kind == "table" {
            kept_tables.push(name);
        } else {
            triggers.insert(name, (of, row.try_get::<String, _>(3)?));
        }
    }
    let mut defects = Vec::new();
    for (guard, sql) in SQLITE_GUARDS {
        if triggers.get(guard).is_none_or(|(_, found)| found != sql) {
            let what =
                format!("the trigger {guard}, which guards larder_outbox, is missing or was changed by hand");
            defects.push(Defect::new(what).mended_by(guards(Dialect::Sqlite)));
        }
    }
    let is_guard = |name: &str| SQLITE_GUARDS.iter().any(|(guard, _)| *guard == name);
    let mut foreign: Vec<_> = triggers
        .iter()
        .filter(|(name, (of, _))| of == "larder_outbox" && !is_guard(name))
        .map(|(name, _)| name.as_str())
        .collect();
    foreign.sort_unstable();
    if !foreign.is_empty() {
        let names = foreign.join(", ");
        defects.push(Defect::new(format!("larder_outbox has triggers that are not larder's: {names}")));
    }
    for (name, (of, sql)) in &triggers {
        let text: String = sql.to_uppercase().split_whitespace().collect();
        let is_declared = tables.iter().any(|table| table.name == *of);
        if is_declared
            && !name.starts_with(FUNCTION_PREFIX)
            && text.contains("AFTER")
            && text.contains("RAISE(IGNORE)")
        {
            let what = format!(
                "the trigger {name} of {of} ends with RAISE(IGNORE), and keeps the journal's from running"
            );
            defects.push(Defect::new(what));
        }
    }
    for table in tables {
        if !kept_tables.contains(&table.name) {
            defects.push(absent_table(table));
            continue;
        }
        for trigger in sqlite_triggers::triggers(table) {
            let found = triggers.get(&trigger.name).map(|(_, sql)| sql.as_str());
            if let Some(what) = of_trigger(table, &trigger, found) {
                defects.push(Defect::new(what).mended_by(sqlite_triggers::of(table)));
            }
        }
    }
    // On SQLite nothing is imprecise: if a column is renamed, SQLite renames it in the triggers too, and a changed trigger
    // is a defect. It refuses to drop a column that a trigger names.
    Ok(Inspection { defects, imprecisions: Vec::new(), facts: version.to_string() })
}

/// What is wrong with a trigger. A trigger of another release is accepted if it journals everything that is declared.
fn of_trigger(table: &Table, expected: &Trigger, found: Option<&str>) -> Option<String> {
    let Some(sql) = found else {
        return Some(format!("the table {:?} has no trigger {}", table.name, expected.name));
    };
    if sql == expected.sql {
        return None;
    }
    let first_line = |sql: &str| sql.lines().next().unwrap_or_default().to_owned();
    let body = sql.split_once("\nBEGIN").and_then(|(_, rest)| rest.strip_suffix("END")).unwrap_or_default();
    if first_line(sql) != first_line(&expected.sql) || !has_valid_checksum(body) {
        return Some(format!(
            "the trigger {} was changed by hand, by the rename of a column, or by a release without checksums",
            expected.name
        ));
    }
    let missing = declaration::missing(table, Dialect::Sqlite, body);
    (!missing.is_empty()).then(|| {
        format!(
            "the trigger {}, made of another declaration, does not journal {}",
            expected.name,
            missing.join(", ")
        )
    })
}
