//! Loaders that read inside a transaction of their caller.

use std::sync::Arc;

use larder::class::Class;
use larder::source::{NotStoredReason, Placement, Source};
use larder_sql::database::Database;
use larder_sql::dialect::Dialect;
use larder_sql::error::Error;
use larder_sql::fresh;
use larder_sql::read_connection::ReadConnection;
use larder_testbed::{Postgres, Sqlite};
use sqlx::{Connection, Executor, PgConnection, PgPool, SqliteConnection, SqlitePool};
use tokio::sync::Mutex;

use crate::rooms::{PRICE, TABLE, caches};

const SPOILED: Source = Source::Load { placement: Placement::Nowhere(NotStoredReason::Spoiled) };

/// A database with one room, whose price is 200.
enum Server {
    Postgres(larder_testbed::Database),
    Sqlite(Sqlite),
}

impl Server {
    fn both() -> [Self; 2] {
        let postgres = larder_testbed::Database::fresh(&Postgres::shared().unwrap()).unwrap();
        let servers = [Server::Postgres(postgres), Server::Sqlite(Sqlite::fresh().unwrap())];
        servers.iter().for_each(|server| server.sql(TABLE));
        servers
    }

    /// Runs SQL as a program that does not use larder.
    fn sql(&self, statement: &str) {
        match self {
            Server::Postgres(server) => server.sql(statement).unwrap(),
            Server::Sqlite(server) => server.sql(statement).unwrap(),
        };
    }

    async fn database(&self) -> Database {
        let url = match self {
            Server::Postgres(server) => server.url(),
            Server::Sqlite(server) => server.url(),
        };
        Database::connect(&url).await.unwrap()
    }
}

async fn price(database: &Database, rooms: &Class<i64, i64>) -> Option<i64> {
    let query = async |mut read: ReadConnection| {
        sqlx::query_scalar::<_, i64>(PRICE).fetch_optional(read.statement()).await
    };
    database.get_or_query(rooms, &7, query).await.unwrap().map(|price| *price)
}

#[tokio::test]
async fn a_load_inside_a_write_transaction_is_not_stored() {
    for server in Server::both() {
        let (_redis, caches) = caches().await;
        let database = server.database().await;
        for rooms in caches {
            let mut write = database.begin().await.unwrap();
            sqlx::query("UPDATE rooms SET price = 100").execute(write.statement()).await.unwrap();
            let write = Arc::new(Mutex::new(write));
            let inside = write.clone();
            let load = async move || {
                sqlx::query_scalar::<_, i64>(PRICE).fetch_one(inside.lock().await.statement()).await
            };
            let answer = rooms.read(&7).or_load(load).await.unwrap();
            assert_eq!((answer.value.as_deref(), answer.source), (Some(&100), SPOILED));
            Arc::into_inner(write).unwrap().into_inner().rollback().await.unwrap();

            assert_eq!(rooms.get(&7).await.value(), None);
            assert_eq!(price(&database, &rooms).await, Some(200));
            assert_eq!(price(&database, &rooms).await, Some(200));
            assert_eq!((rooms.stats().loads_spoiled, rooms.stats().loads), (1, 2));
        }
    }
}

#[tokio::test]
async fn a_begin_by_hand_on_the_pool_does_not_reach_the_next_user_of_its_connection() {
    for server in Server::both() {
        let (_redis, [rooms, _]) = caches().await;
        let database = server.database().await;
        let begin = match database.dialect() {
            Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ",
            _ => "BEGIN",
        };
        let hidden = ["/* hidden; well */ BEGIN", "SELECT 1; BEGIN", "BEGIN; SELECT price FROM rooms"];
        for (statement, price) in [begin].into_iter().chain(hidden).zip(201..) {
            sqlx::raw_sql(statement).execute(database.read()).await.unwrap();
            // If the pool lends the connection with the open transaction again, this read takes a snapshot there.
            sqlx::query(PRICE).fetch_all(database.read()).await.unwrap();
            server.sql(&format!("UPDATE rooms SET price = {price}"));
            let seen: i64 = sqlx::query_scalar(PRICE).fetch_one(database.read()).await.unwrap();
            assert_eq!(seen, price, "{statement}");
        }
        // On one lent connection the open transaction is noticed.
        let load = async move || {
            let mut read = database.read_connection().await?;
            sqlx::query("BEGIN").execute(read.statement()).await?;
            Ok::<_, Error>(sqlx::query_scalar::<_, i64>(PRICE).fetch_one(read.statement()).await?)
        };
        let answer = rooms.read(&7).or_load(load).await.unwrap();
        assert_eq!((answer.value.as_deref(), answer.source), (Some(&204), SPOILED));
    }
}

/// Whether the value of a load on this shared connection is stored. A third argument dereferences a transaction.
macro_rules! is_kept {
    ($connection:expr, $rooms:expr $(, $deref:tt)?) => {{
        let _ = $rooms.invalidate(&7).await;
        let connection = $connection.clone();
        let load = async move || {
            let mut connection = connection.lock().await;
            let read = fresh(&mut *$($deref)? connection).await?;
            Ok::<_, Error>(sqlx::query_scalar::<_, i64>(PRICE).fetch_one(read).await?)
        };
        let answer = $rooms.read(&7).or_load(load).await.unwrap();
        let is_there = $rooms.get(&7).await.is_hit();
        assert_eq!(is_there, answer.source.is_stored());
        is_there
    }};
}

#[tokio::test]
async fn a_connection_of_postgres_that_is_in_a_transaction_spoils_the_load() {
    let server = larder_testbed::Database::fresh(&Postgres::shared().unwrap()).unwrap();
    server.sql(TABLE).unwrap();
    let connection = Arc::new(Mutex::new(PgConnection::connect(&server.url()).await.unwrap()));
    let pool = PgPool::connect(&server.url()).await.unwrap();
    let (_redis, caches) = caches().await;
    for rooms in caches {
        assert!(is_kept!(connection, rooms));
        for begin in [
            "BEGIN",
            "START TRANSACTION READ ONLY",
            "BEGIN ISOLATION LEVEL REPEATABLE READ",
            "BEGIN; UPDATE rooms SET price = 100",
            "BEGIN; SAVEPOINT one",
        ] {
            connection.lock().await.execute(sqlx::raw_sql(begin)).await.unwrap();
            assert!(!is_kept!(connection, rooms), "{begin}");
            connection.lock().await.execute("ROLLBACK").await.unwrap();
            assert!(is_kept!(connection, rooms), "after {begin}");
        }
        let transaction = Arc::new(Mutex::new(pool.begin().await.unwrap()));
        assert!(!is_kept!(transaction, rooms, *));
        Arc::into_inner(transaction).unwrap().into_inner().rollback().await.unwrap();
        assert!(is_kept!(connection, rooms));
    }
    let default = "SET default_transaction_isolation = 'serializable'";
    connection.lock().await.execute(default).await.unwrap();
    let (_redis, [rooms, _]) = crate::rooms::caches().await;
    assert!(is_kept!(connection, rooms), "each statement has a snapshot of its own");
}

#[tokio::test]
async fn a_connection_of_sqlite_that_is_in_a_transaction_spoils_the_load() {
    let server = Sqlite::fresh().unwrap();
    server.sql(TABLE).unwrap();
    let connection = Arc::new(Mutex::new(SqliteConnection::connect(&server.url()).await.unwrap()));
    let pool = SqlitePool::connect(&server.url()).await.unwrap();
    let (_redis, caches) = caches().await;
    for rooms in caches {
        assert!(is_kept!(connection, rooms));
        for begin in ["BEGIN", "BEGIN IMMEDIATE", "SAVEPOINT one", "BEGIN; UPDATE rooms SET price = 100"] {
            connection.lock().await.execute(sqlx::raw_sql(begin)).await.unwrap();
            assert!(!is_kept!(connection, rooms), "{begin}");
            // The check has not ended the transaction.
            connection.lock().await.execute("ROLLBACK").await.unwrap();
            assert!(is_kept!(connection, rooms), "after {begin}");
        }
        let transaction = Arc::new(Mutex::new(pool.begin().await.unwrap()));
        assert!(!is_kept!(transaction, rooms, *));
        Arc::into_inner(transaction).unwrap().into_inner().rollback().await.unwrap();
        assert!(is_kept!(connection, rooms));
    }
    assert_eq!(server.sql(PRICE).unwrap(), "200");
}

#[tokio::test]
async fn a_query_that_gets_its_connection_from_larder_runs_in_any_task() {
    for server in Server::both() {
        let (_redis, [rooms, _]) = caches().await;
        let database = server.database().await;
        let task = tokio::spawn(async move { price(&database, &rooms).await });
        assert_eq!(task.await.unwrap(), Some(200));
    }
}
