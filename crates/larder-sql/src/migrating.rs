//! Migrations: compares the database's schema with the migrations that this program knows, and applies the pending
//! ones.
//!
//! The comparison changes nothing, and a role that may only read can run it. Pending migrations run on a connection
//! that keeps one server session.
//!
//! An older program can run on a database that a later program has migrated, if the table of [`COMPATIBILITY`] allows
//! it. For each migration the table has the oldest schema version that a program must know to run after that migration.

use std::collections::BTreeMap;

use sqlx::migrate::Migrator;
use sqlx::{Connection as _, Row};

use crate::connecting::connection::SqlConnection;
use crate::connecting::connector::Connector;
use crate::database::Database;
use crate::dialect::Dialect;
use crate::error::{Error, cause};

/// The SQL that creates the compatibility table, the same for both databases. One migration of the application runs it.
/// That migration and each later one insert their own version with the oldest version that a program must know:
/// `INSERT INTO larder_compatibility (version, oldest) VALUES (13, 12)`. If a migration has no row, a program that does
/// not know the migration refuses the database.
pub const COMPATIBILITY: &str = "\
CREATE TABLE larder_compatibility (
    version BIGINT NOT NULL PRIMARY KEY,
    oldest  BIGINT NOT NULL,
    CONSTRAINT larder_compatibility_check CHECK (oldest <= version)
);
";

/// The two migration folders of an application, one for each dialect, with equal version numbers.
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    /// For PostgreSQL.
    pub postgres: &'static Migrator,
    /// For SQLite.
    pub sqlite: &'static Migrator,
}

/// What [`Database::migrate`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationOutcome {
    /// The versions that were pending and have been applied, in their order.
    pub applied: Vec<i64>,
    /// The newest version that the database has now. It is newer than this program's if a later release has migrated
    /// the database.
    pub version: i64,
}

/// The migrations that the database records.
struct SchemaState {
    /// Checksums by version.
    applied: BTreeMap<i64, Vec<u8>>,
    /// For each migration's version, the oldest schema version that a program must know.
    oldest: BTreeMap<i64, i64>,
}

impl Database {
    /// Applies the pending migrations. Several processes may do so on one database at the same time. If none is
    /// pending, a role without the right to create is enough.
    ///
    /// # Errors
    /// [`ErrorKind::Schema`](crate::error::ErrorKind::Schema) in these cases:
    /// - An applied migration has changed since, is not known to this program, or failed half-way.
    /// - A later program migrated the database, and the database does not say that this program can run on it.
    /// - Tables that the migrations would create exist already and belong to another application.
    /// - Migrations are pending, and the role may not apply them, or the only address leads through a pooler in
    ///   transaction mode.
    /// - The role may not read the tables of the migrations.
    /// - The database has no migration, and the options say [`existing`](crate::options::DatabaseOptions::existing).
    ///
    /// Else the database's error.
    pub async fn migrate(&self, migrations: Migrations) -> Result<MigrationOutcome, Error> {
        let migrator = match self.dialect() {
            Dialect::Postgres => migrations.postgres,
            Dialect::Sqlite => migrations.sqlite,
        };
        let present = self.present().await?;
        if self.must_exist() && present.applied.is_empty() {
            return Err(no_schema());
        }
        let pending = pending(migrator, &present)?;
        let newest = |more: Option<&i64>| present.applied.keys().chain(more).max().copied().unwrap_or(0);
        let migrated = MigrationOutcome { version: newest(pending.last()), applied: pending };
        if migrated.applied.is_empty() {
            return Ok(migrated);
        }
        if present.applied.is_empty()
            && let Err(foreign) = self.refuse_foreign_tables(migrator).await
            // Another process may have migrated meanwhile, so that the tables are not foreign. Then `_sqlx_migrations`
            // has a row: a migration commits its tables and its row together.
            && self.present().await?.applied.is_empty()
        {
            return Err(foreign);
        }
        match self.apply(migrator).await {
            Ok(()) => Ok(migrated),
            Err(error) => Err(not_applied(error, &migrated.applied)),
        }
    }

    /// The newest version that the database records; `None` if no migration was applied, so that the database is empty or
    /// another application's.
    ///
    /// # Errors
    /// [`ErrorKind::Schema`](crate::error::ErrorKind::Schema) if a migration failed half-way, or the role may not read the
    /// tables of the migrations. Else the database's error.
    pub async fn schema_version(&self) -> Result<Option<i64>, Error> {
        Ok(self.present().await?.applied.keys().next_back().copied())
    }

    async fn present(&self) -> Result<SchemaState, Error> {
        let mut present = SchemaState { applied: BTreeMap::new(), oldest: BTreeMap::new() };
        if self.has_table("_sqlx_migrations").await? {
            let query = "SELECT version, checksum, CASE WHEN success THEN 0 ELSE 1 END AS failed
                         FROM _sqlx_migrations ORDER BY version";
            for row in sqlx::query(query).fetch_all(self.readers()).await.map_err(unreadable)? {
                let version = row.try_get("version")?;
                if row.try_get::<i64, _>("failed")? != 0 {
                    return Err(Error::schema(format!(
                        "migration {version} failed half-way in this database; restore it from before that, or \
                         finish the migration by hand and set success in _sqlx_migrations"
                    )));
                }
                present.applied.insert(version, row.try_get("checksum")?);
            }
        }
        if self.has_table("larder_compatibility").await? {
            let query = "SELECT version, oldest FROM larder_compatibility";
            for row in sqlx::query(query).fetch_all(self.readers()).await.map_err(unreadable)? {
                present.oldest.insert(row.try_get("version")?, row.try_get("oldest")?);
            }
        }
        Ok(present)
    }

    /// Whether a statement that names this table without a schema finds a table.
    async fn has_table(&self, name: &str) -> Result<bool, Error> {
        let query = match self.dialect() {
            Dialect::Postgres => "SELECT CASE WHEN to_regclass($1) IS NULL THEN 0 ELSE 1 END AS is_there",
            Dialect::Sqlite => {
                "SELECT COUNT(*) AS is_there FROM sqlite_schema WHERE type IN ('table', 'view') AND name = $1"
            }
        };
        let row = sqlx::query(query).bind(name.to_owned()).fetch_one(self.readers()).await?;
        Ok(row.try_get::<i64, _>("is_there")? != 0)
    }

    /// Fails if a table exists that one of the migrations would create. The caller has checked that the database has no
    /// migration yet.
    async fn refuse_foreign_tables(&self, migrator: &Migrator) -> Result<(), Error> {
        let mut foreign = Vec::new();
        for name in tables_of(migrator) {
            // Look only in the schema in which CREATE TABLE would create the table; the same name in another schema is
            // allowed.
            let is_there = match self.dialect() {
                Dialect::Postgres => {
                    let query = "SELECT CAST(COUNT(*) AS BIGINT) AS is_there FROM pg_class
                                 JOIN pg_namespace ON pg_namespace.oid = relnamespace
                                 WHERE nspname = current_schema() AND relname = $1";
                    let row = sqlx::query(query).bind(name.clone()).fetch_one(self.readers()).await?;
                    row.try_get::<i64, _>("is_there")? != 0
                }
                Dialect::Sqlite => self.has_table(&name).await?,
            };
            if is_there {
                foreign.push(name);
            }
        }
        if foreign.is_empty() {
            return Ok(());
        }
        let instead = match self.dialect() {
            Dialect::Postgres => {
                "a database of its own, or a schema of its own: CREATE SCHEMA larder, and at the end of the URL \
                 ?options=-csearch_path%3Dlarder"
            }
            Dialect::Sqlite => "a file of its own",
        };
        Err(Error::schema(format!(
            "the database has tables that belong to another application, under names that this one would create: \
             {}. Nothing was changed. Give it {instead}",
            foreign.join(", ")
        )))
    }

    async fn apply(&self, migrator: &Migrator) -> Result<(), Error> {
        // Let sqlx ignore migrations that the database has and this program does not know: `pending` has already
        // checked them.
        let mut migrator = Migrator::with_migrations(migrator.iter().cloned().collect());
        migrator.set_ignore_missing(true);
        let failed = |error| Error::from(sqlx::Error::from(error));
        match self.session()? {
            // Use a new connection, because its end releases the advisory lock that sqlx holds while it migrates,
            // whether the migrations succeed or not. A second process waits for that lock without a limit.
            Some(source) => {
                let mut connection = self.fresh(source).await?;
                let ran = migrator.run(connection.driver()).await.map_err(failed);
                // Whether the close succeeds or not, the connection is dropped.
                let _ = connection.close().await;
                ran
            }
            // sqlx takes no lock on SQLite, so one transaction around all migrations is the lock: a second process
            // waits for it and then finds no pending migration.
            None => {
                let mut loan = self.writers().acquire().await?;
                let mut transaction = loan.driver().begin_with(self.dialect().begin()).await?;
                migrator.run(&mut transaction).await.map_err(failed)?;
                Ok(transaction.commit().await?)
            }
        }
    }

    async fn fresh(&self, source: &Connector) -> Result<SqlConnection, Error> {
        source.connect(crate::database::POSTGRES_ACQUIRE_TIMEOUT).await.map_err(Error::unavailable)
    }
}

/// The versions that this program knows and the database does not have. Fails if the database has a version on which
/// this program cannot run.
fn pending(migrator: &Migrator, present: &SchemaState) -> Result<Vec<i64>, Error> {
    let known: BTreeMap<_, _> = migrator
        .iter()
        .filter(|migration| !migration.migration_type.is_down_migration())
        .map(|migration| (migration.version, &migration.checksum))
        .collect();
    let newest = known.keys().max().copied().unwrap_or(0);
    for (version, checksum) in &present.applied {
        match known.get(version) {
            Some(known) if known.as_ref() == checksum.as_slice() => {}
            Some(_) => {
                return Err(Error::schema(format!(
                    "migration {version} of this database is not the one that this program knows under that \
                     number: it was changed, or belongs to another application, beside which this one needs a database or \
                     schema of its own"
                )));
            }
            None if *version < newest => {
                return Err(Error::schema(format!(
                    "migration {version} of this database is not known to this program, which knows later ones: \
                     it belongs to a branch that was never released, or to another application, beside which this one \
                     needs a database or schema of its own"
                )));
            }
            None => refuse_incompatible(*version, newest, present.oldest.get(version).copied())?,
        }
    }
    Ok(known.into_keys().filter(|version| !present.applied.contains_key(version)).collect())
}

/// Fails unless migration `version`, of a later program, allows programs that know the schema only up to `newest`.
fn refuse_incompatible(version: i64, newest: i64, oldest: Option<i64>) -> Result<(), Error> {
    let instead = "Start a later release, or restore the database from before that migration";
    match oldest {
        Some(oldest) if oldest <= newest => Ok(()),
        Some(oldest) => Err(Error::schema(format!(
            "migration {version} of this database needs a program that knows the schema's version {oldest}; this \
             one knows up to version {newest}. {instead}"
        ))),
        None => Err(Error::schema(format!(
            "migration {version} of this database is of a later program, and does not say that one which knows up \
             to version {newest} can run on it. {instead}"
        ))),
    }
}

/// The names of the tables that the migrations create, each once, in their order.
fn tables_of(migrator: &Migrator) -> Vec<String> {
    let mut tables = Vec::new();
    for migration in migrator.iter() {
        for statement in migration.sql.as_str().split("CREATE TABLE ").skip(1) {
            let name = statement.trim_start().trim_start_matches("IF NOT EXISTS ");
            let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let name = name[..end.unwrap_or(name.len())].to_lowercase();
            if !name.is_empty() && !tables.contains(&name) {
                tables.push(name);
            }
        }
    }
    tables
}

/// Adds the remedy to the error of a role that may not read the migrations' tables.
fn unreadable(error: sqlx::Error) -> Error {
    match is_denied(&error) {
        true => Error::schema(
            "the role may not read _sqlx_migrations and larder_compatibility, by which the schema's version is \
             known: GRANT SELECT on both",
        ),
        false => error.into(),
    }
}

/// Adds the pending migrations and the remedy to the error of a role that may not apply them.
fn not_applied(error: Error, pending: &[i64]) -> Error {
    let is_denied = std::error::Error::source(&error).and_then(cause).is_some_and(is_denied);
    if !is_denied {
        return error;
    }
    let pending: Vec<_> = pending.iter().map(i64::to_string).collect();
    Error::schema(format!(
        "migrations are pending ({}), and the database's role may not apply them: run `larder migrate` as the role \
         that owns the tables, or grant this one the right to create",
        pending.join(", ")
    ))
}

/// The error for a database that has to have a schema.
fn no_schema() -> Error {
    Error::schema("the database has no schema of this application, and none is made")
}

fn is_denied(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "42501")
}

#[cfg(test)]
#[path = "migrating_tests.rs"]
mod tests;
