//! Databases with the same table and the same ids, and an application that uses one of them.

use std::time::{Duration, Instant};

use larder::cache::{Cache, Health};
use larder::class::Class;
use larder::policy::{Consistency, Policy};
use larder::receipt::Delivery;
use larder_sql::database::Database;
use larder_sql::dialect::Dialect;
use larder_sql::journal::{SqlJournal, Table, migration};
use larder_testbed::Redis;

pub const ROOMS: i64 = 40;

/// Time-out after which a test fails instead of hanging.
const TIMEOUT: Duration = Duration::from_secs(30);

pub fn tables() -> Vec<Table> {
    vec![Table::new("rooms").entry("room", &["id"]).unique(&["id"])]
}

/// The SQL of the tables and their rows. Each row names its owner.
pub fn schema(dialect: Dialect, owner: &str) -> String {
    let rows: Vec<String> = (0..ROOMS).map(|id| format!("({id}, '{owner}', 0)")).collect();
    format!(
        "CREATE TABLE rooms (id BIGINT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, n BIGINT NOT NULL);\n{}\n\
         INSERT INTO rooms VALUES {};",
        migration(dialect, &tables()).unwrap(),
        rows.join(", ")
    )
}

/// One instance of the application.
#[derive(Clone)]
pub struct Instance {
    pub cache: Cache,
    pub rooms: Class<i64, (String, i64)>,
    pub database: Database,
}

impl Instance {
    /// Opens an instance. All instances have the same configuration except for the database.
    pub async fn open(url: &str, redis: &Redis) -> Self {
        let database = Database::connect(url).await.unwrap();
        let journal = SqlJournal::open(&database, tables()).await.unwrap();
        let cache = Cache::builder("hotel")
            .redis(redis.url())
            .redis_budget(std::time::Duration::from_secs(5))
            .journal(journal)
            .build()
            .await
            .unwrap();
        let policy = Policy::ttl(Duration::from_secs(600)).absent_for(Duration::from_secs(600));
        let rooms = cache.class("room").policy(policy).open().unwrap();
        Self { cache, rooms, database }
    }

    /// Reads with the given consistency. Retries an error, because the server may have ended the connection.
    async fn read_as(&self, id: i64, consistency: Consistency) -> (String, i64) {
        let start = Instant::now();
        loop {
            let database = self.database.clone();
            let query = sqlx::query_as("SELECT owner, n FROM rooms WHERE id = $1").bind(id);
            let load = async move || query.fetch_optional(database.read()).await;
            let read = self.rooms.read(&id).consistency(consistency).or_load(load);
            match tokio::time::timeout(TIMEOUT, read).await.expect("hangs") {
                Ok(answer) => return answer.value.map(|room| (*room).clone()).unwrap(),
                Err(error) => assert!(start.elapsed() < TIMEOUT, "{error}"),
            }
        }
    }

    pub async fn read(&self, id: i64) -> (String, i64) {
        self.read_as(id, Consistency::Bounded).await
    }

    pub async fn read_fresh(&self, id: i64) -> (String, i64) {
        self.read_as(id, Consistency::Fresh).await
    }

    /// Adds one to the room's number.
    pub async fn write(&self, id: i64) -> Delivery {
        self.try_write(id).await.unwrap()
    }

    pub async fn try_write(&self, id: i64) -> Result<Delivery, Box<dyn std::error::Error>> {
        let mut transaction = self.database.begin().await?;
        let update = sqlx::query("UPDATE rooms SET n = n + 1 WHERE id = $1").bind(id);
        update.execute(transaction.statement()).await?;
        let touches = transaction.touched().await?;
        let changes = transaction.commit().await?;
        Ok(self.cache.committed(&touches, &changes).send().await.delivery())
    }

    pub async fn works(&self) {
        eventually("it works", async || self.cache.health() == Health::Working).await;
    }

    /// Alternates reads and writes of rooms. Returns how many reads were answered with a room of another owner.
    pub async fn bustle(&self, owner: &str, reads: usize) -> usize {
        let mut foreign = 0;
        for nth in 0..reads {
            let id = nth as i64 * 7 % ROOMS;
            foreign += usize::from(self.read(id).await.0 != owner);
            if nth % 10 == 0 {
                self.write(id).await;
            }
        }
        foreign
    }

    /// The room's number, read directly from the database.
    pub async fn number(&self, id: i64) -> i64 {
        let query = sqlx::query_scalar("SELECT n FROM rooms WHERE id = $1").bind(id);
        query.fetch_one(self.database.read()).await.unwrap()
    }
}

/// Polls until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < TIMEOUT, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
