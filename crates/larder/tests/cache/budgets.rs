//! A slow Redis costs a request no more than its budget, and an invalidation is never cut short by it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::cache::{Cache, Health};
use larder::class::Class;
use larder::error::ErrorKind;
use larder::policy::Policy;
use larder::receipt::Delivery;
use larder::source::{NotStoredReason, Placement, Source};
use larder_testbed::{Proxy, Redis};

use crate::support::{Instance, TIMEOUT, Table, classes, eventually, instance, within};

const BUDGET: Duration = Duration::from_millis(50);
const LOAD: Duration = Duration::from_millis(30);
/// Each round trip takes twice as long.
const DELAY: Duration = Duration::from_millis(20);

struct Bed {
    _redis: Redis,
    proxy: Proxy,
    table: Arc<Table>,
    /// This instance reads through the proxy.
    far: Instance,
    near: Instance,
}

impl Bed {
    /// The operations' own time-out is too long to end a request in time.
    async fn new(budget: Duration) -> Self {
        let redis = Redis::start().unwrap();
        let proxy = Proxy::start(redis.port()).unwrap();
        let far = Cache::builder("test").redis(format!("redis://127.0.0.1:{}/0", proxy.port()));
        let far = far.redis_timeout(Duration::from_millis(500)).redis_budget(budget);
        let far = far.installation("test").staleness_bound(Duration::from_secs(1)).build().await.unwrap();
        let near = Cache::builder("test").redis(redis.url()).redis_budget(TIMEOUT / 2);
        let near = near.installation("test").staleness_bound(Duration::from_secs(1)).build().await.unwrap();
        for cache in [&far, &near] {
            eventually("Redis is usable", async || cache.health() == Health::Working).await;
        }
        Bed { _redis: redis, proxy, table: Table::new(), far: classes(far), near: classes(near) }
    }

    async fn load(&self, key: u32) -> (Source, Duration) {
        let (table, began) = (self.table.clone(), Instant::now());
        let load = move || async move {
            tokio::time::sleep(LOAD).await;
            table.load(key)
        };
        let answer = within(self.far.values.read(&key).or_load(load)).await.unwrap();
        (answer.source, began.elapsed())
    }
}

/// The shortest of several runs: it has no pauses of a busy machine in it.
async fn shortest(mut run: impl AsyncFnMut(u32) -> Duration) -> Duration {
    let mut shortest = TIMEOUT;
    for key in 0..10 {
        shortest = shortest.min(run(key).await);
    }
    shortest
}

#[tokio::test]
async fn a_read_of_several_round_trips_ends_within_its_budget_and_its_load() {
    let bed = Bed::new(BUDGET).await;
    (0..100).for_each(|key| bed.table.write(key, 1));
    bed.proxy.delay(DELAY);
    let took = shortest(async |key| {
        let (source, took) = bed.load(key).await;
        assert_eq!(source, Source::Load { placement: Placement::Memory });
        took
    })
    .await;
    // Without a budget it takes three round trips: a read, a lease and a fill, 120 ms beside the load.
    assert!(took >= BUDGET + LOAD && took < LOAD + 2 * BUDGET, "{took:?}");
    let stats = bed.far.values.stats();
    assert_eq!((stats.budgets_spent, stats.loads), (10, 10));

    let took = shortest(async |nth| {
        let keys: Vec<u32> = (20 + 5 * nth..25 + 5 * nth).collect();
        let (table, began) = (bed.table.clone(), Instant::now());
        let load = move |keys: Vec<u32>| {
            let table = table.clone();
            async move {
                tokio::time::sleep(LOAD).await;
                Ok::<_, Infallible>(
                    keys.into_iter().filter_map(|key| Some((key, table.row(key)?))).collect::<Vec<_>>(),
                )
            }
        };
        let found = within(bed.far.values.get_many(keys.clone(), load)).await.unwrap();
        assert_eq!(found.into_iter().map(|value| *value.unwrap()).collect::<Vec<_>>(), vec![1; 5]);
        began.elapsed()
    })
    .await;
    assert!(took >= BUDGET + LOAD && took < LOAD + 2 * BUDGET, "{took:?}");
    assert_eq!(bed.far.values.stats().budgets_spent, 20, "one for all keys of a batch");
    assert_eq!(bed.far.cache.health(), Health::Working, "slow is not away");
}

/// Five reads, one after the other. What the request spawns is no part of it.
#[tokio::test]
async fn the_reads_of_a_request_spend_one_budget() {
    let bed = Arc::new(Bed::new(BUDGET).await);
    (0..100).for_each(|key| bed.table.write(key, 1));
    bed.proxy.delay(DELAY);
    let reads = 5;
    let took = shortest(async |nth| {
        let began = Instant::now();
        let request = async {
            for key in 0..reads {
                let (source, _) = bed.load(reads * nth + key).await;
                assert_eq!(source, Source::Load { placement: Placement::Memory });
            }
        };
        bed.far.cache.with_redis_budget(request).await;
        began.elapsed()
    })
    .await;
    assert!(took >= BUDGET + reads * LOAD && took < reads * LOAD + 2 * BUDGET, "{took:?}");
    assert_eq!(bed.far.values.stats().budgets_spent, 10);

    let request = async {
        bed.load(60).await;
        let bed = bed.clone();
        tokio::spawn(async move { bed.load(61).await }).await.unwrap()
    };
    bed.far.cache.with_redis_budget(request).await;
    assert_eq!(bed.far.values.stats().budgets_spent, 12, "each has spent its own");
}

/// The read's fill is on its budget too. Redis has executed it all the same.
#[tokio::test]
async fn a_fill_that_is_not_confirmed_in_time_is_not_waited_for() {
    let bed = Bed::new(BUDGET).await;
    bed.table.write(7, 1);
    // Redis knows the scripts from here on.
    assert_eq!(bed.near.read(&bed.table, 8).await, None);
    let (table, delay) = (bed.table.clone(), 2 * BUDGET);
    let (proxy, began) = (&bed.proxy, Instant::now());
    let load = || {
        // The lease is taken: from here on Redis is slow.
        proxy.delay(delay);
        async move { table.load(7) }
    };
    let answer = within(bed.far.values.read(&7).or_load(load)).await.unwrap();
    let nowhere = Placement::Nowhere(NotStoredReason::BudgetSpent);
    assert_eq!((answer.value.as_deref(), answer.source), (Some(&1), Source::Load { placement: nowhere }));
    assert!(began.elapsed() < 2 * delay, "{:?}", began.elapsed());
    eventually("the fill has arrived", async || bed.near.values.get(&7).await.is_hit()).await;
}

#[tokio::test]
async fn a_hit_within_the_budget_is_a_hit_of_a_slow_redis() {
    let bed = Bed::new(4 * BUDGET).await;
    bed.table.write(7, 1);
    assert_eq!(bed.near.read(&bed.table, 7).await, Some(1));
    bed.proxy.delay(DELAY);
    let (source, _) = bed.load(7).await;
    assert_eq!((source, bed.far.values.stats().budgets_spent), (Source::Redis, 0));
}

/// The read has its answer after the first of three round trips; the others take the right to refresh the entry.
#[tokio::test]
async fn a_soft_timeout_ends_the_round_trips_of_a_refresh_and_not_the_answer() {
    let bed = Bed::new(TIMEOUT / 2).await;
    // An entry has aged when the first round trip returns it.
    let policy = Policy::ttl(Duration::from_millis(20)).jitter(0.0).stale_while_revalidate(TIMEOUT);
    let [near, far] = [&bed.near, &bed.far]
        .map(|one| -> Class<u32, u64> { one.cache.class("aged").policy(policy).open().unwrap() });
    for key in 0..10 {
        bed.table.write(key, 1);
        within(near.get_or_load(&key, bed.table.loader(key))).await.unwrap();
    }
    // A round trip takes 100 ms.
    bed.proxy.delay(Duration::from_millis(50));
    let mut answers = 0;
    for key in 0..10 {
        let read = far.read(&key).soft_timeout(Duration::from_millis(180)).or_load(bed.table.loader(key));
        answers += u32::from(within(read).await.is_ok_and(|answer| answer.source == Source::Redis));
    }
    assert!(answers > 0, "{:?}", far.stats());
    // A copy in memory answers without any round trip.
    let took = shortest(async |key| {
        let began = Instant::now();
        let read = far.read(&key).soft_timeout(Duration::from_millis(1)).or_load(bed.table.loader(key));
        match within(read).await.is_ok_and(|answer| answer.source == Source::Memory) {
            true => began.elapsed(),
            false => TIMEOUT,
        }
    })
    .await;
    assert!(took < Duration::from_millis(50), "{took:?}");
}

/// What a request without Redis keeps in memory ends with the staleness bound: Redis reports no change of it.
#[tokio::test]
async fn a_copy_of_a_request_without_redis_ends_with_the_bound() {
    let bed = Bed::new(BUDGET).await;
    bed.table.write(7, 1);
    bed.proxy.delay(DELAY);
    for version in 2..5 {
        assert_eq!(bed.far.read(&bed.table, 7).await, Some(version - 1));
        assert_eq!(bed.near.write(&bed.table, 7, version).await, Delivery::Sent);
        let written = Instant::now();
        assert_eq!(bed.far.read_fresh(&bed.table, 7).await, Some(version));
        eventually("the write is seen", async || {
            let began = Instant::now();
            let value = bed.far.read(&bed.table, 7).await;
            let is_late = began > written + Duration::from_secs(1);
            assert!(value == Some(version) || !is_late, "beyond the bound");
            value == Some(version)
        })
        .await;
    }
    assert!(bed.far.values.stats().budgets_spent > 0);
}

#[tokio::test]
async fn an_invalidation_has_no_budget() {
    let bed = Bed::new(BUDGET).await;
    bed.table.write(7, 1);
    assert_eq!(bed.near.read(&bed.table, 7).await, Some(1));
    bed.proxy.delay(2 * BUDGET);
    let began = Instant::now();
    assert_eq!(bed.far.write(&bed.table, 7, 2).await, Delivery::Sent);
    assert!(began.elapsed() >= 4 * BUDGET, "it was waited for");
    assert_eq!(bed.near.read(&bed.table, 7).await, Some(2));

    // Nor has the invalidation of a put. What the put stores is on its budget.
    let put = within(bed.far.values.put(&7, 3)).await;
    assert_eq!(put.receipt.delivery(), Delivery::Sent);
    assert!(!bed.near.values.get(&7).await.is_hit(), "it is gone");
    assert_eq!(bed.far.values.stats().budgets_spent, 1);
}

/// A wait for another instance's load is no work in Redis, and after each wait the budget begins again: together, the looks
/// of this read take longer.
#[tokio::test]
async fn a_wait_for_a_lease_is_not_on_the_budget() {
    let budget = 3 * BUDGET;
    let bed = Bed::new(budget).await;
    bed.table.write(7, 1);
    let gate = crate::support::Gate::new();
    let held = bed.near.held_read(&bed.table, 7, &gate);
    gate.arrival().await;
    bed.proxy.delay(DELAY);
    let far = {
        let (far, table) = (bed.far.clone(), bed.table.clone());
        tokio::spawn(async move { far.read(&table, 7).await })
    };
    let looks = 5;
    assert!(looks * 2 * DELAY > budget);
    eventually("it waits", async || bed.far.values.stats().lease_waits >= u64::from(looks)).await;
    gate.open();
    assert_eq!((within(held).await.unwrap(), within(far).await.unwrap()), (Some(1), Some(1)));
    assert_eq!((bed.table.loads(), bed.far.values.stats().budgets_spent), (1, 0));
}

/// A silent Redis costs each read a budget until a heartbeat finds that it is away; then it costs nothing.
#[tokio::test]
async fn a_silent_redis_is_found_away() {
    let bed = Bed::new(BUDGET).await;
    bed.proxy.stall();
    let mut key = 0;
    eventually("it is away", async || {
        key += 1;
        bed.table.write(key, 1);
        assert_eq!(bed.far.read(&bed.table, key).await, Some(1));
        bed.far.cache.health() == Health::Degraded
    })
    .await;
    let spent = bed.far.values.stats().budgets_spent;
    assert!(spent > 0);
    assert_eq!(bed.far.read(&bed.table, 1000).await, None);
    assert_eq!(bed.far.values.stats().budgets_spent, spent);
}

#[tokio::test]
async fn a_budget_is_checked() {
    let redis = Redis::start().unwrap();
    for wrong in [Duration::ZERO, Duration::from_secs(11)] {
        let cache = Cache::builder("test").redis(redis.url()).installation("test").redis_budget(wrong);
        let error = cache.build().await.expect_err("built");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("redis_budget"), "{error}");
    }
    assert_eq!(instance(&redis).await.cache.health(), Health::Working);
}
