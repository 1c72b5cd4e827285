//! Tests of `Database` on SQLite and on PostgreSQL.

use std::borrow::Cow;

use larder_testbed::{Postgres, Sqlite};
use sqlx::Row;
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::*;
use crate::connecting::pool::TRUSTED_IDLE;
use crate::error::ErrorKind;
use crate::migrating::Migrations;
use crate::write::WriteTransaction;

async fn sqlite() -> (Sqlite, Database) {
    let server = Sqlite::fresh().unwrap();
    let database = Database::connect(&server.url()).await.unwrap();
    (server, database)
}

async fn postgres() -> (larder_testbed::Database, Database) {
    let server = larder_testbed::Database::fresh(&Postgres::shared().unwrap()).unwrap();
    let database = Database::connect(&server.url()).await.unwrap();
    (server, database)
}

/// Expands each `async fn name(database, url)` into a test for SQLite and one for PostgreSQL.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                let (server, database) = super::sqlite().await;
                super::$name(&database, &server.url()).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                let (server, database) = super::postgres().await;
                super::$name(&database, &server.url()).await;
            })+
        }
    };
}

on_both!(
    fresh_reads,
    many_may_migrate_at_once,
    violations_name_what_they_broke,
    a_closed_database_is_unavailable
);

fn migrations() -> Migrations {
    let sql = "CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT UNIQUE, CONSTRAINT users_size_check CHECK \
               (length(id) < 5)); CREATE TABLE notes (n BIGINT);";
    let migration =
        Migration::new(1, Cow::Borrowed("users"), MigrationType::Simple, sql.into_sql_str(), false);
    let migrator: &'static Migrator = Box::leak(Box::new(Migrator::with_migrations(vec![migration])));
    Migrations { postgres: migrator, sqlite: migrator }
}

#[tokio::test]
async fn settings_hold_on_every_connection() {
    let (_folder, database) = sqlite().await;
    for pool in [&database.shared.readers, &database.shared.writers] {
        for (pragma, expected) in [("foreign_keys", 1_i64), ("recursive_triggers", 1), ("busy_timeout", 5000)]
        {
            let sql = sqlx::AssertSqlSafe(format!("PRAGMA {pragma}"));
            let row = sqlx::query(sql).fetch_one(pool).await.unwrap();
            assert_eq!(row.get::<i64, _>(0), expected, "{pragma}");
        }
        let row = sqlx::query("PRAGMA journal_mode").fetch_one(pool).await.unwrap();
        assert_eq!(row.get::<String, _>(0), "wal");
    }
    database.ping().await.unwrap();
    assert_eq!(database.statements(), 0);
}

#[tokio::test]
async fn single_writer() {
    let (_folder, database) = sqlite().await;
    assert!(sqlx::query("CREATE TABLE t (n BIGINT)").execute(database.read()).await.is_err());
    let mut write = database.begin().await.unwrap();
    sqlx::query("CREATE TABLE t (n BIGINT)").execute(write.statement()).await.unwrap();
    write.commit().await.unwrap();
    sqlx::query("SELECT n FROM t").fetch_all(database.read()).await.unwrap();
    assert_eq!(database.statements(), 3);
}

async fn fresh_reads(database: &Database, _url: &str) {
    database.migrate(migrations()).await.unwrap();
    let count = async || {
        let row = sqlx::query("SELECT COUNT(*) FROM notes").fetch_one(database.read()).await.unwrap();
        row.get::<i64, _>(0)
    };
    let mut write = database.begin().await.unwrap();
    sqlx::query("INSERT INTO notes VALUES ($1)").bind(7_i64).execute(write.statement()).await.unwrap();
    assert_eq!(count().await, 0, "uncommitted");
    write.commit().await.unwrap();
    assert_eq!(count().await, 1, "committed");
    let mut write = database.begin().await.unwrap();
    sqlx::query("DELETE FROM notes").execute(write.statement()).await.unwrap();
    drop(write);
    assert_eq!(count().await, 1, "rolled back");
}

async fn many_may_migrate_at_once(_database: &Database, url: &str) {
    let one = || async {
        let database = Database::connect(url).await?;
        database.migrate(migrations()).await?;
        database.migrate(migrations()).await.map(drop)
    };
    for outcome in futures_util::future::join_all((0..8).map(|_| one())).await {
        outcome.unwrap();
    }
}

async fn violations_name_what_they_broke(database: &Database, _url: &str) {
    database.migrate(migrations()).await.unwrap();
    let insert = async |id: &str, email: &str| -> Result<(), Error> {
        let mut write = database.begin().await?;
        sqlx::query("INSERT INTO users VALUES ($1, $2)")
            .bind(id)
            .bind(email)
            .execute(write.statement())
            .await?;
        write.commit().await.map(drop)
    };
    insert("1", "a").await.unwrap();
    let taken = insert("2", "a").await.unwrap_err();
    assert_eq!(*taken.kind(), ErrorKind::Unique { column: "email".into() });
    let refused = insert("12345", "b").await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Check { constraint: "users_size_check".into() });
}

#[tokio::test]
async fn an_unreachable_database_is_unavailable() {
    let error = Database::connect("postgres://u:hunter2@127.0.0.1:1/x").await.err().unwrap();
    assert_eq!(*error.kind(), ErrorKind::Unavailable);
    let said = format!("{error} {error:?}");
    assert!(said.contains("connection refused by 127.0.0.1:1") && !said.contains("hunter2"), "{said}");
}

async fn a_closed_database_is_unavailable(database: &Database, _url: &str) {
    database.close().await;
    assert_eq!(*database.ping().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(*database.begin().await.err().unwrap().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_missing_folder_and_file_are_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/x y?%.db");
    // Call `sqlite` directly, as `connect` does: a URL cannot contain this path.
    sqlx::any::install_default_drivers();
    let database = Database::sqlite(&path, false).await.unwrap();
    database.ping().await.unwrap();
    assert!(path.exists());
}

#[tokio::test]
async fn connections_that_broke_while_idle_are_replaced() {
    let (server, database) = postgres().await;
    sqlx::query("SELECT 1").execute(database.read()).await.unwrap();
    let others = "datname = current_database() AND pid <> pg_backend_pid()";
    server.sql(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")).unwrap();
    tokio::time::sleep(TRUSTED_IDLE + Duration::from_millis(100)).await;
    sqlx::query("SELECT 1").execute(database.read()).await.unwrap();
}

#[tokio::test]
async fn postgres_reads_what_is_committed_whatever_its_default() {
    let (server, _) = postgres().await;
    let default = "default_transaction_isolation = 'repeatable read'";
    server
        .sql(&format!("ALTER DATABASE {} SET {default}", server.url().rsplit('/').next().unwrap()))
        .unwrap();
    let database = Database::connect(&server.url()).await.unwrap();
    let level = async |write: &mut WriteTransaction| {
        let row = sqlx::query("SHOW transaction_isolation").fetch_one(write.statement()).await.unwrap();
        row.get::<String, _>(0)
    };
    assert_eq!(level(&mut database.begin().await.unwrap()).await, "read committed");
    for pool in [database.read(), database.writers()] {
        let row = sqlx::query("SHOW transaction_isolation").fetch_one(pool).await.unwrap();
        assert_eq!(row.get::<String, _>(0), "read committed");
    }
}

/// A full disk can leave a connection inside a transaction that larder does not know of. Each BEGIN on such a
/// connection fails.
#[tokio::test]
async fn a_connection_on_which_begin_fails_is_thrown_away() {
    let (_server, database) = sqlite().await;
    let mut loan = database.writers().acquire().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(loan.driver()).await.unwrap();
    drop(loan);
    let error = database.ping_writer().await.unwrap_err();
    assert!(
        std::error::Error::source(&error).unwrap().to_string().contains("within a transaction"),
        "{error:?}"
    );
    database.ping_writer().await.unwrap();
    let mut write = database.begin().await.unwrap();
    sqlx::query("CREATE TABLE t (n BIGINT)").execute(write.statement()).await.unwrap();
    write.commit().await.unwrap();
}

/// A COMMIT can fail, and SQLite can roll back by itself after a failure. In both cases the next writer gets another
/// connection, on which it can write.
#[tokio::test]
async fn a_connection_on_which_commit_or_rollback_fails_is_thrown_away() {
    let (_server, database) = sqlite().await;
    for ends_by_commit in [true, false] {
        let mut write = database.begin().await.unwrap();
        sqlx::query("PRAGMA cache_size = 7").execute(write.statement()).await.unwrap();
        // `write` does not notice that this ends its transaction.
        sqlx::query("ROLLBACK").execute(write.statement()).await.unwrap();
        match ends_by_commit {
            true => drop(write.commit().await.unwrap_err()),
            false => drop(write.rollback().await.unwrap_err()),
        }
        let mut next = database.begin().await.unwrap();
        let row = sqlx::query("PRAGMA cache_size").fetch_one(next.statement()).await.unwrap();
        assert_eq!(row.try_get::<i64, _>(0).unwrap(), -16384, "it is another connection");
    }
}

/// A writer that takes long is no failure: the database is only busy.
#[tokio::test]
async fn a_ping_does_not_fail_while_another_writer_works() {
    let (server, database) = sqlite().await;
    let other = Database::connect(&server.url()).await.unwrap();
    let write = other.begin().await.unwrap();
    database.ping_writer().await.unwrap();
    write.rollback().await.unwrap();
    database.ping_writer().await.unwrap();
}
