//! Reads of several keys at once: their round trips, their one load, and what each key keeps of its own.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder::class::Class;
use larder::error::{Error, ErrorKind};
use larder::loading::spoil;
use larder::source::{NotStoredReason, Placement, Source};
use larder_testbed::Redis;
use tokio::task::JoinSet;

use crate::support::{Gate, Instance, Table, eventually, in_redis, instance, memory_instance, within};

type Rows = Vec<(u32, Option<u64>)>;

impl Table {
    /// One statement that reads the rows of all `keys`.
    pub(crate) fn load_many(&self, keys: &[u32]) -> Rows {
        let rows = keys.iter().map(|key| (*key, self.row(*key))).collect();
        self.loads.fetch_add(1, Ordering::SeqCst);
        rows
    }
}

/// Reads `keys` in one batch.
async fn read_many(class: &Class<u32, u64>, table: &Arc<Table>, keys: &[u32]) -> Vec<Option<u64>> {
    let load = |keys: Vec<u32>| ready(Ok::<_, Infallible>(table.load_many(&keys)));
    let values = within(class.get_many(keys, load)).await.unwrap();
    values.iter().map(|value| value.as_deref().copied()).collect()
}

/// Begins a batch whose load reads now and returns when the gate opens.
fn held_many(
    class: &Class<u32, u64>,
    table: &Arc<Table>,
    keys: &[u32],
    gate: &Arc<Gate>,
) -> tokio::task::JoinHandle<Vec<Option<u64>>> {
    let (class, table, keys, gate) = (class.clone(), table.clone(), keys.to_vec(), gate.clone());
    tokio::spawn(async move {
        let load = |keys: Vec<u32>| {
            let (table, gate) = (table.clone(), gate.clone());
            async move {
                let rows = table.load_many(&keys);
                gate.wait().await;
                Ok::<_, Infallible>(rows)
            }
        };
        class.get_many(&keys, load).await.unwrap().iter().map(|value| value.as_deref().copied()).collect()
    })
}

fn filled(keys: impl IntoIterator<Item = u32>) -> Arc<Table> {
    let table = Table::new();
    keys.into_iter().for_each(|key| table.write(key, u64::from(key) + 100));
    table
}

/// Makes Redis log each command, and forgets what it has logged.
fn log_commands(redis: &Redis) {
    for (name, value) in [("slowlog-log-slower-than", "0"), ("slowlog-max-len", "1000000")] {
        redis.command(&["CONFIG", "SET", name, value]).unwrap();
    }
    redis.command(&["SLOWLOG", "RESET"]).unwrap();
}

/// How many MGETs of values there were since the log began. The heartbeat sends MGETs too.
fn mgets(redis: &Redis) -> usize {
    let log = redis.command(&["SLOWLOG", "GET", "-1"]).unwrap();
    let words: Vec<&str> = log.split_whitespace().map(|word| word.trim_matches('"')).collect();
    words.windows(2).filter(|pair| pair[0] == "MGET" && pair[1].contains(":values:")).count()
}

#[tokio::test]
async fn fifty_keys_take_one_mget_and_one_load() {
    let redis = Redis::start().unwrap();
    let (near, far) = (instance(&redis).await, instance(&redis).await);
    let table = filled((0..50).filter(|key| *key != 13));
    let keys: Vec<u32> = (0..50).rev().collect();
    let expected: Vec<Option<u64>> =
        keys.iter().map(|key| (*key != 13).then(|| u64::from(*key) + 100)).collect();

    log_commands(&redis);
    assert_eq!(read_many(&near.values, &table, &keys).await, expected);
    assert_eq!((mgets(&redis), table.loads()), (1, 1));
    let stats = near.values.stats();
    assert_eq!((stats.batches, stats.loads, near.values.load_times().count), (1, 50, 1));

    // From Redis, and from memory. Key 13 is known to be absent.
    for (round, instance) in [(2, &near), (2, &near), (3, &far), (3, &far)] {
        assert_eq!(read_many(&instance.values, &table, &keys).await, expected);
        assert_eq!((mgets(&redis), table.loads()), (round, 1));
    }
    let stats = far.values.stats();
    assert_eq!((stats.redis_hits, stats.memory_hits, stats.absent_hits, stats.loads), (50, 50, 2, 0));
}

#[tokio::test]
async fn a_key_given_twice_is_read_once_and_the_order_is_kept() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let table = filled([1, 2, 3]);
        assert_eq!(instance.read(&table, 2).await, Some(102));
        let seen = std::sync::Mutex::new(Vec::new());
        let load = |keys: Vec<u32>| {
            seen.lock().unwrap().push(keys.clone());
            ready(Ok::<_, Infallible>(table.load_many(&keys)))
        };
        let values = within(instance.values.get_many(&[3, 2, 3, 1, 3, 2, 9], load)).await.unwrap();
        let values: Vec<_> = values.iter().map(|value| value.as_deref().copied()).collect();
        assert_eq!(values, [Some(103), Some(102), Some(103), Some(101), Some(103), Some(102), None]);
        assert_eq!(*seen.lock().unwrap(), [[3, 1, 9]]);
        assert_eq!(read_many(&instance.values, &table, &[]).await, []);
    }
}

#[tokio::test]
async fn a_batch_of_2500_keys_is_read_in_three_parts() {
    let redis = Redis::start().unwrap();
    let instance = instance(&redis).await;
    let keys: Vec<u32> = (0..2_500).collect();
    let table = filled(keys.iter().copied());
    log_commands(&redis);
    for _ in 0..2 {
        let values = read_many(&instance.values, &table, &keys).await;
        assert!(values.iter().zip(&keys).all(|(value, key)| *value == Some(u64::from(*key) + 100)));
        assert_eq!(table.loads(), 3);
    }
    assert_eq!(mgets(&redis), 6);
    assert_eq!(instance.values.stats().batches, 3);
}

#[tokio::test]
async fn a_batch_is_loaded_after_all_its_leases_were_taken() {
    let redis = Redis::start().unwrap();
    let instance = instance(&redis).await;
    let (table, gate) = (filled(0..50), Gate::new());
    let keys: Vec<u32> = (0..50).collect();
    let held = held_many(&instance.values, &table, &keys, &gate);
    gate.arrival().await;
    for key in &keys {
        let key = format!("{}:{key}", in_redis!("values"));
        let frame = redis.command_bytes(&[b"GET", key.as_bytes()]).unwrap();
        assert_eq!((frame.len(), frame[0]), (17, b'L'), "{key}");
    }
    gate.open();
    assert!(held.await.unwrap().iter().all(Option::is_some));
    // A load that is not a batch reads none of these keys again.
    assert_eq!(instance.read(&table, 49).await, Some(149));
    assert_eq!(table.loads(), 1);
}

const KINDS: [&str; 6] = ["key", "tag", "class", "pattern", "everything", "unlinked tag"];

async fn invalidate(redis: Option<&Redis>, writer: &Instance, kind: &str) {
    let cache = &writer.cache;
    let invalidation = match (kind, redis) {
        ("key", _) => cache.invalidation().key(&writer.values, &7),
        ("tag", _) => cache.invalidation().tag("values"),
        ("class", _) => cache.invalidation().class(&writer.values),
        ("pattern", _) => cache.invalidation().matching("values:7*").unwrap(),
        ("unlinked tag", Some(redis)) => {
            // As by an eviction.
            redis.command(&["UNLINK", in_redis!("#values")]).unwrap();
            return;
        }
        _ => cache.invalidation().everything(),
    };
    let _ = within(invalidation.send()).await;
}

/// The load of a batch reads the old rows; a write commits and invalidates; the batch fills.
async fn trace_1(redis: Option<&Redis>, reader: &Instance, writer: &Instance, kind: &str) {
    let (table, gate) = (filled([5, 6]), Gate::new());
    let held = held_many(&reader.values, &table, &[5, 6, 7], &gate);
    gate.arrival().await;
    [5, 6, 7].into_iter().for_each(|key| table.write(key, 2));
    invalidate(redis, writer, kind).await;
    gate.open();
    assert_eq!(held.await.unwrap(), [Some(105), Some(106), None], "it began before the write");
    let invalidated: &[u32] = if matches!(kind, "key" | "pattern") { &[7] } else { &[5, 6, 7] };
    for instance in [reader, writer] {
        for _ in 0..2 {
            let values = read_many(&instance.values, &table, invalidated).await;
            assert!(values.iter().all(|value| *value == Some(2)), "{kind}: {values:?}");
        }
        if invalidated.len() == 1 {
            let others = read_many(&instance.values, &table, &[5, 6]).await;
            assert_eq!(others, [Some(105), Some(106)], "{kind}: the other keys were stored");
        }
    }
    assert_eq!(table.loads(), 2, "{kind}");
}

#[tokio::test]
async fn trace_1_and_9_every_kind_of_invalidation_during_the_load_of_a_batch() {
    let redis = Redis::start().unwrap();
    for kind in KINDS {
        for is_same in [true, false] {
            redis.command(&["FLUSHALL"]).unwrap();
            let reader = instance(&redis).await;
            let writer = if is_same { reader.clone() } else { instance(&redis).await };
            trace_1(Some(&redis), &reader, &writer, kind).await;
        }
        if kind != "unlinked tag" {
            let alone = memory_instance().await;
            trace_1(None, &alone, &alone, kind).await;
        }
    }
}

/// Batch 1 loads, delete, batch 2 loads in the same process, batch 1 ends: it must not use a lease of batch 2.
#[tokio::test]
async fn trace_2_a_delete_between_two_batches() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let (table, first, second) = (filled([5, 6, 7]), Gate::new(), Gate::new());
        let batch_1 = held_many(&instance.values, &table, &[5, 6, 7], &first);
        first.arrival().await;
        let _ = instance.write(&table, 7, 2).await;
        let batch_2 = held_many(&instance.values, &table, &[7, 8], &second);
        second.arrival().await;
        first.open();
        assert_eq!(batch_1.await.unwrap(), [Some(105), Some(106), Some(107)]);
        assert_eq!(instance.values.get(&7).await.value(), None, "batch 1 stored nothing under 7");
        second.open();
        assert_eq!(batch_2.await.unwrap(), [Some(2), None]);
        let values = read_many(&instance.values, &table, &[5, 6, 7, 8]).await;
        assert_eq!(values, [Some(105), Some(106), Some(2), None]);
        assert_eq!((table.loads(), instance.values.stats().fills_refused), (2, 1));
    }
}

#[tokio::test]
async fn trace_9_two_instances_mint_a_tag_in_two_batches() {
    let redis = Redis::start().unwrap();
    let (near, far) = (instance(&redis).await, instance(&redis).await);
    let (table, gate) = (filled(0..40), Gate::new());
    let (low, high): (Vec<u32>, Vec<u32>) = (0..40).partition(|key| *key < 20);
    let held = [held_many(&near.values, &table, &low, &gate), held_many(&far.values, &table, &high, &gate)];
    gate.arrival().await;
    gate.arrival().await;
    gate.open();
    gate.open();
    for held in held {
        assert!(held.await.unwrap().iter().all(Option::is_some));
    }
    // Both batches have the same token, so each instance gets the other's entries.
    let all: Vec<u32> = (0..40).collect();
    for instance in [&near, &far] {
        assert!(read_many(&instance.values, &table, &all).await.iter().all(Option::is_some));
    }
    assert_eq!(table.loads(), 2);
}

/// Batches that overlap, on three instances at once. Each key is loaded once.
#[tokio::test]
async fn trace_10_overlapping_batches_load_each_key_once() {
    let redis = Redis::start().unwrap();
    let three = [instance(&redis).await, instance(&redis).await, instance(&redis).await];
    for instances in [three.to_vec(), vec![memory_instance().await]] {
        let (table, loaded) = (filled(0..100), Arc::new(AtomicUsize::new(0)));
        let mut batches = JoinSet::new();
        for nth in 0..300_u32 {
            let values = instances[nth as usize % instances.len()].values.clone();
            let (table, loaded) = (table.clone(), loaded.clone());
            batches.spawn(async move {
                let keys: Vec<u32> = (0..20).map(|offset| (nth * 7 + offset * 3) % 100).collect();
                let load = |keys: Vec<u32>| {
                    loaded.fetch_add(keys.len(), Ordering::SeqCst);
                    ready(Ok::<_, Infallible>(table.load_many(&keys)))
                };
                let values = within(values.get_many(&keys, load)).await.unwrap();
                let is_right = |(value, key): (&Option<Arc<u64>>, &u32)| {
                    value.as_deref() == Some(&(u64::from(*key) + 100))
                };
                assert!(values.iter().zip(&keys).all(is_right));
            });
        }
        within(batches.join_all()).await;
        assert_eq!(loaded.load(Ordering::SeqCst), 100);
    }
}

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
async fn a_key_that_another_instance_loads_is_waited_for_and_the_others_are_loaded() {
    let redis = Redis::start().unwrap();
    let (near, far) = (instance(&redis).await, instance(&redis).await);
    let (table, gate, second) = (filled([5, 6, 7]), Gate::new(), Gate::new());
    let held = far.held_read(&table, 6, &gate);
    gate.arrival().await;
    let batch = held_many(&near.values, &table, &[5, 6, 7], &second);
    second.arrival().await;
    second.open();
    eventually("5 and 7 are stored while 6 is loading", async || {
        far.values.get(&5).await.is_hit() && far.values.get(&7).await.is_hit()
    })
    .await;
    assert!(!batch.is_finished());
    gate.open();
    assert_eq!(held.await.unwrap(), Some(106));
    assert_eq!(within(batch).await.unwrap(), [Some(105), Some(106), Some(107)]);
    assert_eq!(table.loads(), 2);
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
async fn a_memory_only_class_reads_batches_under_its_anchors() {
    let redis = Redis::start().unwrap();
    let [near, far] = [instance(&redis).await, instance(&redis).await].map(|instance| {
        let roles: Class<u32, u64> = instance.cache.class("roles").memory_only().open().unwrap();
        roles
    });
    let (table, keys) = (filled(0..50), (0..50).collect::<Vec<u32>>());
    for _ in 0..2 {
        assert!(read_many(&near, &table, &keys).await.iter().all(Option::is_some));
        assert_eq!((table.loads(), near.stats().loads), (1, 50));
    }
    table.write(7, 2);
    let _ = within(far.invalidate(&7)).await;
    eventually("the invalidation arrives", async || read_many(&near, &table, &keys).await[7] == Some(2))
        .await;
    assert_eq!(table.loads(), 2, "only key 7 was loaded again");
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
async fn a_fresh_batch_sees_every_acknowledged_write() {
    let redis = Redis::start().unwrap();
    let (near, far) = (instance(&redis).await, instance(&redis).await);
    let (table, keys) = (filled(0..20), (0..20).collect::<Vec<u32>>());
    read_many(&near.values, &table, &keys).await;
    for version in 1..20_u64 {
        let key = u32::try_from(version).unwrap();
        let _ = far.write(&table, key, version).await;
        let load = |keys: Vec<u32>| ready(Ok::<_, Infallible>(table.load_many(&keys)));
        let answers = within(near.values.read_many(&keys).fresh().or_load(load)).await;
        let values: HashSet<(u32, u64)> =
            keys.iter().zip(answers).map(|(key, answer)| (*key, *answer.unwrap().value.unwrap())).collect();
        assert!(values.contains(&(key, version)), "{version}");
    }
}
