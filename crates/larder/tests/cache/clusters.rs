//! A Redis Cluster: keys and tags at several masters, masters that fail, slots that move.

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use larder::cache::{Cache, Health};
use larder::health::Trouble;
use larder::invalidation::Invalidation;
use larder::journal::Touch;
use larder::receipt::Delivery;
use larder::source::Source;
use larder_testbed::{Redis, RedisCluster};

use crate::connecting::is_named;
use crate::support::journal::Ledger;
use crate::support::{Gate, Instance, Table, builder, classes, eventually, within};

/// So many keys have slots at each of three masters.
const KEYS: u32 = 60;

async fn instance(cluster: &RedisCluster, ledger: &Ledger) -> Instance {
    let cache = builder().redis(cluster.url()).journal(ledger.seen_by_another()).build().await.unwrap();
    is_working(&cache).await;
    classes(cache)
}

async fn is_working(cache: &Cache) {
    eventually("all masters are used", async || cache.health() == Health::Working).await;
}

/// Reads each key until memory answers, and returns how many loads that took.
async fn warm(instance: &Instance, table: &Arc<Table>) -> usize {
    let before = table.loads();
    for key in 0..KEYS {
        eventually("memory answers", async || {
            let read = instance.values.read(&key).or_load(table.loader(key)).await.unwrap();
            read.source == Source::Memory
        })
        .await;
    }
    table.loads() - before
}

fn table() -> Arc<Table> {
    let table = Table::new();
    (0..KEYS).for_each(|key| table.write(key, 1));
    table
}

/// The name of a key in Redis.
fn in_redis(cluster: &RedisCluster, key: u32) -> String {
    name_like(cluster, &format!("*:values:{key}"))
}

fn name_like(cluster: &RedisCluster, pattern: &str) -> String {
    for node in &cluster.nodes {
        let names = node.command(&["KEYS", pattern]).unwrap_or_default();
        if let Some(name) = names.lines().next().filter(|name| !name.is_empty()) {
            return name.to_owned();
        }
    }
    panic!("no node has {pattern}")
}

#[tokio::test]
async fn entries_and_tags_of_all_masters_are_shared_and_invalidated() {
    let cluster = RedisCluster::start(3, false, &[]).unwrap();
    let (ledger, table) = (Ledger::new(), table());
    let (one, other) = (instance(&cluster, &ledger).await, instance(&cluster, &ledger).await);
    assert_eq!(warm(&one, &table).await, KEYS as usize);
    assert_eq!(warm(&other, &table).await, 0, "the other instance finds them in Redis");
    for node in &cluster.nodes {
        let keys: u64 = node.command(&["DBSIZE"]).unwrap().parse().unwrap();
        assert!(keys > 5, "{keys} keys at this master");
    }

    // By key, by tag, by class and by pattern: both instances answer with the new values at once.
    type Verb = fn(Invalidation, &Instance) -> Invalidation;
    let verbs: [(&str, Verb); 3] = [
        ("keys", |all, instance| (0..KEYS).fold(all, |all, key| all.key(&instance.values, &key))),
        ("class", |all, instance| all.class(&instance.values)),
        ("pattern", |all, _| all.matching("values:*").unwrap()),
    ];
    for (version, (name, verb)) in (2..).zip(verbs) {
        warm(&one, &table).await;
        warm(&other, &table).await;
        (0..KEYS).for_each(|key| table.write(key, version));
        let receipt = verb(one.cache.invalidation(), &one).send().await;
        assert_eq!(receipt.delivery(), Delivery::Sent, "{name}");
        for key in 0..KEYS {
            assert_eq!(one.read_fresh(&table, key).await, Some(version), "{name}");
            assert_eq!(other.read_fresh(&table, key).await, Some(version), "{name}");
        }
    }
}

#[tokio::test]
async fn a_foreign_write_reaches_memory_at_each_master_within_the_bound() {
    let cluster = RedisCluster::start(3, false, &[]).unwrap();
    let (ledger, table) = (Ledger::new(), table());
    let instances = [instance(&cluster, &ledger).await, instance(&cluster, &ledger).await];
    for instance in &instances {
        warm(instance, &table).await;
    }
    let committed = Instant::now();
    for key in 0..KEYS {
        table.write(key, 2);
        ledger.note(Touch::entry("values", [key.to_string()]));
    }
    for instance in &instances {
        for key in 0..KEYS {
            eventually("the new value", async || instance.read(&table, key).await == Some(2)).await;
        }
    }
    assert!(committed.elapsed().as_secs() < 2, "seen after {:?}", committed.elapsed());
}

#[tokio::test]
async fn a_load_that_an_invalidation_overtook_fills_nothing_at_any_master() {
    let cluster = RedisCluster::start(3, false, &[]).unwrap();
    let (ledger, table) = (Ledger::new(), table());
    let (one, other) = (instance(&cluster, &ledger).await, instance(&cluster, &ledger).await);
    for key in 0..12 {
        let gate = Gate::new();
        let held = one.held_read(&table, key, &gate);
        gate.arrival().await;
        table.write(key, 2);
        let receipt = other.cache.invalidation().key(&other.values, &key).send().await;
        assert_eq!(receipt.delivery(), Delivery::Sent);
        gate.open();
        within(held).await.unwrap();
        assert_eq!(other.read(&table, key).await, Some(2), "{key}");
        assert_eq!(one.read(&table, key).await, Some(2), "{key}");
    }
}

/// A master dies while its replica lacks an invalidation; the replica takes over. The other masters serve all the while.
#[tokio::test]
async fn a_lost_master_takes_only_its_slots_with_it_and_its_replica_is_followed() {
    let mut cluster = RedisCluster::start(3, true, &[]).unwrap();
    let (ledger, table) = (Ledger::new(), table());
    let (one, other) = (instance(&cluster, &ledger).await, instance(&cluster, &ledger).await);
    warm(&one, &table).await;
    warm(&other, &table).await;
    let lost_master = 1;
    let owner = |key: &u32| cluster.owner_of(&in_redis(&cluster, *key)).unwrap();
    let (lost, kept): (Vec<u32>, Vec<u32>) = (0..KEYS).partition(|key| owner(key) == lost_master);
    // A slot range has 1,024 slots, so this one is at two masters. The class's tag for its entries is at the lost one.
    let at_two = 10_240..11_264;
    let is_served = |key: &u32| !at_two.contains(&cluster.slot_of(&in_redis(&cluster, *key)).unwrap());
    let kept: Vec<u32> = kept.into_iter().filter(is_served).collect();
    assert!(kept.len() > 30, "{}", kept.len());

    let replica = cluster.replica_of(lost_master).unwrap().unwrap();
    cluster.nodes[replica].pause().unwrap();
    for key in &lost {
        table.write(*key, 2);
        ledger.note(Touch::entry("values", [key.to_string()]));
        let _ = one.cache.invalidation().key(&one.values, key).send().await;
    }
    cluster.nodes[lost_master].kill().unwrap();
    eventually("the loss is noticed", async || other.cache.health() == Health::Degraded).await;
    let loads = table.loads();
    for key in kept.iter().copied() {
        let read = other.values.read(&key).or_load(table.loader(key)).await.unwrap();
        assert!(matches!(read.source, Source::Memory | Source::Redis), "{key}: {:?}", read.source);
    }
    assert_eq!(table.loads(), loads);
    for key in &lost {
        assert_eq!(other.read_fresh(&table, *key).await, Some(2));
    }
    // A batch of a process that has nothing in memory yet: only the keys that have no master are loaded.
    let third =
        classes(builder().redis(cluster.url()).journal(ledger.seen_by_another()).build().await.unwrap());
    eventually("the other masters are used", async || !third.values.get(&kept[0]).await.is_miss()).await;
    let asked = Mutex::new(Vec::<u32>::new());
    let load = |keys: Vec<u32>| {
        asked.lock().unwrap().extend(&keys);
        ready(Ok::<_, Infallible>(table.load_many(&keys)))
    };
    let all: Vec<u32> = kept.iter().chain(&lost).copied().collect();
    within(third.values.get_many(&all, load)).await.unwrap();
    let mut asked = asked.into_inner().unwrap();
    asked.sort_unstable();
    assert_eq!(asked, lost);
    // What cannot be sent to the lost master waits for it alone: the other masters stay in use.
    let from_memory = async || {
        let read = one.values.read(&kept[1]).or_load(table.loader(kept[1])).await.unwrap();
        read.source == Source::Memory
    };
    eventually("memory answers", &from_memory).await;
    let receipt = one.cache.invalidation().key(&one.values, &kept[0]).key(&one.values, &lost[0]).send().await;
    assert_eq!(receipt.delivery(), Delivery::Queued);
    assert!(from_memory().await);
    cluster.nodes[replica].resume().unwrap();
    is_working(&other.cache).await;
    for key in &lost {
        assert_eq!(other.read_fresh(&table, *key).await, Some(2));
    }
    assert!(cluster.nodes[replica].command(&["INFO", "replication"]).unwrap().contains("role:master"));
    is_working(&one.cache).await;
    warm(&one, &table).await;
    assert_eq!(warm(&other, &table).await, 0, "what one loaded, the other finds at the new master");
}

/// Waits until an instance has propagated to Redis what the journal contains now.
async fn propagated(instance: &Instance, table: &Arc<Table>) {
    // A fresh read of a key of its own waits for nothing; an invalidation that says sent has been propagated, and the relay
    // that polls after it has read all that was committed before.
    let before = Instant::now();
    eventually("two polls have passed", async || {
        instance.read(table, KEYS).await;
        before.elapsed() > Duration::from_millis(600)
    })
    .await;
}

/// A slot moves to another master. While its keys are there and the slot is not, a value is written, and the relays of all
/// masters take the change for propagated before the move ends: only what arrived is deleted keeps the old value away.
#[tokio::test]
async fn a_moved_slot_brings_back_no_old_value() {
    let cluster = RedisCluster::start(3, false, &[]).unwrap();
    let (ledger, table) = (Ledger::new(), table());
    let (one, other) = (instance(&cluster, &ledger).await, instance(&cluster, &ledger).await);
    for key in 0..4 {
        warm(&one, &table).await;
        warm(&other, &table).await;
        let name = in_redis(&cluster, key);
        let source = cluster.owner_of(&name).unwrap();
        let target = (source + 1) % 3;
        let moving = cluster.begin_move_of(&name, target).unwrap();
        table.write(key, 2);
        ledger.note(Touch::entry("values", [key.to_string()]));
        propagated(&one, &table).await;
        cluster.end_move(&moving).unwrap();
        for instance in [&one, &other] {
            assert_eq!(instance.read_fresh(&table, key).await, Some(2));
            eventually("the new value", async || instance.read(&table, key).await == Some(2)).await;
        }
        eventually("the moved slot is used", async || {
            one.read(&table, key).await;
            cluster.nodes[target].command(&["EXISTS", &name]).is_ok_and(|found| found == "1")
        })
        .await;
        // The way back is given up and done again, each time with a write in between.
        let moving = cluster.begin_move_of(&name, source).unwrap();
        table.write(key, 3);
        let _ = one.cache.invalidation().key(&one.values, &key).send().await;
        ledger.note(Touch::entry("values", [key.to_string()]));
        propagated(&one, &table).await;
        cluster.give_up_move(&moving).unwrap();
        for instance in [&one, &other] {
            assert_eq!(instance.read_fresh(&table, key).await, Some(3));
        }
        let moving = cluster.begin_move_of(&name, source).unwrap();
        table.write(key, 4);
        let _ = one.cache.invalidation().key(&one.values, &key).send().await;
        ledger.note(Touch::entry("values", [key.to_string()]));
        propagated(&one, &table).await;
        cluster.end_move(&moving).unwrap();
        for instance in [&one, &other] {
            assert_eq!(instance.read_fresh(&table, key).await, Some(4));
            is_working(&instance.cache).await;
            assert_eq!(instance.read_fresh(&table, key).await, Some(4));
        }
    }
}

/// The replica of a master lacks the last invalidations. Without a journal nothing says which, so what it has is dropped.
#[tokio::test]
async fn without_a_journal_a_master_that_failed_over_is_swept() {
    let mut cluster = RedisCluster::start(3, true, &[]).unwrap();
    let table = table();
    let open = async || {
        let cache = builder().redis(cluster.url()).installation("test").build().await.unwrap();
        is_working(&cache).await;
        classes(cache)
    };
    let (one, other) = (open().await, open().await);
    warm(&one, &table).await;
    assert_eq!(warm(&other, &table).await, 0);
    let replica = cluster.replica_of(1).unwrap().unwrap();
    cluster.nodes[replica].pause().unwrap();
    (0..KEYS).for_each(|key| table.write(key, 2));
    for key in 0..KEYS {
        let receipt = one.cache.invalidation().key(&one.values, &key).send().await;
        assert_eq!(receipt.delivery(), Delivery::Sent);
    }
    cluster.nodes[1].kill().unwrap();
    cluster.nodes[replica].resume().unwrap();
    for instance in [&one, &other] {
        for key in 0..KEYS {
            assert_eq!(instance.read_fresh(&table, key).await, Some(2));
        }
        is_working(&instance.cache).await;
        for key in 0..KEYS {
            assert_eq!(instance.read_fresh(&table, key).await, Some(2));
        }
    }
}

#[tokio::test]
async fn a_url_for_a_cluster_needs_one() {
    let alone = Redis::start().unwrap();
    let url = format!("redis-cluster://127.0.0.1:{}", alone.port());
    let cache = builder().redis(url).installation("test").build().await.unwrap();
    is_named(&classes(cache), Trouble::NoCluster).await;
}
