//! Reads of several keys at once: their round trips, their one load, and what each key keeps of its own.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use larder::class::Class;
use larder_testbed::Redis;
use tokio::task::JoinSet;

use crate::support::batch::{filled, held_many, read_many};
use crate::support::{
    Gate, Instance, TIMEOUT, classes, eventually, in_redis, instance, memory_instance, within,
};

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

/// On a machine that is busy with other tests, a heartbeat can be late. Redis stays usable meanwhile, because without it
/// each instance loads for itself.
async fn patient(redis: &Redis) -> Instance {
    let cache = crate::support::builder().redis(redis.url()).installation("test");
    let cache = cache.staleness_bound(TIMEOUT).redis_timeout(Duration::from_millis(500));
    classes(cache.build().await.unwrap())
}

#[tokio::test]
async fn fifty_single_reads_at_once_take_three_mgets() {
    let redis = Redis::start().unwrap();
    let near = patient(&redis).await;
    let (table, keys) = (filled(0..50), (0..50).collect::<Vec<u32>>());
    assert_eq!(read_many(&near.values, &table, &keys).await.iter().flatten().count(), 50);
    log_commands(&redis);
    let fresh = |key: u32| {
        let near = near.clone();
        async move {
            near.values
                .read(&key)
                .fresh()
                .or_load(async || Err::<u64, _>(std::io::Error::other("not asked")))
                .await
        }
    };
    let answers = futures_util::future::join_all(keys.iter().copied().map(fresh)).await;
    for (key, answer) in keys.iter().zip(answers) {
        assert_eq!(answer.unwrap().value.as_deref(), Some(&(u64::from(*key) + 100)));
    }
    // The first one is alone and sends its own. The others go together, at most 32 of them.
    assert_eq!(mgets(&redis), 3);
    // One of a read that leaves does not keep the others from their answers.
    let mut together: Vec<_> = keys.iter().copied().map(|key| Box::pin(fresh(key))).collect();
    for read in &mut together {
        assert!(poll_fn(|context| Poll::Ready(read.as_mut().poll(context).is_pending())).await);
    }
    drop(together.remove(1));
    let answers = within(futures_util::future::join_all(together)).await;
    assert_eq!(
        answers
            .into_iter()
            .filter(|answer| answer.as_ref().is_ok_and(|answer| answer.value.is_some()))
            .count(),
        49
    );
}

#[tokio::test]
async fn fifty_keys_take_one_mget_and_one_load() {
    let redis = Redis::start().unwrap();
    let (near, far) = (patient(&redis).await, patient(&redis).await);
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
async fn a_batch_of_600_keys_is_one_load_of_what_three_mgets_do_not_find() {
    let redis = Redis::start().unwrap();
    let instance = patient(&redis).await;
    let keys: Vec<u32> = (0..600).collect();
    let table = filled(keys.iter().copied());
    assert_eq!(instance.read(&table, 300).await, Some(400));
    log_commands(&redis);
    for mgets_so_far in [3, 6] {
        let values = read_many(&instance.values, &table, &keys).await;
        assert!(values.iter().zip(&keys).all(|(value, key)| *value == Some(u64::from(*key) + 100)));
        assert_eq!((mgets(&redis), table.loads()), (mgets_so_far, 2));
    }
    let stats = instance.values.stats();
    assert_eq!((stats.batches, stats.loads, stats.untiered_loads), (1, 600, 0));
    // From memory, without a round trip.
    assert_eq!(read_many(&instance.values, &table, &keys).await.len(), 600);
    assert_eq!((mgets(&redis), table.loads()), (6, 2));
}

#[tokio::test]
async fn a_long_batch_in_memory_is_one_load() {
    let instance = memory_instance().await;
    let keys: Vec<u32> = (0..1_000).collect();
    let table = filled(keys.iter().copied());
    for _ in 0..2 {
        let values = read_many(&instance.values, &table, &keys).await;
        assert!(values.iter().zip(&keys).all(|(value, key)| *value == Some(u64::from(*key) + 100)));
    }
    assert_eq!((table.loads(), instance.values.stats().memory_hits), (1, 1_000));
}

#[tokio::test]
async fn a_class_says_how_many_keys_one_load_gets() {
    let redis = Redis::start().unwrap();
    for instance in [patient(&redis).await, memory_instance().await] {
        let values: Class<u32, u64> = instance.cache.class("few").load_keys_max(300).open().unwrap();
        let (table, keys) = (filled(0..700), (0..700).collect::<Vec<u32>>());
        assert!(read_many(&values, &table, &keys).await.iter().all(Option::is_some));
        assert_eq!((table.loads(), values.stats().batches), (3, 3));
        let none = instance.cache.class::<u32, u64>("none").load_keys_max(0).open().unwrap_err();
        assert!(none.to_string().contains("load_keys_max 0: allowed is at least 1"), "{none}");
    }
}

#[tokio::test]
async fn a_batch_is_loaded_after_all_its_leases_were_taken() {
    let redis = Redis::start().unwrap();
    let instance = patient(&redis).await;
    // More than one MGET reads.
    let (table, gate) = (filled(0..300), Gate::new());
    let keys: Vec<u32> = (0..300).collect();
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
    assert_eq!(instance.read(&table, 299).await, Some(399));
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
    let three = [patient(&redis).await, patient(&redis).await, patient(&redis).await];
    for instances in [three.to_vec(), vec![memory_instance().await]] {
        let (table, loaded) = (filled(0..100), Arc::new(AtomicUsize::new(0)));
        let mut batches = JoinSet::new();
        for nth in 0..90_u32 {
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
        let without_redis: u64 = instances.iter().map(|one| one.values.stats().untiered_loads).sum();
        assert_eq!((loaded.load(Ordering::SeqCst), without_redis), (100, 0));
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
