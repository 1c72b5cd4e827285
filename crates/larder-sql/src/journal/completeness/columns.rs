//! Declared columns that PostgreSQL's tables no longer have.

use sqlx::Row as _;

use crate::connecting::connection::SqlConnection;
use crate::error::Error;
use crate::journal::table::{Table, names};

/// The declared columns that do not exist. `$1` has the name of a table for each column of `$2`. A table that is gone is
/// a defect of its own.
const MISSING: &str = "
    SELECT name, column_name
    FROM unnest(string_to_array($1, E'\\x01'), string_to_array($2, E'\\x01')) AS declared (name, column_name)
    WHERE to_regclass(name) IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM pg_attribute
        WHERE attrelid = CAST(to_regclass(name) AS OID) AND attname = column_name AND attnum > 0 AND NOT attisdropped)";

/// A sentence for each declared column that was renamed or dropped. The trigger then touches everything.
pub(super) async fn missing(connection: &mut SqlConnection, tables: &[Table]) -> Result<Vec<String>, Error> {
    let (mut of_tables, mut columns) = (Vec::new(), Vec::new());
    for table in tables {
        for column in table.columns() {
            of_tables.push(names(std::slice::from_ref(table)));
            columns.push(column.as_str());
        }
    }
    let query = sqlx::query(MISSING).bind(of_tables.join("\u{1}")).bind(columns.join("\u{1}"));
    let say = |row: &sqlx::any::AnyRow| {
        let (table, column): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        Ok(format!(
            "the table {table} has no column {column:?}, which its declaration names, so each change of a row touches \
             everything: declare the present column, and run the migration that `triggers` makes of it"
        ))
    };
    query.fetch_all(connection).await?.iter().map(say).collect()
}
