//! The pool's invariants against a real PostgreSQL.

use larder_testbed::{Database, Postgres};
use sqlx::Row;

use super::*;
use crate::address::Address;

const WAIT: Duration = Duration::from_secs(2);

struct Bed {
    server: Database,
    url: String,
}

impl Bed {
    fn new() -> Self {
        sqlx::any::install_default_drivers();
        let server = Database::fresh(&Postgres::shared().unwrap()).unwrap();
        let url = server.url();
        Self { server, url }
    }

    /// A test bed whose role may open at most this many connections.
    fn limited(connections: u32) -> Self {
        let Self { server, url } = Self::new();
        let role = format!("role_{}", server.name());
        server.sql(&format!("CREATE ROLE {role} LOGIN CONNECTION LIMIT {connections}")).unwrap();
        let url = url.replace("postgres://postgres@", &format!("postgres://{role}@"));
        Self { server, url }
    }

    fn pool(&self, limit: u32) -> SqlPool {
        let Address::Postgres(address) = Address::parse(&self.url).unwrap() else { panic!("{}", self.url) };
        SqlPool::new(Connector::postgres(&address, false).unwrap(), limit, WAIT)
    }

    /// How many connections to this database match `condition`. The connection that asks does not count.
    fn connections(&self, condition: &str) -> String {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                     AND pid <> pg_backend_pid() AND ";
        self.server.sql(&format!("{query}{condition}")).unwrap()
    }
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn number(pool: &SqlPool) -> Result<i64, sqlx::Error> {
    sqlx::query("SELECT CAST($1 AS BIGINT) AS n, pg_sleep(0.005)")
        .bind(7_i64)
        .fetch_one(pool)
        .await?
        .try_get("n")
}

#[tokio::test]
async fn own_before_none() {
    let bed = Bed::limited(2);
    let pool = bed.pool(10);
    let asking: Vec<_> = (0..60)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { number(&pool).await })
        })
        .collect();
    for one in asking {
        assert_eq!(one.await.unwrap().unwrap(), 7);
    }
    let refused = pool.refusal().map(|refusal| refusal.kind);
    assert_eq!(refused, Some(RefusalKind::Full), "the server has refused some");
    assert_eq!(bed.connections("usename <> 'postgres'"), "2");
}

#[tokio::test]
async fn a_caller_without_a_connection_gets_the_servers_refusal() {
    let bed = Bed::limited(1);
    let (first, second) = (bed.pool(2), bed.pool(2));
    let lent = first.acquire().await.unwrap();
    let start = Instant::now();
    let error = second.acquire().await.err().unwrap().to_string();
    assert!(error.contains("too many connections for role"), "{error}");
    assert!(start.elapsed() >= WAIT && start.elapsed() < 3 * WAIT, "it waited {:?}", start.elapsed());
    drop(lent);
    first.close().await;
    eventually("the server has closed it", || bed.connections("usename <> 'postgres'") == "0").await;
    assert_eq!(number(&second).await.unwrap(), 7);
}

#[tokio::test]
async fn clean_idle() {
    let bed = Bed::new();
    bed.server.sql("CREATE TABLE guest (n BIGINT)").unwrap();
    let pool = bed.pool(1);
    let mut loan = pool.acquire().await.unwrap();
    loan.begin("BEGIN").await.unwrap();
    sqlx::query("INSERT INTO guest VALUES ($1)").bind(1_i64).execute(&mut *loan).await.unwrap();
    drop(loan);
    assert_eq!(number(&pool).await.unwrap(), 7, "the next has it after the rollback");
    assert_eq!(bed.connections("state LIKE 'idle in transaction%'"), "0");
    assert_eq!(bed.server.sql("SELECT count(*) FROM guest").unwrap(), "0");

    // The pool waits for a statement whose future was dropped; if that takes too long, the pool closes the connection.
    for seconds in ["0.3", "30"] {
        let sleep = sqlx::AssertSqlSafe(format!("SELECT pg_sleep({seconds}), CAST($1 AS BIGINT)"));
        let given_up = sqlx::query(sleep).bind(1_i64).execute(&pool);
        assert!(tokio::time::timeout(Duration::from_millis(100), given_up).await.is_err());
        let mut answer = number(&pool).await;
        if answer.is_err() {
            // The clean-up may take as long as a caller waits (2 s), so the first caller may have timed out.
            answer = number(&pool).await;
        }
        assert_eq!(answer.unwrap(), 7);
    }
}

#[tokio::test]
async fn a_connection_that_the_server_ended_is_not_lent_again() {
    let bed = Bed::new();
    let pool = bed.pool(1);
    let pid = "SELECT CAST(pg_backend_pid() AS BIGINT) AS n";
    let first: i64 = sqlx::query(pid).fetch_one(&pool).await.unwrap().try_get("n").unwrap();
    let ended = {
        let pool = pool.clone();
        tokio::spawn(async move { sqlx::query("SELECT pg_sleep(30)").execute(&pool).await })
    };
    eventually("it sleeps", || bed.connections("query LIKE '%pg_sleep(30)%' AND state = 'active'") == "1")
        .await;
    bed.server.sql(&format!("SELECT pg_terminate_backend({first})")).unwrap();
    assert!(ended.await.unwrap().is_err());
    let second: i64 = sqlx::query(pid).fetch_one(&pool).await.unwrap().try_get("n").unwrap();
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_share_is_not_exceeded_and_leaves_room_for_others() {
    let bed = Bed::new();
    let pool = bed.pool(3);
    let writers = pool.sharing(1, "BEGIN");
    let writer = writers.acquire().await.unwrap();
    let second = tokio::time::timeout(Duration::from_millis(100), writers.acquire()).await;
    assert!(second.is_err(), "one at a time");
    let readers = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    drop((writer, readers));
    drop(writers.acquire().await.unwrap());
}

#[tokio::test]
async fn room_to_read() {
    let bed = Bed::limited(4);
    let pool = bed.pool(20);
    let writers = pool.sharing(10, "BEGIN");
    // The pool learns the server's limit when it asks for one connection too many.
    let all: Vec<_> = (0..5).map(|_| pool.acquire()).collect();
    let mut lent = Vec::new();
    for one in all {
        lent.extend(one.await);
    }
    assert_eq!(lent.len(), 4);
    drop(lent);
    let two = [writers.acquire().await.unwrap(), writers.acquire().await.unwrap()];
    assert!(writers.acquire().await.is_err(), "half of four");
    assert_eq!(number(&pool).await.unwrap(), 7, "a reader finds room");
    drop(two);
    drop(writers.acquire().await.unwrap());
}

#[tokio::test]
async fn closing_waits_for_what_is_lent_and_lends_nothing_more() {
    let bed = Bed::new();
    let pool = bed.pool(2);
    let loan = pool.acquire().await.unwrap();
    let closing = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.close().await })
    };
    while !pool.is_closed() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(pool.acquire().await, Err(sqlx::Error::PoolClosed)));
    assert!(!closing.is_finished());
    drop(loan);
    closing.await.unwrap();
    eventually("the server has closed it", || bed.connections("TRUE") == "0").await;
}

/// An operator may point a pooler in transaction mode at another server while larder stays connected to the pooler.
#[tokio::test]
async fn a_standby_behind_a_pooler_is_refused_at_each_statement() {
    sqlx::any::install_default_drivers();
    let primary = Postgres::start().unwrap();
    let standby = primary.standby().unwrap();
    let Address::Postgres(address) = Address::parse(&standby.url().database("postgres")).unwrap() else {
        panic!("no PostgreSQL");
    };
    // `or_standby` skips the check at the opening of the connection, as if the pooler had led to the primary at that
    // time.
    let source = Connector::postgres(&address, true).unwrap().or_standby();
    let error = number(&SqlPool::new(source, 2, WAIT)).await.unwrap_err();
    assert!(error.to_string().contains("the server behind the pooler is a standby in recovery"), "{error}");
    standby.promote().unwrap();
    let source = Connector::postgres(&address, true).unwrap().or_standby();
    assert_eq!(number(&SqlPool::new(source, 2, WAIT)).await.unwrap(), 7);
}
