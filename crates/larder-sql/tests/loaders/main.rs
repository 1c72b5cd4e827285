//! What loaders may read: a value that was read inside an open transaction, or on a standby that lags, is never kept.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

mod replicas;
mod transactions;

use larder::cache::Cache;
use larder::class::Class;
use larder_testbed::Redis;

/// A cache on memory alone, and one with Redis.
async fn caches() -> (Redis, [Class<i64, i64>; 2]) {
    let redis = Redis::start().unwrap();
    let shared = Cache::builder("loaders").redis(redis.url()).build().await.unwrap();
    let alone = Cache::builder("loaders").build().await.unwrap();
    (redis, [shared, alone].map(|cache| cache.class("rooms").open().unwrap()))
}

const TABLE: &str =
    "CREATE TABLE rooms (id BIGINT PRIMARY KEY, price BIGINT NOT NULL); INSERT INTO rooms VALUES (7, 200)";
const PRICE: &str = "SELECT price FROM rooms WHERE id = 7";
