//! Two servers in one URL that both accept writes: the former primary still answers after its standby was promoted.

use std::sync::Arc;
use std::time::Duration;

use larder::cache::{Cache, Health};
use larder::class::Class;
use larder::journal::{Changes, Journal as _, Touch, touches_of};
use larder::receipt::{Delivery, Receipt};
use larder_sql::database::Database;
use larder_sql::dialect::Dialect;
use larder_sql::fresh;
use larder_sql::journal::{CommitExt, SqlJournal};
use larder_testbed::{PgBouncer, PoolMode, Postgres, Proxy, Redis};
use sqlx::PgPool;
use sqlx::pool::PoolConnection;

use crate::bed::{Instance, ROOMS, eventually, schema, tables};

/// A primary and a standby that has its rows, and a database of larder that lists both.
struct Pair {
    primary: Postgres,
    standby: Postgres,
    bed: larder_testbed::Database,
    database: Database,
}

impl Pair {
    async fn start() -> Self {
        let primary = Postgres::start().unwrap();
        let bed = larder_testbed::Database::fresh(&primary.url()).unwrap();
        bed.sql("CREATE TABLE owner (name text); INSERT INTO owner VALUES ('the old primary')").unwrap();
        let standby = primary.standby().unwrap();
        let there = standby.url().database(bed.name());
        eventually("the standby has the row", async || {
            larder_testbed::sql(&there, "SELECT name FROM owner").is_ok_and(|name| name == "the old primary")
        })
        .await;
        let url = url_of([&primary, &standby], bed.name());
        Self { primary, standby, bed, database: Database::connect(&url).await.unwrap() }
    }

    /// The URL that lists both servers.
    fn url(&self) -> String {
        url_of([&self.primary, &self.standby], self.bed.name())
    }

    /// The URL of the successor alone.
    fn there(&self) -> String {
        self.standby.url().database(self.bed.name())
    }

    /// Promotes the standby, whose row then differs.
    fn promote(&self) {
        self.standby.promote().unwrap();
        larder_testbed::sql(
            &self.there(),
            "SET synchronous_commit = on; UPDATE owner SET name = 'the successor'",
        )
        .unwrap();
    }

    /// Whether the old primary accepts new connections. It keeps those that it has.
    fn old_accepts(&self, accepts: bool) {
        let sql = format!("ALTER DATABASE {} ALLOW_CONNECTIONS {accepts}", self.bed.name());
        larder_testbed::sql(&self.primary.url().database("postgres"), &sql).unwrap();
    }
}

fn url_of(servers: [&Postgres; 2], database: &str) -> String {
    let [first, second] = servers.map(|server| format!("127.0.0.1:{}", server.port()));
    format!("postgres://postgres@{first},{second}/{database}?target_session_attrs=read-write")
}

const NAME: &str = "SELECT name FROM owner";

async fn name(database: &Database) -> Result<String, sqlx::Error> {
    sqlx::query_scalar(NAME).fetch_one(database.read()).await
}

#[tokio::test]
async fn no_statement_runs_on_the_old_primary_once_a_connection_leads_to_the_successor() {
    let pair = Pair::start().await;
    pair.promote();
    assert_eq!(
        name(&pair.database).await.unwrap(),
        "the old primary",
        "it still answers, and nothing shows more"
    );
    pair.old_accepts(false);
    // The first loan has the open connection, so the second opens another.
    let first = pair.database.read_connection().await.unwrap();
    assert_eq!(name(&pair.database).await.unwrap(), "the successor");
    // The pool lends the connection first that was returned last.
    drop(first);
    for _ in 0..10 {
        assert_eq!(name(&pair.database).await.unwrap(), "the successor");
    }
}

/// A process that starts knows of no fail-over.
#[tokio::test]
async fn a_process_that_starts_uses_the_successor_although_the_old_primary_is_listed_first() {
    let pair = Pair::start().await;
    pair.promote();
    for _ in 0..3 {
        let started = Database::connect(&pair.url()).await.unwrap();
        assert_eq!(name(&started).await.unwrap(), "the successor");
    }
    assert_eq!(name(&pair.database).await.unwrap(), "the old primary", "it still answers");
}

#[tokio::test]
async fn a_former_primary_that_comes_back_is_refused_by_name() {
    let mut pair = Pair::start().await;
    pair.promote();
    pair.primary.crash().unwrap();
    eventually("the successor answers", async || {
        name(&pair.database).await.is_ok_and(|name| name == "the successor")
    })
    .await;
    pair.primary.restart().unwrap();
    pair.standby.crash().unwrap();
    let error = eventually_err(&pair.database).await;
    let former = format!("127.0.0.1:{} is a former primary", pair.primary.port());
    assert!(error.contains(&former), "{error}");
    pair.standby.restart().unwrap();
    eventually("the successor answers again", async || name(&pair.database).await.is_ok()).await;
    assert_eq!(name(&pair.database).await.unwrap(), "the successor");
}

/// A journal asks every listed server each 5 s, although its own connection to the old primary still answers.
#[tokio::test]
async fn a_journal_leaves_the_old_primary_for_a_listed_successor() {
    let pair = pair_with_rooms().await;
    let there = pair.there();
    let journal = SqlJournal::open(&pair.database, tables()).await.unwrap();
    // From here on the journal has a connection of its own, to the old primary.
    let former = journal.changes_since(None).await.unwrap();
    pair.promote();
    let mut since = former.clone();
    eventually("the journal answers from the successor", async || {
        since = match journal.changes_since(Some(&former.position)).await {
            Ok(since) => since,
            // It was on its way to the old primary when the successor was found.
            Err(_) => return false,
        };
        since.database.timeline > former.database.timeline
    })
    .await;
    assert_eq!(since.changes, Changes::Unknown, "the successor has an outbox of its own");
    assert_eq!(name(&pair.database).await.unwrap(), "the successor");
    for round in 0..5 {
        let position = journal.changes_since(None).await.unwrap().position;
        larder_testbed::sql(&there, &format!("UPDATE rooms SET n = n + 1 WHERE id = {round}")).unwrap();
        larder_testbed::sql(
            &pair.primary.url().database(pair.bed.name()),
            "UPDATE rooms SET n = 9 WHERE id = 39",
        )
        .unwrap();
        let changes = journal.changes_since(Some(&position)).await.unwrap().changes;
        let Changes::Known(changes) = changes else { panic!("{changes:?}") };
        assert_eq!(
            touches_of(changes),
            [Touch::entry("room", [round.to_string()])],
            "of the successor alone"
        );
    }
}

/// A pair with the rooms.
async fn pair_with_rooms() -> Pair {
    let pair = Pair::start().await;
    pair.bed.sql(&schema(Dialect::Postgres, "one")).unwrap();
    eventually("the standby has the rooms", async || {
        larder_testbed::sql(&pair.there(), "SELECT count(*) FROM rooms")
            .is_ok_and(|count| count == ROOMS.to_string())
    })
    .await;
    pair
}

const ADD_ONE: &str = "UPDATE rooms SET n = n + 1 WHERE id = 1";

/// The application's own pool leads to the successor by its new connections, and keeps an idle one to the old primary.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_joined_pool_that_leads_to_both_servers_shares_nothing_of_the_old_one() {
    let (pair, redis) = (pair_with_rooms().await, Redis::start().unwrap());
    pair.promote();
    larder_testbed::sql(&pair.there(), "UPDATE rooms SET n = 5 WHERE id = 2").unwrap();
    let pool = PgPool::connect(&pair.primary.url().database(pair.bed.name())).await.unwrap();
    let joined = Joined::open(&pool, &redis).await;
    let other = Instance::open(&pair.there(), &redis).await;
    other.works().await;
    assert_eq!(other.read(1).await.1, 0, "Redis has it, under the identity of the successor");

    let old = pool.acquire().await.unwrap();
    pool.set_connect_options(pair.there().parse().unwrap());
    let receipt = joined.add_one(&pool).await.unwrap();
    // A fresh read of the other process must not miss what was acknowledged as sent.
    let seen = other.read_fresh(1).await.1;
    assert!(receipt.delivery() == Delivery::Queued || seen == 1, "{receipt:?}, and the room has {seen}");
    eventually("the joined pool's writes are sent", async || {
        joined.add_one(&pool).await.unwrap().delivery() == Delivery::Sent
    })
    .await;
    let number = other.read_fresh(1).await.1;
    assert_eq!(number, other.number(1).await);

    // The load reads on the old primary: its value goes to this caller alone.
    let old = Arc::new(tokio::sync::Mutex::new(old));
    assert_eq!(joined.read_on(&old, 2).await, 0);
    assert_eq!(joined.rooms.stats().loads_spoiled, 1);
    assert_eq!(other.read(2).await.1, 5, "the value of the old primary was stored");

    // A transaction on the old primary would be lost with it.
    drop(old);
    let transaction = loop {
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query(ADD_ONE).execute(&mut *transaction).await.unwrap();
        let port = sqlx::query_scalar("SELECT inet_server_port()").fetch_one(&mut *transaction).await;
        if port.is_ok_and(|port: i32| port == i32::from(pair.primary.port())) {
            break transaction;
        }
    };
    let error = joined.cache.commit(transaction).await.unwrap_err();
    assert!(error.to_string().contains("a former primary"), "{error}");
}

/// Between the first connection to the successor and the next poll, Redis is still used under the old primary's identity.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_on_the_successor_is_not_sent_under_the_identity_of_the_old_primary() {
    let (pair, redis) = (pair_with_rooms().await, Redis::start().unwrap());
    let mover = Instance::open(&pair.url(), &redis).await;
    mover.works().await;
    pair.promote();
    let other = Instance::open(&pair.there(), &redis).await;
    other.works().await;
    assert_eq!(other.read(1).await.1, 0);
    pair.old_accepts(false);
    let held = mover.database.read_connection().await.unwrap();
    let delivery = mover.write(1).await;
    let seen = other.read_fresh(1).await.1;
    assert!(delivery == Delivery::Queued || seen == 1, "{delivery:?}, and the room has {seen}");
    drop(held);
    eventually("it writes to the successor", async || mover.write(1).await == Delivery::Sent).await;
    assert_eq!(other.read_fresh(1).await.1, mover.number(1).await);
}

/// A pooler opens new connections to its server when that changes, and its clients keep theirs.
#[tokio::test]
async fn a_standby_behind_a_pooler_that_was_not_declared_is_noticed() {
    let pair = pair_with_rooms().await;
    let proxy = Proxy::start(pair.primary.port()).unwrap();
    let pooler =
        PgBouncer::start(&pair.primary.url().through(proxy.port()), PoolMode::Transaction, 1).unwrap();
    let url = format!("{}?statement-cache-capacity=0", pooler.url(pair.bed.name()));
    let (database, ready) = (Database::connect(&url).await.unwrap(), Database::connect(&url).await.unwrap());
    let journal = SqlJournal::open(&database, tables()).await.unwrap();
    ready.ping_writer().await.unwrap();
    proxy.cut();
    proxy.redirect(pair.standby.port());
    proxy.heal();
    // Asked by another client, so that no connection of larder's is used before the pooler leads to the standby.
    eventually("the pooler leads to the standby", async || {
        let asked = larder_testbed::sql(&pooler.url(pair.bed.name()), "SELECT pg_is_in_recovery()");
        asked.is_ok_and(|answer| answer.trim() == "t")
    })
    .await;
    let error = ready.ping_writer().await.unwrap_err();
    assert!(format!("{error:?}").contains("standby"), "{error:?}");
    let error = journal.changes_since(None).await.unwrap_err();
    assert!(format!("{error:?}").contains("recovery"), "{error:?}");
    let error = name(&database).await.unwrap_err();
    assert!(error.to_string().contains("standby"), "no loader reads there any more: {error}");
    proxy.cut();
    proxy.redirect(pair.primary.port());
    proxy.heal();
    for database in [&database, &ready] {
        eventually("the primary answers", async || database.ping_writer().await.is_ok()).await;
    }
}

/// An instance of an application that has a pool of its own.
struct Joined {
    cache: Cache,
    rooms: Class<i64, (String, i64)>,
}

impl Joined {
    async fn open(pool: &PgPool, redis: &Redis) -> Self {
        let journal = SqlJournal::join(pool, tables()).await.unwrap();
        let builder = Cache::builder("hotel").redis(redis.url()).redis_budget(Duration::from_secs(5));
        let cache = builder.journal(journal).build().await.unwrap();
        let rooms = cache.class("room").open().unwrap();
        eventually("it works", async || cache.health() == Health::Working).await;
        Self { cache, rooms }
    }

    async fn add_one(&self, pool: &PgPool) -> Result<Receipt, larder_sql::Error> {
        let mut transaction = pool.begin().await?;
        sqlx::query(ADD_ONE).execute(&mut *transaction).await?;
        self.cache.commit(transaction).await
    }

    /// Reads by a loader that has this connection.
    async fn read_on(
        &self,
        connection: &Arc<tokio::sync::Mutex<PoolConnection<sqlx::Postgres>>>,
        id: i64,
    ) -> i64 {
        let load = || {
            let connection = connection.clone();
            async move {
                let mut connection = connection.lock().await;
                let query = sqlx::query_as("SELECT owner, n FROM rooms WHERE id = $1").bind(id);
                Ok::<_, larder_sql::Error>(query.fetch_optional(fresh(&mut **connection).await?).await?)
            }
        };
        self.rooms.get_or_load(&id, load).await.unwrap().unwrap().1
    }
}

/// The error of the first statement that finds the connections broken, or of the one after it.
async fn eventually_err(database: &Database) -> String {
    let mut said = String::new();
    for _ in 0..3 {
        said = match name(database).await {
            Err(error) => error.to_string(),
            Ok(name) => panic!("{name} answers"),
        };
    }
    said
}
