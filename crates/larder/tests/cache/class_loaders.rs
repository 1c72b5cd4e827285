//! Classes that have their loader, and warming.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder::class::LoadingClass;
use larder::error::ErrorKind;
use larder::policy::Policy;
use larder::{Cache, Loaded, Previous};
use larder_testbed::Redis;

use crate::support::batch::filled;
use crate::support::{Gate, Instance, Table, eventually, instance, memory_instance, within};

async fn each() -> (Redis, [Instance; 2]) {
    let redis = Redis::start().unwrap();
    let instances = [instance(&redis).await, memory_instance().await];
    (redis, instances)
}

fn policy() -> Policy {
    Policy::ttl(Duration::from_secs(600)).absent_for(Duration::from_secs(600))
}

/// A class with a loader of several keys. An odd key fails if `gate` is given.
fn batched(cache: &Cache, table: &Arc<Table>) -> LoadingClass<u32, u64> {
    let table = table.clone();
    let load = move |keys: Vec<u32>| {
        let rows = table.load_many(&keys);
        async move { Ok::<_, Infallible>(rows) }
    };
    cache.class("values").policy(policy()).loaded_by_batch(load).open().unwrap()
}

fn single(cache: &Cache, table: &Arc<Table>) -> LoadingClass<u32, u64> {
    let table = table.clone();
    let load = move |key| {
        let row = table.load(key);
        async move { row }
    };
    cache.class("values").policy(policy()).loaded_by(load).open().unwrap()
}

#[tokio::test]
async fn a_class_fetches_by_its_loader() {
    let (_redis, instances) = each().await;
    for instance in instances {
        for is_batched in [false, true] {
            let table = filled([7, 8, 9]);
            let values =
                if is_batched { batched(&instance.cache, &table) } else { single(&instance.cache, &table) };
            let before = values.stats();
            for _ in 0..3 {
                assert_eq!(within(values.fetch(&7)).await.unwrap().as_deref(), Some(&107));
                assert_eq!(within(values.fetch(&1)).await.unwrap(), None);
            }
            assert_eq!(table.loads(), 2);
            let many = within(values.fetch_many(&[9, 1, 7, 8])).await.unwrap();
            let many: Vec<_> = many.iter().map(|value| value.as_deref().copied()).collect();
            assert_eq!(many, [Some(109), None, Some(107), Some(108)]);
            assert_eq!(table.loads(), if is_batched { 3 } else { 4 });
            let stats = values.stats().since(&before);
            assert_eq!((stats.loads, stats.batches), (4, if is_batched { 3 } else { 0 }));

            // A write is seen, and a loader of the call is still possible.
            table.write(7, 2);
            let _ = values.invalidate(&7).await;
            let load = || async { Ok::<_, Infallible>(3_u64) };
            assert_eq!(within(values.get_or_load(&7, load)).await.unwrap().as_deref(), Some(&3));
            let fresh = within(values.read(&7).fresh().fetch()).await.unwrap();
            let is_shared_through_redis = fresh.source.is_hit();
            assert_eq!(fresh.value.as_deref(), Some(if is_shared_through_redis { &3 } else { &2 }));
            let _ = values.invalidate_all().await;
        }
    }
}

#[tokio::test]
async fn the_loader_of_a_class_of_texts_gets_owned_keys() {
    let cache = Cache::builder("test").build().await.unwrap();
    let lengths = cache
        .class::<str, usize>("lengths")
        .loaded_by(|text: String| async move { Ok::<_, Infallible>(text.len()) })
        .open()
        .unwrap();
    assert_eq!(lengths.fetch("abc").await.unwrap().as_deref(), Some(&3));
    assert_eq!(lengths.fetch(&"abcd".to_owned()).await.unwrap().as_deref(), Some(&4));
    let many = lengths.fetch_many(["abc", "x"]).await.unwrap();
    assert_eq!(many.iter().map(|length| **length.as_ref().unwrap()).collect::<Vec<_>>(), [3, 1]);
}

#[tokio::test]
async fn a_class_of_one_value_needs_no_key() {
    let redis = Redis::start().unwrap();
    let (near, far) = (instance(&redis).await, instance(&redis).await);
    let loads = Arc::new(AtomicUsize::new(0));
    let [near, far] = [near, far].map(|instance| {
        let loads = loads.clone();
        let load = move |()| {
            let nth = loads.fetch_add(1, Ordering::SeqCst);
            async move { Ok::<_, Infallible>(nth) }
        };
        instance.cache.class::<(), usize>("settings").loaded_by(load).open().unwrap()
    });
    assert_eq!(within(near.fetch(&())).await.unwrap().as_deref(), Some(&0));
    assert_eq!(within(far.fetch(&())).await.unwrap().as_deref(), Some(&0));
    let _ = far.invalidate(&()).await;
    assert_eq!(within(near.read(&()).fresh().fetch()).await.unwrap().value.as_deref(), Some(&1));
}

#[tokio::test]
async fn a_class_loader_gets_the_aged_value_that_it_replaces() {
    let (_redis, instances) = each().await;
    for instance in instances {
        let load = |_: u32, previous: Option<Previous<u64>>| async move {
            Ok::<_, Infallible>(match previous {
                None => Loaded::new(1).version("v1"),
                Some(previous) if previous.version.as_deref() == Some("v1") => {
                    Loaded::new(*previous.value + 1)
                }
                Some(_) => Loaded::unchanged(),
            })
        };
        let policy = Policy::ttl(Duration::from_secs(20)).jitter(0.0).refresh_ahead(0.01);
        let values =
            instance.cache.class::<u32, u64>("aging").policy(policy).reloaded_by(load).open().unwrap();
        assert_eq!(within(values.fetch(&7)).await.unwrap().as_deref(), Some(&1));
        eventually("the second value is loaded from the first", async || {
            let both = values.fetch_many(&[7, 7]).await.unwrap();
            both.iter().all(|value| value.as_deref() == Some(&2))
        })
        .await;
    }
}

#[tokio::test]
async fn a_batch_refreshes_aged_entries_by_one_load() {
    let (_redis, instances) = each().await;
    for instance in instances {
        let table = filled(0..50);
        let load = {
            let table = table.clone();
            move |keys: Vec<u32>| {
                let rows = table.load_many(&keys);
                async move { Ok::<_, Infallible>(rows) }
            }
        };
        // Entries age after 1.5 s: on a busy machine, all are refreshed before the first of them has aged again.
        let policy = Policy::ttl(Duration::from_secs(150)).jitter(0.0).refresh_ahead(0.01);
        let values =
            instance.cache.class::<u32, u64>("aging").policy(policy).loaded_by_batch(load).open().unwrap();
        let keys: Vec<u32> = (0..50).collect();
        let read = async || -> Vec<u64> {
            within(values.fetch_many(&keys))
                .await
                .unwrap()
                .iter()
                .map(|value| **value.as_ref().unwrap())
                .collect()
        };
        read().await;
        keys.iter().for_each(|key| table.write(*key, 2));
        eventually("all entries are refreshed", async || read().await == [2; 50]).await;
        let stats = values.stats();
        assert_eq!((stats.refreshes, stats.load_failures), (50, 0));
        assert!(stats.batches <= 4, "{} loads of a batch", stats.batches);
    }
}

#[tokio::test]
async fn warming_loads_what_is_not_cached_and_reports_it() {
    let (_redis, instances) = each().await;
    for instance in instances {
        let table = filled((0..1_000).filter(|key| key % 10 != 0));
        let values = batched(&instance.cache, &table);
        for key in 1..6 {
            values.fetch(&key).await.unwrap();
        }
        let report = within(values.warm(0..1_000)).await;
        assert!(report.is_complete && report.first_error.is_none(), "{report:?}");
        assert_eq!((report.cached, report.loaded, report.absent, report.failed), (5, 895, 100, 0));
        assert_eq!((table.loads(), values.stats().batches), (15, 15), "5 single loads, then 100 keys each");
        let again = within(values.warm_stream(futures_util::stream::iter(0..1_000))).await;
        assert_eq!((again.cached, again.loaded, again.absent), (1_000, 0, 0));
        assert_eq!(table.loads(), 15);
    }
}

#[tokio::test]
async fn a_reader_follows_the_load_that_warms_its_key_and_a_write_during_it_is_not_overtaken() {
    let (_redis, instances) = each().await;
    for instance in instances {
        let (table, gate) = (filled(0..10), Gate::new());
        let load = {
            let (table, gate) = (table.clone(), gate.clone());
            move |keys: Vec<u32>| {
                let (rows, gate) = (table.load_many(&keys), gate.clone());
                async move {
                    gate.wait().await;
                    Ok::<_, Infallible>(rows)
                }
            }
        };
        let values =
            instance.cache.class::<u32, u64>("values").policy(policy()).loaded_by_batch(load).open().unwrap();
        let warming = tokio::spawn({
            let values = values.clone();
            async move { values.warm(0..10).await }
        });
        gate.arrival().await;
        let reader = tokio::spawn({
            let (instance, table) = (instance.clone(), table.clone());
            async move { instance.read(&table, 5).await }
        });
        tokio::task::yield_now().await;
        let _ = instance.write(&table, 7, 2).await;
        gate.open();
        assert_eq!(within(warming).await.unwrap().loaded, 10);
        assert_eq!((within(reader).await.unwrap(), table.loads()), (Some(105), 1));
        assert_eq!(instance.read(&table, 7).await, Some(2));
    }
}

#[tokio::test]
async fn warming_ends_early_if_every_load_fails_or_caching_is_off() {
    let cache = Cache::builder("test").build().await.unwrap();
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = loads.clone();
    let values = cache
        .class::<u32, u64>("values")
        .loaded_by_batch(move |_: Vec<u32>| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Err::<Vec<(u32, u64)>, _>(std::fmt::Error) }
        })
        .open()
        .unwrap();
    let report = values.warm(0..100_000).await;
    assert!(!report.is_complete && report.failed >= 100);
    assert_eq!(report.first_error.unwrap().kind(), ErrorKind::Load);
    assert!(loads.load(Ordering::SeqCst) <= 4);
    let before = loads.load(Ordering::SeqCst);
    values.set_enabled(false);
    let report = values.warm(0..100_000).await;
    assert!(!report.is_complete && loads.load(Ordering::SeqCst) == before);
}

#[tokio::test]
async fn the_hottest_keys_of_the_last_run_are_warmed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("values.hot");
    let table = filled(0..2_000);
    let open = async || {
        let cache = Cache::builder("test").build().await.unwrap();
        let table = table.clone();
        let load = move |keys: Vec<u32>| {
            let rows = table.load_many(&keys);
            async move { Ok::<_, Infallible>(rows) }
        };
        cache.class::<u32, u64>("values").loaded_by_batch(load).remember_hot(&path).open().unwrap()
    };
    let first = open().await;
    assert_eq!(first.warm_hot().await.loaded, 0, "there is no file yet");
    for key in 0..2_000 {
        first.fetch(&key).await.unwrap();
    }
    for _ in 0..100 {
        first.fetch_many(&[7, 8, 9]).await.unwrap();
    }
    first.save_hot().await.unwrap();
    drop(first);

    let second = open().await;
    let loads = table.loads();
    let report = second.warm_hot().await;
    assert!(report.is_complete && (3..=1_000).contains(&report.loaded), "{report:?}");
    assert!(table.loads() - loads <= 10);
    for key in [7, 8, 9] {
        assert!(second.get(&key).await.is_hit(), "{key}");
    }
    // Nothing was read by the class's loader, so the file stays as it is: a process that restarts at once keeps the list.
    let before = std::fs::read_to_string(&path).unwrap();
    second.save_hot().await.unwrap();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(lines(&std::fs::read_to_string(&path).unwrap()), lines(&before));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");

    // Damage costs the damaged lines only.
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "larder hot keys 2");
    let damaged = [lines[0], lines[1], &lines[2].replace(' ', " 1"), "junk", "", lines[3]].join("\n");
    std::fs::write(&path, damaged).unwrap();
    assert_eq!(open().await.warm_hot().await.loaded, 2);
    for junk in [&b""[..], b"larder hot keys 1\n", b"\xff\xfe\x00", &text.as_bytes()[..20]] {
        std::fs::write(&path, junk).unwrap();
        assert_eq!(open().await.warm_hot().await.loaded, 0, "{junk:?}");
    }
}

/// A loader of one key is called for each key of a read.
#[tokio::test]
async fn warming_with_a_loader_of_one_key_runs_eight_loads_at_once_at_most() {
    let (_redis, instances) = each().await;
    for instance in instances {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let load = {
            let (running, most) = (running.clone(), most.clone());
            move |key: u32| {
                let (running, most) = (running.clone(), most.clone());
                async move {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, Infallible>(u64::from(key))
                }
            }
        };
        let values = instance.cache.class::<u32, u64>("alone").loaded_by(load).open().unwrap();
        let report = within(values.warm(0..100)).await;
        assert!(report.is_complete && report.loaded == 100, "{report:?}");
        assert!((2..=8).contains(&most.load(Ordering::SeqCst)), "{most:?}");
    }
}
