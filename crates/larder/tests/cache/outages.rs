//! Redis away, hung, full, foreign or new: no read fails, no outdated value is served, no invalidation is lost.

use std::time::{Duration, Instant};

use larder::cache::{Cache, Health};
use larder::health::Trouble;
use larder::receipt::Delivery;
use larder_testbed::Redis;

use crate::support::{Table, eventually, in_redis, in_redis_of_ledger, instance};

#[tokio::test]
async fn a_hung_redis_fails_no_read_and_its_copies_end_with_the_bound() {
    let redis = Redis::start().unwrap();
    let instance = instance(&redis).await;
    let table = Table::new();
    table.write(7, 1);
    instance.warm(&table, 7).await;
    redis.pause().unwrap();
    let hung = Instant::now();
    table.write(7, 2);
    eventually("the copy is no longer served", async || {
        let began = Instant::now();
        let value = instance.read(&table, 7).await;
        assert!(began.elapsed() < Duration::from_secs(1), "a read is delayed by our time-out, not by TCP");
        assert!(value == Some(2) || hung.elapsed() < Duration::from_millis(2_300), "served beyond the bound");
        value == Some(2)
    })
    .await;
    assert_eq!(instance.cache.health(), Health::Degraded);
    redis.resume().unwrap();
    eventually("it recovers", async || instance.cache.health() == Health::Working).await;
}

#[tokio::test]
async fn an_invalidation_that_could_not_be_sent_is_queued_and_sent_later() {
    let redis = Redis::start().unwrap();
    let (writer, reader) = (instance(&redis).await, instance(&redis).await);
    let table = Table::new();
    table.write(7, 1);
    for instance in [&writer, &reader] {
        instance.warm(&table, 7).await;
    }
    redis.pause().unwrap();
    assert_eq!(writer.write(&table, 7, 2).await, Delivery::Queued);
    assert_eq!(writer.read(&table, 7).await, Some(2), "the writer reads its own write all the same");
    assert_eq!(writer.read_fresh(&table, 7).await, Some(2));
    redis.resume().unwrap();
    eventually("it recovers", async || writer.cache.health() == Health::Working).await;
    assert_eq!(writer.read(&table, 7).await, Some(2), "Redis is not used before the invalidation was sent");
    eventually("the other instance follows", async || reader.read(&table, 7).await == Some(2)).await;
}

#[tokio::test]
async fn a_killed_redis_fails_no_read_and_returns_empty() {
    let mut redis = Redis::start().unwrap();
    let instance = instance(&redis).await;
    let table = Table::new();
    table.write(7, 1);
    instance.warm(&table, 7).await;
    redis.kill().unwrap();
    table.write(7, 2);
    eventually("memory was emptied with the connection", async || instance.read(&table, 7).await == Some(2))
        .await;
    let loads = table.loads();
    for _ in 0..100 {
        assert_eq!(instance.read(&table, 7).await, Some(2));
    }
    assert!(table.loads() <= loads + 2, "outage copies spare the database, for the bound at most");
    redis.restart().unwrap();
    eventually("it recovers", async || instance.cache.health() == Health::Working).await;
    instance.warm(&table, 7).await;
}

#[tokio::test]
async fn a_redis_that_was_never_there_fails_nothing() {
    let port = larder_testbed::free_port().unwrap();
    let cache = crate::support::builder()
        .redis(format!("redis://127.0.0.1:{port}"))
        .installation("test")
        .build()
        .await
        .unwrap();
    assert_eq!(cache.health(), Health::Degraded);
    let values = cache.class::<u32, u64>("values").open().unwrap();
    let value = values.get_or_load(&7, async || Ok::<u64, std::fmt::Error>(1)).await.unwrap();
    assert_eq!(value.as_deref(), Some(&1));
    assert_eq!(values.invalidate(&7).await.delivery(), Delivery::Queued);
}

#[tokio::test]
async fn contents_of_redis_from_before_its_certificate_are_dropped() {
    let redis = Redis::start().unwrap();
    for n in 0..3_000 {
        redis
            .command(&["SET", &format!("{}{n}", in_redis!("values:")), "from a snapshot of last week"])
            .unwrap();
    }
    redis.command(&["SET", "celery:task", "not ours"]).unwrap();
    let instance = instance(&redis).await;
    let keys = redis.command(&["KEYS", "*"]).unwrap();
    let mut keys: Vec<&str> = keys.lines().collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["celery:task", in_redis!("@live"), in_redis!("@wm"), "test:@installation"],
        "only the own namespace is dropped"
    );

    // A second instance finds the certificate and drops nothing.
    let table = Table::new();
    table.write(7, 1);
    instance.read(&table, 7).await;
    let second = crate::support::instance(&redis).await;
    second.read(&table, 7).await;
    assert_eq!(second.values.stats().redis_hits, 1);
}

#[tokio::test]
async fn an_instance_with_another_bound_is_used_once_the_former_ones_are_gone() {
    let redis = Redis::start().unwrap();
    drop(instance(&redis).await);
    let used: i64 = redis.command(&["PTTL", in_redis!("@wm")]).unwrap().parse().unwrap();
    assert!((100_000..=120_000).contains(&used), "{used}");
    let builder = Cache::builder("test").redis(redis.url()).installation("test");
    let other = builder.staleness_bound(Duration::from_secs(5)).build().await.unwrap();
    let disagrees =
        || other.health_report().reasons.iter().any(|reason| reason.trouble == Trouble::Disagreement);
    eventually("it is refused", async || disagrees()).await;
    // Deletes the key that says that an instance uses this Redis, as its expiry would.
    redis.command(&["DEL", in_redis!("@wm")]).unwrap();
    eventually("it is used", async || other.health() == Health::Working).await;
    assert!(!disagrees());
}

#[tokio::test]
async fn an_instance_with_another_bound_is_refused() {
    let redis = Redis::start().unwrap();
    let _first = instance(&redis).await;
    let bound = Duration::from_secs(5);
    let other = crate::support::builder()
        .redis(redis.url())
        .installation("test")
        .staleness_bound(bound)
        .build()
        .await
        .unwrap();
    eventually("it is named", async || {
        other.health_report().reasons.iter().any(|reason| reason.trouble == Trouble::Disagreement)
    })
    .await;
    assert_eq!(other.health(), Health::Degraded);
    let apart = Cache::builder("apart")
        .redis(redis.url())
        .installation("test")
        .staleness_bound(bound)
        .build()
        .await
        .unwrap();
    assert_eq!(apart.health(), Health::Working);
}

#[tokio::test]
async fn a_full_redis_is_a_plain_miss_and_still_invalidates() {
    let redis = Redis::start_with(&[("maxmemory-policy", "noeviction")]).unwrap();
    let instance = instance(&redis).await;
    let table = Table::new();
    table.write(7, 1);
    instance.warm(&table, 7).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    assert_eq!(instance.write(&table, 7, 2).await, Delivery::Sent, "UNLINK works where SET does not");
    assert_eq!(instance.read(&table, 7).await, Some(2));
    assert_eq!(instance.read_fresh(&table, 7).await, Some(2));
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    instance.warm(&table, 7).await;
}

#[tokio::test]
async fn hostile_bytes_in_redis_are_a_miss_and_an_alarm() {
    let redis = Redis::start().unwrap();
    let (writer, reader) = (instance(&redis).await, instance(&redis).await);
    let table = Table::new();
    table.write(7, 1);
    writer.read(&table, 7).await;
    let frame = redis.command_bytes(&[b"GET", in_redis!("values:7").as_bytes()]).unwrap();
    let truncated = &frame[..frame.len() - 1];
    let mut version = frame.clone();
    version[17] = 99;
    let hostile: [&[u8]; 5] = [b"", b"V", b"not a frame at all, but longer", truncated, &version];
    for (nth, bytes) in hostile.into_iter().enumerate() {
        redis.command_bytes(&[b"SET", in_redis!("values:7").as_bytes(), bytes]).unwrap();
        assert_eq!(reader.read_fresh(&table, 7).await, Some(1), "{bytes:?}");
        assert_eq!(reader.values.stats().broken_frames, nth as u64 + 1, "{bytes:?}");
    }
    // A tag key with another frame guards nothing, and gets a token again.
    redis.command(&["SET", in_redis!("#values"), "junk"]).unwrap();
    let loads = table.loads();
    for _ in 0..3 {
        assert_eq!(reader.read_fresh(&table, 7).await, Some(1));
    }
    assert_eq!(table.loads(), loads + 1);
    assert_eq!(reader.values.stats().broken_frames, 6);
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_sent_again() {
    let redis = Redis::start().unwrap();
    let instance = instance(&redis).await;
    let table = Table::new();
    table.write(7, 1);
    instance.read(&table, 7).await;
    redis.command(&["SCRIPT", "FLUSH"]).unwrap();
    table.write(8, 1);
    instance.warm(&table, 8).await;
}

#[tokio::test]
async fn values_of_another_type_under_our_keys_are_replaced() {
    let redis = Redis::start().unwrap();
    let table = Table::new();
    table.write(7, 1);
    let journalled = [
        "test:@installation",
        in_redis_of_ledger!("@live"),
        in_redis_of_ledger!("@wm"),
        in_redis_of_ledger!("@pos"),
        in_redis_of_ledger!("values:7"),
        in_redis_of_ledger!("#values"),
        in_redis_of_ledger!("#lists"),
    ];
    let unjournalled = [
        "test:@installation",
        in_redis!("@live"),
        in_redis!("@wm"),
        in_redis!("@pos"),
        in_redis!("values:7"),
        in_redis!("#values"),
        in_redis!("#lists"),
    ];
    for (is_journalled, strange) in [(true, journalled), (false, unjournalled)] {
        redis.command(&["FLUSHALL"]).unwrap();
        for key in strange {
            redis.command(&["RPUSH", key, "strange"]).unwrap();
        }
        let mut builder = crate::support::builder().redis(redis.url()).installation("test");
        if is_journalled {
            builder = builder.journal(crate::support::journal::Ledger::new());
        }
        let instance = crate::support::classes(builder.build().await.unwrap());
        eventually("the tier is usable", async || instance.cache.health() == Health::Working).await;
        // The same in a Redis that is in use.
        for key in &strange[4..] {
            redis.command(&["DEL", key]).unwrap();
            redis.command(&["RPUSH", key, "strange"]).unwrap();
        }
        assert_eq!(instance.read(&table, 7).await, Some(1));
        instance.warm(&table, 7).await;
        // Until Redis answers, and not memory because Redis could not be used.
        eventually("the strange values are gone", async || {
            instance.read_fresh(&table, 7).await;
            strange[4..6].iter().all(|key| redis.command(&["TYPE", key]).unwrap() == "string")
        })
        .await;
    }
}
