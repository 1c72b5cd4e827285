//! What a database must do, on SQLite; the service's store suite runs the same code on PostgreSQL.

use std::borrow::Cow;

use sqlx::Row;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sql_str::SqlSafeStr;

use super::*;
use crate::error::ErrorKind;

async fn fresh() -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/deep/er/x.db", folder.path().display());
    let database = Database::connect(&url).await.unwrap();
    (folder, database)
}

fn migrations() -> Migrations {
    let sql = "CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT UNIQUE, CONSTRAINT users_size_check CHECK \
               (length(id) < 5)); CREATE TABLE notes (n BIGINT);";
    let migration = Migration::new(1, Cow::Borrowed("users"), MigrationType::Simple, sql.into_sql_str(), false);
    let migrator: &'static Migrator = Box::leak(Box::new(Migrator::with_migrations(vec![migration])));
    Migrations { postgres: migrator, sqlite: migrator }
}

#[tokio::test]
async fn settings_hold_on_every_connection() {
    let (_folder, database) = fresh().await;
    for pool in [&database.shared.readers, &database.shared.writers] {
        for (pragma, expected) in [("foreign_keys", 1_i64), ("recursive_triggers", 1), ("busy_timeout", 5000)] {
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
    let (_folder, database) = fresh().await;
    assert!(sqlx::query("CREATE TABLE t (n BIGINT)").execute(database.read()).await.is_err());
    let mut write = database.begin().await.unwrap();
    sqlx::query("CREATE TABLE t (n BIGINT)").execute(write.statement()).await.unwrap();
    write.commit().await.unwrap();
    sqlx::query("SELECT n FROM t").fetch_all(database.read()).await.unwrap();
    assert_eq!(database.statements(), 3);
}

#[tokio::test]
async fn fresh_reads() {
    let (_folder, database) = fresh().await;
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

#[tokio::test]
async fn many_may_migrate_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/x.db", folder.path().display());
    let one = || async {
        let database = Database::connect(&url).await?;
        database.migrate(migrations()).await?;
        database.migrate(migrations()).await
    };
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    for outcome in [a, b, c, d] {
        outcome.unwrap();
    }
}

#[tokio::test]
async fn violations_name_what_they_broke() {
    let (_folder, database) = fresh().await;
    database.migrate(migrations()).await.unwrap();
    let insert = async |id: &str, email: &str| -> Result<(), Error> {
        let mut write = database.begin().await?;
        sqlx::query("INSERT INTO users VALUES ($1, $2)").bind(id).bind(email).execute(write.statement()).await?;
        write.commit().await
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
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    let (_folder, database) = fresh().await;
    database.close().await;
    assert_eq!(*database.ping().await.unwrap_err().kind(), ErrorKind::Unavailable);
}
