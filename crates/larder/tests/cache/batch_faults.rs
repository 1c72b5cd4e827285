//! What goes wrong during a batch of reads, and what each of its keys gets.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use larder::class::Class;
use larder::error::{Error, ErrorKind};
use larder::loading::spoil;
use larder::policy::Abandonment;
use larder::source::{NotStoredReason, Placement, Source};
use larder_testbed::Redis;

use crate::support::batch::{Rows, filled, held_many, read_many};
use crate::support::{Gate, eventually, instance, memory_instance, within};

/// How a batch's loader can fail.
async fn fail(how: &str) -> Result<Rows, std::fmt::Error> {
    match how {
        "error" => Err(std::fmt::Error),
        "panic" => panic!("the loader's own"),
        "unasked" => Ok(vec![(5, Some(1)), (55, Some(1))]),
        "twice" => Ok(vec![(5, Some(1)), (5, Some(2))]),
        _ => std::future::pending().await,
    }
}

#[tokio::test]
async fn a_batch_whose_loader_fails_ends_every_flight_with_the_error() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let values: Class<u32, u64> =
            instance.cache.class("failing").load_timeout(Duration::from_millis(300)).open().unwrap();
        for how in ["error", "panic", "unasked", "twice", "hang"] {
            let gate = Gate::new();
            let leading = tokio::spawn({
                let (values, gate) = (values.clone(), gate.clone());
                async move {
                    let load = |_: Vec<u32>| {
                        let gate = gate.clone();
                        async move {
                            gate.wait().await;
                            fail(how).await
                        }
                    };
                    values.read_many(&[5, 6, 7]).or_load(load).await
                }
            });
            gate.arrival().await;
            let following = tokio::spawn({
                let values = values.clone();
                async move { values.get_or_load(&6, || async { Err::<u64, _>(std::fmt::Error) }).await }
            });
            eventually("it follows", async || !following.is_finished()).await;
            gate.open();
            let kind = match how {
                "panic" => ErrorKind::LoadPanicked,
                "hang" => ErrorKind::LoadTimeout,
                _ => ErrorKind::Load,
            };
            let answers = within(leading).await.unwrap();
            let errors: Vec<Error> = answers.into_iter().map(|answer| answer.unwrap_err()).collect();
            assert!(errors.iter().all(|error| error.kind() == kind), "{how}: {errors:?}");
            let is_own = |error: &Error| error.load_error::<std::fmt::Error>().is_some();
            assert_eq!(errors.iter().all(is_own), how == "error");
            assert!(within(following).await.unwrap().is_err());

            let table = filled([5, 6, 7]);
            let read = read_many(&values, &table, &[5, 6, 7]).await;
            assert_eq!(read, [Some(105), Some(106), Some(107)], "{how}: the next batch loads");
            let _ = values.invalidate_all().await;
        }
    }
}

#[tokio::test]
async fn a_batch_whose_caller_leaves_is_loaded_to_its_end() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let (table, gate) = (filled([5, 6, 7]), Gate::new());
        let held = held_many(&instance.values, &table, &[5, 6, 7], &gate);
        gate.arrival().await;
        held.abort();
        assert!(held.await.unwrap_err().is_cancelled());
        let follower = tokio::spawn({
            let (instance, table) = (instance.clone(), table.clone());
            async move { read_many(&instance.values, &table, &[7, 6]).await }
        });
        tokio::task::yield_now().await;
        gate.open();
        assert_eq!(within(follower).await.unwrap(), [Some(107), Some(106)]);
        assert_eq!(read_many(&instance.values, &table, &[5]).await, [Some(105)]);
        assert_eq!(table.loads(), 1);
    }
}

#[tokio::test]
async fn redis_that_dies_during_a_batch_fails_no_read() {
    let mut redis = Redis::start().unwrap();
    let instance = instance(&redis).await;
    let (table, gate) = (filled(0..50), Gate::new());
    let keys: Vec<u32> = (0..50).collect();
    let held = held_many(&instance.values, &table, &keys, &gate);
    gate.arrival().await;
    redis.kill().unwrap();
    gate.open();
    assert!(within(held).await.unwrap().iter().all(Option::is_some));
    // Without Redis: one load for the process's memory.
    for _ in 0..2 {
        assert!(read_many(&instance.values, &table, &keys).await.iter().all(Option::is_some));
    }
    assert_eq!(table.loads(), 2);
}

#[tokio::test]
async fn a_spoiled_batch_is_stored_nowhere() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let load = |keys: Vec<u32>| async move {
            spoil("a transaction was open");
            Ok::<_, Infallible>(keys.into_iter().map(|key| (key, 1)).collect::<Vec<_>>())
        };
        let answers = within(instance.values.read_many(&[5, 6]).or_load(load)).await;
        let spoiled = Source::Load { placement: Placement::Nowhere(NotStoredReason::Spoiled) };
        for answer in answers {
            let answer = answer.unwrap();
            assert_eq!((answer.value.as_deref(), answer.source), (Some(&1), spoiled));
        }
        assert!(instance.values.get(&5).await.is_miss() && instance.values.get(&6).await.is_miss());
        assert_eq!(instance.values.stats().loads_spoiled, 2);
    }
}

#[tokio::test]
async fn a_batch_within_a_load_is_a_bypass_with_one_load() {
    let instance = memory_instance().await;
    let table = filled(0..10);
    let outer = {
        let (values, table) = (instance.values.clone(), table.clone());
        let load = || async move {
            let keys: Vec<u32> = (0..10).collect();
            let load = |keys: Vec<u32>| ready(Ok::<_, Infallible>(table.load_many(&keys)));
            let values = values.get_many(&keys, load).await?;
            Ok::<_, Error>(values.iter().flatten().map(|value| **value).collect::<Vec<u64>>())
        };
        within(instance.lists.get_or_load("outer", load)).await.unwrap().unwrap()
    };
    assert_eq!((outer.len(), table.loads()), (10, 1));
    assert_eq!(instance.values.stats().bypasses, 10);
    assert!(instance.values.get(&5).await.is_miss());
}

#[tokio::test]
async fn the_soft_timeout_of_a_batch_ends_its_reads_and_not_its_load() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let (table, gate) = (filled([5, 6]), Gate::new());
        assert_eq!(instance.read(&table, 5).await, Some(105));
        let load = |keys: Vec<u32>| {
            let (table, gate) = (table.clone(), gate.clone());
            async move {
                let rows = table.load_many(&keys);
                gate.wait().await;
                Ok::<_, Infallible>(rows)
            }
        };
        let read = instance.values.read_many(&[5, 6]).soft_timeout(Duration::from_millis(50));
        let answers = within(read.or_load(load)).await;
        assert_eq!(answers[0].as_ref().unwrap().value.as_deref(), Some(&105));
        assert_eq!(answers[1].as_ref().unwrap_err().kind(), ErrorKind::SoftTimeout);
        gate.open();
        eventually("the load went on", async || instance.values.get(&6).await.is_hit()).await;
    }
}

#[tokio::test]
async fn an_abandoned_batch_is_stopped_if_its_class_says_so() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let values: Class<u32, u64> =
            instance.cache.class("stopping").when_abandoned(Abandonment::Stop).open().unwrap();
        let (gate, running) = (Gate::new(), Arc::new(()));
        let reading = tokio::spawn({
            let (values, gate, running) = (values.clone(), gate.clone(), running.clone());
            async move {
                let load = |_: Vec<u32>| {
                    let (gate, running) = (gate.clone(), running.clone());
                    async move {
                        gate.wait().await;
                        drop(running);
                        Ok::<Rows, Infallible>(Vec::new())
                    }
                };
                values.get_many(&[5, 6], load).await
            }
        });
        gate.arrival().await;
        // A follower of one key keeps the load going.
        let follower = tokio::spawn({
            let values = values.clone();
            async move { values.get_or_load(&6, || async { Ok::<u64, Infallible>(1) }).await }
        });
        tokio::task::yield_now().await;
        reading.abort();
        assert!(reading.await.unwrap_err().is_cancelled());
        tokio::task::yield_now().await;
        assert!(Arc::strong_count(&running) > 1 && !follower.is_finished());
        follower.abort();
        assert!(follower.await.unwrap_err().is_cancelled());
        eventually("the load is stopped", async || Arc::strong_count(&running) == 1).await;
        let table = filled([5, 6]);
        assert_eq!(read_many(&values, &table, &[5, 6]).await, [Some(105), Some(106)]);
    }
}

/// Of a batch, row 13 cannot be read.
#[tokio::test]
async fn an_error_of_one_key_is_given_to_its_readers_alone_and_is_not_an_absent_value() {
    let redis = Redis::start().unwrap();
    for one in [instance(&redis).await, memory_instance().await] {
        // `absent_for` is a minute: an answer that is left out would be known to be absent.
        let (table, keys) = (filled(0..50), (0..50).collect::<Vec<u32>>());
        let gate = Gate::new();
        let reading = tokio::spawn({
            let (values, table, keys, gate) = (one.values.clone(), table.clone(), keys.clone(), gate.clone());
            async move {
                let load = |keys: Vec<u32>| {
                    let (table, gate) = (table.clone(), gate.clone());
                    async move {
                        let rows = table.load_many(&keys).into_iter();
                        let row = |(key, row)| (key, if key == 13 { Err("13 is damaged") } else { Ok(row) });
                        let rows: Vec<_> = rows.map(row).collect();
                        gate.wait().await;
                        Ok::<_, Infallible>(rows)
                    }
                };
                values.read_many(&keys).or_load(load).await
            }
        });
        gate.arrival().await;
        let following = tokio::spawn({
            let values = one.values.clone();
            async move { values.get_or_load(&13, || ready(Ok::<u64, Infallible>(1))).await }
        });
        // Its first poll joins the flight of the batch.
        tokio::task::yield_now().await;
        assert!(!following.is_finished());
        gate.open();
        let answers = within(reading).await.unwrap();
        for (key, answer) in keys.iter().zip(answers) {
            match (key, answer) {
                (13, answer) => {
                    let error = answer.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Load);
                    assert!(std::error::Error::source(&error).unwrap().to_string().contains("13 is damaged"));
                }
                (key, answer) => assert_eq!(answer.unwrap().value.as_deref(), Some(&(u64::from(*key) + 100))),
            }
        }
        assert_eq!(within(following).await.unwrap().unwrap_err().kind(), ErrorKind::Load);
        assert_eq!(one.values.stats().load_failures, 1);
        assert!(one.values.get(&12).await.is_hit());
        assert!(one.values.get(&13).await.is_miss(), "it is not known to be absent");
        assert_eq!(one.read(&table, 13).await, Some(113));
    }
}

/// Of three batches, whose readers have left, two go on: each is one load.
#[tokio::test]
async fn an_abandoned_batch_has_one_place_among_the_loads_that_go_on() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let open = instance.cache.class("bounded").when_abandoned(Abandonment::FinishAtMost(2));
        let values: Class<u32, u64> = open.open().unwrap();
        let (table, gate) = (filled(0..150), Gate::new());
        let keys: Vec<u32> = (0..150).collect();
        let mut readers = Vec::new();
        for keys in keys.chunks(50) {
            readers.push(held_many(&values, &table, keys, &gate));
            gate.arrival().await;
        }
        for (nth, reader) in readers.into_iter().enumerate() {
            reader.abort();
            assert!(reader.await.unwrap_err().is_cancelled());
            let stopped = u64::from(nth == 2);
            eventually("it is stopped or goes on", async || values.stats().abandoned_stopped == stopped)
                .await;
        }
        (0..3).for_each(|_| gate.open());
        let stored = async |keys: &[u32]| {
            let mut stored = 0;
            for key in keys {
                stored += usize::from(values.get(key).await.is_hit());
            }
            stored
        };
        eventually("two batches are stored", async || stored(&keys[..100]).await == 100).await;
        assert_eq!((stored(&keys[100..]).await, values.stats().abandoned_stopped), (0, 1));
        // The places are free again, and so are the leases of the batch that was stopped.
        assert!(read_many(&values, &table, &keys).await.iter().all(Option::is_some));
        assert_eq!(table.loads(), 4);
    }
}
