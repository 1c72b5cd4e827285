//! A load belongs to the cache: it goes on when its callers have left.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder::class::Class;
use larder::policy::Abandonment;
use larder_testbed::Redis;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{Gate, Instance, Table, eventually, instance, memory_instance, within};

/// Ten clients on `instances` give up after one second; the load takes a second and a half.
async fn ten_impatient_clients(instances: &[Instance]) {
    let loads = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for nth in 0..10 {
        let (values, loads) = (instances[nth % instances.len()].values.clone(), loads.clone());
        clients.spawn(async move {
            let load = || async move {
                loads.fetch_add(1, Ordering::SeqCst);
                // The load itself takes this long: it simulates a slow query and synchronises nothing.
                tokio::time::sleep(Duration::from_millis(1_500)).await;
                Ok::<u64, std::fmt::Error>(42)
            };
            timeout(Duration::from_secs(1), values.get_or_load(&7, load)).await.is_err()
        });
    }
    assert_eq!(within(clients.join_all()).await, [true; 10], "no client gets an answer in time");
    for instance in instances {
        eventually("the value is there", async || instance.values.get(&7).await.is_hit()).await;
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_value_of_an_abandoned_load_is_stored_in_memory() {
    ten_impatient_clients(&[memory_instance().await]).await;
}

#[tokio::test]
async fn the_value_of_an_abandoned_load_is_there_on_three_instances() {
    let redis = Redis::start().unwrap();
    ten_impatient_clients(&[instance(&redis).await]).await;
    let redis = Redis::start().unwrap();
    ten_impatient_clients(&[instance(&redis).await, instance(&redis).await, instance(&redis).await]).await;
}

#[tokio::test]
async fn followers_keep_the_load_whose_first_caller_left() {
    let redis = Redis::start().unwrap();
    for (leads, waits) in [
        (instance(&redis).await, instance(&redis).await),
        {
            let one = instance(&redis).await;
            (one.clone(), one)
        },
        {
            let one = memory_instance().await;
            (one.clone(), one)
        },
    ] {
        let (table, gate) = (Table::new(), Gate::new());
        table.write(7, 1);
        let leader = leads.held_read(&table, 7, &gate);
        gate.arrival().await;
        let waiter = tokio::spawn({
            let (waits, table) = (waits.clone(), table.clone());
            async move { waits.read(&table, 7).await }
        });
        tokio::task::yield_now().await;
        leader.abort();
        assert!(leader.await.unwrap_err().is_cancelled());
        gate.open();
        assert_eq!(within(waiter).await.unwrap(), Some(1));
        assert_eq!(table.loads(), 1);
        let _ = leads.values.invalidate(&7).await;
    }
}

/// A write that is acknowledged while an abandoned load is still running.
#[tokio::test]
async fn trace_1_an_abandoned_load_stores_nothing_after_an_invalidation() {
    let redis = Redis::start().unwrap();
    let (near, far) = (instance(&redis).await, instance(&redis).await);
    let alone = memory_instance().await;
    for (loads, writes) in [(&near, &near), (&near, &far), (&alone, &alone)] {
        let (table, gate) = (Table::new(), Gate::new());
        table.write(7, 1);
        for held in [0, 1] {
            let reading = if held == 0 {
                loads.held_read(&table, 7, &gate).abort_handle()
            } else {
                loads.held_list(&table, "all", &gate).abort_handle()
            };
            gate.arrival().await;
            reading.abort();
        }
        let _ = writes.write(&table, 7, 2).await;
        gate.open();
        gate.open();
        // Where it was written at once; elsewhere with the next push.
        eventually("the write is seen", async || {
            loads.read(&table, 7).await == Some(2) && loads.list(&table, "all").await == [2]
        })
        .await;
        // The abandoned loads have ended: their results were refused.
        eventually("both were refused", async || {
            loads.values.stats().fills_refused + loads.lists.stats().fills_refused >= 2
        })
        .await;
        assert_eq!(loads.read(&table, 7).await, Some(2));
        assert_eq!(loads.list(&table, "all").await, [2]);
        let _ = writes.cache.invalidation().everything().send().await;
    }
}

/// A load that says when it was dropped.
async fn held_until_dropped(class: Class<u32, u64>, dropped: Arc<Gate>, gate: Arc<Gate>) {
    struct OnDrop(Arc<Gate>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.open();
        }
    }
    let load = || async move {
        let _on_drop = OnDrop(dropped);
        gate.wait().await;
        Ok::<u64, std::fmt::Error>(1)
    };
    let _ = class.get_or_load(&7, load).await;
}

#[tokio::test]
async fn a_class_that_stops_abandoned_loads_stops_them_with_the_last_reader() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let class: Class<u32, u64> =
            instance.cache.class("stopping").when_abandoned(Abandonment::Stop).open().unwrap();
        let (dropped, gate) = (Gate::new(), Gate::new());
        let first = tokio::spawn(held_until_dropped(class.clone(), dropped.clone(), gate.clone()));
        gate.arrival().await;
        let second = tokio::spawn(held_until_dropped(class.clone(), dropped.clone(), gate.clone()));
        tokio::task::yield_now().await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        // A reader is left, so the load goes on: the next read joins it.
        assert_eq!(class.stats().loads, 1);
        second.abort();
        within(dropped.wait()).await;

        let started = std::time::Instant::now();
        let read = class.get_or_load(&7, async || Ok::<u64, std::fmt::Error>(2));
        assert_eq!(within(read).await.unwrap().as_deref(), Some(&2));
        assert!(started.elapsed() < Duration::from_secs(1), "the lease was released");
    }
}

/// A class that finishes abandoned loads does not finish one whose value cannot be stored any more. In both orders: the
/// invalidation comes before the last reader leaves, or after it.
#[tokio::test]
async fn a_detached_load_stops_when_its_last_reader_leaves() {
    let redis = Redis::start().unwrap();
    let (shared, alone) = (instance(&redis).await, memory_instance().await);
    let round = async |instance: &Instance, leaves_first: bool| {
        let name = format!("detached_{leaves_first}");
        let class: Class<u32, u64> =
            instance.cache.class(&name).load_timeout(Duration::from_secs(60)).open().unwrap();
        let (dropped, gate) = (Gate::new(), Gate::new());
        let read = || tokio::spawn(held_until_dropped(class.clone(), dropped.clone(), gate.clone()));
        let first = read();
        gate.arrival().await;
        let last = read();
        tokio::task::yield_now().await;
        first.abort();
        if leaves_first {
            last.abort();
            let _ = last.await;
            let _receipt = class.invalidate(&7).await;
        } else {
            let _receipt = class.invalidate(&7).await;
            // Longer than until the load is checked, which happens each second.
            let stopped = timeout(Duration::from_millis(2_200), dropped.wait()).await;
            assert!(stopped.is_err() && !last.is_finished(), "a reader is left");
            last.abort();
        }
        within(dropped.wait()).await;
        assert_eq!(class.stats().abandoned_stopped, 0, "it was not one too many");
        let read = class.get_or_load(&7, async || Ok::<u64, std::fmt::Error>(2));
        assert_eq!(within(read).await.unwrap().as_deref(), Some(&2));
    };
    tokio::join!(round(&shared, false), round(&shared, true), round(&alone, false), round(&alone, true));
}

/// Of six loads of different keys, whose readers have left, two go on.
#[tokio::test]
async fn no_more_abandoned_loads_go_on_than_the_class_allows() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let open = instance.cache.class("bounded").when_abandoned(Abandonment::FinishAtMost(2));
        let class: Class<u32, u64> = open.open().unwrap();
        let gate = Gate::new();
        let mut readers = Vec::new();
        for key in 0..6 {
            let (class, gate_of_load) = (class.clone(), gate.clone());
            readers.push(tokio::spawn(async move {
                let load = || async move {
                    gate_of_load.wait().await;
                    Ok::<u64, std::fmt::Error>(1)
                };
                let _ = class.get_or_load(&key, load).await;
            }));
            gate.arrival().await;
        }
        assert_eq!(class.stats().abandoned_stopped, 0, "readers wait for all of them");
        for reader in readers {
            reader.abort();
            assert!(reader.await.unwrap_err().is_cancelled());
        }
        eventually("four are stopped", async || class.stats().abandoned_stopped == 4).await;
        (0..6).for_each(|_| gate.open());
        let hits = async || {
            let mut hits = 0;
            for key in 0..6 {
                hits += u32::from(class.get(&key).await.is_hit());
            }
            hits
        };
        eventually("two are stored", async || hits().await == 2).await;
        // Their places are free again.
        let load = || async { Ok::<u64, std::fmt::Error>(2) };
        assert!(within(class.get_or_load(&7, load)).await.is_ok());
    }
}
