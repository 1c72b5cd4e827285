//! The auditor finds reads that are stale beyond the bound, and no others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder::Cache;
use larder::audit::AuditReport;
use larder::error::ErrorKind;
use larder::loading::{is_auditing, spoil};
use larder_testbed::Redis;

use crate::support::{Instance, Table, builder, classes, eventually, within};

/// A builder of caches that check each hit.
fn auditing() -> larder::Builder {
    builder().audit_rate(1.0).audit_loads_per_second(10_000.0)
}

fn audit(cache: &Cache) -> AuditReport {
    cache.audit().expect("auditing is on")
}

/// Reads, and waits until the hit is checked.
async fn read_checked(instance: &Instance, table: &Arc<Table>, key: u32) -> Option<u64> {
    let before = audit(&instance.cache).checked;
    let value = instance.read(table, key).await;
    eventually("the hit is checked", async || audit(&instance.cache).checked > before).await;
    value
}

#[cfg(feature = "testing")]
mod by_the_clock {
    use larder::audit::AuditWindow;
    use larder::testing::ManualClock;

    use super::*;

    async fn instance(clock: &ManualClock) -> (Instance, Arc<Table>) {
        let instance = classes(auditing().manual_clock(clock).build().await.unwrap());
        let table = Table::new();
        table.write(7, 1);
        instance.read(&table, 7).await;
        (instance, table)
    }

    /// A naive cache: no journal and no Redis report the write, so the copy stays for its TTL.
    #[tokio::test]
    async fn a_cache_that_misses_a_write_rings_after_the_bound() {
        let clock = ManualClock::new();
        let (instance, table) = instance(&clock).await;
        assert_eq!(read_checked(&instance, &table, 7).await, Some(1));
        assert_eq!(audit(&instance.cache).changed, 0);
        table.write(7, 2);
        read_checked(&instance, &table, 7).await;
        let AuditReport { changed, stale, watched, .. } = audit(&instance.cache);
        assert_eq!((changed, stale, watched), (1, 0, 1), "it may have changed after the hit");
        clock.advance(Duration::from_millis(1_999));
        read_checked(&instance, &table, 7).await;
        assert_eq!(audit(&instance.cache).stale, 0, "within the bound");
        clock.advance(Duration::from_millis(1));
        assert_eq!(read_checked(&instance, &table, 7).await, Some(1), "the cache is naive");
        let AuditReport { stale, worst_age, .. } = audit(&instance.cache);
        assert_eq!((stale, worst_age), (1, Duration::from_secs(2)));
        clock.advance(Duration::from_secs(2));
        read_checked(&instance, &table, 7).await;
        let AuditReport { checked, stale, worst_age, hour, day, .. } = audit(&instance.cache);
        assert_eq!((stale, worst_age), (2, Duration::from_secs(4)), "it goes on while the fault does");
        // Two of the five have no verdict: they may have been served before the table changed.
        let counted = AuditWindow { checked: 3, stale };
        assert_eq!((checked, hour, day), (5, counted, counted));
        assert!(hour.nines().is_some_and(|nines| nines < 1.0));
    }

    /// While the due hit waits for its check, other hits on the entry are drawn: they are stale, too.
    #[tokio::test]
    async fn drawn_hits_on_an_entry_that_is_overdue_are_stale() {
        let clock = ManualClock::new();
        let (instance, table) = instance(&clock).await;
        assert_eq!(read_checked(&instance, &table, 7).await, Some(1));
        table.write(7, 2);
        read_checked(&instance, &table, 7).await;
        clock.advance(Duration::from_secs(2));
        read_checked(&instance, &table, 7).await;
        assert_eq!(audit(&instance.cache).stale, 1);
        // No hit is due before the next bound, and this one is drawn.
        clock.advance(Duration::from_millis(1));
        read_checked(&instance, &table, 7).await;
        let AuditReport { stale, hour, .. } = audit(&instance.cache);
        assert_eq!((stale, hour), (2, AuditWindow { checked: 3, stale: 2 }));
    }

    #[tokio::test]
    async fn an_absent_answer_that_misses_an_insert_rings() {
        let clock = ManualClock::new();
        let (instance, table) = instance(&clock).await;
        assert_eq!(instance.read(&table, 8).await, None);
        table.write(8, 1);
        assert_eq!(read_checked(&instance, &table, 8).await, None);
        clock.advance(Duration::from_secs(2));
        assert_eq!(read_checked(&instance, &table, 8).await, None);
        assert_eq!(audit(&instance.cache).stale, 1);
    }

    #[tokio::test]
    async fn an_entry_that_is_invalidated_within_the_bound_never_rings() {
        let clock = ManualClock::new();
        let (instance, table) = instance(&clock).await;
        table.write(7, 2);
        read_checked(&instance, &table, 7).await;
        clock.advance(Duration::from_millis(500));
        read_checked(&instance, &table, 7).await;
        let _receipt = instance.values.invalidate(&7).await;
        assert_eq!(instance.read(&table, 7).await, Some(2));
        for version in 3..6 {
            clock.advance(Duration::from_secs(20));
            table.write(7, version);
            read_checked(&instance, &table, 7).await;
            let _receipt = instance.values.invalidate(&7).await;
            instance.read(&table, 7).await;
        }
        clock.advance(Duration::from_secs(100));
        eventually("the entries are forgotten", async || audit(&instance.cache).watched == 0).await;
        let AuditReport { changed, stale, dismissed, worst_age, lag, .. } = audit(&instance.cache);
        assert_eq!((changed, stale, dismissed, worst_age), (5, 0, 0, Duration::ZERO));
        // Only the first entry was served after the auditor had seen another value.
        assert_eq!((lag.count, lag.max), (1, Duration::from_millis(500)));
    }

    #[tokio::test]
    async fn a_value_that_comes_back_is_dismissed() {
        let clock = ManualClock::new();
        let (instance, table) = instance(&clock).await;
        table.write(7, 2);
        read_checked(&instance, &table, 7).await;
        table.write(7, 1);
        clock.advance(Duration::from_secs(3));
        read_checked(&instance, &table, 7).await;
        let AuditReport { stale, dismissed, watched, .. } = audit(&instance.cache);
        assert_eq!((stale, dismissed, watched), (0, 1, 0));
    }

    /// A load that fails when the entry is due proves nothing, and the next hit is checked instead.
    #[tokio::test]
    async fn a_failure_at_the_second_load_delays_the_alarm() {
        let clock = ManualClock::new();
        let (instance, table) = instance(&clock).await;
        table.write(7, 2);
        read_checked(&instance, &table, 7).await;
        clock.advance(Duration::from_secs(2));
        let fail = || async { Err::<u64, _>(std::io::Error::other("the database is away")) };
        assert_eq!(within(instance.values.get_or_load(&7, fail)).await.unwrap().as_deref(), Some(&1));
        eventually("the load fails", async || audit(&instance.cache).failures == 1).await;
        assert_eq!(audit(&instance.cache).stale, 0);
        read_checked(&instance, &table, 7).await;
        assert_eq!(audit(&instance.cache).stale, 1);
    }
}

#[tokio::test]
async fn without_the_setting_no_hit_is_checked() {
    let (instance, table) = (classes(builder().build().await.unwrap()), Table::new());
    for _ in 0..100 {
        instance.read(&table, 7).await;
    }
    assert_eq!((instance.cache.audit(), table.loads()), (None, 1));
}

#[tokio::test]
async fn settings_that_are_not_allowed_are_refused() {
    for rate in [-0.1, 1.1, f64::NAN] {
        let error = builder().audit_rate(rate).build().await.unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains("audit_rate"), "{error}");
    }
    let error = auditing().audit_loads_per_second(0.0).build().await.unwrap_err();
    assert!(error.to_string().contains("audit_loads_per_second"), "{error}");
}

#[tokio::test]
async fn a_check_counts_in_no_statistics_of_the_class() {
    let (instance, table) = (classes(auditing().build().await.unwrap()), Table::new());
    table.write(7, 1);
    instance.read(&table, 7).await;
    read_checked(&instance, &table, 7).await;
    let load = |keys: Vec<u32>| {
        let rows: Vec<_> = keys.into_iter().map(|key| (key, table.load(key).unwrap())).collect();
        async { Ok::<_, std::io::Error>(rows) }
    };
    let before = audit(&instance.cache).checked;
    within(instance.values.get_many(&[7], load)).await.unwrap();
    eventually("the batch is checked", async || audit(&instance.cache).checked > before).await;
    let stats = instance.values.stats();
    assert_eq!((stats.loads, stats.memory_hits, stats.misses(), stats.batches), (1, 2, 1, 0));
    assert_eq!(instance.values.load_times().count, 1);
    assert_eq!(table.loads(), 3, "the read's load and two of the auditor");
}

#[tokio::test]
async fn a_load_that_fails_panics_or_is_spoiled_proves_nothing() {
    let cache = auditing().build().await.unwrap();
    let values = cache.class::<u32, u32>("values").open().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    // The auditor's loads are the second, third, fourth and fifth call.
    let load = || {
        let calls = calls.clone();
        async move {
            match calls.fetch_add(1, Ordering::SeqCst) {
                0 => assert!(!is_auditing(), "the read's own load"),
                1 => return Err(std::io::Error::other("the database is away")),
                2 => panic!("the loader panics"),
                3 => spoil("it was read inside a transaction"),
                _ => assert!(is_auditing()),
            }
            Ok::<_, std::io::Error>(1)
        }
    };
    values.get_or_load(&7, load).await.unwrap();
    for nth in 1..=4 {
        assert_eq!(values.get_or_load(&7, load).await.unwrap().as_deref(), Some(&1));
        let settled = |AuditReport { checked, failures, unusable, .. }| checked + failures + unusable;
        eventually("the load ends", async || settled(audit(&cache)) == nth).await;
    }
    let AuditReport { checked, failures, unusable, changed, .. } = audit(&cache);
    assert_eq!((failures, unusable, checked, changed), (2, 1, 1, 0));
}

#[tokio::test]
async fn a_closure_that_panics_for_the_auditor_does_not_fail_the_read() {
    let cache = auditing().build().await.unwrap();
    let values = cache.class::<u32, u32>("values").open().unwrap();
    let load = || {
        assert!(!is_auditing(), "this closure begins no load for the auditor");
        async { Ok::<_, std::io::Error>(1) }
    };
    for _ in 0..2 {
        assert_eq!(values.get_or_load(&7, load).await.unwrap().as_deref(), Some(&1));
    }
    assert_eq!((audit(&cache).dropped, audit(&cache).checked), (1, 0));
}

#[tokio::test]
async fn an_unaudited_class_is_not_checked() {
    let cache = auditing().build().await.unwrap();
    let load = || async { Ok::<_, std::io::Error>(1) };
    let left_out = cache.class::<u32, u32>("values").unaudited().open().unwrap();
    for _ in 0..100 {
        left_out.get_or_load(&7, load).await.unwrap();
    }
    let audited = cache.class::<u32, u32>("others").open().unwrap();
    for _ in 0..2 {
        audited.get_or_load(&7, load).await.unwrap();
    }
    eventually("the other class is checked", async || audit(&cache).checked == 1).await;
    let AuditReport { checked, dropped, .. } = audit(&cache);
    assert_eq!((checked, dropped), (1, 0));
}

#[tokio::test]
async fn hits_for_which_there_is_no_room_are_dropped_and_delay_no_read() {
    let cache = builder().audit_rate(1.0).audit_loads_per_second(0.01).build().await.unwrap();
    let values = cache.class::<u32, u32>("values").open().unwrap();
    let loads = Arc::new(AtomicUsize::new(0));
    let load = || {
        let loads = loads.clone();
        async move { Ok::<_, std::io::Error>(loads.fetch_add(1, Ordering::SeqCst) as u32) }
    };
    for _ in 0..200 {
        assert_eq!(values.get_or_load(&7, load).await.unwrap().as_deref(), Some(&0));
    }
    let AuditReport { checked, dropped, .. } = audit(&cache);
    assert!(checked <= 1 && (180..200).contains(&dropped), "{checked} checked, {dropped} dropped");
    assert!(loads.load(Ordering::SeqCst) <= 2, "a load that was dropped never begins");
}

/// The entry in Redis is known by the start of its load, although each fresh read takes another copy of it.
#[tokio::test]
async fn an_entry_of_redis_that_misses_a_write_rings() {
    let (redis, table) = (Redis::start().unwrap(), Table::new());
    let bound = Duration::from_millis(500);
    let redis = || auditing().staleness_bound(bound).redis(redis.url()).installation("test").build();
    let (writer, reader) = (classes(redis().await.unwrap()), classes(redis().await.unwrap()));
    table.write(7, 1);
    writer.read(&table, 7).await;
    assert_eq!(reader.read_fresh(&table, 7).await, Some(1));
    eventually("a hit in Redis is checked", async || audit(&reader.cache).checked == 1).await;
    table.write(7, 2);
    eventually("it rings", async || {
        assert_eq!(reader.read_fresh(&table, 7).await, Some(1), "no journal reports the write");
        audit(&reader.cache).stale > 0
    })
    .await;
    let AuditReport { worst_age, .. } = audit(&reader.cache);
    assert!(worst_age >= bound, "{worst_age:?}");
    assert_eq!(reader.values.stats().loads, 0);
}
