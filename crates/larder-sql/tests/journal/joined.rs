//! A journal that joins an application's own pool, and transactions of the application's own sqlx.

use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::journal::{Changes, Journal};
use larder::receipt::Delivery;
use larder::{Cache, Class, Lookup};
use larder_sql::CommitExt;
use larder_sql::dialect::Dialect;
use larder_sql::error::ErrorKind;
use larder_sql::journal::{ApplicationPool, ApplicationTransaction, SqlJournal, migration};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, PgPool, SqlitePool};

use crate::bed::{Bed, TABLES, guest, sorted, tables};
use crate::on_both;

on_both!(
    a_cache_without_the_journal_commits_nothing,
    a_commit_invalidates_what_its_transaction_touched,
    a_refused_statement_leaves_everything_as_it_was,
    other_programs_writes_are_seen_too,
);

/// The application's own pool.
enum Pool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

impl Pool {
    async fn of(bed: &Bed) -> Self {
        match bed.database.dialect() {
            Dialect::Postgres => Pool::Postgres(PgPool::connect(&bed.url()).await.unwrap()),
            _ => Pool::Sqlite(SqlitePool::connect(&bed.url()).await.unwrap()),
        }
    }

    async fn journal(&self) -> SqlJournal {
        let pool = match self {
            Pool::Postgres(pool) => ApplicationPool::from(pool),
            Pool::Sqlite(pool) => ApplicationPool::from(pool),
        };
        SqlJournal::join(pool, tables()).await.unwrap()
    }

    /// A transaction that has run `statement`.
    async fn begin(&self, statement: &'static str) -> ApplicationTransaction {
        match self {
            Pool::Postgres(pool) => {
                let mut transaction = pool.begin().await.unwrap();
                sqlx::query(statement).execute(&mut *transaction).await.unwrap();
                transaction.into()
            }
            Pool::Sqlite(pool) => {
                let mut transaction = pool.begin().await.unwrap();
                sqlx::query(statement).execute(&mut *transaction).await.unwrap();
                transaction.into()
            }
        }
    }
}

/// Loads the values 1 and 2.
async fn warm(class: &Class<String, u8>, keys: [&str; 2]) {
    for (key, value) in keys.into_iter().zip(1..) {
        class.get_or_load(key, async move || Ok::<_, larder::Error>(value)).await.unwrap();
    }
}

async fn a_commit_invalidates_what_its_transaction_touched(bed: Bed) {
    bed.sql("INSERT INTO guests VALUES ('1', 'a', NULL, 0), ('2', 'b', NULL, 0)");
    let pool = Pool::of(&bed).await;
    let cache = Cache::builder("joined").journal(pool.journal().await).build().await.unwrap();
    let guests = cache.class::<String, u8>("guest").open().unwrap();
    warm(&guests, ["1", "2"]).await;

    let update = pool.begin("UPDATE guests SET n = 1 WHERE id = '1'").await;
    let receipt = cache.commit(update).await.unwrap();
    assert_eq!((receipt.delivery(), receipt.dropped().memory), (Delivery::Sent, 1));
    assert_eq!(guests.get("1").await, Lookup::Miss);
    assert!(guests.get("2").await.is_hit());
    assert_eq!(bed.sql("SELECT n FROM guests WHERE id = '1'").trim(), "1", "it is committed");

    let read = pool.begin("SELECT n FROM guests").await;
    let receipt = cache.commit(read).await.unwrap();
    assert_eq!((receipt.keys(), receipt.tags()), (0, 0));
    assert!(guests.get("2").await.is_hit());
}

/// Nothing would invalidate on other instances, so nothing is committed.
async fn a_cache_without_the_journal_commits_nothing(bed: Bed) {
    let pool = Pool::of(&bed).await;
    let cache = Cache::builder("joined").build().await.unwrap();
    let insert = pool.begin("INSERT INTO guests VALUES ('1', 'a', NULL, 0)").await;
    let error = cache.commit(insert).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoJournal(_)), "{error:?}");
    assert!(error.to_string().contains("Builder::journal"), "{error}");
    assert_eq!(bed.sql("SELECT count(*) FROM guests").trim(), "0", "it is rolled back");
}

async fn a_refused_statement_leaves_everything_as_it_was(bed: Bed) {
    bed.sql("INSERT INTO guests VALUES ('1', 'a', NULL, 0)");
    let pool = Pool::of(&bed).await;
    let cache = Cache::builder("joined").journal(pool.journal().await).build().await.unwrap();
    let guests = cache.class::<String, u8>("guest").open().unwrap();
    warm(&guests, ["1", "2"]).await;
    bed.sql("DROP TABLE larder_outbox_marks");
    let drop_outbox = pool.begin("DROP TABLE larder_outbox").await;
    let error = cache.commit(drop_outbox).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoJournal(_)), "{error:?}");
    assert!(guests.get("1").await.is_hit() && guests.get("2").await.is_hit());
    assert_eq!(bed.sql("SELECT count(*) FROM larder_outbox WHERE 1 = 0").trim(), "0", "it is rolled back");
}

async fn other_programs_writes_are_seen_too(bed: Bed) {
    let pool = Pool::of(&bed).await;
    let cache = Cache::builder("joined").journal(Arc::new(pool.journal().await)).build().await.unwrap();
    let guests = cache.class::<String, u8>("guest").open().unwrap();
    let load = |value: u8| std::future::ready(Ok::<_, larder::Error>(value));
    assert_eq!(guests.get_or_load("1", || load(1)).await.unwrap().as_deref(), Some(&1));
    bed.sql("INSERT INTO guests VALUES ('1', 'a', NULL, 0)");
    let began = Instant::now();
    while guests.get_or_load("1", || load(2)).await.unwrap().as_deref() != Some(&2) {
        assert!(began.elapsed() < Duration::from_secs(20), "never seen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let delete = pool.begin("DELETE FROM guests WHERE id = '1'").await;
    assert_eq!(cache.commit(delete).await.unwrap().delivery(), Delivery::Sent);
    assert_eq!(guests.get_or_load("1", || load(3)).await.unwrap().as_deref(), Some(&3), "at once");
}

/// A constraint that is checked at the commit fails before it, and so does the acknowledgement.
#[tokio::test]
async fn a_violated_deferred_constraint_commits_and_invalidates_nothing() {
    let bed = Bed::postgres().await;
    bed.sql(
        "CREATE FUNCTION refuse() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN RAISE check_violation; END $$;
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON guests DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    let pool = Pool::of(&bed).await;
    let cache = Cache::builder("joined").journal(pool.journal().await).build().await.unwrap();
    let guests = cache.class::<String, u8>("guest").open().unwrap();
    warm(&guests, ["1", "2"]).await;
    let insert = pool.begin("INSERT INTO guests VALUES ('1', 'a', NULL, 0)").await;
    let error = cache.commit(insert).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Check { .. }), "{error:?}");
    assert!(guests.get("1").await.is_hit());
    assert_eq!(bed.sql("SELECT count(*) FROM guests").trim(), "0");
}

/// PostgreSQL's detail has the value.
#[tokio::test]
async fn the_error_of_a_violated_constraint_shows_no_value() {
    let bed = Bed::postgres().await;
    bed.sql("ALTER TABLE notes ALTER CONSTRAINT notes_guest_id_fkey DEFERRABLE INITIALLY DEFERRED");
    let pool = Pool::of(&bed).await;
    let cache = Cache::builder("joined").journal(pool.journal().await).build().await.unwrap();
    let insert = pool.begin("INSERT INTO notes VALUES ('1', 'hunter2')").await;
    let error = cache.commit(insert).await.unwrap_err();
    let ErrorKind::Constraint { constraint } = error.kind() else { panic!("{error:?}") };
    assert_eq!(constraint, "notes_guest_id_fkey");
    assert!(std::error::Error::source(&error).is_none() && !format!("{error:?}").contains("hunter2"));
}

/// Its rows would be looked for in the wrong outbox.
#[tokio::test]
async fn a_transaction_of_another_database_is_refused() {
    let (bed, other) = (Bed::postgres().await, Bed::postgres().await);
    let journal = Pool::of(&bed).await.journal().await;
    let cache = Cache::builder("joined").journal(journal).build().await.unwrap();
    let insert = Pool::of(&other).await.begin("INSERT INTO guests VALUES ('1', 'a', NULL, 0)").await;
    let error = cache.commit(insert).await.unwrap_err();
    assert!(error.to_string().contains("another database"), "{error}");
    assert_eq!(other.sql("SELECT count(*) FROM guests").trim(), "0", "it is rolled back");
}

/// Creates the tables and the journal in a schema of their own, beside those of the bed.
fn schema(bed: &Bed, name: &str) {
    let journal = migration(Dialect::Postgres, &tables()).unwrap();
    bed.sql(&format!("CREATE SCHEMA {name}; SET search_path = {name}; {TABLES} {journal}"));
}

/// The pool of an application whose tables are in a schema of their own.
async fn pool_of(bed: &Bed, schema: &str) -> PgPool {
    let options: PgConnectOptions = bed.url().parse().unwrap();
    PgPool::connect_with(options.options([("search_path", schema)])).await.unwrap()
}

/// The tables of one name in two schemas are different tables, with a journal each.
#[tokio::test]
async fn a_pool_with_a_search_path_finds_the_journal_of_its_schema() {
    let bed = Bed::postgres().await;
    for name in ["app", "other"] {
        schema(&bed, name);
    }
    let pool = pool_of(&bed, "app").await;
    let journal = SqlJournal::join(&pool, tables()).await.unwrap();
    let from = journal.changes_since(None).await.unwrap().position;
    bed.sql("INSERT INTO public.guests VALUES ('1', 'a'); INSERT INTO other.guests VALUES ('2', 'b')");
    bed.sql("INSERT INTO app.guests VALUES ('3', 'c')");
    let Changes::Known(changes) = journal.changes_since(Some(&from)).await.unwrap().changes else {
        panic!("unknown")
    };
    assert_eq!(sorted(changes), guest("3", "c", None));
    let other = SqlJournal::join(&pool_of(&bed, "other").await, tables()).await.unwrap();
    let (app, other) = (journal.database().await.unwrap(), other.database().await.unwrap());
    assert_ne!(app, other, "they would share keys in Redis");

    let public = SqlJournal::join(&PgPool::connect(&bed.url()).await.unwrap(), tables()).await.unwrap();
    let cache = Cache::builder("joined").journal(public).build().await.unwrap();
    let error = cache.commit(pool.begin().await.unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("another database"), "{error}");
}

/// The journal's own connections do not run `after_connect`.
#[tokio::test]
async fn a_pool_whose_search_path_is_set_after_connecting_is_refused() {
    let bed = Bed::postgres().await;
    schema(&bed, "app");
    let options = PgPoolOptions::new().after_connect(|connection, _| {
        Box::pin(async move { connection.execute("SET search_path = app").await.map(drop) })
    });
    let pool = options.connect(&bed.url()).await.unwrap();
    let error = SqlJournal::join(&pool, tables()).await.err().unwrap().to_string();
    assert!(error.contains("after_connect"), "{error}");
}

/// sqlx cannot write such options as a URL.
#[tokio::test]
async fn a_pool_on_a_socket_and_with_odd_names_can_be_joined() {
    let bed = Bed::postgres().await;
    let folder = bed.sql("SHOW unix_socket_directories");
    let (database, port) = (bed.sql("SELECT current_database()"), bed.sql("SHOW port"));
    bed.sql("CREATE ROLE \"a/b@c:d%e\" LOGIN SUPERUSER");
    let options = PgConnectOptions::new().host(folder.trim()).port(port.trim().parse().unwrap());
    let options = options.username("a/b@c:d%e").database(database.trim());
    let pool = PgPool::connect_with(options).await.unwrap();
    SqlJournal::join(&pool, tables()).await.unwrap();
    bed.sql(
        "REASSIGN OWNED BY \"a/b@c:d%e\" TO postgres; DROP OWNED BY \"a/b@c:d%e\"; DROP ROLE \"a/b@c:d%e\"",
    );
}

/// An application that rotates its credentials gives its pool new options.
#[tokio::test]
async fn the_journal_follows_new_credentials_of_the_pool() {
    let bed = Bed::postgres().await;
    // Roles belong to the server, which other tests share.
    let [before, after] =
        ["before", "after"].map(|when| format!("{when}_{}", bed.sql("SELECT current_database()").trim()));
    bed.sql(&format!("CREATE ROLE {before} LOGIN SUPERUSER; CREATE ROLE {after} LOGIN SUPERUSER"));
    let options: PgConnectOptions = bed.url().parse().unwrap();
    let pool = PgPool::connect_with(options.clone().username(&before)).await.unwrap();
    let journal = SqlJournal::join(&pool, tables()).await.unwrap();
    let from = journal.changes_since(None).await.unwrap().position;
    pool.set_connect_options(options.username(&after));
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename =";
    bed.sql(&format!("ALTER ROLE {before} NOLOGIN; {end} '{before}'"));
    // The first polls find the closed connections; the journal replaces each of them.
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = journal.changes_since(Some(&from)).await {
        assert!(Instant::now() < deadline, "{error}");
    }
    bed.sql(&format!("{end} '{after}'; DROP ROLE {before}; DROP ROLE {after}"));
}
