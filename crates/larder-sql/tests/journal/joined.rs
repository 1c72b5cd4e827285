//! A journal that joins an application's own pool, and transactions of the application's own sqlx.

use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::receipt::Delivery;
use larder::{Cache, Class, Lookup};
use larder_sql::CommitExt;
use larder_sql::dialect::Dialect;
use larder_sql::error::ErrorKind;
use larder_sql::journal::{ApplicationPool, ApplicationTransaction, SqlJournal};
use sqlx::{PgPool, SqlitePool};

use crate::bed::{Bed, tables};
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
            Dialect::Sqlite => Pool::Sqlite(SqlitePool::connect(&bed.url()).await.unwrap()),
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
        class.get_or_load(key, async || Ok::<_, larder::Error>(value)).await.unwrap();
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
    let load = async |value: u8| Ok::<_, larder::Error>(value);
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
