//! A spoiled load, such as one inside a transaction that is rolled back, reaches no tier and no other reader.

use larder::loading::{is_loading, spoil};
use larder::source::{NotStoredReason, Placement, Source};
use larder_testbed::Redis;

use crate::support::{Gate, Instance, Table, eventually, instance, memory_instance, within};

const SPOILED: Source = Source::Load { placement: Placement::Nowhere(NotStoredReason::Spoiled) };

async fn each() -> (Redis, [Instance; 2]) {
    let redis = Redis::start().unwrap();
    let instances = [instance(&redis).await, memory_instance().await];
    (redis, instances)
}

async fn spoiled(value: u64) -> Result<u64, std::fmt::Error> {
    spoil("a transaction was open");
    Ok(value)
}

#[tokio::test]
async fn a_spoiled_value_goes_to_its_caller_and_to_no_tier() {
    let (redis, instances) = each().await;
    let other = instance(&redis).await;
    for (key, instance) in (7..).zip(instances) {
        let read = instance.values.read(&key).or_load(|| spoiled(100));
        let answer = within(read).await.unwrap();
        assert_eq!((answer.value.as_deref(), answer.source), (Some(&100), SPOILED));
        assert_eq!(instance.values.get(&key).await.value(), None);
        assert_eq!(other.values.get(&key).await.value(), None);
        let stats = instance.values.stats();
        assert_eq!((stats.loads, stats.loads_spoiled, stats.load_failures), (1, 1, 0));

        // The lease was released, and the next load is stored.
        let table = Table::new();
        table.write(key, 200);
        assert_eq!(instance.read(&table, key).await, Some(200));
        assert_eq!(instance.read(&table, key).await, Some(200));
        assert_eq!(table.loads(), 1);
    }
}

#[tokio::test]
async fn a_reader_that_joined_a_spoiled_load_loads_for_itself() {
    let (_redis, instances) = each().await;
    for instance in instances {
        let gate = Gate::new();
        let leader = {
            let (values, gate) = (instance.values.clone(), gate.clone());
            tokio::spawn(async move {
                let load = || async move {
                    gate.wait().await;
                    spoiled(100).await
                };
                values.get_or_load(&7, load).await.unwrap().map(|value| *value)
            })
        };
        gate.arrival().await;
        let table = Table::new();
        table.write(7, 200);
        let joining: Vec<_> = (0..10)
            .map(|_| {
                let (instance, table) = (instance.clone(), table.clone());
                tokio::spawn(async move { instance.read(&table, 7).await })
            })
            .collect();
        // One thread: when this task continues, all of them wait for the flight.
        tokio::task::yield_now().await;
        assert_eq!(table.loads(), 0);
        gate.open();
        assert_eq!(within(leader).await.unwrap(), Some(100));
        for one in joining {
            assert_eq!(within(one).await.unwrap(), Some(200));
        }
        assert_eq!(instance.values.stats().joins, 0);
    }
}

#[tokio::test]
async fn a_reader_of_another_instance_that_waits_for_a_spoiled_load_loads_for_itself() {
    let redis = Redis::start().unwrap();
    let (one, other) = (instance(&redis).await, instance(&redis).await);
    let gate = Gate::new();
    let leader = {
        let (values, gate) = (one.values.clone(), gate.clone());
        tokio::spawn(async move {
            let load = || async move {
                gate.wait().await;
                spoiled(100).await
            };
            values.get_or_load(&7, load).await.unwrap().map(|value| *value)
        })
    };
    gate.arrival().await;
    let table = Table::new();
    table.write(7, 200);
    let waiting = {
        let (other, table) = (other.clone(), table.clone());
        tokio::spawn(async move { other.read(&table, 7).await })
    };
    eventually("the other instance waits", async || other.values.stats().lease_waits > 0).await;
    gate.open();
    assert_eq!(within(leader).await.unwrap(), Some(100));
    assert_eq!(within(waiting).await.unwrap(), Some(200));
}

#[tokio::test]
async fn a_load_inside_a_load_spoils_both() {
    let (_redis, instances) = each().await;
    for instance in instances {
        let values = instance.values.clone();
        let outer = || async move {
            assert!(is_loading());
            let inner = values.get_or_load(&7, || spoiled(100)).await.unwrap();
            Ok::<_, std::fmt::Error>(vec![*inner.unwrap()])
        };
        let list = within(instance.lists.get_or_load("all", outer)).await.unwrap();
        assert_eq!(list.as_deref(), Some(&vec![100]));
        assert_eq!(instance.lists.get("all").await.value(), None);
        assert_eq!(instance.lists.stats().loads_spoiled, 1);
        spoil("outside a load this does nothing");
        assert!(!is_loading());
    }
}

/// A loader may return any error that converts to a boxed one; the read's error has it, with its type.
#[tokio::test]
async fn a_loader_may_fail_with_any_error() {
    let instance = crate::support::memory_instance().await;
    let io = || std::io::Error::other("gone");
    let read = async |error: Box<dyn std::error::Error + Send + Sync>| {
        let load = async move || Err::<u64, _>(error);
        instance.values.get_or_load(&7, load).await.unwrap_err()
    };
    assert!(read(Box::new(io())).await.load_error::<std::io::Error>().is_some());
    let error = read(anyhow::Error::from(io()).reallocate_into_boxed_dyn_error_without_backtrace()).await;
    assert!(error.load_error::<std::io::Error>().is_some());

    let load = async || -> anyhow::Result<u64> { anyhow::bail!("no such table") };
    let error = instance.values.get_or_load(&7, load).await.unwrap_err();
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no such table");
    let error = instance.values.get_or_load(&7, async || Err::<u64, _>("no such table")).await.unwrap_err();
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no such table");
}
