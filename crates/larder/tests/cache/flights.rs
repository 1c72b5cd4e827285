//! Failure trace 10 and the flight rows of the trap table: one load for many reads, no follower that waits forever, no
//! join with a flight from before a write.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::error::ErrorKind;
use larder_testbed::Redis;
use tokio::task::JoinSet;

use crate::support::{Gate, Instance, Table, eventually, instance, memory_instance, within};

async fn three(redis: &Redis) -> [Instance; 3] {
    [instance(redis).await, instance(redis).await, instance(redis).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trace_10_ten_thousand_misses_over_three_instances_are_one_load() {
    let redis = Redis::start().unwrap();
    let instances = three(&redis).await;
    let loads = Arc::new(AtomicUsize::new(0));
    let mut reads = JoinSet::new();
    for nth in 0..10_000_usize {
        let (values, loads) = (instances[nth % 3].values.clone(), loads.clone());
        reads.spawn(async move {
            let load = || async move {
                loads.fetch_add(1, Ordering::SeqCst);
                // The load itself takes this long: it simulates a slow query and synchronises nothing.
                tokio::time::sleep(Duration::from_millis(500)).await;
                Ok::<u64, std::fmt::Error>(42)
            };
            values.get_or_load(&7, load).await.unwrap().map(|value| *value)
        });
    }
    let answers = within(reads.join_all()).await;
    assert!(answers.iter().all(|answer| *answer == Some(42)));
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn trace_10_a_failing_load_gives_every_waiter_its_error() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let (gate, loads) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
        let mut reads = JoinSet::new();
        for _ in 0..100 {
            let (values, gate, loads) = (instance.values.clone(), gate.clone(), loads.clone());
            reads.spawn(async move {
                let load = || async move {
                    loads.fetch_add(1, Ordering::SeqCst);
                    gate.wait().await;
                    Err::<u64, _>(std::fmt::Error)
                };
                values.get_or_load(&7, load).await
            });
        }
        gate.arrival().await;
        // One hundred tasks run on one thread: when the gate opens, all of them wait for this flight.
        gate.open();
        for answer in within(reads.join_all()).await {
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Load);
            assert!(error.load_error::<std::fmt::Error>().is_some());
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);

        // The lease was released: the next load does not wait until it expires.
        let table = Table::new();
        table.write(7, 1);
        assert_eq!(instance.read(&table, 7).await, Some(1));
    }
}

#[tokio::test]
async fn trace_10_a_panicking_load_leaves_no_read_hanging() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let gate = Gate::new();
        let leader = tokio::spawn({
            let (values, gate) = (instance.values.clone(), gate.clone());
            async move {
                let load = || async move {
                    gate.wait().await;
                    if true {
                        panic!("the loader's own");
                    }
                    Ok::<u64, std::fmt::Error>(0)
                };
                values.get_or_load(&7, load).await
            }
        });
        gate.arrival().await;
        let waiter = tokio::spawn({
            let values = instance.values.clone();
            async move { values.get_or_load(&7, || async { Ok::<u64, std::fmt::Error>(1) }).await }
        });
        tokio::task::yield_now().await;
        gate.open();
        for read in [leader, waiter] {
            let error = within(read).await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LoadPanicked);
        }

        let table = Table::new();
        table.write(7, 3);
        assert_eq!(instance.read(&table, 7).await, Some(3), "and the next read loads");
    }
}

#[tokio::test]
async fn a_follower_that_a_clear_detached_does_not_wait_until_its_timeout() {
    let redis = Redis::start().unwrap();
    let (near, far) = (instance(&redis).await, instance(&redis).await);
    let (table, gate) = (Table::new(), Gate::new());
    table.write(7, 1);
    let loading = far.held_read(&table, 7, &gate);
    gate.arrival().await;
    let waiter = tokio::spawn({
        let (near, table) = (near.clone(), table.clone());
        async move { near.read(&table, 7).await }
    });
    tokio::task::yield_now().await;
    // A report without keys: it detaches every flight, and no later push wakes the follower. This Redis is not used
    // before a heartbeat succeeded, so the follower loads for itself.
    redis.command(&["EVAL", "redis.call('SELECT', 1) return redis.call('FLUSHDB')", "0"]).unwrap();
    let opened = std::time::Instant::now();
    gate.open();
    assert_eq!(within(waiter).await.unwrap(), Some(1));
    assert!(opened.elapsed() < Duration::from_secs(1), "it waited until its time-out");
    assert_eq!(loading.await.unwrap(), Some(1));
    assert!(table.loads() <= 2, "{} loads", table.loads());
}

#[tokio::test]
async fn a_load_that_fails_or_panics_on_one_instance_lets_another_load() {
    let redis = Redis::start().unwrap();
    let (near, far) = (instance(&redis).await, instance(&redis).await);
    for panics in [false, true] {
        let (table, gate) = (Table::new(), Gate::new());
        table.write(7, 1);
        let failing = tokio::spawn({
            let (values, gate) = (far.values.clone(), gate.clone());
            let load = move || async move {
                gate.wait().await;
                assert!(!panics, "the loader's own");
                Err::<u64, _>(std::fmt::Error)
            };
            async move { values.get_or_load(&7, load).await.is_err() }
        });
        gate.arrival().await;
        let waiter = tokio::spawn({
            let (near, table) = (near.clone(), table.clone());
            async move { near.read(&table, 7).await }
        });
        tokio::task::yield_now().await;
        gate.open();
        let opened = std::time::Instant::now();
        assert_eq!(within(waiter).await.unwrap(), Some(1));
        // The waiter must not have waited until the lease expired, after 3 s. The limit is not lower, because to print a
        // panic's backtrace can take a second on a busy machine.
        assert!(opened.elapsed() < Duration::from_millis(2500), "the lease was not given up");
        assert!(within(failing).await.unwrap(), "it gets the error");
        let _ = near.values.invalidate(&7).await;
    }
}

#[tokio::test]
async fn a_load_beyond_its_time_is_an_error_and_frees_the_key() {
    let redis = Redis::start().unwrap();
    let cache = crate::support::builder()
        .redis(redis.url())
        .installation("test")
        .load_timeout(Duration::from_millis(50))
        .build()
        .await
        .unwrap();
    let values = cache.class::<u32, u64>("values").open().unwrap();
    let hang = || std::future::pending::<Result<u64, std::fmt::Error>>();
    let error = within(values.get_or_load(&7, hang)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LoadTimeout);
    let value = within(values.get_or_load(&7, || async { Ok::<u64, std::fmt::Error>(1) })).await.unwrap();
    assert_eq!(value.as_deref(), Some(&1));
}

#[tokio::test]
async fn no_read_joins_a_flight_that_began_before_an_acknowledged_write() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let (table, gate) = (Table::new(), Gate::new());
        table.write(7, 1);
        let by_key = instance.held_read(&table, 7, &gate);
        gate.arrival().await;
        let by_tag = instance.held_list(&table, "all", &gate);
        gate.arrival().await;
        let _ = instance.write(&table, 7, 2).await;
        // Both flights are still in progress.
        assert_eq!(instance.read(&table, 7).await, Some(2));
        assert_eq!(instance.list(&table, "all").await, [2]);
        gate.open();
        gate.open();
        assert_eq!((by_key.await.unwrap(), by_tag.await.unwrap()), (Some(1), vec![1]));
        assert_eq!(instance.read(&table, 7).await, Some(2));
        assert_eq!(instance.list(&table, "all").await, [2]);
    }
}

#[tokio::test]
async fn a_fresh_read_joins_no_flight_that_another_instances_write_overtook() {
    let redis = Redis::start().unwrap();
    let (reader, writer) = (instance(&redis).await, instance(&redis).await);
    let (table, gate) = (Table::new(), Gate::new());
    table.write(7, 1);
    let held = reader.held_read(&table, 7, &gate);
    gate.arrival().await;
    let _ = writer.write(&table, 7, 2).await;
    let fresh = tokio::spawn({
        let (reader, table) = (reader.clone(), table.clone());
        async move { reader.read_fresh(&table, 7).await }
    });
    tokio::task::yield_now().await;
    gate.open();
    assert_eq!(within(fresh).await.unwrap(), Some(2));
    assert_eq!(held.await.unwrap(), Some(1));
}

#[tokio::test]
async fn fresh_reads_without_redis_load_but_do_not_stampede() {
    let instance = memory_instance().await;
    let (table, gate) = (Table::new(), Gate::new());
    table.write(7, 1);
    let first = instance.held_read(&table, 7, &gate);
    gate.arrival().await;
    table.write(7, 2);
    let mut fresh = JoinSet::new();
    let second = Gate::new();
    for _ in 0..100 {
        let (values, table, second) = (instance.values.clone(), table.clone(), second.clone());
        fresh.spawn(async move {
            let load = || async move {
                let read = table.load(7);
                second.wait().await;
                read
            };
            values.read(&7).fresh().or_load(load).await.unwrap().value.map(|value| *value)
        });
    }
    tokio::task::yield_now().await;
    gate.open();
    assert_eq!(first.await.unwrap(), Some(1));
    second.arrival().await;
    // One thread: every follower that the end of the first flight woke has joined the second one by now.
    tokio::task::yield_now().await;
    second.open();
    assert!(within(fresh.join_all()).await.iter().all(|value| *value == Some(2)));
    assert_eq!(table.loads(), 2, "all followers shared the flight that began after they arrived");
}

#[tokio::test]
async fn inside_a_load_cached_reads_go_to_the_database() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let table = Table::new();
        table.write(7, 1);
        instance.warm(&table, 7).await;
        // A foreign write without an invalidation: the inner entry is outdated.
        table.write(7, 2);
        let seen = Arc::new(Mutex::new(None));
        let outer = {
            let (inner, table, seen) = (instance.clone(), table.clone(), seen.clone());
            let load = || async move {
                *seen.lock().unwrap() = inner.read(&table, 7).await;
                table.all()
            };
            within(instance.lists.get_or_load("outer", load)).await.unwrap().unwrap()
        };
        assert_eq!((&*outer, *seen.lock().unwrap()), (&vec![2], Some(2)));
        assert_eq!(instance.read(&table, 7).await, Some(1), "the inner entry itself was not touched");
    }
}

#[tokio::test]
async fn an_invalidation_completes_although_its_caller_is_gone() {
    let redis = Redis::start().unwrap();
    let (writer, reader) = (instance(&redis).await, instance(&redis).await);
    let table = Table::new();
    table.write(7, 1);
    reader.warm(&table, 7).await;
    table.write(7, 2);
    {
        let mut invalidation = Box::pin(writer.values.invalidate(&7));
        // Polled once and dropped, like the future of a handler whose client disconnected.
        let polled =
            std::future::poll_fn(|context| std::task::Poll::Ready(invalidation.as_mut().poll(context)));
        let _ = polled.await;
    }
    eventually("the other instance sees the write", async || reader.read(&table, 7).await == Some(2)).await;
}
