//! A Redis Cluster: keys and tags at several masters, masters that fail, slots that move.

use std::sync::Arc;

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
    for node in &cluster.nodes {
        let names = node.command(&["KEYS", &format!("*:values:{key}")]).unwrap_or_default();
        if let Some(name) = names.lines().next().filter(|name| !name.is_empty()) {
            return name.to_owned();
        }
    }
    panic!("no node has {key}")
}

#[tokio::test]
async fn entries_and_tags_of_all_masters_are_shared_and_invalidated_in_one_step() {
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
    let committed = std::time::Instant::now();
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
    let owners: Vec<usize> =
        (0..KEYS).map(|key| cluster.owner_of(&in_redis(&cluster, key)).unwrap()).collect();
    let lost: Vec<u32> = (0..KEYS).filter(|key| owners[*key as usize] == 0).collect();

    let replica = cluster.replica_of(0).unwrap().unwrap();
    cluster.nodes[replica].pause().unwrap();
    for key in &lost {
        table.write(*key, 2);
        ledger.note(Touch::entry("values", [key.to_string()]));
        let _ = one.cache.invalidation().key(&one.values, key).send().await;
    }
    cluster.nodes[0].kill().unwrap();
    eventually("the loss is noticed", async || other.cache.health() == Health::Degraded).await;
    let loads = table.loads();
    for key in (0..KEYS).filter(|key| !lost.contains(key)) {
        let read = other.values.read(&key).or_load(table.loader(key)).await.unwrap();
        assert!(matches!(read.source, Source::Memory | Source::Redis), "{key}: {:?}", read.source);
    }
    assert_eq!(table.loads(), loads);
    for key in &lost {
        assert_eq!(other.read_fresh(&table, *key).await, Some(2));
    }
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

/// A slot moves to another master. In the middle of it, a value is written: neither master answers with the old one.
#[tokio::test]
async fn a_moved_slot_brings_back_no_old_value() {
    let cluster = RedisCluster::start(3, false, &[]).unwrap();
    let (ledger, table) = (Ledger::new(), table());
    let (one, other) = (instance(&cluster, &ledger).await, instance(&cluster, &ledger).await);
    for key in 0..6 {
        warm(&one, &table).await;
        warm(&other, &table).await;
        let name = in_redis(&cluster, key);
        let source = cluster.owner_of(&name).unwrap();
        let target = (source + 1) % 3;
        // Forth, with a write in the middle, and back.
        cluster
            .move_slot_of(&name, target, || {
                table.write(key, 2);
                ledger.note(Touch::entry("values", [key.to_string()]));
            })
            .unwrap();
        for instance in [&one, &other] {
            eventually("the new value", async || instance.read(&table, key).await == Some(2)).await;
        }
        eventually("the moved slot is used", async || {
            one.read(&table, key).await;
            cluster.nodes[target].command(&["EXISTS", &name]).is_ok_and(|found| found == "1")
        })
        .await;
        table.write(key, 3);
        let receipt = one.cache.invalidation().key(&one.values, &key).send().await;
        assert_eq!(receipt.delivery(), Delivery::Sent);
        cluster.move_slot_of(&name, source, || {}).unwrap();
        for instance in [&one, &other] {
            assert_eq!(instance.read_fresh(&table, key).await, Some(3));
        }
        is_working(&one.cache).await;
        is_working(&other.cache).await;
    }
}

/// A master that restarts empty, and one that is reset, are certified again before they are used.
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
    let receipt = one.cache.invalidation().class(&one.values).send().await;
    assert_eq!(receipt.delivery(), Delivery::Sent);
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
