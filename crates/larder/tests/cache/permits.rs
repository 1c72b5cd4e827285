//! Permits: a report that was computed before a write is not served after that write was acknowledged.

use std::time::{Duration, Instant};

use larder::cache::Health;
use larder::introspection::RedisAnswer;
use larder::introspection::explain::RedisState;
use larder::journal::Touch;
use larder::permit::Permit;
use larder::receipt::Delivery;
use larder_testbed::Redis;

use crate::support::journal::Ledger;
use crate::support::{Gate, Instance, Table, classes, eventually, instance, memory_instance, within};

const KEY: u32 = 7;

async fn with(redis: Option<&Redis>, ledger: Option<&Ledger>) -> Instance {
    let mut builder = crate::support::builder();
    if let Some(redis) = redis {
        builder = builder.redis(redis.url()).installation("test");
    }
    if let Some(ledger) = ledger {
        builder = builder.journal(ledger.clone());
    }
    classes(builder.build().await.unwrap())
}

async fn permit(instance: &Instance) -> Permit<u64> {
    within(instance.values.permit(&KEY)).await
}

async fn put(permit: Permit<u64>, value: u64) -> bool {
    within(permit.put(value)).await.is_stored
}

async fn get(instance: &Instance) -> Option<u64> {
    within(instance.values.get(&KEY)).await.value().as_deref().copied()
}

/// Every kind of cache: with and without Redis, with and without a journal.
struct Kinds {
    redis: Vec<Redis>,
    instances: Vec<Instance>,
}

async fn kinds() -> Kinds {
    let redis = vec![Redis::start().unwrap(), Redis::start().unwrap()];
    let ledger = Ledger::new;
    let instances = vec![
        with(None, None).await,
        with(None, Some(&ledger())).await,
        with(Some(&redis[0]), None).await,
        with(Some(&redis[1]), Some(&ledger())).await,
    ];
    Kinds { redis, instances }
}

#[tokio::test]
async fn a_computed_value_is_put_and_served() {
    let kinds = kinds().await;
    for instance in &kinds.instances {
        for value in [100, 101] {
            let permit = permit(instance).await;
            assert!(put(permit, value).await);
            assert_eq!(get(instance).await, Some(value));
        }
        let stats = instance.values.stats();
        assert_eq!((stats.puts_permitted, stats.puts_refused, stats.invalidations), (2, 0, 0));
    }
    assert_eq!(kinds.redis.len(), 2);
}

/// The fault that led to permits: the report says 100, a write makes it 200 and is acknowledged, then the report is
/// put.
#[tokio::test]
async fn a_put_is_refused_after_a_write_that_was_acknowledged_meanwhile() {
    let kinds = kinds().await;
    for instance in &kinds.instances {
        let table = Table::new();
        table.write(KEY, 100);
        let permit = permit(instance).await;
        let computed = table.load(KEY).unwrap().unwrap();
        assert_eq!(instance.write(&table, KEY, 200).await, Delivery::Sent);
        assert!(!put(permit, computed).await);
        assert_eq!(instance.read(&table, KEY).await, Some(200));
        assert_eq!(instance.read_fresh(&table, KEY).await, Some(200));
        assert_eq!(instance.values.stats().puts_refused, 1);
    }
}

#[tokio::test]
async fn a_put_is_refused_after_any_invalidation() {
    let kinds = kinds().await;
    for instance in &kinds.instances {
        for has_entry in [false, true] {
            for nth in 0..6 {
                if has_entry {
                    let _put = within(instance.values.put(&KEY, 1)).await;
                }
                let drawn = permit(instance).await;
                let receipt = match nth {
                    0 => instance.values.invalidate(&KEY).await,
                    1 => instance.values.invalidate_all().await,
                    2 => instance.values.invalidate_matching("7*").await.unwrap(),
                    3 => instance.cache.invalidate_matching("val*").await.unwrap(),
                    4 => instance.cache.invalidation().everything().send().await,
                    _ => instance.cache.invalidation().tag("values").send().await,
                };
                assert_eq!(receipt.delivery(), Delivery::Sent);
                assert!(!put(drawn, 100).await, "invalidation {nth}, with an entry: {has_entry}");
                assert_eq!(get(instance).await, None, "invalidation {nth}, with an entry: {has_entry}");
            }
        }
        // Invalidations of other keys and tags do not void the permit.
        let drawn = permit(instance).await;
        let _receipt = instance.values.invalidate(&8).await;
        let _receipt = instance.lists.invalidate_all().await;
        let _receipt = instance.values.invalidate_matching("8*").await.unwrap();
        assert!(put(drawn, 100).await);
        assert_eq!(get(instance).await, Some(100));
    }
}

#[tokio::test]
async fn a_put_is_refused_after_another_instances_write() {
    let redis = Redis::start().unwrap();
    let (a, b) = (instance(&redis).await, instance(&redis).await);
    let table = Table::new();
    table.write(KEY, 100);
    for has_entry in [false, true] {
        let _receipt = a.values.invalidate(&KEY).await;
        if has_entry {
            a.warm(&table, KEY).await;
        }
        let drawn = permit(&a).await;
        assert_eq!(b.write(&table, KEY, 200).await, Delivery::Sent);
        assert!(!put(drawn, 100).await);
        assert_eq!(a.read_fresh(&table, KEY).await, Some(200));
        assert_eq!(b.read(&table, KEY).await, Some(200));
    }
}

#[tokio::test]
async fn a_put_is_refused_after_a_write_that_only_the_journal_reports() {
    for redis in [Some(Redis::start().unwrap()), None] {
        let (ledger, table) = (Ledger::new(), Table::new());
        let instance = with(redis.as_ref(), Some(&ledger)).await;
        table.write(KEY, 100);
        instance.warm(&table, KEY).await;
        let drawn = permit(&instance).await;
        table.write(KEY, 200);
        ledger.note(Touch::entry("values", [KEY.to_string()]));
        eventually("the journal was followed", async || instance.read(&table, KEY).await == Some(200)).await;
        assert!(!put(drawn, 100).await);
        assert_eq!(instance.read_fresh(&table, KEY).await, Some(200));
        // Changes that were in the journal at the draw do not void the permit.
        let _receipt = instance.values.invalidate(&KEY).await;
        let drawn = permit(&instance).await;
        let polls = ledger.rows().len();
        let _receipt = instance.values.put(&8, 1).await;
        assert_eq!(ledger.rows().len(), polls + 1, "and was polled");
        assert!(put(drawn, 200).await);
        assert_eq!(get(&instance).await, Some(200));
    }
}

#[tokio::test]
async fn an_existing_value_is_served_until_the_put() {
    let kinds = kinds().await;
    for instance in &kinds.instances {
        let table = Table::new();
        table.write(KEY, 1);
        instance.warm(&table, KEY).await;
        let loads = table.loads();
        let drawn = permit(instance).await;
        for _ in 0..3 {
            assert_eq!(instance.read(&table, KEY).await, Some(1));
        }
        assert!(put(drawn, 2).await);
        assert_eq!((instance.read(&table, KEY).await, table.loads()), (Some(2), loads), "no read loads");
    }
}

#[tokio::test]
async fn a_load_in_between_voids_the_permit_and_waits_for_nothing() {
    let kinds = kinds().await;
    for instance in &kinds.instances {
        let table = Table::new();
        table.write(KEY, 200);
        let drawn = permit(instance).await;
        let began = Instant::now();
        assert_eq!(instance.read(&table, KEY).await, Some(200));
        assert!(began.elapsed() < Duration::from_secs(1), "a permit is no lease");
        assert!(!put(drawn, 100).await);
        assert_eq!(instance.read(&table, KEY).await, Some(200));
    }
}

/// A flight that is in progress at the draw, and the permit, do not hide each other.
#[tokio::test]
async fn a_flight_and_a_permit_do_not_hide_each_other() {
    let instance = memory_instance().await;
    let (table, gate) = (Table::new(), Gate::new());
    table.write(KEY, 1);
    let loading = instance.held_read(&table, KEY, &gate);
    gate.arrival().await;
    let drawn = permit(&instance).await;
    let joins = instance.held_read(&table, KEY, &gate);
    eventually("it joins", async || table.loads() == 1).await;
    assert!(put(drawn, 2).await);
    gate.open();
    within(loading).await.unwrap();
    let _joined = within(joins).await.unwrap();
    assert_eq!(get(&instance).await, Some(2), "the load that began before the put is not stored");
}

#[tokio::test]
async fn of_two_permits_the_first_put_wins() {
    let kinds = kinds().await;
    for instance in &kinds.instances {
        for has_entry in [false, true] {
            let _receipt = instance.values.invalidate(&KEY).await;
            if has_entry {
                let _put = within(instance.values.put(&KEY, 1)).await;
            }
            let (first, second) = (permit(instance).await, permit(instance).await);
            assert!(put(second, 2).await);
            assert!(!put(first, 3).await);
            assert_eq!(get(instance).await, Some(2));
            // Dropping one permit does not void the other.
            let _receipt = instance.values.invalidate(&KEY).await;
            let (first, second) = (permit(instance).await, permit(instance).await);
            drop(first);
            assert!(put(second, 4).await);
        }
    }
}

#[tokio::test]
async fn a_permit_ends_with_its_time_and_a_value_with_its_ttl() {
    let kinds = kinds().await;
    for instance in &kinds.instances {
        let drawn = within(instance.values.permit_for(&KEY, Duration::from_millis(1))).await;
        eventually("its time is over", {
            let drawn_at = Instant::now();
            async move || drawn_at.elapsed() > Duration::from_millis(10)
        })
        .await;
        assert!(!put(drawn, 1).await);
        instance.values.set_enabled(false);
        let off = permit(instance).await;
        instance.values.set_enabled(true);
        assert!(!put(off, 1).await, "drawn while the class was off");
        assert_eq!(get(instance).await, None);
    }
}

#[tokio::test]
async fn a_put_is_refused_after_redis_was_flushed_killed_or_restarted() {
    let mut redis = Redis::start_with(&[("save", "3600 1")]).unwrap();
    let instance = instance(&redis).await;
    for (has_entry, misfortune) in (0..3).flat_map(|nth| [(false, nth), (true, nth)]) {
        if has_entry {
            let _put = within(instance.values.put(&KEY, 1)).await;
        }
        let drawn = permit(&instance).await;
        match misfortune {
            0 => drop(redis.command(&["FLUSHALL"]).unwrap()),
            1 => {
                redis.command(&["SAVE"]).unwrap();
                redis.kill().unwrap();
            }
            _ => {
                // Redis restarts with all its data, the permit too.
                redis.command(&["SAVE"]).unwrap();
                redis.kill().unwrap();
                redis.restart().unwrap();
                eventually("it recovers", async || instance.cache.health() == Health::Working).await;
            }
        }
        assert!(!put(drawn, 100).await, "misfortune {misfortune}, with an entry: {has_entry}");
        if misfortune == 1 {
            redis.restart().unwrap();
        }
        eventually("it recovers", async || instance.cache.health() == Health::Working).await;
        assert_ne!(get(&instance).await, Some(100));
        let _receipt = instance.values.invalidate(&KEY).await;
    }
}

#[tokio::test]
async fn while_redis_is_away_a_put_stays_here_for_no_longer_than_the_bound() {
    let mut redis = Redis::start().unwrap();
    let instance = instance(&redis).await;
    redis.kill().unwrap();
    eventually("it is known", async || instance.cache.health() == Health::Degraded).await;
    let drawn = permit(&instance).await;
    let put = within(drawn.put(100)).await;
    assert_eq!((put.is_stored, put.receipt.delivery()), (true, Delivery::Queued));
    assert_eq!(get(&instance).await, Some(100));
    let drawn = permit(&instance).await;
    let _receipt = instance.values.invalidate(&KEY).await;
    assert!(!within(drawn.put(100)).await.is_stored);
    assert_eq!(get(&instance).await, None);
}

#[tokio::test]
async fn a_permit_is_shown_as_what_it_is_and_another_lease_is_waited_for() {
    let redis = Redis::start().unwrap();
    let (a, b) = (instance(&redis).await, instance(&redis).await);
    let drawn = permit(&a).await;
    let touch = Touch::entry("values", [KEY.to_string()]);
    let shown = b.cache.explain(&touch).await.unwrap().redis;
    assert!(matches!(shown, RedisAnswer::Value(RedisState::Permit { .. })), "{shown:?}");
    assert_eq!(get(&b).await, None, "a look finds nothing, and voids nothing");
    assert!(put(drawn, 1).await);
    let _receipt = a.values.invalidate(&KEY).await;

    let (table, gate) = (Table::new(), Gate::new());
    table.write(KEY, 5);
    let loading = b.held_read(&table, KEY, &gate);
    gate.arrival().await;
    let drawing = tokio::spawn({
        let a = a.clone();
        async move { a.values.permit(&KEY).await }
    });
    eventually("the lease exists", async || {
        matches!(a.cache.explain(&touch).await.unwrap().redis, RedisAnswer::Value(RedisState::Lease { .. }))
    })
    .await;
    gate.open();
    assert_eq!(within(loading).await.unwrap(), Some(5));
    let drawn = within(drawing).await.unwrap();
    assert_eq!(get(&a).await, Some(5), "its fill was not refused");
    assert!(put(drawn, 6).await);
    assert_eq!(get(&b).await, Some(6));
}
