//! Pools of an application that a journal joins: behind a pooler, with certificates, in memory, of another file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use larder::Cache;
use larder::receipt::Delivery;
use larder_sql::CommitExt;
use larder_sql::dialect::Dialect;
use larder_sql::error::ErrorKind;
use larder_sql::journal::{SqlJournal, migration};
use larder_testbed::{Authority, PgBouncer, PoolMode, Postgres};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{PgPool, SqlitePool};

use crate::bed::{Bed, TABLES, tables};

/// Joins the pool and commits a transaction of it, which has to be `sent`.
async fn commit_through(pool: &PgPool) {
    let journal = SqlJournal::join(pool, tables()).await.unwrap();
    let cache = Cache::builder("pools").journal(journal).build().await.unwrap();
    let guests = cache.class::<String, u8>("guest").open().unwrap();
    guests.get_or_load("1", async || Ok::<_, larder::Error>(1)).await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    let insert = sqlx::query("INSERT INTO guests VALUES ($1, 'a', NULL, 0)").bind("1").persistent(false);
    insert.execute(&mut *tx).await.unwrap();
    let receipt = cache.commit(tx).await.unwrap();
    assert_eq!((receipt.delivery(), receipt.dropped().memory), (Delivery::Sent, 1));
}

/// The number of PgBouncer's connections to the server. More clients than this use it.
const CONNECTIONS: u16 = 3;

#[tokio::test]
async fn behind_a_pooler_in_transaction_mode_a_journal_joins_and_leaves_no_trace() {
    let bed = Bed::postgres().await;
    let pooler = PgBouncer::start(&Postgres::shared().unwrap(), PoolMode::Transaction, CONNECTIONS).unwrap();
    let url = pooler.url(bed.sql("SELECT current_database()").trim());
    let options: PgConnectOptions = url.parse().unwrap();
    let pool = PgPoolOptions::new().connect_with(options.statement_cache_capacity(0)).await.unwrap();
    // Other clients, between whose transactions the pooler exchanges the servers' connections.
    let is_over = Arc::new(AtomicBool::new(false));
    let others: Vec<_> = (0..4)
        .map(|_| {
            let (pool, is_over) = (pool.clone(), is_over.clone());
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    let mut tx = pool.begin().await.unwrap();
                    sqlx::query("SELECT $1").bind(1_i64).persistent(false).execute(&mut *tx).await.unwrap();
                    tx.commit().await.unwrap();
                }
            })
        })
        .collect();
    for _ in 0..10 {
        SqlJournal::join(&pool, tables()).await.unwrap();
    }
    commit_through(&pool).await;
    is_over.store(true, Ordering::Relaxed);
    for other in others {
        other.await.unwrap();
    }
    let mut seen = BTreeSet::new();
    while seen.len() < usize::from(CONNECTIONS) {
        let mut transactions = Vec::new();
        for _ in 0..CONNECTIONS {
            transactions.push(pool.begin().await.unwrap());
        }
        for tx in &mut transactions {
            let probe = "SELECT pg_backend_pid(), current_setting('statement_timeout') || current_setting('lock_timeout')
                || (SELECT count(*) FROM pg_prepared_statements WHERE name <> '')";
            let (pid, trace): (i32, String) =
                sqlx::query_as(probe).persistent(false).fetch_one(&mut **tx).await.unwrap();
            assert_eq!(trace, "000");
            seen.insert(pid);
        }
    }
}

/// Behind a pooler that keeps prepared statements, which larder does not notice, a setting would reach other clients.
#[tokio::test]
async fn the_journal_sets_nothing_for_its_session() {
    let server = Postgres::start_with(&["log_statement=all"]).unwrap();
    let bed = Bed::on(&server.url()).await;
    commit_through(&PgPool::connect(&bed.url()).await.unwrap()).await;
    let log = fs::read_to_string(server.socket_folder().join("log")).unwrap();
    assert!(log.contains("; SET LOCAL statement_timeout = 2000"), "each statement has its time-out");
    let settings: Vec<_> = log.lines().filter(|line| line.contains(": SET ")).collect();
    assert!(settings.is_empty(), "{settings:#?}");
}

/// A server with TLS, and the database of `tables` on it.
fn with_tls(authority: &Authority) -> (Postgres, larder_testbed::Database) {
    let server = Postgres::start_with_tls(authority).unwrap();
    let database = larder_testbed::Database::fresh(&server.url()).unwrap();
    database.sql("CREATE ROLE app LOGIN SUPERUSER").unwrap();
    database.sql(&format!("{TABLES} {}", migration(Dialect::Postgres, &tables()).unwrap())).unwrap();
    (server, database)
}

#[tokio::test]
async fn a_pool_with_certificates_can_be_joined() {
    let authority = Authority::create().unwrap();
    let (server, database) = with_tls(&authority);
    let client = authority.issue("app").unwrap();
    let options = PgConnectOptions::new().host("localhost").port(server.port()).username("app");
    let options = options.database(database.name()).ssl_mode(PgSslMode::VerifyFull);
    let of_files = options.clone().ssl_root_cert(authority.certificate());
    let of_files = of_files.ssl_client_cert(&client.certificate).ssl_client_key(&client.key);
    commit_through(&PgPool::connect_with(of_files).await.unwrap()).await;
    let encrypted =
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'app'";
    assert_eq!(database.sql(encrypted).unwrap().trim(), "t");

    let of_texts = options.ssl_root_cert_from_pem(fs::read(authority.certificate()).unwrap());
    let of_texts = of_texts.ssl_client_cert_from_pem(fs::read(&client.certificate).unwrap());
    let of_texts = of_texts.ssl_client_key_from_pem(fs::read(&client.key).unwrap());
    let pool = PgPool::connect_with(of_texts).await.unwrap();
    let error = SqlJournal::join(&pool, tables()).await.err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::Address(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("as PEM text") && !text.contains("BEGIN"), "{text}");
}

/// SET CONSTRAINTS needs USAGE on the schema of each constraint that it names.
#[tokio::test]
async fn a_deferrable_trigger_in_a_schema_of_others_keeps_no_role_from_committing() {
    let bed = Bed::postgres().await;
    let role = format!("limited_{}", bed.sql("SELECT current_database()").trim());
    bed.sql(&format!(
        "CREATE SCHEMA hidden; CREATE TABLE hidden.rows (id BIGINT);
         CREATE FUNCTION hidden.look() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER look AFTER INSERT ON hidden.rows DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION hidden.look();
         CREATE ROLE {role} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};"
    ));
    let options: PgConnectOptions = bed.url().parse().unwrap();
    let pool = PgPool::connect_with(options.username(&role)).await.unwrap();
    commit_through(&pool).await;
    pool.close().await;
    bed.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

/// The ids of the other file's outbox are unrelated: its rows would not be found.
#[tokio::test]
async fn a_transaction_of_another_sqlite_file_is_refused() {
    let (bed, other) = (Bed::sqlite().await, Bed::sqlite().await);
    let path = |bed: &Bed| bed.url().trim_start_matches("sqlite://").to_owned();
    let copy = format!("{}-copy", path(&bed));
    bed.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    fs::copy(path(&bed), &copy).unwrap();
    let cache = Cache::builder("pools").journal(bed.journal.clone()).build().await.unwrap();
    for file in [path(&other), copy] {
        let pool = SqlitePool::connect(&format!("sqlite://{file}")).await.unwrap();
        let mut tx = pool.begin().await.unwrap();
        sqlx::query("INSERT INTO guests VALUES ('1', 'a', NULL, 0)").execute(&mut *tx).await.unwrap();
        let error = cache.commit(tx).await.unwrap_err();
        assert!(error.to_string().contains("another database"), "{error}");
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM guests").fetch_one(&pool).await.unwrap();
        assert_eq!(count, 0, "it is rolled back");
    }
    // Another name of the same file is no other file.
    let link = format!("{}-link", path(&bed));
    std::os::unix::fs::symlink(path(&bed), &link).unwrap();
    let pool = SqlitePool::connect(&format!("sqlite://{link}")).await.unwrap();
    let receipt = cache.commit(pool.begin().await.unwrap()).await.unwrap();
    assert_eq!((receipt.keys(), receipt.tags()), (0, 0));
}

/// Its name would become a file.
#[tokio::test]
async fn a_sqlite_pool_in_memory_is_refused() {
    for url in ["sqlite::memory:", "sqlite://?mode=memory", "sqlite://name?mode=memory"] {
        let pool = SqlitePool::connect(url).await.unwrap();
        let file = pool.connect_options().get_filename().to_path_buf();
        let error = SqlJournal::join(&pool, tables()).await.err().unwrap();
        assert!(matches!(error.kind(), ErrorKind::Address(_)), "{error:?}");
        assert!(error.to_string().contains("in memory"), "{error}");
        assert!(!Path::new(&file).exists(), "{}", file.display());
    }
}
