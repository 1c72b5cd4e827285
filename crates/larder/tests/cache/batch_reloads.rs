//! Loaders of several keys that get the values which they replace.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder::policy::Policy;
use larder::{Class, Loaded, Previous};
use larder_testbed::Redis;

use crate::aging::{AGED, MINUTE, aging, stale_while_revalidate};
use crate::support::{Gate, Instance, Table, eventually, instance, memory_instance, within};

/// What a loader of several keys gets.
type Reloads = Vec<(u32, Option<Previous<u64>>)>;

async fn each() -> (Redis, [Instance; 2]) {
    let redis = Redis::start().unwrap();
    let instances = [instance(&redis).await, memory_instance().await];
    (redis, instances)
}

/// Of two aged entries, one has changed. Both are one call of the loader.
#[tokio::test]
async fn a_loader_of_several_keys_gets_the_aged_values_and_may_call_each_unchanged() {
    let (_redis, instances) = each().await;
    for one in instances {
        for policy in [stale_while_revalidate(), Policy::ttl(AGED).stale_if_error(MINUTE)] {
            let name = if policy == stale_while_revalidate() { "revalidated" } else { "reloaded" };
            let class = aging(&one.cache, name, policy);
            let seen: Arc<Mutex<Vec<Vec<u32>>>> = Arc::default();
            let load = |keys: Reloads| {
                let (seen, answer) = (seen.clone(), |(key, previous): (u32, Option<Previous<u64>>)| {
                    let answer = match previous {
                        None => Loaded::new(10 * u64::from(key)).version("v1"),
                        Some(previous) => {
                            assert_eq!(previous.version.as_deref(), Some("v1"));
                            match key {
                                7 => Loaded::unchanged(),
                                _ => Loaded::new(*previous.value + 1).version("v1"),
                            }
                        }
                    };
                    (key, answer)
                });
                async move {
                    if keys.iter().any(|(_, previous)| previous.is_some()) {
                        seen.lock().unwrap().push(keys.iter().map(|(key, _)| *key).collect());
                    }
                    Ok::<_, Infallible>(keys.into_iter().map(answer).collect::<Vec<_>>())
                }
            };
            // One read may come when only the keys that it looks at last have aged. A later one finds all of them aged.
            eventually(
                "9 was loaded from its value, and again, and all were reloaded together",
                async || {
                    let answers = within(class.read_many(&[7, 8, 9]).or_reload(load)).await;
                    let values: Vec<u64> =
                        answers.into_iter().map(|answer| *answer.unwrap().value.unwrap()).collect();
                    assert_eq!((values[0], values[1] >= 80), (70, true));
                    values[2] >= 92 && seen.lock().unwrap().contains(&vec![7, 8, 9])
                },
            )
            .await;
            assert_eq!(class.stats().load_failures, 0);
        }
    }
}

#[tokio::test]
async fn the_loader_of_a_class_gets_the_aged_values_of_a_batch_and_of_one_key() {
    let (_redis, instances) = each().await;
    for one in instances {
        let load = |keys: Reloads| async move {
            let answer = |(key, previous): (u32, Option<Previous<u64>>)| match previous {
                None => (key, Loaded::new(1)),
                Some(previous) if *previous.value == 1 => (key, Loaded::new(2)),
                Some(_) => (key, Loaded::unchanged()),
            };
            Ok::<_, Infallible>(keys.into_iter().map(answer).collect::<Vec<_>>())
        };
        let policy = Policy::ttl(Duration::from_secs(20)).jitter(0.0).refresh_ahead(0.01);
        let class = one.cache.class::<u32, u64>("aging").policy(policy);
        let values = class.reloaded_by_batch(load).open().unwrap();
        assert_eq!(within(values.fetch_many(&[7, 8])).await.unwrap()[1].as_deref(), Some(&1));
        assert_eq!(within(values.fetch(&9)).await.unwrap().as_deref(), Some(&1));
        eventually("the second values are loaded from the first", async || {
            let both = within(values.fetch_many(&[7, 8])).await.unwrap();
            let alone = within(values.fetch(&9)).await.unwrap();
            both.iter().chain([&alone]).all(|value| value.as_deref() == Some(&2))
        })
        .await;
    }
}

/// A loader that has seen that no row has changed, and is held before it says so.
async fn held_reload(class: Class<u32, u64>, table: Arc<Table>, gate: Arc<Gate>) -> Vec<Option<u64>> {
    let load = |keys: Reloads| {
        let (table, gate) = (table.clone(), gate.clone());
        async move {
            let is_known = keys.iter().any(|(_, previous)| previous.is_some());
            let answer = |(key, previous): (u32, Option<Previous<u64>>)| {
                let row = table.row(key).unwrap();
                match previous {
                    Some(previous) if *previous.value == row => (key, Loaded::unchanged()),
                    _ => (key, Loaded::new(row)),
                }
            };
            let answers: Vec<_> = keys.into_iter().map(answer).collect();
            if is_known {
                gate.wait().await;
            }
            Ok::<_, Infallible>(answers)
        }
    };
    let answers = within(class.read_many(&[7, 8]).or_reload(load)).await;
    answers.into_iter().map(|answer| answer.unwrap().value.as_deref().copied()).collect()
}

/// Failure trace 1 on the path of a conditional refresh of several keys.
#[tokio::test]
async fn trace_1_an_unchanged_value_of_a_batch_is_not_restored_after_an_invalidation() {
    let (_redis, instances) = each().await;
    for one in instances {
        let class = aging(&one.cache, "conditional", stale_while_revalidate());
        let (table, gate) = (Table::new(), Gate::new());
        [7, 8].into_iter().for_each(|key| table.write(key, 1));
        eventually("a refresh is held", async || {
            let values = held_reload(class.clone(), table.clone(), gate.clone()).await;
            assert_eq!(values, [Some(1), Some(1)]);
            tokio::time::timeout(Duration::from_millis(30), gate.arrival()).await.is_ok()
        })
        .await;
        table.write(7, 2);
        let _receipt = within(class.invalidate(&7)).await;
        let refused = class.stats().fills_refused;
        gate.open();
        eventually("the refresh of 7 is refused", async || class.stats().fills_refused > refused).await;
        for _ in 0..50 {
            let value = within(class.get_or_load(&7, table.loader(7))).await.unwrap();
            assert_eq!(value.as_deref(), Some(&2));
        }
        assert_eq!(class.stats().fills_refused, refused + 1, "that of 8 is not");
    }
}
