//! What tuning leaves alone. Each test has a control: the same load, without the limit, is tuned.

#![cfg(feature = "testing")]

use std::time::{Duration, Instant};

use larder::cache::Health;
use larder::testing::ManualClock;
use larder::tuning::{Advice, Tuned, Tuning};
use larder::{Cache, Policy};
use larder_testbed::Redis;

use crate::support::{builder, eventually};
use crate::tuning::{Declared, Load, MIB, READS, RUNS, SECOND};

/// Runs until tuning changes a class, and returns after how many runs that was.
async fn runs_until_tuned(mut load: Load) -> usize {
    for run in 1..=RUNS {
        load.run(8_000, 1_000).await;
        if !load.cache.tuning_changes().is_empty() {
            return run;
        }
    }
    panic!("nothing was tuned");
}

/// Asserts that so many runs and one more change nothing.
async fn stays(mut load: Load, runs: usize) {
    for _ in 0..=runs {
        load.run(8_000, 1_000).await;
    }
    assert!(load.cache.tuning_changes().is_empty(), "{:?}", load.cache.tuning_changes());
    assert_eq!(load.cache.stats().not_admitted, 0);
}

async fn applied(declare: impl for<'a> Fn(Declared<'a>) -> Declared<'a>) -> Load {
    Load::with(16 * MIB, Tuning::apply(), |class, _| declare(class)).await
}

async fn beside(redis: &Redis, tuning: Tuning) -> Cache {
    let url = format!("redis://127.0.0.1:{}/0", redis.port());
    let cache = builder().redis(url).installation("test").memory_bytes(16 * MIB).tuning(tuning);
    let cache = cache.build().await.unwrap();
    eventually("Redis is usable", async || cache.health() == Health::Working).await;
    cache
}

#[tokio::test]
async fn a_class_is_left_alone_if_it_is_fixed_ages_or_is_memory_only_beside_redis() {
    let runs = runs_until_tuned(applied(|class| class.memory_only()).await).await;
    let aging = Policy::ttl(60 * SECOND).jitter(0.0).stale_if_error(SECOND);
    // The control changes the admission of the class of large values.
    let load = Load::with(16 * MIB, Tuning::apply(), |class, name| match name {
        "large" => class.policy(aging),
        _ => class.untuned(),
    });
    stays(load.await, runs).await;
    let redis = Redis::start().unwrap();
    let cache = beside(&redis, Tuning::apply()).await;
    stays(Load::of(cache, ManualClock::new(), |class, _| class.memory_only()), runs).await;
}

/// 200 reads a second and more of a thousand keys, as `a_ttl_is_raised_within_the_limit_of_its_class_and_set_back` has them.
async fn run_in_time(load: &mut Load) {
    load.run_in_time(READS, async |_, _| {}).await;
}

#[tokio::test]
async fn a_ttl_that_the_application_has_set_is_not_replaced() {
    let limited = || applied(|class| class.tune_ttl_up_to(1_000 * SECOND));
    let (mut control, mut set) = (limited().await, limited().await);
    set.small.set_ttl(61 * SECOND).unwrap();
    for _ in 0..RUNS {
        run_in_time(&mut control).await;
        run_in_time(&mut set).await;
        if !control.cache.tuning_changes().is_empty() {
            break;
        }
    }
    let change = control.cache.tuning_changes().pop().expect("the control is tuned");
    assert!(set.cache.tuning_changes().is_empty(), "{:?}", set.cache.tuning_changes());

    // What is set after a change is not undone with it, even if it is the same.
    let Tuned::Ttl { after, .. } = change.tuned else { panic!("{change:?}") };
    for ttl in [7 * SECOND, after] {
        control.small.set_ttl(ttl).unwrap();
        let error = control.cache.undo_tuning(change.id).unwrap_err().to_string();
        assert!(error.contains(&format!("set to {ttl:?} after change")), "{error}");
    }
    assert!(!control.cache.tuning_changes().pop().unwrap().is_undone);
}

#[tokio::test]
async fn what_is_put_is_admitted() {
    let mut load = applied(|class| class).await;
    while load.large.stats().not_admitted == 0 {
        load.run(8_000, 1_000).await;
    }
    for key in 2_000..2_064 {
        assert!(load.large.permit(&key).await.put(key).await.is_stored, "{key}");
    }
}

/// Redis reports the end of a TTL as it reports an invalidation.
#[tokio::test]
async fn beside_redis_the_end_of_a_ttl_is_no_invalidation() {
    let redis = Redis::start().unwrap();
    let cache = beside(&redis, Tuning::advise()).await;
    let class = cache.class::<u64, u64>("short").policy(Policy::ttl(SECOND).jitter(0.0)).open().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let advice = loop {
        // A load, whose value enters memory with the second read, and a hit.
        for key in (0..2_000).flat_map(|key| [key; 3]) {
            class.get_or_load(&key, || async move { Ok::<_, std::io::Error>(key) }).await.unwrap();
        }
        cache.tune_now();
        if let Some(advice) = cache.advice().into_iter().find(|advice| advice.class().is_some()) {
            break advice;
        }
        assert!(Instant::now() < deadline, "no advice");
    };
    let Advice::LongerTtl { class, ttl, .. } = advice else { panic!("{advice}") };
    assert_eq!((&*class, ttl), ("short", SECOND));
}
