//! Events of what goes wrong for long: the journal's troubles, and waits for other instances.

use std::convert::Infallible;
use std::time::Duration;

use larder::class::Class;
use larder::events::{Event, Events, LoadEnd, MissReason};
use larder::health::{Health, Trouble};
use larder_testbed::Redis;

use crate::support::journal::Ledger;
use crate::support::{Gate, eventually, instance, within};

/// The first event about a trouble.
async fn trouble(events: &mut Events) -> Event {
    loop {
        let event = within(events.next()).await.expect("the cache is there");
        if matches!(event, Event::Degraded { .. } | Event::Recovered { .. }) {
            return event;
        }
    }
}

#[tokio::test]
async fn a_silent_journal_and_its_return_are_seen_once() {
    for redis in [None, Some(Redis::start().unwrap())] {
        let ledger = Ledger::new();
        let mut builder = crate::support::builder().journal(ledger.clone());
        if let Some(redis) = &redis {
            builder = builder.redis(redis.url());
        }
        let cache = builder.build().await.unwrap();
        eventually("it is healthy", async || cache.health() != Health::Degraded).await;
        let mut events = cache.events_without_hits();
        ledger.freeze(true);
        let silent = Trouble::SilentJournal;
        // With Redis, its watermark gets old before the poll's time-out ends: a trouble of its own.
        while trouble(&mut events).await != (Event::Degraded { trouble: silent }) {}
        ledger.freeze(false);
        loop {
            match trouble(&mut events).await {
                Event::Recovered { troubles } if troubles == [silent] => break,
                again => assert_ne!(again, Event::Degraded { trouble: silent }, "once an episode"),
            }
        }
    }
}

/// Three instances: one loads for long, and another one, whose loads are short, waits for its lease as long as a load of
/// its own may take. The third one, which is patient, waits for the load.
#[tokio::test]
async fn a_wait_for_another_instances_load_that_times_out_is_seen() {
    let redis = Redis::start().unwrap();
    let [slow, hasty, patient] = [instance(&redis).await, instance(&redis).await, instance(&redis).await];
    let open = |of: &larder::Cache, limit| -> Class<u32, u64> {
        of.class("reports").load_timeout(Duration::from_millis(limit)).open().unwrap()
    };
    let [loading, impatient, waiting] =
        [open(&slow.cache, 60_000), open(&hasty.cache, 200), open(&patient.cache, 60_000)];
    let mut events = hasty.cache.events();
    let gate = Gate::new();
    let held = {
        let (class, gate) = (loading.clone(), gate.clone());
        tokio::spawn(async move {
            let load = || async move {
                gate.wait().await;
                Ok::<_, Infallible>(1_u64)
            };
            class.get_or_load(&7, load).await.unwrap()
        })
    };
    gate.arrival().await;
    let load = |value: u64| move || async move { Ok::<_, Infallible>(value) };
    let following = tokio::spawn(async move {
        let answer = waiting.get_or_load(&7, load(3)).await.unwrap();
        (answer, waiting.stats())
    });
    let answer = within(impatient.read(&7).or_load(load(2))).await.unwrap();
    assert_eq!(answer.value.as_deref(), Some(&2), "it loaded beside the other instance");
    assert!(!answer.source.is_stored(), "{:?}", answer.source);
    assert_eq!(impatient.stats().lease_wait_timeouts, 1);
    let miss = within(events.next()).await.unwrap();
    assert!(
        matches!(&miss, Event::Miss { entry, reason: MissReason::WaitTimedOut } if entry.class == "reports")
    );
    let loaded = within(events.next()).await.unwrap();
    assert!(matches!(loaded, Event::Load { outcome: LoadEnd::Value, .. }), "{loaded:?}");
    gate.open();
    assert_eq!(within(held).await.unwrap().as_deref(), Some(&1));
    let (answer, stats) = within(following).await.unwrap();
    assert_eq!((answer.as_deref(), stats.lease_wait_timeouts), (Some(&1), 0));
}
