//! What `commit` acknowledges for transactions that fire no trigger, are SERIALIZABLE, or have another role.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use larder::journal::Journal;
use larder::receipt::{Delivery, Receipt};
use larder::{Cache, Class};
use larder_sql::CommitExt;
use larder_sql::dialect::Dialect;
use larder_sql::error::ErrorKind;
use larder_sql::fresh;
use larder_sql::journal::{SqlJournal, Table, triggers};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};
use tokio::sync::Mutex;

use crate::bed::Bed;

/// A partitioned table with a partition for each stay, and an enum.
const STAYS: &str = "
    CREATE TYPE state AS ENUM ('free', 'taken');
    CREATE TABLE stays (id BIGINT NOT NULL, n TEXT, state STATE) PARTITION BY LIST (id);
    CREATE TABLE stays_1 PARTITION OF stays FOR VALUES IN (1);
    CREATE TABLE stays_2 PARTITION OF stays FOR VALUES IN (2);
    INSERT INTO stays VALUES (1, '1', 'free'), (2, '2', 'free');";

struct Stays {
    bed: Bed,
    pool: PgPool,
    cache: Cache,
    class: Class<i64, String>,
}

impl Stays {
    async fn open() -> Self {
        let table = Table::new("stays").entry("stay", ["id"]).tag("stays").unique(["id"]);
        let bed = Bed::postgres().await;
        bed.sql(STAYS);
        bed.sql(&triggers(Dialect::Postgres, std::slice::from_ref(&table)).unwrap());
        let pool = PgPool::connect(&bed.url()).await.unwrap();
        let journal = SqlJournal::join(&pool, vec![table]).await.unwrap();
        let cache = Cache::builder("transactions").journal(journal).build().await.unwrap();
        let class = cache.class("stay").absent_for(Duration::from_mins(1)).open().unwrap();
        Self { bed, pool, cache, class }
    }

    async fn read(&self) -> Option<String> {
        let pool = self.pool.clone();
        let query = "SELECT n || state::text FROM stays WHERE id = 1";
        let load = async move || sqlx::query_scalar::<_, String>(query).fetch_optional(&pool).await;
        self.class.get_or_load(&1, load).await.unwrap().map(|text| text.to_string())
    }

    async fn commit(&self, statements: &str) -> Receipt {
        let mut tx = self.pool.begin().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut *tx).await.unwrap();
        self.cache.commit(tx).await.unwrap()
    }
}

/// None of these fires a row trigger. Before them, the entry is in memory; an acknowledged commit has to remove it.
#[tokio::test]
async fn ddl_that_changes_rows_without_a_trigger_invalidates_everything() {
    for (statements, after) in [
        ("TRUNCATE stays_1", None),
        ("ALTER TABLE stays DETACH PARTITION stays_1", None),
        ("DROP TABLE stays_1", None),
        ("ALTER TABLE stays ALTER n TYPE TEXT USING n || '!'", Some("1!free")),
        ("ALTER TYPE state RENAME VALUE 'free' TO 'open'", Some("1open")),
        ("SAVEPOINT a; TRUNCATE stays_1; RELEASE a", None),
    ] {
        let stays = Stays::open().await;
        assert_eq!(stays.read().await.as_deref(), Some("1free"));
        let receipt = stays.commit(statements).await;
        assert_eq!(receipt.delivery(), Delivery::Sent, "{statements}");
        assert_eq!(stays.read().await.as_deref(), after, "{statements}");
        assert!(stays.cache.journal::<SqlJournal>().unwrap().defects().is_empty(), "{statements}");
    }
}

/// The rows of an attached partition were there before, and no trigger fires for them.
#[tokio::test]
async fn an_attached_partition_invalidates_everything() {
    let stays = Stays::open().await;
    stays.bed.sql(
        "DROP TABLE stays_1; CREATE TABLE late (LIKE stays); INSERT INTO late VALUES (1, 'late', 'free')",
    );
    let journal = stays.cache.journal::<SqlJournal>().unwrap();
    journal.changes_since(None).await.unwrap();
    assert_eq!(stays.read().await, None);
    let receipt = stays.commit("ALTER TABLE stays ATTACH PARTITION late FOR VALUES IN (1)").await;
    assert_eq!(receipt.delivery(), Delivery::Sent);
    assert_eq!(stays.read().await.as_deref(), Some("latefree"));
}

/// DDL that concerns no declared table, and a temporary table, touch nothing.
#[tokio::test]
async fn ddl_of_other_tables_invalidates_nothing() {
    let stays = Stays::open().await;
    stays.read().await;
    let receipt = stays.commit("CREATE TEMP TABLE scratch (id BIGINT); CREATE TABLE other (id BIGINT)").await;
    assert_eq!((receipt.keys(), receipt.tags()), (0, 0));
    assert!(stays.class.get(&1).await.is_hit());
}

const SERIALIZABLE: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE";

/// A transaction that read the end of the outbox would conflict with each that writes there.
#[tokio::test]
async fn overlapping_serializable_transactions_of_different_rows_commit() {
    let bed = Bed::postgres().await;
    bed.sql("INSERT INTO guests VALUES ('1', 'a', NULL, 0), ('2', 'b', NULL, 0)");
    // A scan of the small table would read the rows of the other transaction.
    let options: PgConnectOptions = bed.url().parse().unwrap();
    let pool =
        PgPool::connect_with(options.options([("enable_seqscan", "off"), ("jit", "off")])).await.unwrap();
    let journal = SqlJournal::join(&pool, crate::bed::tables()).await.unwrap();
    let cache = Cache::builder("transactions").journal(journal).build().await.unwrap();
    let guests = cache.class::<String, u8>("guest").open().unwrap();
    let update = async |tx: &mut Transaction<'static, Postgres>, id| {
        let update = sqlx::query("UPDATE guests SET n = n + 1 WHERE id = $1").bind(id);
        assert_eq!(update.execute(&mut **tx).await.unwrap().rows_affected(), 1);
    };
    for _ in 0..5 {
        for id in ["1", "2"] {
            guests.get_or_load(id, || ready(Ok::<_, larder::Error>(1))).await.unwrap();
        }
        let mut first = pool.begin_with(SERIALIZABLE).await.unwrap();
        let mut second = pool.begin_with(SERIALIZABLE).await.unwrap();
        update(&mut first, "1").await;
        update(&mut second, "2").await;
        let receipt = cache.commit(second).await.unwrap();
        assert_eq!((receipt.delivery(), receipt.keys()), (Delivery::Sent, 2), "{receipt:?}");
        assert!(guests.get("2").await.is_miss() && guests.get("1").await.is_hit());
        // It writes behind the row of the other one, which the other's look at the outbox would have locked.
        update(&mut first, "1").await;
        let receipt = cache.commit(first).await.unwrap();
        assert_eq!((receipt.delivery(), receipt.keys()), (Delivery::Sent, 2), "{receipt:?}");
        assert!(guests.get("1").await.is_miss());
    }
    let read = pool.begin_with(SERIALIZABLE).await.unwrap();
    let receipt = cache.commit(read).await.unwrap();
    assert_eq!((receipt.keys(), receipt.tags()), (0, 0));
}

/// With row-level security, a transaction often has the role of its tenant.
#[tokio::test]
async fn a_transaction_of_another_role_needs_to_read_the_outbox() {
    let bed = Bed::postgres().await;
    let role = format!("tenant_{}", bed.sql("SELECT current_database()").trim());
    bed.sql(&format!("CREATE ROLE {role}; GRANT ALL ON guests TO {role}"));
    let pool = PgPool::connect(&bed.url()).await.unwrap();
    let journal = SqlJournal::join(&pool, crate::bed::tables()).await.unwrap();
    let cache = Cache::builder("transactions").journal(journal).build().await.unwrap();
    let insert = async || {
        let mut tx = pool.begin().await.unwrap();
        let insert = format!("SET LOCAL ROLE {role}; INSERT INTO guests VALUES ('1', 'a', NULL, 0)");
        sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut *tx).await.unwrap();
        cache.commit(tx).await
    };
    let error = insert().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NoJournal(_)), "{error:?}");
    assert!(error.to_string().contains("GRANT SELECT ON larder_outbox"), "{error}");
    assert_eq!(bed.sql("SELECT count(*) FROM guests").trim(), "0", "it is rolled back");
    bed.sql(&format!("GRANT SELECT ON larder_outbox TO {role}"));
    // The grant changes the facts about the outbox. The next poll inspects them.
    cache.journal::<SqlJournal>().unwrap().changes_since(None).await.unwrap();
    let receipt = insert().await.unwrap();
    assert_eq!((receipt.delivery(), receipt.keys()), (Delivery::Sent, 2), "{receipt:?}");
    bed.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

/// The question for the server's life would abort the transaction of a role that may not ask it.
#[tokio::test]
async fn a_load_in_an_open_transaction_leaves_the_transaction_as_it_was() {
    let bed = Bed::postgres().await;
    let role = format!("reader_{}", bed.sql("SELECT current_database()").trim());
    bed.sql(&format!("CREATE ROLE {role}; GRANT ALL ON guests TO {role}"));
    let pool = PgPool::connect(&bed.url()).await.unwrap();
    let journal = SqlJournal::join(&pool, crate::bed::tables()).await.unwrap();
    let cache = Cache::builder("transactions").journal(journal).build().await.unwrap();
    let guests = cache.class::<String, i64>("guest").open().unwrap();
    bed.sql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
    let connection = Arc::new(Mutex::new(pool.acquire().await.unwrap()));
    let run = async |statements: String| {
        let mut connection = connection.lock().await;
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut **connection).await.unwrap();
    };
    let load = async || {
        let shared = connection.clone();
        let load = async move || {
            let mut connection = shared.lock().await;
            let read = fresh(&mut **connection).await?;
            Ok::<i64, larder_sql::Error>(
                sqlx::query_scalar("SELECT count(*) FROM guests").fetch_one(read).await?,
            )
        };
        guests.read("1").or_load(load).await.unwrap()
    };
    run(format!("SET ROLE {role}; BEGIN; INSERT INTO guests VALUES ('1', 'a', NULL, 0)")).await;
    let answer = load().await;
    assert_eq!((answer.value.as_deref(), answer.source.is_stored()), (Some(&1), false));
    run("COMMIT".to_owned()).await;
    assert_eq!(bed.sql("SELECT count(*) FROM guests").trim(), "1", "it was committed");
    // Outside a transaction, the role's loads are stored.
    assert!(load().await.source.is_stored());
    run("RESET ROLE".to_owned()).await;
    bed.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

/// `build` has looked at the types before.
#[tokio::test]
async fn a_key_column_whose_type_changes_makes_the_journal_incomplete() {
    let bed = Bed::postgres().await;
    bed.now().await;
    bed.sql("CREATE EXTENSION citext; ALTER TABLE guests ALTER email TYPE CITEXT");
    let error = bed.journal.changes_since(None).await.unwrap_err().to_string();
    assert!(error.contains("the key column \"email\" is of type citext"), "{error}");
    let fault = bed.journal.incompleteness().unwrap();
    assert!(fault.reasons.iter().any(|reason| reason.contains("citext")), "{fault:?}");
    // An inspection on request finds the same, and the next poll does not forget it.
    assert!(bed.journal.inspect().await.unwrap().iter().any(|defect| defect.to_string().contains("citext")));
    bed.journal.changes_since(None).await.unwrap_err();
    assert_eq!(bed.journal.incompleteness().unwrap().since, fault.since);
    bed.sql("ALTER TABLE guests ALTER email TYPE TEXT");
    bed.now().await;
    assert!(bed.journal.incompleteness().is_none());
}
