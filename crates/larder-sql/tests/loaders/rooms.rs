//! One table and two caches of it.

use larder::cache::Cache;
use larder::class::Class;
use larder_testbed::Redis;

pub const TABLE: &str =
    "CREATE TABLE rooms (id BIGINT PRIMARY KEY, price BIGINT NOT NULL); INSERT INTO rooms VALUES (7, 200)";
pub const PRICE: &str = "SELECT price FROM rooms WHERE id = 7";

/// A class of prices in a cache with Redis, and one in a cache with memory only.
pub async fn caches() -> (Redis, [Class<i64, i64>; 2]) {
    let redis = Redis::start().unwrap();
    let shared = Cache::builder("loaders")
        .redis(redis.url())
        .redis_budget(std::time::Duration::from_secs(5))
        .installation("loaders")
        .build()
        .await
        .unwrap();
    let alone = Cache::builder("loaders").build().await.unwrap();
    (redis, [shared, alone].map(|cache| cache.class("rooms").open().unwrap()))
}
