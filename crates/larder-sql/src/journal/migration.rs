//! The SQL that an application puts into its migrations: the outbox, and the triggers that fill it.

use crate::dialect::Dialect;
use crate::error::Error;
use crate::journal::table::Table;
use crate::journal::{postgres_triggers, sqlite_triggers};

const POSTGRES_OUTBOX: &str = "\
-- What each change touched, in its own transaction. Written by triggers, read by larder's relays, pruned by age.
-- No primary key: commits become visible in another order than they were numbered, so nothing else is of use.
CREATE TABLE larder_outbox (
    xid     XID8 NOT NULL DEFAULT pg_current_xact_id(),
    touched TEXT NOT NULL
);
CREATE INDEX larder_outbox_xid ON larder_outbox (xid);

-- By when which transactions had ended; `applied` ones may have been pruned away.
CREATE TABLE larder_outbox_marks (
    taken_at BIGINT NOT NULL,
    floor    XID8 NOT NULL,
    applied  BOOLEAN NOT NULL
);
";

const SQLITE_OUTBOX: &str = "\
-- What each change touched, in its own transaction. Written by triggers, read by larder's relays, pruned by age.
-- The stamp tells two rows of one id apart after the file was restored from an older copy.
CREATE TABLE larder_outbox (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    stamp   BIGINT NOT NULL DEFAULT (random()),
    touched TEXT NOT NULL
);
-- Never empty: a position is a row.
INSERT INTO larder_outbox (touched) VALUES ('[]');

-- By when which rows were there.
CREATE TABLE larder_outbox_marks (
    taken_at BIGINT NOT NULL,
    floor    BIGINT NOT NULL
);

-- Which database this is. A copy of the file has the same one.
CREATE TABLE larder_identity (
    id       TEXT NOT NULL,
    only_row INTEGER NOT NULL DEFAULT 1 UNIQUE CHECK (only_row = 1)
);
INSERT INTO larder_identity (id) VALUES (lower(hex(randomblob(16))));
";

/// The outbox and the triggers of `tables`: the first migration of a database that is to have a journal.
///
/// # Errors
/// [`ErrorKind::Declaration`](crate::error::ErrorKind::Declaration) for names that cannot be used.
///
/// # Examples
///
/// ```
/// use larder_sql::dialect::Dialect;
/// use larder_sql::journal::{Table, migration};
///
/// let guests = Table::new("guests").entry("guest", &["id"]).unique(&["id"]);
/// let sql = migration(Dialect::Postgres, &[guests]).unwrap();
/// assert!(sql.contains("CREATE TABLE larder_outbox"));
/// ```
pub fn migration(dialect: Dialect, tables: &[Table]) -> Result<String, Error> {
    Ok(format!("{}\n{}", outbox(dialect), triggers(dialect, tables)?))
}

/// The outbox alone, to be created once for each database.
pub fn outbox(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => POSTGRES_OUTBOX,
        Dialect::Sqlite => SQLITE_OUTBOX,
    }
}

/// The triggers of `tables`, which replace those that these tables have: for another table, or a declaration that has
/// changed. The outbox has to be there.
///
/// # Errors
/// [`ErrorKind::Declaration`](crate::error::ErrorKind::Declaration) for names that cannot be used.
pub fn triggers(dialect: Dialect, tables: &[Table]) -> Result<String, Error> {
    let mut sql = Vec::with_capacity(tables.len());
    for table in tables {
        table.check()?;
        sql.push(match dialect {
            Dialect::Postgres => postgres_triggers::of(table),
            Dialect::Sqlite => sqlite_triggers::of(table),
        });
    }
    Ok(sql.join("\n"))
}
