//! Finds columns that a trigger on PostgreSQL names and its table does not have, because they were renamed or dropped.

use std::collections::BTreeSet;

use sqlx::Row as _;

use crate::connecting::connection::SqlConnection;
use crate::error::Error;
use crate::journal::table::quoted;

/// Returns the columns of `$2` that do not exist. `$1` has the quoted name of the table of each column; U+0001
/// separates the names in both. A missing table is not reported here: it is a defect of its own.
const MISSING: &str = "
    SELECT name, column_name
    FROM unnest(string_to_array($1, E'\\x01'), string_to_array($2, E'\\x01')) AS named (name, column_name)
    WHERE to_regclass(name) IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM pg_attribute
        WHERE attrelid = CAST(to_regclass(name) AS OID) AND attname = column_name AND attnum > 0 AND NOT attisdropped)";

/// Says that the table with this quoted name lacks a column that its trigger names.
pub(in crate::journal) fn missing_column(table: &str, column: &str) -> String {
    format!("the table {table} has no column {column:?}, which its trigger names")
}

/// The tables and the columns that their triggers name.
#[derive(Default)]
pub(super) struct TriggerColumns(BTreeSet<(String, String)>);

impl TriggerColumns {
    /// Adds the columns that the text of a trigger's function reads from a row of `table`.
    pub(super) fn add(&mut self, table: &str, body: &str) {
        for row in ["OLD.\"", "NEW.\""] {
            let names = body.split(row).skip(1).filter_map(|rest| rest.split_once('"'));
            self.0.extend(names.map(|(column, _)| (quoted(table), column.to_owned())));
        }
    }

    /// A sentence for each column that does not exist. The trigger that names it touches everything at each change.
    pub(super) async fn missing(&self, connection: &mut SqlConnection) -> Result<Vec<String>, Error> {
        let (tables, columns): (Vec<_>, Vec<_>) = self.0.iter().cloned().unzip();
        let query = sqlx::query(MISSING).bind(tables.join("\u{1}")).bind(columns.join("\u{1}"));
        let say = |row: &sqlx::any::AnyRow| {
            let (table, column): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            Ok(missing_column(&table, &column))
        };
        query.fetch_all(connection).await?.iter().map(say).collect()
    }
}
