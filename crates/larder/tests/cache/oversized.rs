//! A value in Redis that is far too long for an entry costs its readers a miss, and no memory.

use std::convert::Infallible;
use std::time::Duration;

use larder::cache::{Cache, Health};
use larder::source::Source;
use larder_testbed::{Proxy, Redis};

use crate::support::entries::Raw;
use crate::support::{Instance, Table, builder, classes, eventually};

/// A value of this length would be seen in the process's memory.
const LONG: u64 = 64 << 20;
/// How much the process may grow while such a value arrives.
const GROWTH: u64 = 16 << 20;

fn memory(of: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(of)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

async fn instance(redis: &Redis, budget: Duration) -> Instance {
    instance_at(redis.url(), budget).await
}

async fn instance_at(url: String, budget: Duration) -> Instance {
    let cache = Cache::builder("test").redis(url).installation("test").redis_budget(budget);
    let cache = cache.redis_timeout(Duration::from_millis(500)).build().await.unwrap();
    eventually("Redis is usable", async || cache.health() == Health::Working).await;
    classes(cache)
}

/// Puts a value of `bytes` bytes under `key`, which begins with `begins`.
fn put(redis: &Redis, key: &[u8], bytes: u64, begins: &[u8]) {
    redis.command_bytes(&[b"SETRANGE", key, (bytes - 1).to_string().as_bytes(), b"x"]).unwrap();
    redis.command_bytes(&[b"SETRANGE", key, b"0", begins]).unwrap();
}

/// The keys of the entry and of its class's tag.
fn keys(redis: &Redis) -> [Vec<u8>; 2] {
    let mut raw = Raw::of(redis);
    let entry = raw.key("values:7");
    let tag = redis.command(&["KEYS", "*values"]).unwrap();
    let tag = tag.lines().map(str::trim).find(|key| key.ends_with("values")).unwrap().as_bytes().to_vec();
    assert_eq!(raw.get(&tag)[0], b'T');
    [entry, tag]
}

#[tokio::test]
async fn a_long_value_is_a_miss_and_takes_no_memory() {
    let redis = Redis::start().unwrap();
    let table = Table::new();
    table.write(7, 1);
    let long_budget = Duration::from_secs(10);
    assert_eq!(instance(&redis, long_budget).await.read(&table, 7).await, Some(1));
    // A value that begins as a frame does, or as none.
    for (key, begins) in keys(&redis).into_iter().zip([[b"V", b"L"], [b"T", b"x"]]) {
        for begins in begins {
            put(&redis, &key, LONG, begins);
            let reader = instance(&redis, long_budget).await;
            let (before, loads) = (memory("VmRSS:"), table.loads());
            eventually("it is loaded, and the value replaced", async || {
                assert_eq!(reader.read_fresh(&table, 7).await, Some(1));
                reader.values.stats().redis_hits > 0
            })
            .await;
            assert!(table.loads() > loads);
            let grown = memory("VmHWM:").saturating_sub(before);
            assert!(grown < GROWTH, "{grown} bytes");
            assert!(Raw::of(&redis).get(&key).len() < 1000);
        }
    }
}

/// It arrives in time, also on a busy machine.
#[tokio::test]
async fn a_long_value_is_an_alarm_and_is_replaced() {
    let redis = Redis::start().unwrap();
    let table = Table::new();
    table.write(7, 1);
    let long_budget = Duration::from_secs(10);
    let reader = instance(&redis, long_budget).await;
    assert_eq!(reader.read(&table, 7).await, Some(1));
    for (nth, key) in (1..).zip(keys(&redis)) {
        put(&redis, &key, 2 << 20, b"V");
        assert_eq!(reader.read_fresh(&table, 7).await, Some(1));
        assert_eq!((reader.values.stats().broken_frames, table.loads()), (nth, 1 + nth as usize));
        assert!(Raw::of(&redis).get(&key).len() < 1000);
        assert_eq!(reader.read_fresh(&table, 7).await, Some(1));
        assert_eq!(table.loads(), 1 + nth as usize, "the next read is a hit");
    }
}

/// The reader gives up before the value has arrived. The value is removed all the same.
#[tokio::test]
async fn a_value_that_takes_too_long_to_arrive_is_removed() {
    let redis = Redis::start().unwrap();
    let table = Table::new();
    table.write(7, 1);
    let filler = instance(&redis, Duration::from_secs(10)).await;
    assert_eq!(filler.read(&table, 7).await, Some(1));
    for key in keys(&redis) {
        put(&redis, &key, 4 * LONG, b"V");
        let reader = instance(&redis, Duration::from_millis(1)).await;
        let before = memory("VmRSS:");
        assert_eq!(reader.read_fresh(&table, 7).await, Some(1));
        eventually("it is removed", async || {
            assert_eq!(reader.read_fresh(&table, 7).await, Some(1));
            // Redis does not answer while it sends the value.
            redis.command_bytes(&[b"STRLEN", &key]).is_ok_and(|bytes| bytes.len() < b"100000".len())
        })
        .await;
        let grown = memory("VmHWM:").saturating_sub(before);
        assert!(grown < GROWTH, "{grown} bytes");
        eventually("Redis is used again", async || filler.cache.health() == Health::Working).await;
        assert_eq!(filler.read_fresh(&table, 7).await, Some(1));
    }
}

/// While Redis copies half a gigabyte into a reply it answers no heartbeat either, so the connection is closed before the
/// reply begins.
#[tokio::test]
async fn a_value_whose_connection_is_closed_before_its_reply_begins_is_removed() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let table = Table::new();
    table.write(7, 1);
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let reader = instance_at(url, Duration::from_secs(10)).await;
    assert_eq!(reader.read(&table, 7).await, Some(1));
    for key in keys(&redis) {
        put(&redis, &key, 2 << 20, b"V");
        proxy.stall_replies();
        assert_eq!(reader.read_fresh(&table, 7).await, Some(1));
        eventually("the connection is closed", async || reader.cache.health() != Health::Working).await;
        proxy.cut();
        proxy.heal();
        // No further read.
        eventually("it is removed", async || {
            redis.command_bytes(&[b"STRLEN", &key]).unwrap().len() < b"100000".len()
        })
        .await;
        eventually("Redis is used again", async || reader.cache.health() == Health::Working).await;
        assert_eq!(reader.read_fresh(&table, 7).await, Some(1));
    }
}

/// The longest value that Redis has. Redis takes more than a gigabyte.
#[tokio::test]
async fn half_a_gigabyte_takes_no_memory() {
    let redis = Redis::start().unwrap();
    let table = Table::new();
    table.write(7, 1);
    let reader = instance(&redis, Duration::from_millis(50)).await;
    assert_eq!(reader.read(&table, 7).await, Some(1));
    for key in keys(&redis) {
        put(&redis, &key, 512 << 20, b"V");
        let before = memory("VmRSS:");
        eventually("Redis answers again", async || {
            let hits = reader.values.stats().redis_hits;
            assert_eq!(reader.read_fresh(&table, 7).await, Some(1));
            reader.values.stats().redis_hits > hits
        })
        .await;
        let grown = memory("VmHWM:").saturating_sub(before);
        println!("{} grew by {grown} bytes", String::from_utf8_lossy(&key));
        assert!(grown < GROWTH, "{grown} bytes");
    }
}

/// An entry whose tags take more room than a reader allows is not stored.
#[tokio::test]
async fn an_entry_with_too_long_tags_is_not_stored() {
    let redis = Redis::start().unwrap();
    let cache = builder().redis(redis.url()).installation("test").build().await.unwrap();
    let tags = |_: &u32| (0..800).map(|nth| format!("{nth:0100}")).collect::<Vec<_>>();
    let class = cache.class::<u32, u64>("values").tagged_by(tags).open().unwrap();
    let load = || async { Ok::<_, std::io::Error>(1_u64) };
    assert!(!class.read(&7).or_load(load).await.unwrap().source.is_stored());
    assert_eq!(class.stats().too_large, 1);
}

/// Redis names keys in its reports, and of a long name only the beginning would be read. So an entry under such a key
/// would stay in memory after its invalidation.
#[tokio::test]
async fn a_very_long_key_is_read_without_the_tiers() {
    let redis = Redis::start().unwrap();
    let cache = builder().redis(redis.url()).installation("test").build().await.unwrap();
    let class = cache.class::<str, u32>("texts").open().unwrap();
    let key = "ä".repeat(400_000);
    for (value, source) in [(1, Source::Bypass), (2, Source::Bypass)] {
        let answer = class.read(&key).or_load(async move || Ok::<_, Infallible>(value)).await.unwrap();
        assert_eq!((answer.value.as_deref(), answer.source), (Some(&value), source));
    }
    assert!(!class.put(&key, 3).await.is_stored);
    assert_eq!(class.get(&key).await.value(), None);
    assert_eq!(redis.command(&["KEYS", "*texts:*"]).unwrap().trim(), "");
}
