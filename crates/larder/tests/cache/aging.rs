//! Entries that age: refreshes and stale answers, on memory alone and with Redis.

use std::sync::Arc;
use std::time::Duration;

use larder::Cache;
use larder::class::{Class, ClassBuilder};
use larder::error::ErrorKind;
use larder::policy::Policy;
use larder::source::Source;
use larder::testing::ManualClock;
use larder_testbed::Redis;
use tokio::task::{JoinSet, LocalSet};

use crate::support::{Gate, Instance, Table, eventually, instance, memory_instance, within};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// Entries age at once, and are used for a minute more.
pub(crate) const AGED: Duration = Duration::from_millis(20);

pub(crate) type Numbers = Class<u32, u64>;

pub(crate) fn aging(cache: &Cache, name: &str, policy: Policy) -> Numbers {
    builder(cache, name, policy).open().unwrap()
}

pub(crate) fn builder<'a>(cache: &'a Cache, name: &str, policy: Policy) -> ClassBuilder<'a, u32, u64> {
    cache.class(name).policy(policy.jitter(0.0)).load_timeout(MINUTE).tagged(&format!("tag_{name}"))
}

pub(crate) fn stale_while_revalidate() -> Policy {
    Policy::ttl(AGED).stale_while_revalidate(MINUTE)
}

/// A cache on memory alone whose time the test moves.
pub(crate) async fn with_clock() -> (Cache, ManualClock) {
    let clock = ManualClock::new();
    (crate::support::builder().manual_clock(&clock).build().await.unwrap(), clock)
}

pub(crate) async fn read(class: &Numbers, table: &Arc<Table>) -> Option<u64> {
    within(class.get_or_load(&7, table.loader(7))).await.unwrap().as_deref().copied()
}

pub(crate) async fn fails(class: &Numbers) -> Result<Option<u64>, ErrorKind> {
    let load = || async { Err::<u64, _>(std::fmt::Error) };
    within(class.get_or_load(&7, load))
        .await
        .map(|value| value.as_deref().copied())
        .map_err(|error| error.kind())
}

/// Reads with a loader that reads now and returns when the gate opens.
fn held(class: &Numbers, table: &Arc<Table>, gate: &Arc<Gate>) -> tokio::task::JoinHandle<Option<u64>> {
    let (class, table, gate) = (class.clone(), table.clone(), gate.clone());
    tokio::spawn(async move {
        let load = || async move {
            let read = table.load(7);
            gate.wait().await;
            read
        };
        class.get_or_load(&7, load).await.unwrap().as_deref().copied()
    })
}

#[tokio::test]
async fn an_entry_in_use_is_refreshed_before_its_ttl_ends() {
    let (cache, clock) = with_clock().await;
    let class = aging(&cache, "numbers", Policy::ttl(100 * MINUTE).refresh_ahead(0.8));
    let (table, gate) = (Table::new(), Gate::new());
    table.write(7, 1);
    assert_eq!(read(&class, &table).await, Some(1));
    clock.advance(79 * MINUTE);
    assert_eq!((read(&class, &table).await, table.loads()), (Some(1), 1));
    clock.advance(MINUTE);
    table.write(7, 2);
    assert_eq!(within(held(&class, &table, &gate)).await.unwrap(), Some(1), "it does not wait for the load");
    gate.arrival().await;
    for _ in 0..100 {
        assert_eq!(read(&class, &table).await, Some(1));
    }
    assert_eq!(table.loads(), 2, "one refresh");
    gate.open();
    eventually("the refresh is stored", async || read(&class, &table).await == Some(2)).await;
    let stats = class.stats();
    assert_eq!((stats.refreshes, stats.stale_hits, stats.misses()), (1, 0, 1));
    clock.advance(79 * MINUTE);
    assert_eq!((read(&class, &table).await, table.loads()), (Some(2), 2), "its TTL began again");
}

#[tokio::test]
async fn xfetch_refreshes_a_costly_entry_early() {
    let (cache, clock) = with_clock().await;
    let class = aging(&cache, "numbers", Policy::ttl(100 * MINUTE).early_refresh(100.0));
    let table = Table::new();
    table.write(7, 1);
    let slow = || async {
        // The load takes this long: XFetch depends on it.
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok::<u64, std::fmt::Error>(1)
    };
    within(class.get_or_load(&7, slow)).await.unwrap();
    // A refresh is possible during the last 16 × 100 × 0.3 s = 480 s.
    clock.advance(91 * MINUTE);
    for _ in 0..1_000 {
        read(&class, &table).await;
    }
    assert_eq!(class.stats().refreshes, 0);
    // One load time × β before the end, a read refreshes with a probability of 1/e.
    clock.advance(8 * MINUTE + Duration::from_secs(30));
    eventually("a read is lucky", async || {
        read(&class, &table).await;
        class.stats().refreshes > 0
    })
    .await;
}

/// How an entry is refreshed while it is served.
#[derive(Clone, Copy, PartialEq)]
enum Refreshed {
    Stale,
    Ahead,
    Early,
}

impl Refreshed {
    fn policy(self) -> Policy {
        match self {
            Refreshed::Stale => stale_while_revalidate(),
            Refreshed::Ahead => Policy::ttl(MINUTE).refresh_ahead(0.01),
            // Each read refreshes with a probability of about 1/e: one load time × β is the TTL.
            Refreshed::Early => Policy::ttl(Duration::from_secs(10)).early_refresh(100.0),
        }
    }

    /// Stores the row, and waits until memory has a copy; of `Stale`, one whose TTL has ended.
    async fn warm(self, class: &Numbers, table: &Arc<Table>) {
        eventually("there is a copy in memory", async || {
            let load = || {
                let table = table.clone();
                async move {
                    // The load takes this long: XFetch depends on it.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    table.load(7)
                }
            };
            let answer = within(class.read(&7).or_load(load)).await.unwrap();
            answer.source == Source::Memory && (self != Refreshed::Stale || answer.stale_by.is_some())
        })
        .await;
    }
}

/// Failure traces 1 and 2 on the path of a refresh: a write during the load of a refresh.
async fn refresh_under_invalidation(
    (kind, name): (&str, String),
    near: &Instance,
    writer: &Instance,
    how: Refreshed,
) {
    let policy = how.policy();
    let (loading, writing) = (aging(&near.cache, &name, policy), aging(&writer.cache, &name, policy));
    let cache = &writer.cache;
    let (table, gate) = (Table::new(), Gate::new());
    table.write(7, 1);
    how.warm(&loading, &table).await;
    // A read whose loader is held: its refresh has read version 1 when version 2 is written.
    let mut refreshing = JoinSet::new();
    eventually("a refresh is held", async || {
        refreshing.spawn(held(&loading, &table, &gate));
        tokio::time::timeout(Duration::from_millis(30), gate.arrival()).await.is_ok()
    })
    .await;
    assert!(loading.stats().refreshes > 0);
    table.write(7, 2);
    let receipt = match kind {
        "key" => writing.invalidate(&7).await,
        "tag" => cache.invalidate_tag(&format!("tag_{name}")).await,
        "class" => writing.invalidate_all().await,
        "pattern" => writing.invalidate_matching("7").await.unwrap(),
        "pattern of the cache" => cache.invalidate_matching(&format!("{name}:*")).await.unwrap(),
        _ => cache.invalidation().everything().send().await,
    };
    assert_eq!(receipt.delivery(), larder::receipt::Delivery::Sent);
    assert_eq!(read(&writing, &table).await, Some(2), "{kind}: the writer reads its write");
    let refused = loading.stats().fills_refused;
    (0..refreshing.len()).for_each(|_| gate.open());
    for answer in within(refreshing.join_all()).await {
        assert!(answer.unwrap() >= Some(1));
    }
    eventually(&format!("the refresh is refused: {kind}"), async || loading.stats().fills_refused > refused)
        .await;
    // Another instance's memory can be one push behind; after that no read is behind again.
    eventually("the reader sees the write", async || read(&loading, &table).await == Some(2)).await;
    for _ in 0..50 {
        assert_eq!(read(&loading, &table).await, Some(2), "{kind}");
        assert_eq!(read(&writing, &table).await, Some(2), "{kind}");
        tokio::task::yield_now().await;
    }
}

/// By each kind of invalidation, from the same and from another instance.
async fn refreshes_under_invalidations(near: Instance, far: Instance, how: Refreshed) {
    let kinds = ["key", "tag", "class", "pattern", "pattern of the cache"];
    let mut rounds = JoinSet::new();
    for (nth, kind) in (0_u32..).zip(kinds) {
        for (whose, writer) in [("near", near.clone()), ("far", far.clone())] {
            let (near, name) = (near.clone(), format!("{whose}_{}_{nth}", how as u8));
            rounds.spawn_local(async move {
                refresh_under_invalidation((kind, name), &near, &writer, how).await;
            });
        }
    }
    rounds.join_all().await;
    // It ends the entries of other rounds too, so it comes alone.
    for (whose, writer) in [("near", &near), ("far", &far)] {
        let name = format!("{whose}_{}_all", how as u8);
        refresh_under_invalidation(("everything", name), &near, writer, how).await;
    }
}

#[tokio::test]
async fn a_refresh_never_stores_over_an_invalidation() {
    let redis = Redis::start().unwrap();
    let (near, far) = (instance(&redis).await, instance(&redis).await);
    let alone = memory_instance().await;
    // The rounds share a thread, because they compare what they see.
    let rounds = LocalSet::new();
    for how in [Refreshed::Stale, Refreshed::Ahead, Refreshed::Early] {
        rounds.run_until(refreshes_under_invalidations(near.clone(), far.clone(), how)).await;
        rounds.run_until(refreshes_under_invalidations(alone.clone(), alone.clone(), how)).await;
    }
}

#[tokio::test]
async fn of_three_instances_one_refreshes_and_no_read_waits() {
    let redis = Redis::start().unwrap();
    let instances = [instance(&redis).await, instance(&redis).await, instance(&redis).await];
    let classes = instances.map(|one| aging(&one.cache, "numbers", stale_while_revalidate()));
    let (table, gate) = (Table::new(), Gate::new());
    table.write(7, 1);
    for class in &classes {
        eventually("the entry has aged", async || {
            let load = || async { Ok::<_, std::fmt::Error>(1) };
            within(class.read(&7).or_load(load)).await.unwrap().stale_by.is_some()
        })
        .await;
    }
    table.write(7, 2);
    eventually("a refresh is held", async || {
        let reads = classes.iter().map(|class| held(class, &table, &gate));
        for read in reads.collect::<Vec<_>>() {
            assert!(within(read).await.unwrap() == Some(1), "no read waits for the refresh");
        }
        table.loads() > 0
    })
    .await;
    for _ in 0..100 {
        for class in &classes {
            assert_eq!(read(class, &table).await, Some(1));
        }
    }
    assert_eq!(table.loads(), 1, "of all instances, one loads");
    gate.open();
    for class in &classes {
        eventually("the refreshed entry is read", async || read(class, &table).await == Some(2)).await;
    }
}

#[tokio::test]
async fn an_aged_entry_is_reloaded_if_redis_reports_no_changes() {
    let redis = Redis::start().unwrap();
    redis.command(&["ACL", "SETUSER", "default", "-client|tracking"]).unwrap();
    let one = crate::support::builder().redis(redis.url()).installation("test").build().await.unwrap();
    let class = aging(&one, "numbers", stale_while_revalidate());
    let table = Table::new();
    table.write(7, 1);
    assert_eq!(read(&class, &table).await, Some(1));
    table.write(7, 2);
    eventually("the entry has aged and is replaced", async || read(&class, &table).await == Some(2)).await;
    assert_eq!(class.stats().stale_hits, 0);
    let _receipt = class.invalidate(&7).await;
}

#[tokio::test]
async fn a_failed_load_serves_the_aged_entry_and_never_an_invalidated_one() {
    let redis = Redis::start().unwrap();
    for one in [memory_instance().await, instance(&redis).await] {
        let class = aging(&one.cache, "numbers", Policy::ttl(AGED).stale_if_error(MINUTE));
        let table = Table::new();
        table.write(7, 1);
        assert_eq!(fails(&class).await, Err(ErrorKind::Load), "there is no entry yet");
        assert_eq!(read(&class, &table).await, Some(1));
        eventually("loads fail and the aged entry is served", async || {
            assert_eq!(fails(&class).await, Ok(Some(1)));
            class.stats().stale_on_error > 0
        })
        .await;
        // A load that is too slow for its reader.
        let (slow, gate) = (Table::new(), Gate::new());
        slow.write(7, 3);
        let load = || {
            let (slow, gate) = (slow.clone(), gate.clone());
            async move {
                gate.wait().await;
                slow.load(7)
            }
        };
        let answer =
            within(class.read(&7).soft_timeout(Duration::from_millis(50)).or_load(load)).await.unwrap();
        assert_eq!((answer.value.as_deref(), answer.stale_by.is_some()), (Some(&1), true));
        gate.open();
        eventually("the slow load is stored", async || fails(&class).await == Ok(Some(3))).await;
        let _receipt = class.invalidate(&7).await;
        assert_eq!(fails(&class).await, Err(ErrorKind::Load), "what was invalidated is never served");
    }
}

#[tokio::test]
async fn an_invalidation_during_a_failing_load_is_respected() {
    let redis = Redis::start().unwrap();
    let (near, far) = (instance(&redis).await, instance(&redis).await);
    let alone = memory_instance().await;
    for (reader, writer) in [(&near, &near), (&near, &far), (&alone, &alone)] {
        let policy = Policy::ttl(AGED).stale_if_error(MINUTE);
        let (class, writing) =
            (aging(&reader.cache, "numbers", policy), aging(&writer.cache, "numbers", policy));
        let (table, gate) = (Table::new(), Gate::new());
        table.write(7, 1);
        assert_eq!(read(&class, &table).await, Some(1));
        eventually("the aged entry is served", async || {
            let stale = class.stats().stale_on_error;
            fails(&class).await.unwrap();
            class.stats().stale_on_error > stale
        })
        .await;
        let failing = tokio::spawn({
            let (class, gate) = (class.clone(), gate.clone());
            async move {
                let load = || async move {
                    gate.wait().await;
                    Err::<u64, _>(std::fmt::Error)
                };
                class.get_or_load(&7, load).await.map_err(|error| error.kind())
            }
        });
        gate.arrival().await;
        let _receipt = writing.invalidate(&7).await;
        eventually("the copy is gone", async || !class.contains(&7).await).await;
        gate.open();
        assert_eq!(within(failing).await.unwrap(), Err(ErrorKind::Load));
    }
}

#[tokio::test]
async fn a_memory_only_class_is_refreshed_and_never_stale() {
    let redis = Redis::start().unwrap();
    let (near, far) = (instance(&redis).await, instance(&redis).await);
    let policy = Policy::ttl(MINUTE).jitter(0.0).refresh_ahead(0.01);
    let [class, writing] = [&near, &far]
        .map(|one| one.cache.class::<u32, u64>("rights").policy(policy).memory_only().open().unwrap());
    let (table, gate) = (Table::new(), Gate::new());
    table.write(7, 1);
    assert_eq!(read(&class, &table).await, Some(1));
    eventually("a refresh is held", async || {
        assert_eq!(within(held(&class, &table, &gate)).await.unwrap(), Some(1));
        class.stats().refreshes == 1
    })
    .await;
    gate.arrival().await;
    table.write(7, 2);
    let _receipt = writing.invalidate(&7).await;
    gate.open();
    eventually("the reader sees the write", async || read(&class, &table).await == Some(2)).await;
    for policy in [Policy::default().stale_if_error(MINUTE), stale_while_revalidate()] {
        let refused = near.cache.class::<u32, u64>("other").policy(policy).memory_only().open().unwrap_err();
        assert!(refused.to_string().contains("not allowed in a memory-only class"), "{refused}");
    }
}
