//! Loads that take longer than the staleness bound and than the life of a lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use larder::cache::Cache;
use larder::class::Class;
use larder::error::ErrorKind;
use larder_testbed::Redis;
use tokio::task::JoinSet;

use crate::support::{Gate, Instance, Table, calls, eventually, instance, memory_instance, within};

const MINUTE: Duration = Duration::from_secs(60);

fn reports(cache: &Cache) -> Class<u32, u64> {
    cache.class("reports").load_timeout(MINUTE).tagged("everything").open().unwrap()
}

/// A load that reads now, and returns when the gate opens.
fn held(
    class: &Class<u32, u64>,
    table: &Arc<Table>,
    gate: &Arc<Gate>,
) -> tokio::task::JoinHandle<Option<u64>> {
    let (class, table, gate) = (class.clone(), table.clone(), gate.clone());
    tokio::spawn(async move {
        let load = || async move {
            let read = table.load(7);
            gate.wait().await;
            read
        };
        class.get_or_load(&7, load).await.unwrap().as_deref().copied()
    })
}

async fn read(class: &Class<u32, u64>, table: &Arc<Table>) -> Option<u64> {
    within(class.get_or_load(&7, table.loader(7))).await.unwrap().as_deref().copied()
}

/// Reads until the answer is `version`. Another instance's memory can be one push behind.
async fn reads_until(class: &Class<u32, u64>, table: &Arc<Table>, version: u64) {
    while read(class, table).await != Some(version) {
        tokio::task::yield_now().await;
    }
}

/// Waits until the lease of a load was renewed `times`.
async fn renewals(redis: &Redis, times: u64) {
    let before = calls(&redis.command(&["INFO", "commandstats"]).unwrap(), &["pexpire"]);
    eventually("the lease is renewed", async || {
        calls(&redis.command(&["INFO", "commandstats"]).unwrap(), &["pexpire"]) >= before + times
    })
    .await;
}

/// Two hundred readers of a report that takes six seconds. Half of them arrive while it is being made.
async fn two_hundred_readers(instances: Vec<Instance>) {
    let loads = Arc::new(AtomicUsize::new(0));
    let mut readers = JoinSet::new();
    for nth in 0..200_u64 {
        let cache = &instances[usize::try_from(nth).unwrap() % instances.len()].cache;
        let (reports, loads) = (reports(cache), loads.clone());
        readers.spawn(async move {
            if nth >= 100 {
                // Arrivals spread over five seconds.
                tokio::time::sleep(Duration::from_millis(50 * (nth - 100))).await;
            }
            let load = || async move {
                loads.fetch_add(1, Ordering::SeqCst);
                // The load itself takes this long: it simulates a slow report and synchronises nothing.
                tokio::time::sleep(Duration::from_secs(6)).await;
                Ok::<u64, std::fmt::Error>(42)
            };
            if nth % 10 == 9 {
                // An impatient reader gets its answer in time, and the report goes on.
                let began = Instant::now();
                let error = reports
                    .read(&7)
                    .soft_timeout(Duration::from_millis(100))
                    .or_load(load)
                    .await
                    .unwrap_err();
                assert_eq!(error.kind(), ErrorKind::SoftTimeout, "{error}");
                assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
                return 42;
            }
            *reports.get_or_load(&7, load).await.unwrap().unwrap()
        });
    }
    assert_eq!(within(readers.join_all()).await, [42; 200]);
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    let soft_timeouts: u64 = instances.iter().map(|one| reports(&one.cache).stats().soft_timeouts).sum();
    assert_eq!(soft_timeouts, 20);
}

#[tokio::test]
async fn two_hundred_readers_on_three_instances_are_one_slow_load() {
    let redis = Redis::start().unwrap();
    two_hundred_readers(vec![instance(&redis).await, instance(&redis).await, instance(&redis).await]).await;
}

#[tokio::test]
async fn two_hundred_readers_of_one_process_are_one_slow_load() {
    two_hundred_readers(vec![memory_instance().await]).await;
}

/// A write, and one way to invalidate it, while the lease of a load is being renewed.
async fn lost_lease(kind: &str, nth: u32, near: &Instance, writer: &Instance) {
    // A class for each round, so that several can run at once.
    let name = format!("reports_{nth}");
    let [loading, writing] = [near, writer].map(|one| -> Class<u32, u64> {
        one.cache.class(&name).load_timeout(MINUTE).tagged(&format!("tag_{nth}")).open().unwrap()
    });
    let (table, gate) = (Table::new(), Gate::new());
    table.write(7, 1);
    let slow = held(&loading, &table, &gate);
    gate.arrival().await;
    // Longer than a lease lives without renewals.
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    table.write(7, 2);
    let receipt = match kind {
        "key" => writing.invalidate(&7).await,
        "tag" => writer.cache.invalidate_tag(&format!("tag_{nth}")).await,
        "class" => writing.invalidate_all().await,
        "pattern" => writing.invalidate_matching("7").await.unwrap(),
        "pattern of classes" => writer.cache.invalidate_matching(&format!("reports_{nth}:*")).await.unwrap(),
        _ => writer.cache.invalidation().everything().send().await,
    };
    assert_eq!(receipt.delivery(), larder::receipt::Delivery::Sent);
    assert_eq!(read(&writing, &table).await, Some(2), "{kind}");
    gate.open();
    assert_eq!(within(slow).await.unwrap(), Some(1), "{kind}: it began before the write");
    for class in [&loading, &writing] {
        within(reads_until(class, &table, 2)).await;
    }
}

/// Each way to invalidate, from the same and from another instance.
#[tokio::test]
async fn trace_1_a_renewed_lease_is_lost_to_every_kind_of_invalidation() {
    let redis = Redis::start().unwrap();
    let (near, far) = (instance(&redis).await, instance(&redis).await);
    let kinds = ["key", "tag", "class", "pattern", "pattern of classes"];
    let rounds = kinds.iter().flat_map(|kind| [(*kind, &near), (*kind, &far)]);
    let mut reading = JoinSet::new();
    for (nth, (kind, writer)) in (0_u32..).zip(rounds) {
        let (near, writer) = (near.clone(), writer.clone());
        reading.spawn(async move { lost_lease(kind, nth, &near, &writer).await });
    }
    within(reading.join_all()).await;
}

/// Each round has a Redis of its own, because this also ends the loads of the others.
#[tokio::test]
async fn trace_1_a_renewed_lease_is_lost_to_an_invalidation_of_everything() {
    let round = async |is_same: bool| {
        let redis = Redis::start().unwrap();
        let near = instance(&redis).await;
        let writer = if is_same { near.clone() } else { instance(&redis).await };
        lost_lease("everything", 0, &near, &writer).await;
    };
    within(async { tokio::join!(round(true), round(false)) }).await;
}

/// A slow load of a memory-only class, and one without Redis, are checked each second. This one is invalidated between
/// two checks.
async fn overtaken_in_memory(name: &str, kind: &str, loads: &Instance, writes: &Instance) {
    let [loading, writing] = [loads, writes].map(|one| -> Class<u32, u64> {
        let class = one.cache.class(name).memory_only().load_timeout(MINUTE);
        class.tagged(&format!("tag_{name}")).open().unwrap()
    });
    let (table, gate) = (Table::new(), Gate::new());
    table.write(7, 1);
    let slow = held(&loading, &table, &gate);
    gate.arrival().await;
    // After the staleness bound no read joins the flight; it waits for its end.
    tokio::time::sleep(Duration::from_millis(2_300)).await;
    table.write(7, 2);
    let _receipt = match kind {
        "tag" => writes.cache.invalidate_tag(&format!("tag_{name}")).await,
        "class" => writing.invalidate_all().await,
        _ => writing.invalidate(&7).await,
    };
    // The next check finds that the value cannot be stored, and detaches the flight, which ends the wait.
    assert_eq!(read(&loading, &table).await, Some(2), "{kind}");
    assert!(!slow.is_finished(), "{kind}: its own reader waits");
    gate.open();
    assert_eq!(within(slow).await.unwrap(), Some(1), "{kind}: it began before the write");
    assert_eq!(read(&loading, &table).await, Some(2), "{kind}");
    assert_eq!(table.loads(), 2, "{kind}: the value of the second load was kept");
}

#[tokio::test]
async fn trace_1_a_slow_load_for_memory_alone_is_overtaken_by_an_invalidation() {
    let redis = Redis::start().unwrap();
    let (near, far, alone) = (instance(&redis).await, instance(&redis).await, memory_instance().await);
    let mut rounds = JoinSet::new();
    for (who, loads, writes) in [("same", &near, &near), ("other", &far, &near), ("alone", &alone, &alone)] {
        for kind in ["key", "tag", "class"] {
            let (loads, writes, name) = (loads.clone(), writes.clone(), format!("roles_{who}_{kind}"));
            rounds.spawn(async move { overtaken_in_memory(&name, kind, &loads, &writes).await });
        }
    }
    within(rounds.join_all()).await;
}

#[tokio::test]
async fn a_write_during_a_slow_load_frees_the_key_for_later_reads() {
    let redis = Redis::start().unwrap();
    let (near, far) = (instance(&redis).await, instance(&redis).await);
    let (slow, other) = (reports(&near.cache), reports(&far.cache));
    let (table, gate) = (Table::new(), Gate::new());
    table.write(7, 1);
    let loading = held(&slow, &table, &gate);
    gate.arrival().await;
    renewals(&redis, 2).await;
    table.write(7, 2);
    let _receipt = other.invalidate(&7).await;
    // The next renewal finds that the lease is gone, and detaches the flight: this read does not wait for it.
    assert_eq!(read(&slow, &table).await, Some(2));
    gate.open();
    assert_eq!(within(loading).await.unwrap(), Some(1));
    assert_eq!(read(&slow, &table).await, Some(2));
    assert_eq!(slow.stats().fills_refused, 1);
}

#[tokio::test]
async fn a_lease_whose_holder_died_is_free_after_three_seconds() {
    let redis = Redis::start().unwrap();
    let (table, gate) = (Table::new(), Gate::new());
    table.write(7, 1);
    let doomed = std::thread::spawn({
        let (url, table, gate) = (redis.url(), table.clone(), gate.clone());
        move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let cache = crate::support::builder().redis(url).installation("test").build().await.unwrap();
                let _loading = held(&reports(&cache), &table, &gate);
                gate.arrival().await;
            });
            // Every task of the instance ends here without a last word, as in a killed process.
            runtime.shutdown_background();
        }
    });
    doomed.join().unwrap();
    let other = instance(&redis).await;
    let began = Instant::now();
    assert_eq!(read(&reports(&other.cache), &table).await, Some(1));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn times_that_cannot_work_are_refused_when_the_class_is_opened() {
    let cache = memory_instance().await.cache;
    let long = cache.class::<u32, u64>("long").load_timeout(16 * MINUTE).open().unwrap_err();
    assert!(long.to_string().contains("load_timeout 960s: allowed is 1ms to 900s"), "{long}");
    let soft = cache.class::<u32, u64>("soft").soft_timeout(Duration::from_secs(2)).open().unwrap_err();
    assert!(soft.to_string().contains("soft_timeout 2s: allowed is at least 1ms and less than"), "{soft}");
    assert_eq!(soft.kind(), ErrorKind::Config);
    let builder = crate::support::builder().load_timeout(Duration::ZERO);
    assert!(builder.build().await.unwrap_err().to_string().contains("load_timeout 0ns"));
}
