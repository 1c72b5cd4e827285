//! Caches over REST, on a front with a real Redis behind it.

use std::sync::Arc;

use larder::cache::{Cache, Health};
use larder::journal::Touch;
use larder_testbed::{Redis, RestFront};

use crate::support::journal::Ledger;
use crate::support::{Instance, Table, classes, eventually};

/// A Redis behind a front, and the database that its caches have.
pub(crate) struct Bed {
    pub(crate) redis: Redis,
    pub(crate) front: RestFront,
    pub(crate) ledger: Ledger,
    pub(crate) table: Arc<Table>,
}

impl Bed {
    pub(crate) fn start() -> Self {
        let redis = Redis::start().unwrap();
        let front = RestFront::start(redis.port()).unwrap();
        Bed { redis, front, ledger: Ledger::new(), table: Table::new() }
    }

    pub(crate) async fn build(&self, token: &str) -> Cache {
        let builder = crate::support::builder().upstash(self.front.url(), token);
        builder.journal(self.ledger.seen_by_another()).build().await.unwrap()
    }

    /// An instance that uses Redis.
    pub(crate) async fn instance(&self) -> Instance {
        let instance = classes(self.build(self.front.token()).await);
        works(&instance).await;
        instance
    }

    /// A program without larder commits: the trigger journals the change, and there is no call of an invalidation.
    pub(crate) fn commit_elsewhere(&self, key: u32, version: u64) {
        self.table.write(key, version);
        self.ledger.note(Touch::entry("values", [key.to_string()]));
        self.ledger.note(Touch::Tag("everything".to_owned()));
    }

    /// Reads until Redis answers.
    pub(crate) async fn warm(&self, instance: &Instance, key: u32) {
        eventually("Redis has the entry", async || {
            let hits = instance.values.stats().redis_hits;
            instance.read(&self.table, key).await;
            instance.values.stats().redis_hits > hits
        })
        .await;
    }
}

pub(crate) async fn works(instance: &Instance) {
    eventually("Redis is usable", async || instance.cache.health() == Health::Working).await;
}
