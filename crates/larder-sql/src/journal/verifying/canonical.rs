//! Checks that each value of a key column has exactly one text.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, Row as _};

use crate::connecting::connection::SqlConnection;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::journal::table::{self, Table, quoted};
use crate::journal::verifying::listed;

/// The columns of the declared tables. For a domain, the type is its base type.
const POSTGRES_COLUMNS: &str = "
    WITH RECURSIVE found (nth, column_name, attcollation, attgenerated, type) AS (
        SELECT nth, attname, attcollation, attgenerated, atttypid
            FROM unnest(string_to_array($1, E'\\x01')) WITH ORDINALITY AS declared (name, nth)
            JOIN pg_attribute ON attrelid = CAST(to_regclass(name) AS OID) AND attnum > 0 AND NOT attisdropped
        UNION ALL
        SELECT nth, column_name, attcollation, attgenerated, typbasetype FROM found JOIN pg_type ON oid = type WHERE typtype = 'd'
    )
    SELECT nth, CAST(column_name AS TEXT) AS column_name, CAST(typname AS TEXT) AS type_name, CAST(typtype AS TEXT) AS kind,
        CAST(typnamespace = CAST('pg_catalog' AS REGNAMESPACE) AS INTEGER) AS is_built_in,
        CAST(attgenerated = 'v' AS INTEGER) AS is_virtual,
        (SELECT CAST(collisdeterministic AS INTEGER) FROM pg_collation WHERE pg_collation.oid = attcollation) AS is_deterministic
    FROM found JOIN pg_type ON pg_type.oid = type WHERE typtype <> 'd'";

/// Which texts a column can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Texts {
    /// Any text, compared by bytes; also the labels of an enum.
    Any,
    Number,
    Uuid,
    Flag,
    /// SQLite: a BLOB, or a text of the same bytes, which is another value. Only the spelling of UUIDs is known.
    Bytes,
}

/// One key column: its type's name in the database, and its texts, or why one value has several texts.
struct Column {
    of_type: String,
    texts: Result<Texts, String>,
}

/// The columns of the declared tables.
pub(super) struct Columns {
    /// The columns of the declared entries and tags.
    keys: KeyColumns,
    /// The names of all columns of each table. A missing table has none; an inspection reports it.
    names: ColumnNames,
    dialect: Dialect,
}

impl Columns {
    pub(super) async fn read(
        connection: &mut SqlConnection,
        dialect: Dialect,
        tables: &[Table],
    ) -> Result<Self, Error> {
        let (mut keys, names) = match dialect {
            Dialect::Postgres => postgres(connection, tables).await?,
            Dialect::Sqlite => sqlite(connection, tables).await?,
        };
        let is_key = |(table, column): &(String, String)| {
            let of_table = tables.iter().filter(|one| one.name == *table);
            of_table.flat_map(|one| &one.by_columns).any(|one| one.columns.contains(column))
        };
        keys.retain(|name, _| is_key(name));
        Ok(Columns { keys, names, dialect })
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The type and the texts of a column that can be part of a key.
    pub(super) fn of(&self, table: &str, column: &str) -> Option<(&str, Texts)> {
        let column = self.keys.get(&(table.to_owned(), column.to_owned()))?;
        Some((&column.of_type, *column.texts.as_ref().ok()?))
    }

    /// The errors of the columns that cannot be part of a key.
    pub(super) fn wrong(&self) -> Vec<String> {
        let say = |((table, name), column): (&(String, String), &Column)| {
            let why = column.texts.as_ref().err()?;
            Some(format!("table {table:?}: the key column {name:?} is of type {}: {why}", column.of_type))
        };
        self.keys.iter().filter_map(say).collect()
    }

    /// Each declared column that its table does not have, with the columns that it has.
    pub(super) fn missing<'a>(&self, tables: &'a [Table]) -> Vec<(&'a str, &'a str, String)> {
        let of_table = |table: &'a Table| {
            let names = self.names.get(&table.name)?;
            let is_missing = |column: &&String| match self.dialect {
                Dialect::Postgres => !names.contains(*column),
                Dialect::Sqlite => {
                    !names.iter().any(|name| name.eq_ignore_ascii_case(column)) && !is_rowid(table, column)
                }
            };
            let say = move |column: &'a String| (&table.name[..], &column[..], listed(names));
            Some(table.columns().into_iter().filter(is_missing).map(say).collect::<Vec<_>>())
        };
        tables.iter().filter_map(of_table).flatten().collect()
    }
}

type KeyColumns = BTreeMap<(String, String), Column>;
type ColumnNames = BTreeMap<String, BTreeSet<String>>;

/// Whether the column is SQLite's rowid, which no list of columns has.
fn is_rowid(table: &Table, column: &str) -> bool {
    table.has_rowid && ["rowid", "oid", "_rowid_"].iter().any(|name| name.eq_ignore_ascii_case(column))
}

async fn postgres(
    connection: &mut SqlConnection,
    tables: &[Table],
) -> Result<(KeyColumns, ColumnNames), Error> {
    let (mut found, mut names) = (KeyColumns::new(), ColumnNames::new());
    for row in sqlx::query(POSTGRES_COLUMNS).bind(table::names(tables)).fetch_all(connection).await? {
        let nth: i64 = row.try_get("nth")?;
        let Some(table) = usize::try_from(nth - 1).ok().and_then(|nth| tables.get(nth)) else { continue };
        let flag = |name| Ok::<_, Error>(row.try_get::<Option<i32>, _>(name)?.map(|flag| flag == 1));
        let (of_type, kind): (String, String) = (row.try_get("type_name")?, row.try_get("kind")?);
        let is_built_in = flag("is_built_in")? == Some(true);
        let texts = if flag("is_virtual")? == Some(true) {
            Err("it is a generated column that is not stored, which triggers do not see; make it STORED"
                .to_owned())
        } else if flag("is_deterministic")? == Some(false) {
            Err("its collation is not deterministic, so it finds a row by several texts; give the column a deterministic \
                 collation, or look up by a normalized text in another column"
                .to_owned())
        } else if kind == "e" {
            Ok(Texts::Any)
        } else {
            postgres_texts(&of_type, is_built_in)
        };
        let name: String = row.try_get("column_name")?;
        names.entry(table.name.clone()).or_default().insert(name.clone());
        found.insert((table.name.clone(), name), Column { of_type, texts });
    }
    Ok((found, names))
}

fn postgres_texts(name: &str, is_built_in: bool) -> Result<Texts, String> {
    match (is_built_in, name) {
        (true, "int2" | "int4" | "int8") => return Ok(Texts::Number),
        (true, "text" | "varchar") => return Ok(Texts::Any),
        (true, "uuid") => return Ok(Texts::Uuid),
        (true, "bool") => return Ok(Texts::Flag),
        _ => {}
    }
    let why = match name {
        "citext" => {
            "it finds a row by any case of its text; add a column of type text, GENERATED ALWAYS AS (lower(…::text)) STORED, \
             declare that, and look up by it"
        }
        "bpchar" => "it finds a row with and without the spaces at its end; make it text or varchar",
        "numeric" => "1, 1.0 and 1.00 are one value with three texts; make it bigint, or text",
        "float4" | "float8" | "money" => "a value has several texts; make it bigint, or text",
        "timestamptz" | "timetz" => {
            "its text follows the time zone of the session; key by a bigint of microseconds, or by text"
        }
        "timestamp" | "date" | "time" | "interval" => {
            "its text follows settings of the session; key by a bigint, or by text"
        }
        "json" | "jsonb" | "xml" => {
            "equal values have several texts; key by the values inside it, as columns"
        }
        "bytea" => "its text follows bytea_output; key by text, such as encode(…, 'hex')",
        _ if name.starts_with('_') => {
            "it is an array; key by another column, or copy its elements into columns of their own"
        }
        _ => "whether equal values have one text is unknown; copy it into a column of an allowed type",
    };
    Err(format!(
        "{why} (allowed are integers, text and varchar of deterministic collation, uuid, bool and enums)"
    ))
}

async fn sqlite(
    connection: &mut SqlConnection,
    tables: &[Table],
) -> Result<(KeyColumns, ColumnNames), Error> {
    let (mut found, mut names) = (KeyColumns::new(), ColumnNames::new());
    for table in tables {
        let info = sqlx::query("SELECT name, type FROM pragma_table_xinfo($1)").bind(&table.name);
        for row in info.fetch_all(&mut *connection).await? {
            let (name, of_type): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            names.entry(table.name.clone()).or_default().insert(name.clone());
            // SQLite ignores the letter case of a column's name. The result has the declared letter case.
            let mut declared = table.by_columns.iter().flat_map(|one| &one.columns);
            let Some(declared) = declared.find(|column| column.eq_ignore_ascii_case(&name)) else { continue };
            let texts = match sqlite_texts(&of_type) {
                Ok(Texts::Any) if !compares_bytes(connection, &table.name, &name).await? => Err(
                    "its collation (NOCASE, RTRIM or the application's own) finds a row by several texts; declare the \
                     column COLLATE BINARY, and look up by a normalized text"
                        .to_owned(),
                ),
                texts => texts,
            };
            let of_type = if of_type.is_empty() { "no declared type".to_owned() } else { of_type };
            found.insert((table.name.clone(), declared.clone()), Column { of_type, texts });
        }
    }
    Ok((found, names))
}

/// The texts of a column by the affinity that SQLite derives from the declared type. The order of the checks is
/// SQLite's.
fn sqlite_texts(declared: &str) -> Result<Texts, String> {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    let why = if has(&["INT"]) {
        return Ok(Texts::Number);
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        return Ok(Texts::Any);
    } else if declared.is_empty() || has(&["BLOB"]) {
        return Ok(Texts::Bytes);
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        "a real number has several texts"
    } else {
        "its affinity is NUMERIC: 1, 1.0 and '1' are one value"
    };
    Err(format!("{why}; declare it INTEGER or TEXT"))
}

/// Whether a text column distinguishes texts that differ only in case or in trailing spaces. A UNION takes the
/// collation of the first SELECT's column, and removes rows that are equal by it.
async fn compares_bytes(connection: &mut SqlConnection, table: &str, column: &str) -> Result<bool, Error> {
    let sql = format!(
        "SELECT COUNT(*) FROM (SELECT {column} FROM {table} WHERE 0 UNION SELECT 'a' UNION SELECT 'A' UNION SELECT 'a ')",
        column = quoted(column),
        table = quoted(table),
    );
    match sqlx::query(AssertSqlSafe(sql)).fetch_one(connection).await {
        Ok(row) => Ok(row.try_get::<i64, _>(0)? == 3),
        // This process has not registered the collation, so it is unknown whether it compares bytes.
        Err(sqlx::Error::Database(error)) if error.message().contains("no such collation") => Ok(false),
        Err(error) => Err(error.into()),
    }
}
