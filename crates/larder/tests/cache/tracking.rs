//! The rows of the trap table about tracking and copies in memory, against a real Redis.

use std::time::Duration;

use larder::cache::Health;
use larder::policy::Policy;
use larder::receipt::Delivery;
use larder_testbed::Redis;

use crate::support::{Table, calls, eventually, in_redis, instance, within};

/// Entries stay for ten minutes here, so only a push can report another instance's write.
#[tokio::test]
async fn a_write_reaches_the_copy_in_another_instances_memory() {
    let redis = Redis::start().unwrap();
    let (a, b) = (instance(&redis).await, instance(&redis).await);
    let table = Table::new();
    for version in 1..50 {
        // Own and foreign writes in turn: neither an own write (NOLOOP) nor an own fill (whose SET ends the tracking of
        // the key) may leave the copy untracked.
        let (writer, reader) = if version % 2 == 0 { (&a, &b) } else { (&b, &a) };
        assert_eq!(writer.write(&table, 7, version).await, Delivery::Sent);
        assert_eq!(writer.read(&table, 7).await, Some(version), "the writer reads its own write");
        assert_eq!(reader.read_fresh(&table, 7).await, Some(version));
        eventually("the push arrives", async || reader.read(&table, 7).await == Some(version)).await;
        a.warm(&table, 7).await;
        b.warm(&table, 7).await;
    }
}

#[tokio::test]
async fn one_unlink_empties_a_class_everywhere() {
    let redis = Redis::start().unwrap();
    let (a, b) = (instance(&redis).await, instance(&redis).await);
    let table = Table::new();
    table.write(7, 1);
    for name in ["one", "two", "three"] {
        for instance in [&a, &b] {
            assert_eq!(instance.list(&table, name).await, [1]);
            assert_eq!(instance.list(&table, name).await, [1]);
        }
    }
    table.write(7, 2);
    redis.command(&["CONFIG", "RESETSTAT"]).unwrap();
    assert_eq!(b.lists.invalidate_all().await.delivery(), Delivery::Sent);
    let unlinks = redis.command(&["INFO", "commandstats"]).unwrap();
    assert!(unlinks.contains("cmdstat_unlink:calls=1,"), "{unlinks}");
    for name in ["one", "two", "three"] {
        assert_eq!(b.list(&table, name).await, [2]);
        eventually("the other instance follows", async || a.list(&table, name).await == [2]).await;
    }
}

#[tokio::test]
async fn a_hit_in_redis_is_one_round_trip_and_a_hit_in_memory_none() {
    let redis = Redis::start().unwrap();
    let (a, b) = (instance(&redis).await, instance(&redis).await);
    let table = Table::new();
    table.write(7, 1);
    assert_eq!(a.read(&table, 7).await, Some(1));
    redis.command(&["CONFIG", "RESETSTAT"]).unwrap();
    assert_eq!(b.read(&table, 7).await, Some(1));
    for _ in 0..100 {
        assert_eq!(b.read(&table, 7).await, Some(1));
    }
    let stats = redis.command(&["INFO", "commandstats"]).unwrap();
    assert_eq!(calls(&stats, &["mget"]), calls(&stats, &["time"]) + 1, "a heartbeat asks for both: {stats}");
    assert!(!stats.contains("cmdstat_evalsha"), "scripts run only on a miss: {stats}");
    let stats = b.values.stats();
    assert_eq!((stats.redis_hits, stats.memory_hits), (1, 100));
}

/// Shows by a change without an invalidation whether memory was emptied.
async fn memory_is_emptied_by(redis: &Redis, command: &[&str]) {
    let instance = instance(redis).await;
    let table = Table::new();
    table.write(7, 1);
    instance.warm(&table, 7).await;
    table.write(7, 2);
    assert_eq!(instance.read(&table, 7).await, Some(1), "served from memory until then");
    redis.command(command).unwrap();
    // The entry in Redis is still valid as far as Redis knows; this test is only about memory.
    redis.command(&["DEL", in_redis!("values:7")]).unwrap();
    eventually("memory was emptied", async || instance.read(&table, 7).await == Some(2)).await;
    eventually("the tier is used again", async || instance.cache.health() == Health::Working).await;
    instance.warm(&table, 7).await;
}

#[tokio::test]
async fn a_null_push_empties_memory() {
    memory_is_emptied_by(&Redis::start().unwrap(), &["FLUSHALL"]).await;
    memory_is_emptied_by(&Redis::start().unwrap(), &["FLUSHDB"]).await;
    // Another application flushes its own database on the same server.
    let flush = "redis.call('SELECT', 1) return redis.call('FLUSHDB')";
    memory_is_emptied_by(&Redis::start().unwrap(), &["EVAL", flush, "0"]).await;
}

/// Redis has one tracking table for all its databases and discards all of it on a flush. So a neighbour's FLUSHDB costs
/// one heartbeat, and then one read of Redis for each copy. The entries stay, and the database is read only for keys
/// that are read during that heartbeat.
#[tokio::test]
async fn a_neighbours_flushdb_costs_one_heartbeat_and_no_entry() {
    const KEYS: u32 = 50;
    const FLUSHES: u32 = 20;
    let redis = Redis::start().unwrap();
    let instance = instance(&redis).await;
    let table = Table::new();
    for key in 0..KEYS {
        table.write(key, 1);
        instance.warm(&table, key).await;
    }
    let before = instance.values.stats();
    let mut longest = Duration::ZERO;
    for _ in 0..FLUSHES {
        let flush = "redis.call('SELECT', 1) return redis.call('FLUSHDB')";
        let began = std::time::Instant::now();
        redis.command(&["EVAL", flush, "0"]).unwrap();
        let losses = || instance.cache.memory_bytes();
        eventually("memory was emptied", async || losses() == 0).await;
        eventually("Redis is used again", async || instance.cache.health() == Health::Working).await;
        longest = longest.max(began.elapsed());
        for key in 0..KEYS {
            assert_eq!(instance.read(&table, key).await, Some(1));
        }
    }
    let since = instance.values.stats().since(&before);
    assert_eq!((since.loads, since.redis_hits), (0, u64::from(KEYS * FLUSHES)), "{since:?}");
    println!(
        "{FLUSHES} flushes: at most {longest:?} without Redis each, {} reads of Redis",
        since.redis_hits
    );
    // Redis is asked at once, not at the next regular heartbeat. The limit is generous, because the machine may be
    // busy.
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    for key in 0..KEYS {
        assert_eq!(instance.read(&table, key).await, Some(1));
    }
    let hits = instance.values.stats().since(&before).memory_hits;
    assert_eq!(hits, u64::from(KEYS), "memory holds them again");
    assert_eq!(redis.command(&["CLIENT", "LIST", "TYPE", "normal"]).unwrap().matches("flags=t").count(), 1);
}

#[tokio::test]
async fn a_lost_connection_empties_memory() {
    memory_is_emptied_by(&Redis::start().unwrap(), &["CLIENT", "KILL", "TYPE", "normal"]).await;
}

#[tokio::test]
async fn a_copy_ends_at_its_own_deadline() {
    let redis = Redis::start().unwrap();
    let cache = crate::support::builder().redis(redis.url()).installation("test").build().await.unwrap();
    let policy = Policy::ttl(Duration::from_millis(300)).jitter(0.0);
    let brief = cache.class::<u32, u64>("brief").policy(policy).open().unwrap();
    let table = Table::new();
    table.write(7, 1);
    let read = async || *brief.get_or_load(&7, table.loader(7)).await.unwrap().unwrap();
    assert_eq!((read().await, read().await, read().await), (1, 1, 1));
    table.write(7, 2);
    // Redis expires a key lazily and sends no push until a command touches the key; a hit in memory touches nothing.
    eventually("the copy ended by itself", async || read().await == 2).await;
}

#[tokio::test]
async fn without_tracking_redis_serves_and_memory_keeps_nothing() {
    let redis = Redis::start().unwrap();
    redis
        .command(&["ACL", "SETUSER", "managed", "on", ">secret", "~*", "&*", "+@all", "-client|tracking"])
        .unwrap();
    let url = format!("redis://managed:secret@127.0.0.1:{}/0", redis.port());
    let managed = crate::support::builder().redis(url).installation("test").build().await.unwrap();
    assert_eq!(managed.health(), Health::Working);
    let values = managed.class::<u32, u64>("values").open().unwrap();
    let table = Table::new();
    table.write(7, 1);
    for _ in 0..3 {
        values.get_or_load(&7, table.loader(7)).await.unwrap();
    }
    let stats = values.stats();
    assert_eq!((stats.loads, stats.redis_hits, stats.memory_hits), (1, 2, 0));

    // No push reports the end of the other load: the read looks again by itself.
    let other = instance(&redis).await;
    let gate = crate::support::Gate::new();
    let _ = values.invalidate(&7).await;
    let held = other.held_read(&table, 7, &gate);
    gate.arrival().await;
    let waiter = tokio::spawn({
        let (values, table) = (values.clone(), table.clone());
        async move { values.get_or_load(&7, table.loader(7)).await.unwrap() }
    });
    tokio::task::yield_now().await;
    gate.open();
    assert_eq!(held.await.unwrap(), Some(1));
    assert_eq!(within(waiter).await.unwrap().as_deref(), Some(&1));
    assert_eq!(table.loads(), 2);
}
