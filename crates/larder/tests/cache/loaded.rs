//! What a loader can say about its value, and what happens if loads keep failing.

use std::time::Duration;

use larder::error::ErrorKind;
use larder::permit::Permit;
use larder::policy::{Breaker, Policy};
use larder::source::{NotStoredReason, Placement, Source};
use larder::{Loaded, Previous};
use larder_testbed::Redis;

use crate::aging::{AGED, MINUTE, aging, builder, fails, read, stale_while_revalidate, with_clock};
use crate::support::{Table, eventually, instance, memory_instance, within};

#[tokio::test]
async fn a_breaker_ends_the_questions_to_a_database_that_does_not_answer() {
    let (cache, clock) = with_clock().await;
    let breaker = Breaker::after(3).pause(MINUTE);
    let policy = Policy::ttl(MINUTE).stale_if_error(60 * MINUTE);
    let class = builder(&cache, "numbers", policy).breaker(breaker).open().unwrap();
    let table = Table::new();
    table.write(7, 1);
    assert_eq!(read(&class, &table).await, Some(1));
    clock.advance(2 * MINUTE);
    for _ in 0..50 {
        assert_eq!(fails(&class).await, Ok(Some(1)));
    }
    let stats = class.stats();
    assert_eq!((stats.load_failures, stats.breaker_refusals, stats.stale_on_error), (3, 47, 50));
    let other = within(class.get_or_load(&8, table.loader(8))).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::BreakerOpen, "{other}");
    clock.advance(MINUTE);
    table.write(7, 2);
    assert_eq!(read(&class, &table).await, Some(2), "one load probes, and closes the breaker");
    assert_eq!(within(class.get_or_load(&8, table.loader(8))).await.unwrap(), None);
    let refused = cache.class::<u32, u64>("other").breaker(Breaker::after(0)).open().unwrap_err();
    assert!(refused.to_string().contains("allowed is at least 1"), "{refused}");
}

#[tokio::test]
async fn a_loader_gets_the_aged_value_and_may_call_it_unchanged() {
    let redis = Redis::start().unwrap();
    for one in [memory_instance().await, instance(&redis).await] {
        for policy in [stale_while_revalidate(), Policy::ttl(AGED).stale_if_error(MINUTE)] {
            let name = if policy == stale_while_revalidate() { "revalidated" } else { "reloaded" };
            let class = aging(&one.cache, name, policy);
            let load = |previous: Option<Previous<u64>>| async move {
                Ok::<_, std::fmt::Error>(match previous {
                    None => Loaded::new(5).version("v5"),
                    Some(previous) => {
                        assert_eq!((*previous.value, previous.version.as_deref()), (5, Some("v5")));
                        Loaded::unchanged()
                    }
                })
            };
            let loads = async || {
                let answer = within(class.read(&7).or_reload(load)).await.unwrap();
                assert_eq!(answer.value.as_deref(), Some(&5));
                class.stats().loads
            };
            eventually("it was called unchanged, and again", async || loads().await > 3).await;
            assert_eq!(class.stats().load_failures, 0);
        }
    }
    let class = aging(&memory_instance().await.cache, "numbers", Policy::default());
    let unchanged = || async { Ok::<_, std::fmt::Error>(Loaded::unchanged()) };
    let error = within(class.get_or_load(&7, unchanged)).await.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("no previous value"), "{error}");
}

#[tokio::test]
async fn the_loader_shortens_the_ttl() {
    let (cache, clock) = with_clock().await;
    let class = aging(&cache, "numbers", Policy::ttl(10 * MINUTE).absent_for(10 * MINUTE));
    let loaded = async |answer: Loaded<u64>| {
        within(class.get_or_load(&7, || async { Ok::<_, std::fmt::Error>(answer) })).await.unwrap()
    };
    loaded(Loaded::new(1).ttl(MINUTE)).await;
    clock.advance(MINUTE);
    assert_eq!(loaded(Loaded::new(2).ttl(99 * MINUTE)).await.as_deref(), Some(&2));
    assert_eq!(class.stats().ttls_cut, 1);
    clock.advance(10 * MINUTE);
    assert_eq!(loaded(Loaded::absent().ttl(MINUTE)).await, None);
    assert_eq!(loaded(Loaded::new(3)).await, None, "the absent answer is kept");
    clock.advance(MINUTE);
    assert_eq!(loaded(Loaded::new(4).ttl(Duration::ZERO)).await.as_deref(), Some(&4));
    assert!(class.get(&7).await.is_miss(), "it was not stored");
}

#[tokio::test]
async fn what_is_cut_or_not_kept_is_counted() {
    let (cache, clock) = with_clock().await;
    let class = aging(&cache, "numbers", Policy::ttl(MINUTE));
    let longest = "v".repeat(Loaded::<u64>::VERSION_BYTES_MAX);
    for (version, dropped) in [(longest.clone(), 0), (longest + "v", 1)] {
        let load = || async { Ok::<_, std::fmt::Error>(Loaded::new(5).version(version)) };
        assert!(within(class.read(&7).fresh().or_load(load)).await.unwrap().source.is_stored());
        assert_eq!(class.stats().versions_dropped, dropped);
    }
    for (life, cut) in [(Permit::<u64>::LIFE_MAX, 0), (Permit::<u64>::LIFE_MAX + MINUTE, 1)] {
        let _permit = within(class.permit_for(&7, life)).await;
        assert_eq!(class.stats().permits_cut, cut);
    }
    let load = || {
        let clock = clock.clone();
        async move {
            clock.advance(2 * MINUTE);
            Ok::<_, std::fmt::Error>(6)
        }
    };
    let answer = within(class.read(&8).or_load(load)).await.unwrap();
    let expired = Source::Load { placement: Placement::Nowhere(NotStoredReason::Expired) };
    assert_eq!((answer.value.as_deref(), answer.source), (Some(&6), expired));
    assert_eq!(class.stats().expired, 1);
}
