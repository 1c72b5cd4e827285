//! Tests which schemas a program accepts at its start, on both databases.

use std::borrow::Cow;

use larder_testbed::{Postgres, Sqlite};
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType};

use super::*;
use crate::error::ErrorKind;

/// The migrations that a program knows, numbered from 1.
fn program(migrations: &[&str]) -> Migrations {
    let of = |(index, sql): (usize, &&str)| {
        let sql = sqlx::AssertSqlSafe((*sql).to_owned()).into_sql_str();
        let version = i64::try_from(index).unwrap() + 1;
        Migration::new(version, Cow::Borrowed("of a test"), MigrationType::Simple, sql, false)
    };
    let migrations = migrations.iter().enumerate().map(of).collect();
    let migrator: &'static Migrator = Box::leak(Box::new(Migrator::with_migrations(migrations)));
    Migrations { postgres: migrator, sqlite: migrator }
}

const GUESTS: &str = "CREATE TABLE guests (id TEXT PRIMARY KEY)";
const BREAKFAST: &str = "ALTER TABLE guests ADD COLUMN breakfast TEXT; \
     INSERT INTO larder_compatibility (version, oldest) VALUES (3, 2)";
const RENAMED: &str = "ALTER TABLE guests RENAME TO visitors; \
     INSERT INTO larder_compatibility (version, oldest) VALUES (4, 4)";
const SILENT: &str = "CREATE TABLE rooms (id TEXT PRIMARY KEY)";

fn compatible() -> String {
    format!("{COMPATIBILITY} INSERT INTO larder_compatibility (version, oldest) VALUES (2, 2)")
}

async fn refused(database: &Database, program: Migrations) -> String {
    let error = database.migrate(program).await.unwrap_err();
    let ErrorKind::Schema(text) = error.kind() else { panic!("{error:?}") };
    text.clone()
}

async fn older_programs_start_where_the_schema_says_so(database: &Database) {
    let compatible = compatible();
    let first = program(&[GUESTS, &compatible]);
    let migrated = database.migrate(first).await.unwrap();
    assert_eq!(migrated, MigrationOutcome { applied: vec![1, 2], version: 2 });
    let second = program(&[GUESTS, &compatible, BREAKFAST]);
    assert_eq!(database.migrate(second).await.unwrap(), MigrationOutcome { applied: vec![3], version: 3 });
    assert_eq!(database.migrate(first).await.unwrap(), MigrationOutcome { applied: vec![], version: 3 });

    let third = program(&[GUESTS, &compatible, BREAKFAST, RENAMED]);
    assert_eq!(database.migrate(third).await.unwrap().version, 4);
    for (older, newest) in [(first, 2), (second, 3)] {
        let said = refused(database, older).await;
        assert!(said.contains("migration 4 ") && said.contains("schema's version 4"), "{said}");
        assert!(said.contains(&format!("up to version {newest}")), "{said}");
    }
    let fourth = program(&[GUESTS, &compatible, BREAKFAST, RENAMED, SILENT]);
    assert_eq!(database.migrate(fourth).await.unwrap().version, 5);
    let said = refused(database, third).await;
    assert!(said.contains("migration 5 ") && said.contains("does not say"), "{said}");
}

async fn changed_and_unknown_migrations_are_refused(database: &Database) {
    database.migrate(program(&[GUESTS, SILENT])).await.unwrap();
    let changed = program(&["CREATE TABLE guests (id BIGINT PRIMARY KEY)", SILENT]);
    let said = refused(database, changed).await;
    assert!(said.contains("migration 1 of this database is not the one"), "{said}");
    // An unknown migration below a known one does not come from a later program.
    let gap = program(&[GUESTS, SILENT, "SELECT 1"]);
    let without = |migrator: &Migrator| {
        let left = migrator.iter().filter(|one| one.version != 2).cloned().collect();
        &*Box::leak(Box::new(Migrator::with_migrations(left)))
    };
    let gap = Migrations { postgres: without(gap.postgres), sqlite: without(gap.sqlite) };
    let said = refused(database, gap).await;
    assert!(said.contains("migration 2 of this database is not known"), "{said}");
}

async fn a_migration_that_fails_changes_nothing_and_can_be_mended(database: &Database) {
    assert!(database.migrate(program(&[GUESTS, "CREATE TABLE guests (id TEXT)"])).await.is_err());
    let mended = database.migrate(program(&[GUESTS, SILENT])).await.unwrap();
    assert_eq!(mended.version, 2);
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                let server = super::Sqlite::fresh().unwrap();
                super::$name(&super::Database::connect(&server.url()).await.unwrap()).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                let server = larder_testbed::Database::fresh(&super::Postgres::shared().unwrap()).unwrap();
                super::$name(&super::Database::connect(&server.url()).await.unwrap()).await;
            })+
        }
    };
}

on_both!(
    older_programs_start_where_the_schema_says_so,
    changed_and_unknown_migrations_are_refused,
    a_migration_that_fails_changes_nothing_and_can_be_mended,
);

#[test]
fn tables_are_found_in_the_sql_of_migrations() {
    let program = program(&[
        "CREATE TABLE IF NOT EXISTS guests (id TEXT); -- CREATE TABLE in words\nCREATE TABLE Rooms(id TEXT);",
        "CREATE TABLE guests_notes (id TEXT)",
    ]);
    let tables = tables_of(program.postgres);
    assert!(["guests", "rooms", "guests_notes"].iter().all(|name| tables.contains(&(*name).to_owned())));
}
