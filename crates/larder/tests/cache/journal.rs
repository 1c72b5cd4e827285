//! The journal's promises: every commit by any program reaches every instance, whatever fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::cache::Health;
use larder::journal::Touch;
use larder::receipt::Delivery;
use larder::source::Source;
use larder_testbed::Redis;

use crate::support::journal::Ledger;
use crate::support::{Gate, Instance, Table, calls, classes, eventually, in_redis_of_ledger, within};

const BOUND: Duration = Duration::from_secs(2);

async fn instance(redis: Option<&Redis>, ledger: &Ledger) -> Instance {
    let mut builder = crate::support::builder().journal(ledger.clone());
    if let Some(redis) = redis {
        builder = builder.redis(redis.url());
    }
    classes(builder.build().await.unwrap())
}

/// A program without larder commits: the trigger journals the change, and there is no call of an invalidation.
fn commit_elsewhere(table: &Table, ledger: &Ledger, key: u32, version: u64) {
    table.write(key, version);
    ledger.note(Touch::entry("values", [key.to_string()]));
    ledger.note(Touch::Tag("everything".to_owned()));
}

/// Reads until memory answers.
async fn warm(instance: &Instance, table: &Arc<Table>) {
    eventually("memory answers", async || {
        let value = instance.values.read(&1).or_load(table.loader(1)).await.unwrap();
        let list = instance.lists.read("all").or_load(table.loader_of_all()).await.unwrap();
        value.source == Source::Memory && list.source == Source::Memory
    })
    .await;
}

async fn value(instance: &Instance, table: &Arc<Table>) -> Option<u64> {
    instance.values.get_or_load(&1, table.loader(1)).await.unwrap().as_deref().copied()
}

async fn a_foreign_write_is_seen_within_the_bound(redis: Option<&Redis>) {
    let (table, ledger) = (Table::new(), Ledger::new());
    table.write(1, 1);
    let instances = [instance(redis, &ledger).await, instance(redis, &ledger).await];
    for instance in &instances {
        warm(instance, &table).await;
    }
    let committed = Instant::now();
    commit_elsewhere(&table, &ledger, 1, 2);
    for instance in &instances {
        eventually("the new value is served", async || value(instance, &table).await == Some(2)).await;
        assert!(committed.elapsed() < BOUND, "seen after {:?}", committed.elapsed());
        let list = instance.lists.get_or_load("all", table.loader_of_all()).await.unwrap();
        assert_eq!(list.as_deref(), Some(&vec![2]), "and so is the list under its tag");
        warm(instance, &table).await;
        assert_eq!(value(instance, &table).await, Some(2), "and never the old one again");
    }
}

#[tokio::test]
async fn a_foreign_write_is_seen_by_every_instance_on_redis() {
    within(a_foreign_write_is_seen_within_the_bound(Some(&Redis::start().unwrap()))).await;
}

#[tokio::test]
async fn a_foreign_write_is_seen_by_every_process_without_redis() {
    within(a_foreign_write_is_seen_within_the_bound(None)).await;
}

/// The writer commits and dies before it has propagated the change; only the row in the journal remains.
#[tokio::test]
async fn trace_5_a_writer_that_dies_between_commit_and_invalidation() {
    for redis in [Some(Redis::start().unwrap()), None] {
        let (table, ledger) = (Table::new(), Ledger::new());
        table.write(1, 1);
        let [writer, other] =
            [instance(redis.as_ref(), &ledger).await, instance(redis.as_ref(), &ledger).await];
        warm(&writer, &table).await;
        warm(&other, &table).await;
        let committed = Instant::now();
        commit_elsewhere(&table, &ledger, 1, 2);
        drop(writer);
        eventually("the new value is served", async || value(&other, &table).await == Some(2)).await;
        assert!(committed.elapsed() < BOUND, "seen after {:?}", committed.elapsed());
        for _ in 0..100 {
            assert_eq!(value(&other, &table).await, Some(2), "and never the old one after");
        }
    }
}

#[tokio::test]
async fn trace_3_flushed_in_the_middle_of_a_load() {
    let (redis, table, ledger, gate) = (Redis::start().unwrap(), Table::new(), Ledger::new(), Gate::new());
    table.write(1, 1);
    let [a, b] = [instance(Some(&redis), &ledger).await, instance(Some(&redis), &ledger).await];
    let loading = {
        let (a, table, gate) = (a.clone(), table.clone(), gate.clone());
        tokio::spawn(async move {
            let load = || async move {
                let value = table.load(1);
                gate.wait().await;
                value
            };
            a.values.get_or_load(&1, load).await.unwrap().as_deref().copied()
        })
    };
    gate.arrival().await;
    redis.command(&["FLUSHALL"]).unwrap();
    table.write(1, 2);
    let _receipt = b.values.invalidate(&1).await;
    gate.open();
    assert_eq!(within(loading).await.unwrap(), Some(1), "the read that began before the write");
    for instance in [&a, &b] {
        assert_eq!(within(value(instance, &table)).await, Some(2));
    }
}

#[tokio::test]
async fn trace_3_restored_from_an_old_snapshot_in_the_middle_of_a_load() {
    let (mut redis, table, ledger, gate) =
        (Redis::start().unwrap(), Table::new(), Ledger::new(), Gate::new());
    table.write(1, 1);
    table.write(2, 1);
    let [a, b] = [instance(Some(&redis), &ledger).await, instance(Some(&redis), &ledger).await];
    warm(&a, &table).await;
    let loading = {
        let (a, table, gate) = (a.clone(), table.clone(), gate.clone());
        tokio::spawn(async move {
            let load = || async move {
                let value = table.load(2);
                gate.wait().await;
                value
            };
            a.values.get_or_load(&2, load).await.unwrap().as_deref().copied()
        })
    };
    gate.arrival().await;
    // The snapshot holds version 1 of one key, and the lease of the other.
    let snapshot = redis.snapshot().unwrap();
    for key in [1, 2] {
        commit_elsewhere(&table, &ledger, key, 2);
        let receipt = b.values.invalidate(&key).await;
        assert_eq!(receipt.delivery(), Delivery::Sent);
    }
    redis.restore(&snapshot).unwrap();
    gate.open();
    assert_eq!(within(loading).await.unwrap(), Some(1), "the read that began before the write");
    for instance in [&a, &b] {
        // From here on, no read misses a write that was acknowledged as sent, with this Redis or without it.
        let until = Instant::now() + BOUND;
        let mut from_redis = false;
        while Instant::now() < until || !from_redis {
            for key in [1, 2] {
                let read = instance.values.read(&key).or_load(table.loader(key)).await.unwrap();
                assert_eq!(read.value.as_deref(), Some(&2), "from {:?}", read.source);
                from_redis |= instance.cache.health() == Health::Working;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn nothing_is_served_from_the_tiers_beyond_the_bound_while_the_relay_is_frozen() {
    for redis in [Some(Redis::start().unwrap()), None] {
        let (table, ledger) = (Table::new(), Ledger::new());
        table.write(1, 1);
        let a = instance(redis.as_ref(), &ledger).await;
        warm(&a, &table).await;
        ledger.freeze(true);
        let committed = Instant::now();
        commit_elsewhere(&table, &ledger, 1, 2);
        eventually("the new value is served", async || value(&a, &table).await == Some(2)).await;
        assert!(committed.elapsed() < BOUND + Duration::from_millis(100), "{:?}", committed.elapsed());
        ledger.freeze(false);
        eventually("memory answers again", async || {
            let read = a.values.read(&1).or_load(table.loader(1)).await.unwrap();
            assert_eq!(read.value.as_deref(), Some(&2));
            read.source == Source::Memory && a.cache.health() != Health::Degraded
        })
        .await;
    }
}

#[tokio::test]
async fn an_invalidation_by_hand_is_journalled_first_and_reaches_processes_without_redis() {
    let (table, ledger) = (Table::new(), Ledger::new());
    // Two processes that share only the database.
    let [a, b] = [instance(None, &ledger).await, instance(None, &ledger).await];
    let by_hand = async |number: usize| match number {
        0 => a.values.invalidate(&1).await,
        1 => a.values.invalidate_all().await,
        2 => a.cache.invalidate_matching("val*:1").await.unwrap(),
        3 => a.cache.invalidate_prefix("values").await.unwrap(),
        _ => a.cache.clear().await,
    };
    for number in 0..5 {
        table.write(1, number as u64);
        for instance in [&a, &b] {
            eventually("the present value is served", async || {
                value(instance, &table).await == Some(number as u64)
            })
            .await;
        }
        warm(&a, &table).await;
        warm(&b, &table).await;
        // The table changes and no trigger journals it: only the invalidation by hand reports the change.
        table.write(1, 100 + number as u64);
        let noted = ledger.rows().len();
        let receipt = by_hand(number).await;
        assert!(receipt.is_journalled());
        assert_eq!(ledger.rows().len(), noted + 1);
        assert_eq!(value(&a, &table).await, Some(100 + number as u64), "at once where it was made");
        eventually("it reaches the other", async || value(&b, &table).await == Some(100 + number as u64))
            .await;
        let _receipt = a.cache.clear().await;
    }
    assert!(a.cache.invalidate_matching("").await.is_err());
}

#[tokio::test]
async fn a_committed_write_is_not_journalled_twice() {
    let (redis, table, ledger) = (Redis::start().unwrap(), Table::new(), Ledger::new());
    table.write(1, 1);
    let a = instance(Some(&redis), &ledger).await;
    warm(&a, &table).await;
    let touches = [Touch::entry("values", ["1"]), Touch::Tag("everything".to_owned())];
    table.write(1, 2);
    let changes = touches.clone().map(|touch| ledger.note(touch));
    let receipt = a.cache.committed(&touches, &changes).send().await;
    assert_eq!((receipt.delivery(), receipt.keys(), receipt.tags()), (Delivery::Sent, 1, 1));
    assert_eq!((receipt.dropped().memory, receipt.dropped().redis), (1, 2), "the entry, and the tag's token");
    assert!(receipt.is_journalled());
    assert_eq!(ledger.rows(), touches);
    assert_eq!(value(&a, &table).await, Some(2));
}

#[tokio::test]
async fn a_queued_invalidation_can_be_awaited() {
    let (redis, table, ledger) = (Redis::start().unwrap(), Table::new(), Ledger::new());
    table.write(1, 1);
    let a = instance(Some(&redis), &ledger).await;
    warm(&a, &table).await;
    redis.pause().unwrap();
    table.write(1, 2);
    let queued = a.cache.committed(&[Touch::entry("values", ["1"])], &[]).send().await;
    assert_eq!(queued.delivery(), Delivery::Queued);
    assert_eq!(value(&a, &table).await, Some(2), "this instance sees its write at once");
    let waiting = a.cache.committed(&[Touch::entry("values", ["1"])], &[]).wait();
    let waiting = tokio::spawn(waiting.send());
    redis.resume().unwrap();
    assert_eq!(within(waiting).await.unwrap().delivery(), Delivery::Sent);
}

#[tokio::test]
async fn a_redis_without_a_journals_certificate_is_taken_over() {
    let (redis, table, ledger) = (Redis::start().unwrap(), Table::new(), Ledger::new());
    table.write(1, 1);
    let before = crate::support::instance(&redis).await;
    warm(&before, &table).await;
    drop(before);
    table.write(1, 2);
    let a = instance(Some(&redis), &ledger).await;
    eventually("Redis is usable", async || a.cache.health() == Health::Working).await;
    assert_eq!(value(&a, &table).await, Some(2));
    assert!(redis.command(&["GET", in_redis_of_ledger!("@live")]).unwrap().contains(" test 1 "));
}

#[tokio::test]
async fn a_journal_costs_hits_no_round_trip() {
    let (redis, table, ledger) = (Redis::start().unwrap(), Table::new(), Ledger::new());
    table.write(1, 1);
    let [a, b] = [instance(Some(&redis), &ledger).await, instance(Some(&redis), &ledger).await];
    assert_eq!(value(&a, &table).await, Some(1));
    redis.command(&["CONFIG", "RESETSTAT"]).unwrap();
    for _ in 0..=100 {
        assert_eq!(value(&b, &table).await, Some(1));
    }
    let stats = redis.command(&["INFO", "commandstats"]).unwrap();
    assert!(calls(&stats, &["mget"]) < 100, "one of the read, the others of heartbeats and polls: {stats}");
    let stats = b.values.stats();
    assert_eq!((stats.redis_hits, stats.memory_hits, stats.loads), (1, 100, 0));
}
