//! Memory-only classes: no frame in Redis supplies a value, and a write of another instance is seen as fast as in other
//! classes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::cache::{Cache, Health};
use larder::class::Class;
use larder::introspection::RedisAnswer;
use larder::introspection::explain::RedisState;
use larder::journal::Touch;
use larder::policy::Policy;
use larder::receipt::Delivery;
use larder::source::{Placement, Source};
use larder_testbed::Redis;

use crate::support::journal::Ledger;
use crate::support::{Gate, Table, eventually, in_redis, within};

const BOUND: Duration = Duration::from_secs(2);
const KEY: &str = in_redis!("rights:7");
const TAG: &str = in_redis!("#rights");

/// A memory-only class that holds rights, and a shared class of the same values.
struct Node {
    cache: Cache,
    rights: Class<u32, u64>,
    shared: Class<u32, u64>,
}

async fn node(redis: Option<&Redis>, ledger: Option<&Ledger>) -> Node {
    let mut builder = crate::support::builder();
    if let Some(redis) = redis {
        builder = builder.redis(redis.url()).installation("test");
    }
    if let Some(ledger) = ledger {
        builder = builder.journal(ledger.clone());
    }
    let cache = builder.build().await.unwrap();
    let policy = Policy::ttl(Duration::from_secs(600)).absent_for(Duration::from_secs(600));
    let rights = cache.class("rights").policy(policy).memory_only().open().unwrap();
    let shared = cache.class("shared").policy(policy).open().unwrap();
    Node { cache, rights, shared }
}

impl Node {
    async fn read(&self, table: &Arc<Table>) -> (Option<u64>, Source) {
        let answer = within(self.rights.read(&7).or_load(table.loader(7))).await.unwrap();
        (answer.value.as_deref().copied(), answer.source)
    }

    async fn value(&self, table: &Arc<Table>) -> Option<u64> {
        self.read(table).await.0
    }

    async fn write(&self, table: &Table, version: u64) -> Delivery {
        table.write(7, version);
        within(self.cache.invalidation().key(&self.rights, &7).send()).await.delivery()
    }

    async fn warm(&self, table: &Arc<Table>) {
        eventually("memory answers", async || self.read(table).await.1 == Source::Memory).await;
    }
}

fn frame(redis: &Redis, key: &str) -> Vec<u8> {
    redis.command_bytes(&[b"GET", key.as_bytes()]).unwrap()
}

fn set(redis: &Redis, key: &str, frame: &[u8]) {
    redis.command_bytes(&[b"SET", key.as_bytes(), frame]).unwrap();
}

#[tokio::test]
async fn redis_holds_an_anchor_and_no_value() {
    let redis = Redis::start().unwrap();
    let (a, b) = (node(Some(&redis), None).await, node(Some(&redis), None).await);
    let table = Table::new();
    table.write(7, 1);
    assert_eq!(
        a.read(&table).await,
        (Some(1), Source::Load { placement: Placement::Memory }),
        "the first load is kept"
    );
    assert_eq!(a.read(&table).await, (Some(1), Source::Memory));
    let anchor = frame(&redis, KEY);
    assert_eq!((anchor[0], anchor.len()), (b'A', 17));
    assert_eq!(
        b.read(&table).await,
        (Some(1), Source::Load { placement: Placement::Memory }),
        "each instance loads"
    );
    assert_eq!(b.read(&table).await, (Some(1), Source::Memory));
    assert_eq!(frame(&redis, KEY), anchor, "and both keep by one anchor");
    let stats = a.rights.stats().plus(&b.rights.stats());
    assert_eq!((stats.redis_hits, stats.loads, stats.inserts_refused), (0, 2, 0));
    assert!(b.rights.get(&7).await.is_hit() && b.rights.get(&8).await.is_miss());

    let seven = Touch::entry("rights", ["7"]);
    let shown = a.cache.explain(&seven).await.unwrap();
    assert!(matches!(shown.redis, RedisAnswer::Value(RedisState::Anchor { .. })), "{shown:?}");
    let held = shown.memory.unwrap();
    assert!(held.is_served && held.tags.iter().all(|tag| tag.is_current));
    let page = a.cache.keys("rights:*", 10, None).await.unwrap();
    assert_eq!(page.keys.len(), 1);
    assert!(page.keys[0].is_in_memory && page.keys[0].is_in_redis);
    assert_eq!(a.cache.key_counts().await.memory["rights"], 1);
}

#[tokio::test]
async fn no_copy_outlives_the_report_of_its_anchor() {
    let redis = Redis::start().unwrap();
    let (a, b) = (node(Some(&redis), None).await, node(Some(&redis), None).await);
    let table = Table::new();
    for version in 1..50 {
        let (writer, reader) = if version % 2 == 0 { (&a, &b) } else { (&b, &a) };
        assert_eq!(writer.write(&table, version).await, Delivery::Sent);
        assert_eq!(writer.value(&table).await, Some(version), "the writer reads its own write");
        let fresh = reader.rights.read(&7).fresh().or_load(table.loader(7)).await.unwrap();
        assert_eq!(fresh.value.as_deref(), Some(&version));
        eventually("the push arrives", async || reader.value(&table).await == Some(version)).await;
        a.warm(&table).await;
        b.warm(&table).await;
    }
    // By the class's tag, by a pattern, and by everything.
    for nth in 0..3 {
        table.write(7, 100 + nth);
        let receipt = match nth {
            0 => a.rights.invalidate_all().await,
            1 => a.rights.invalidate_matching("7").await.unwrap(),
            _ => a.cache.invalidation().everything().send().await,
        };
        assert_eq!(receipt.delivery(), Delivery::Sent);
        assert_eq!(a.value(&table).await, Some(100 + nth));
        eventually("the other follows", async || b.value(&table).await == Some(100 + nth)).await;
        a.warm(&table).await;
        b.warm(&table).await;
    }
}

/// A load reads, a write is acknowledged, the load returns: neither instance stores the loaded value.
#[tokio::test]
async fn a_load_that_a_write_overtook_is_not_kept() {
    let redis = Redis::start().unwrap();
    let (a, b) = (node(Some(&redis), None).await, node(Some(&redis), None).await);
    let alone = node(None, None).await;
    for (reader, writer) in [(&a, &b), (&a, &a), (&alone, &alone)] {
        for is_anchored in [false, true] {
            let (table, gate) = (Table::new(), Gate::new());
            let _receipt = writer.rights.invalidate(&7).await;
            table.write(7, 1);
            if is_anchored {
                writer.warm(&table).await;
                let _receipt = reader.cache.invalidation().everything().send().await;
            }
            let loading = {
                let (rights, table, gate) = (reader.rights.clone(), table.clone(), gate.clone());
                tokio::spawn(async move {
                    let load = || async move {
                        let read = table.load(7);
                        gate.wait().await;
                        read
                    };
                    rights.read(&7).or_load(load).await.unwrap().source
                })
            };
            gate.arrival().await;
            assert_eq!(writer.write(&table, 2).await, Delivery::Sent);
            // The reply to this read arrives after the report.
            assert!(reader.shared.get(&9).await.is_miss());
            gate.open();
            let _source = within(loading).await.unwrap();
            assert_eq!(reader.value(&table).await, Some(2));
        }
    }
}

/// A program that can write to Redis forges entries, writes earlier ones back and copies others to this key.
#[tokio::test]
async fn nothing_in_redis_supplies_a_value_of_a_memory_only_class() {
    let redis = Redis::start().unwrap();
    let (a, b) = (node(Some(&redis), None).await, node(Some(&redis), None).await);
    let table = Table::new();
    table.write(7, 1);
    // An entry of a shared class with the value 666, and the same entry with the tokens of the memory-only class's
    // tags.
    a.shared.read(&7).or_load(async || Ok::<_, std::io::Error>(666)).await.unwrap();
    let copied = frame(&redis, in_redis!("shared:7"));
    assert_eq!(copied[0], b'V');
    a.warm(&table).await;
    let (anchor, tag) = (frame(&redis, KEY), frame(&redis, TAG));
    let mut forged = copied.clone();
    let of_shared = frame(&redis, in_redis!("#shared"));
    if let Some(at) = forged.windows(16).position(|window| window == &of_shared[1..]) {
        forged[at..at + 16].copy_from_slice(&tag[1..]);
    }
    let mut known_absent = copied.clone();
    known_absent[0] = b'N';
    let lease = [b"L".as_slice(), &[1; 16]].concat();
    let frames: [&[u8]; 7] = [&copied, &forged, &known_absent, &lease, &tag, b"junk", b""];
    for frame in frames {
        for version in [2, 3] {
            set(&redis, KEY, frame);
            table.write(7, version);
            let began = Instant::now();
            for node in [&a, &b] {
                eventually("the database's value is served", async || {
                    node.value(&table).await == Some(version)
                })
                .await;
                assert!(began.elapsed() < Duration::from_secs(2), "a forged lease holds no read up");
                let _looked = node.rights.get(&7).await;
                node.warm(&table).await;
                assert_eq!(node.value(&table).await, Some(version));
            }
            // An earlier anchor says nothing about values.
            set(&redis, KEY, &anchor);
            eventually("the report arrives", async || a.value(&table).await == Some(version)).await;
            a.warm(&table).await;
            b.warm(&table).await;
            assert_eq!(b.write(&table, version + 10).await, Delivery::Sent);
            eventually("a write is reported", async || a.value(&table).await == Some(version + 10)).await;
        }
    }
    redis.command(&["DEL", KEY]).unwrap();
    redis.command(&["LPUSH", KEY, "x"]).unwrap();
    table.write(7, 99);
    for node in [&a, &b] {
        eventually("the database's value is served", async || node.value(&table).await == Some(99)).await;
        node.warm(&table).await;
    }
}

/// The tag's token from before an invalidation is written back: the invalidated copy stays invalid.
#[tokio::test]
async fn a_tag_token_that_is_set_back_revives_no_copy() {
    let redis = Redis::start().unwrap();
    let (a, b) = (node(Some(&redis), None).await, node(Some(&redis), None).await);
    let table = Table::new();
    table.write(7, 1);
    a.warm(&table).await;
    let token = frame(&redis, TAG);
    table.write(7, 2);
    assert_eq!(b.rights.invalidate_all().await.delivery(), Delivery::Sent);
    set(&redis, TAG, &token);
    // A read of another entry loads the token into memory.
    eventually("the token is known", async || {
        let read = a.rights.read(&8).or_load(async || Ok::<_, std::io::Error>(8));
        within(read).await.unwrap().source == Source::Memory
    })
    .await;
    assert_eq!(a.value(&table).await, Some(2));
}

/// The copy's deadline is that of its anchor, because after the anchor's end Redis reports no invalidation.
#[tokio::test]
async fn a_copy_ends_with_its_anchor() {
    let redis = Redis::start().unwrap();
    let a = node(Some(&redis), None).await;
    let table = Table::new();
    table.write(7, 1);
    a.warm(&table).await;
    // The new expiry is a change, so Redis reports it and the copy is dropped. The next read sees how long the anchor
    // still exists.
    redis.command(&["PEXPIRE", KEY, "400"]).unwrap();
    let began = Instant::now();
    eventually("the copy is dropped", async || {
        matches!(a.read(&table).await.1, Source::Load { placement: Placement::Memory })
    })
    .await;
    let until = a.cache.explain(&Touch::entry("rights", ["7"])).await.unwrap().memory.unwrap().until;
    let left = until.duration_since(std::time::SystemTime::now()).unwrap_or_default();
    assert!(left <= Duration::from_millis(400), "{left:?} after {:?}", began.elapsed());
}

#[tokio::test]
async fn a_write_that_only_the_journal_reports_is_seen_within_the_bound() {
    for redis in [Some(Redis::start().unwrap()), None] {
        let (ledger, table) = (Ledger::new(), Table::new());
        let nodes = [node(redis.as_ref(), Some(&ledger)).await, node(redis.as_ref(), Some(&ledger)).await];
        table.write(7, 1);
        for node in &nodes {
            node.warm(&table).await;
        }
        table.write(7, 2);
        let committed = Instant::now();
        ledger.note(Touch::entry("rights", ["7"]));
        for node in &nodes {
            eventually("it is seen", async || node.value(&table).await == Some(2)).await;
            assert!(committed.elapsed() < BOUND, "seen after {:?}", committed.elapsed());
        }
    }
}

#[tokio::test]
async fn a_redis_that_is_flushed_or_killed_costs_loads_and_nothing_else() {
    let mut redis = Redis::start().unwrap();
    let a = node(Some(&redis), None).await;
    let table = Table::new();
    table.write(7, 1);
    a.warm(&table).await;
    table.write(7, 2);
    redis.command(&["FLUSHALL"]).unwrap();
    eventually("the copy is dropped", async || a.value(&table).await == Some(2)).await;
    eventually("it recovers", async || a.cache.health() == Health::Working).await;
    a.warm(&table).await;
    redis.kill().unwrap();
    table.write(7, 3);
    eventually("the copy is dropped", async || a.value(&table).await == Some(3)).await;
    assert_eq!(a.write(&table, 4).await, Delivery::Queued);
    assert_eq!(a.value(&table).await, Some(4));
    redis.restart().unwrap();
    eventually("it recovers", async || a.cache.health() == Health::Working).await;
    assert_eq!(a.value(&table).await, Some(4));
    eventually("it is anchored again", async || {
        a.read(&table).await;
        redis.command_bytes(&[b"EXISTS", KEY.as_bytes()]).unwrap() == b"1"
    })
    .await;
}

/// A permit of such a class uses the same anchor.
#[tokio::test]
async fn a_put_is_refused_after_another_instances_write() {
    let redis = Redis::start().unwrap();
    let (a, b) = (node(Some(&redis), None).await, node(Some(&redis), None).await);
    let table = Table::new();
    let permit = within(a.rights.permit(&7)).await;
    assert!(within(permit.put(1)).await.is_stored);
    assert_eq!(a.rights.get(&7).await.value().as_deref(), Some(&1));
    assert_eq!(frame(&redis, KEY)[0], b'A');
    let permit = within(a.rights.permit(&7)).await;
    assert_eq!(b.write(&table, 2).await, Delivery::Sent);
    eventually("the report arrives", async || a.rights.get(&7).await.is_miss()).await;
    assert!(!within(permit.put(1)).await.is_stored);
    assert_eq!(a.value(&table).await, Some(2));
    let permit = within(a.rights.permit(&7)).await;
    let _receipt = b.rights.invalidate_all().await;
    eventually("the report arrives", async || a.rights.get(&7).await.is_miss()).await;
    assert!(!within(permit.put(1)).await.is_stored, "its tag was invalidated");
}

/// Redis then reports no changes, so only the staleness bound ends a copy.
#[tokio::test]
async fn where_redis_refuses_tracking_a_copy_ends_with_the_bound() {
    let redis = Redis::start().unwrap();
    redis
        .command(&["ACL", "SETUSER", "managed", "on", ">secret", "~*", "&*", "+@all", "-client|tracking"])
        .unwrap();
    let url = format!("redis://managed:secret@127.0.0.1:{}/0", redis.port());
    let cache = crate::support::builder().redis(url).installation("test").build().await.unwrap();
    let rights = cache.class::<u32, u64>("rights").memory_only().open().unwrap();
    let table = Table::new();
    table.write(7, 1);
    let read = async || within(rights.read(&7).or_load(table.loader(7))).await.unwrap();
    assert_eq!(read().await.source, Source::Load { placement: Placement::Memory });
    assert_eq!(read().await.source, Source::Memory);
    assert_eq!(frame(&redis, KEY), b"(nil)", "no anchor where none is watched");
    let copy = cache.explain(&Touch::entry("rights", ["7"])).await.unwrap().memory.unwrap();
    assert!(copy.until.duration_since(copy.loaded_at).unwrap() <= BOUND, "{copy:?}");
    let _receipt = rights.invalidate(&7).await;
    assert!(rights.get(&7).await.is_miss());
}
