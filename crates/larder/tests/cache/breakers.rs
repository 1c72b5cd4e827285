//! What a class's breaker counts: calls of loaders, and nothing else.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder::Loaded;
use larder::class::Class;
use larder::error::ErrorKind;
use larder::policy::Breaker;
use larder_testbed::Redis;

use crate::aging::MINUTE;
use crate::support::batch::Rows;
use crate::support::{eventually, instance, memory_instance, within};

type Failed = Result<Rows, std::fmt::Error>;

fn breaking(cache: &larder::Cache, name: &str, breaker: Breaker) -> Class<u32, u64> {
    cache.class(name).breaker(breaker).load_timeout(Duration::from_millis(400)).open().unwrap()
}

/// Reads the keys 0 to 49 with a loader that fails in this way, and returns the kinds of the errors.
async fn fail_many(class: &Class<u32, u64>, how: &'static str) -> Vec<ErrorKind> {
    let load = |_: Vec<u32>| async move {
        match how {
            "error" => Failed::Err(std::fmt::Error),
            "panic" => panic!("the loader's own"),
            _ => std::future::pending().await,
        }
    };
    let answers = within(class.read_many(0..50).or_load(load)).await;
    answers.into_iter().map(|answer| answer.unwrap_err().kind()).collect()
}

async fn fail_one(class: &Class<u32, u64>) -> ErrorKind {
    let load = || async { Err::<u64, _>(std::fmt::Error) };
    within(class.get_or_load(&7, load)).await.unwrap_err().kind()
}

#[tokio::test]
async fn a_put_is_not_refused_by_an_open_breaker_and_does_not_close_one() {
    let redis = Redis::start().unwrap();
    for one in [memory_instance().await, instance(&redis).await] {
        let class = breaking(&one.cache, "breaking", Breaker::after(2).pause(MINUTE));
        assert_eq!(fail_one(&class).await, ErrorKind::Load);
        assert!(within(class.put(&1, 5)).await.is_stored);
        assert_eq!(fail_one(&class).await, ErrorKind::Load);
        assert_eq!(fail_one(&class).await, ErrorKind::BreakerOpen, "the put was no load that succeeded");

        let invalidations = class.stats().invalidations;
        assert!(within(class.put(&1, 6)).await.is_stored, "no database is asked");
        assert_eq!(class.stats().invalidations - invalidations, 1);
        assert_eq!(within(class.get(&1)).await.value().as_deref(), Some(&6));
        assert_eq!(fail_one(&class).await, ErrorKind::BreakerOpen);
    }
}

#[tokio::test]
async fn a_failed_batch_is_one_failure() {
    let redis = Redis::start().unwrap();
    for one in [memory_instance().await, instance(&redis).await] {
        for how in ["error", "panic", "hang"] {
            let class = breaking(&one.cache, how, Breaker::after(3).pause(MINUTE));
            let kind = match how {
                "error" => ErrorKind::Load,
                "panic" => ErrorKind::LoadPanicked,
                _ => ErrorKind::LoadTimeout,
            };
            for _ in 0..3 {
                assert_eq!(fail_many(&class, how).await, [kind; 50], "{how}");
            }
            assert_eq!(fail_many(&class, how).await, [ErrorKind::BreakerOpen; 50], "{how}");
            let stats = class.stats();
            assert_eq!((stats.loads, stats.breaker_refusals), (150, 50), "{how}");
        }
    }
}

/// The loader calls keys unchanged that have no previous value: no reader gets a value.
#[tokio::test]
async fn a_batch_of_unchanged_values_that_do_not_exist_is_a_failure() {
    let redis = Redis::start().unwrap();
    for one in [memory_instance().await, instance(&redis).await] {
        let class = breaking(&one.cache, "breaking", Breaker::after(2).pause(MINUTE));
        let read = async || {
            let load = |keys: Vec<u32>| {
                let answer =
                    |key| (key, if key == 49 { Loaded::failed("damaged") } else { Loaded::unchanged() });
                ready(Ok::<Vec<(u32, Loaded<u64>)>, Infallible>(keys.into_iter().map(answer).collect()))
            };
            let answers = within(class.read_many(0..50).or_load(load)).await;
            answers.into_iter().map(|answer| answer.unwrap_err().kind()).collect::<Vec<_>>()
        };
        for _ in 0..2 {
            assert_eq!(read().await, [ErrorKind::Load; 50]);
        }
        assert_eq!(read().await, [ErrorKind::BreakerOpen; 50]);
    }
}

#[tokio::test]
async fn a_batch_probes_with_all_its_keys() {
    let redis = Redis::start().unwrap();
    for one in [memory_instance().await, instance(&redis).await] {
        let class = breaking(&one.cache, "breaking", Breaker::after(1).pause(Duration::from_millis(300)));
        assert_eq!(fail_many(&class, "error").await, [ErrorKind::Load; 50]);
        let calls = Arc::new(AtomicUsize::new(0));
        eventually("the pause is over", async || {
            let load = |keys: Vec<u32>| {
                let calls = calls.clone();
                async move {
                    calls.fetch_add(1, Ordering::SeqCst);
                    Ok::<Rows, Infallible>(keys.into_iter().map(|key| (key, Some(1))).collect())
                }
            };
            let answers = class.read_many(0..50).or_load(load).await;
            let loaded = answers.iter().filter(|answer| answer.is_ok()).count();
            assert!(loaded == 0 || loaded == 50, "{loaded}");
            loaded == 50
        })
        .await;
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        let load = || ready(Ok::<u64, Infallible>(1));
        assert!(within(class.get_or_load(&77, load)).await.is_ok(), "the breaker is closed");
    }
}

async fn panics() -> Result<u64, Infallible> {
    panic!("the loader's own")
}

#[tokio::test]
async fn a_loader_that_panics_opens_the_breaker() {
    let redis = Redis::start().unwrap();
    for one in [memory_instance().await, instance(&redis).await] {
        let class = breaking(&one.cache, "breaking", Breaker::after(2).pause(MINUTE));
        for kind in [ErrorKind::LoadPanicked, ErrorKind::LoadPanicked, ErrorKind::BreakerOpen] {
            assert_eq!(within(class.get_or_load(&7, panics)).await.unwrap_err().kind(), kind);
        }
        let reports = one.cache.classes();
        assert!(reports.iter().any(|class| class.name == "breaking" && class.is_breaker_open));
    }
}
