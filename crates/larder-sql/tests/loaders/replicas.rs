//! Loaders on a standby, with two real servers, one of which streams from the other.

use std::time::{Duration, Instant};

use larder::class::Class;
use larder::source::{NotStoredReason, Placement, Source};
use larder_sql::database::Database;
use larder_sql::error::{Error, ErrorKind};
use larder_sql::fresh;
use larder_sql::read_connection::ReadConnection;
use larder_sql::replica::Replica;
use larder_testbed::{Postgres, sql};
use sqlx::{Connection, PgConnection};

use crate::rooms::{PRICE, TABLE, caches};

const SPOILED: Source = Source::Load { placement: Placement::Nowhere(NotStoredReason::Spoiled) };

const TIMEOUT: Duration = Duration::from_secs(20);

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A primary, a standby that has caught up, and their URLs.
struct Pair {
    primary: Postgres,
    standby: Postgres,
    primary_url: String,
    standby_url: String,
}

impl Pair {
    fn new() -> Self {
        let primary = Postgres::start().unwrap();
        let primary_url = primary.url().database("postgres");
        sql(&primary_url, TABLE).unwrap();
        let standby = primary.standby().unwrap();
        let standby_url = standby.url().database("postgres");
        let pair = Self { primary, standby, primary_url, standby_url };
        eventually("the standby follows", || pair.on_standby(PRICE) == "200");
        pair
    }

    fn on_standby(&self, statement: &str) -> String {
        sql(&self.standby_url, statement).unwrap()
    }

    fn on_primary(&self, statement: &str) -> String {
        sql(&self.primary_url, statement).unwrap()
    }

    async fn handles(&self) -> (Database, Replica) {
        let database = Database::connect(&self.primary_url).await.unwrap();
        let replica = database.replica(&self.standby_url).unwrap();
        (database, replica)
    }
}

async fn price(replica: &Replica, rooms: &Class<i64, i64>) -> Option<i64> {
    let query = async |mut read: ReadConnection| {
        sqlx::query_scalar::<_, i64>(PRICE).fetch_optional(read.statement()).await
    };
    replica.get_or_query(rooms, &7, query).await.unwrap().map(|price| *price)
}

async fn is_on_standby(replica: &Replica) -> bool {
    let mut reading = replica.read_connection().await.unwrap();
    let query = sqlx::query_scalar::<_, i64>("SELECT CAST(CAST(pg_is_in_recovery() AS INTEGER) AS BIGINT)");
    query.fetch_one(reading.statement()).await.unwrap() == 1
}

/// A query can fail on a standby because it conflicts with the replay. This one fails because a standby assigns no
/// transaction number.
#[tokio::test]
async fn a_query_that_fails_on_the_standby_is_answered_by_the_primary() {
    let pair = Pair::new();
    let (_database, replica) = pair.handles().await;
    let (_redis, classes) = caches().await;
    const NUMBER: &str = "SELECT CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)";
    for (fallbacks, rooms) in (1..).zip(classes) {
        let query = async |mut read: ReadConnection| {
            sqlx::query_scalar::<_, i64>(NUMBER).fetch_optional(read.statement()).await
        };
        assert!(replica.get_or_query(&rooms, &7, query).await.unwrap().is_some());
        assert_eq!(replica.fallbacks(), fallbacks);
    }
}

#[tokio::test]
async fn a_standby_alone_is_refused_by_name_and_so_is_one_that_took_the_primarys_place() {
    let pair = Pair::new();
    let error = Database::connect(&pair.standby_url).await.err().unwrap();
    assert_eq!(*error.kind(), ErrorKind::Unavailable);
    let said = format!("{error:?}");
    assert!(said.contains(&format!("127.0.0.1:{} is a standby in recovery", pair.standby.port())), "{said}");

    // After its promotion it is accepted.
    pair.standby.promote().unwrap();
    let database = Database::connect(&pair.standby_url).await.unwrap();
    database.ping().await.unwrap();
}

#[tokio::test]
async fn a_load_on_a_lagging_replica_never_brings_back_what_was_overwritten() {
    let pair = Pair::new();
    let (_database, replica) = pair.handles().await;
    let (_redis, caches) = caches().await;
    // The primary may flush after some seconds, because no commit waits for this.
    assert!(is_on_standby(&replica.clone().timeout(TIMEOUT)).await);
    for (rooms, written) in caches.into_iter().zip([300, 400]) {
        let before = price(&replica, &rooms).await;
        pair.on_standby("SELECT pg_wal_replay_pause()");
        eventually("replay is paused", || {
            pair.on_standby("SELECT pg_get_wal_replay_pause_state()") == "paused"
        });
        pair.on_primary(&format!("UPDATE rooms SET price = {written}"));
        let _ = rooms.invalidate(&7).await;
        assert_eq!(pair.on_standby(PRICE), before.unwrap().to_string(), "it lags");
        assert_eq!(price(&replica, &rooms).await, Some(written), "read on the primary");
        assert_eq!(rooms.get(&7).await.value().as_deref(), Some(&written));
        pair.on_standby("SELECT pg_wal_replay_resume()");
        eventually("the standby follows", || pair.on_standby(PRICE) == written.to_string());
    }
    assert!(replica.fallbacks() >= 2);
}

#[tokio::test]
async fn a_load_waits_for_a_replica_that_catches_up_in_time() {
    let pair = Pair::new();
    let (_database, replica) = pair.handles().await;
    let replica = replica.timeout(TIMEOUT);
    pair.on_standby("SELECT pg_wal_replay_pause()");
    pair.on_primary("SET synchronous_commit = off; UPDATE rooms SET price = 300");
    let reading = tokio::spawn({
        let replica = replica.clone();
        async move {
            let mut reading = replica.read_connection().await.unwrap();
            let price: i64 = sqlx::query_scalar(PRICE).fetch_one(reading.statement()).await.unwrap();
            (price, is_on_standby(&replica).await)
        }
    });
    let looks =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%has_replayed%' AND pid <> pg_backend_pid()";
    while pair.on_standby(looks) == "0" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!reading.is_finished());
    pair.on_standby("SELECT pg_wal_replay_resume()");
    assert_eq!(reading.await.unwrap(), (300, true));
    assert_eq!(replica.fallbacks(), 0);
}

#[tokio::test]
async fn a_replica_that_is_away_or_was_promoted_is_not_read() {
    let mut pair = Pair::new();
    let (_database, replica) = pair.handles().await;
    pair.standby.promote().unwrap();
    sql(&pair.standby_url, "UPDATE rooms SET price = 100").unwrap();
    assert!(!is_on_standby(&replica).await);
    let (_redis, [rooms, _]) = caches().await;
    assert_eq!(price(&replica, &rooms).await, Some(200));
    pair.standby.crash().unwrap();
    let away = pair.handles().await.1;
    assert_eq!(price(&away, &rooms).await, Some(200));
    assert!(!is_on_standby(&away).await);
}

/// After a fail-over the standby still follows the lost primary, and its position is ahead of the new primary's.
#[tokio::test]
async fn a_standby_of_a_lost_primary_is_not_read_for_its_successor() {
    let pair = Pair::new();
    let left_behind = pair.primary.standby().unwrap();
    let behind_url = left_behind.url().database("postgres");
    pair.standby.promote().unwrap();
    pair.on_primary("CREATE TABLE bulk AS SELECT generate_series(1, 20000); UPDATE rooms SET price = 100");
    eventually("it follows the lost primary", || sql(&behind_url, PRICE).unwrap() == "100");
    let database = Database::connect(&pair.standby_url).await.unwrap();
    let replica = database.replica(&behind_url).unwrap();
    let (_redis, [rooms, _]) = caches().await;
    assert_eq!(price(&replica, &rooms).await, Some(200));
    assert_eq!(replica.fallbacks(), 1);
}

#[tokio::test]
async fn a_standby_that_larder_did_not_open_spoils_the_load() {
    let pair = Pair::new();
    let (_redis, [rooms, _]) = caches().await;
    let mut connection = PgConnection::connect(&pair.standby_url).await.unwrap();
    let load = async move || {
        let read = fresh(&mut connection).await?;
        Ok::<_, Error>(sqlx::query_scalar::<_, i64>(PRICE).fetch_one(read).await?)
    };
    let answer = rooms.read(&7).or_load(load).await.unwrap();
    assert_eq!((answer.value.as_deref(), answer.source), (Some(&200), SPOILED));
}

#[tokio::test]
async fn a_replica_needs_a_server_that_can_be_waited_for() {
    let server = larder_testbed::Sqlite::fresh().unwrap();
    let database = Database::connect(&server.url()).await.unwrap();
    let error = database.replica("postgres://localhost/rooms").err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::Address(_)), "{error}");
    let database = larder_testbed::Database::fresh(&Postgres::shared().unwrap()).unwrap();
    let database = Database::connect(&database.url()).await.unwrap();
    for url in ["sqlite://rooms.db", "postgres://localhost/rooms?pgbouncer=true"] {
        assert!(database.replica(url).is_err(), "{url}");
    }
}
