//! The stream of events.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use larder::cause::Cause;
use larder::error::ErrorKind;
use larder::events::{EntryName, Event, Events, HitSource, InvalidatedScope, MissReason};
use larder::health::Trouble;
use larder::policy::{Abandonment, Policy};
use larder::protection::{EntrySecrets, Protection};
use larder::source::NotStoredReason;
use larder::testing::ManualClock;
use larder::{Cache, Class, tag};
use larder_testbed::Redis;

use crate::support::{Gate, Table, eventually, in_redis, instance, memory_instance, within};

async fn next(events: &mut Events) -> Event {
    within(events.next()).await.expect("the cache is there")
}

/// The first event that `is_meant`; those before it are passed over.
async fn until(events: &mut Events, is_meant: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = next(events).await;
        if is_meant(&event) {
            return event;
        }
    }
}

/// The event without its entry and times, as text.
fn short(event: &Event) -> String {
    match event {
        Event::Hit { source, is_absent, .. } => format!("hit {source:?} {is_absent}"),
        Event::Miss { reason, .. } => format!("miss {reason:?}"),
        Event::Load { outcome, .. } => format!("load {}", outcome.as_str()),
        Event::FillRefused { reason, .. } => format!("refused {}", reason.as_str()),
        Event::Invalidated { cause, .. } => format!("invalidated {cause}"),
        other => format!("{other:?}"),
    }
}

async fn shorts<const N: usize>(events: &mut Events) -> [String; N] {
    let mut texts = Vec::new();
    for _ in 0..N {
        texts.push(short(&next(events).await));
    }
    texts.try_into().unwrap()
}

fn seven(event: &Event) -> bool {
    let (Event::Hit { entry, .. }
    | Event::Miss { entry, .. }
    | Event::Load { entry, .. }
    | Event::FillRefused { entry, .. }
    | Event::Evicted { entry }
    | Event::Invalidated { scope: InvalidatedScope::Entry(entry), .. }) = event
    else {
        return false;
    };
    (entry.class.as_str(), entry.key.as_deref()) == ("values", Some("7"))
}

#[tokio::test]
async fn what_happens_to_an_entry_is_seen_in_its_order() {
    let redis = Redis::start().unwrap();
    let near = instance(&redis).await;
    let table = Table::new();
    table.write(7, 1);
    let (mut events, mut without_hits) = (near.cache.events(), near.cache.events_without_hits());
    let mut without_reads = near.cache.events_without_reads();
    near.read(&table, 7).await;
    near.warm(&table, 7).await;
    let _ = near.values.invalidate(&7).await;
    near.read(&table, 7).await;
    near.read(&table, 8).await;
    near.read(&table, 8).await;
    let rare = [
        "miss NotCached",
        "load value",
        "invalidated by hand",
        "miss NotCached",
        "load value",
        "miss NotCached",
        "load absent",
    ];
    let all = [
        "miss NotCached",
        "load value",
        "hit Redis false",
        "hit Memory false",
        "invalidated by hand",
        "miss NotCached",
        "load value",
        "miss NotCached",
        "load absent",
        "hit Redis true",
    ];
    assert_eq!(shorts(&mut events).await, all);
    assert_eq!(shorts(&mut without_hits).await, rare);
    assert_eq!(shorts(&mut without_reads).await, ["invalidated by hand"]);
    let _ = near.values.invalidate(&7).await;
    let again = next(&mut events).await;
    assert!(seven(&again), "{again:?}");
}

#[tokio::test]
async fn an_invalidation_says_what_it_named_and_how_this_process_learnt_of_it() {
    let redis = Redis::start().unwrap();
    let (near, far) = (instance(&redis).await, instance(&redis).await);
    let table = Table::new();
    table.write(7, 1);
    far.warm(&table, 7).await;
    let mut events = near.cache.events_without_hits();
    let mut pushed = far.cache.events_without_hits();
    near.write(&table, 7, 2).await;
    let is_push =
        |event: &Event| matches!(event, Event::Invalidated { cause: Cause::Push, .. }) && seven(event);
    until(&mut pushed, is_push).await;

    let _ = near.values.invalidate_all().await;
    let _ = near.cache.invalidate_tag(tag("category", 7)).await;
    let _ = near.cache.invalidate_matching("values:7*").await.unwrap();
    let _ = near.cache.clear().await;
    let mut scopes = Vec::new();
    for _ in 0..6 {
        let Event::Invalidated { scope, cause: Cause::ByHand } = next(&mut events).await else {
            panic!("another")
        };
        scopes.push(scope);
    }
    let class = |name: &str| InvalidatedScope::Class(name.to_owned());
    let expected = [
        class("lists"),
        class("values"),
        InvalidatedScope::Tag(Some("category:7".to_owned())),
        InvalidatedScope::Matching(Some("values:7*".to_owned())),
        InvalidatedScope::Everything,
    ];
    assert!(matches!(&scopes[0], InvalidatedScope::Entry(EntryName { class, .. }) if class == "values"));
    assert_eq!(scopes[1..], expected);
}

#[tokio::test]
async fn a_refused_fill_is_seen_with_its_reason() {
    let redis = Redis::start().unwrap();
    for instance in [instance(&redis).await, memory_instance().await] {
        let (table, gate) = (Table::new(), Gate::new());
        table.write(7, 1);
        let mut events = instance.cache.events();
        let reading = instance.held_read(&table, 7, &gate);
        gate.arrival().await;
        let _ = instance.values.invalidate(&7).await;
        gate.open();
        within(reading).await.unwrap();
        let expected = ["miss NotCached", "invalidated by hand", "load value", "refused overtaken"];
        assert_eq!(shorts(&mut events).await, expected);
    }
    assert_eq!(NotStoredReason::Overtaken.as_str(), "overtaken");
}

#[tokio::test]
async fn each_end_of_a_load_and_each_reason_of_a_miss_is_seen() {
    let cache = Cache::builder("test").build().await.unwrap();
    let policy = Policy::ttl(Duration::from_secs(600)).absent_for(Duration::from_secs(600));
    let open = |name: &str| cache.class::<u32, u64>(name).policy(policy);
    let values = open("values").load_timeout(Duration::from_millis(20)).open().unwrap();
    let mut events = cache.events();

    let failed = values.get_or_load(&7, || async { Err::<u64, _>(std::fmt::Error) }).await;
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Load);
    assert_eq!(shorts(&mut events).await, ["miss NotCached", "load failed"]);
    let hung = || async { Ok::<u64, Infallible>(std::future::pending().await) };
    assert_eq!(values.get_or_load(&7, hung).await.unwrap_err().kind(), ErrorKind::LoadTimeout);
    assert_eq!(shorts(&mut events).await, ["miss NotCached", "load timeout"]);
    let panicking = || async {
        if true {
            panic!("a loader");
        }
        Ok::<u64, Infallible>(1)
    };
    assert_eq!(values.get_or_load(&7, panicking).await.unwrap_err().kind(), ErrorKind::LoadPanicked);
    assert_eq!(shorts(&mut events).await, ["miss NotCached", "load panicked"]);

    let load = || async { Ok::<_, Infallible>(1_u64) };
    assert!(values.get(&7).await.is_miss());
    values.get_or_load(&7, load).await.unwrap();
    values.read(&7).fresh().or_load(load).await.unwrap();
    values.set_enabled(false);
    values.get_or_load(&7, load).await.unwrap();
    let expected = [
        "miss NotCached",
        "miss NotCached",
        "load value",
        "miss Fresh",
        "load value",
        "miss Bypass",
        "load value",
    ];
    assert_eq!(shorts(&mut events).await, expected);

    assert_eq!(cache.evictions(), 0, "a copy that is replaced is not evicted");

    // A load that is stopped because its reader has left, and a read that follows another one's load.
    let stopping = open("stopping").when_abandoned(Abandonment::Stop).open().unwrap();
    let (gate, held) = (Gate::new(), Gate::new());
    let read = |class: &Class<u32, u64>, gate: &std::sync::Arc<Gate>| {
        let (class, gate) = (class.clone(), gate.clone());
        tokio::spawn(async move {
            let load = || async move {
                gate.wait().await;
                Ok::<_, Infallible>(1_u64)
            };
            class.get_or_load(&7, load).await.map(drop)
        })
    };
    let leaving = read(&stopping, &gate);
    gate.arrival().await;
    leaving.abort();
    assert_eq!(shorts(&mut events).await, ["miss NotCached", "load stopped"]);
    let others = open("others").open().unwrap();
    let leading = read(&others, &held);
    held.arrival().await;
    let following = read(&others, &held);
    tokio::task::yield_now().await;
    held.open();
    within(leading).await.unwrap().unwrap();
    within(following).await.unwrap().unwrap();
    assert_eq!(shorts(&mut events).await, ["miss NotCached", "load value", "hit Flight false"]);
}

#[tokio::test]
async fn an_aged_entry_and_an_eviction_are_seen() {
    let clock = ManualClock::new();
    let builder = Cache::builder("test").manual_clock(&clock);
    let cache = builder.memory_bytes(64 << 10).build().await.unwrap();
    let mut events = cache.events_without_hits();
    let minute = Duration::from_secs(60);
    let aging: Class<u32, u64> =
        cache.class("aging").policy(Policy::ttl(minute).jitter(0.0).stale_if_error(minute)).open().unwrap();
    for _ in 0..2 {
        aging.get_or_load(&7, || async { Ok::<_, Infallible>(1) }).await.unwrap();
        clock.advance(minute + Duration::from_secs(1));
    }
    assert_eq!(shorts(&mut events).await, ["miss NotCached", "load value", "miss Aged", "load value"]);
    let texts: Class<u32, String> = cache.class("texts").open().unwrap();
    for key in 0..200 {
        texts.get_or_load(&key, || async { Ok::<_, Infallible>("x".repeat(1_000)) }).await.unwrap();
    }
    assert!(cache.evictions() > 0);
    let evicted = until(&mut events, |event| matches!(event, Event::Evicted { .. })).await;
    assert!(
        matches!(evicted, Event::Evicted { entry: EntryName { class, key: Some(_), .. } } if class == "texts")
    );
}

#[tokio::test]
async fn a_lost_redis_and_its_return_are_seen() {
    let mut redis = Redis::start().unwrap();
    let near = instance(&redis).await;
    let table = Table::new();
    table.write(7, 1);
    near.read(&table, 7).await;
    let mut events = near.cache.events_without_hits();
    redis.kill().unwrap();
    let lost = until(&mut events, |event| matches!(event, Event::Degraded { .. })).await;
    assert_eq!(lost, Event::Degraded { trouble: Trouble::Away });
    table.write(9, 1);
    near.read(&table, 9).await;
    let away = |event: &Event| matches!(event, Event::Miss { reason: MissReason::RedisAway, .. });
    until(&mut events, away).await;
    redis.restart().unwrap();
    let Event::Recovered { troubles } =
        until(&mut events, |event| matches!(event, Event::Recovered { .. })).await
    else {
        panic!("another")
    };
    assert_eq!(troubles[0], Trouble::Away);
}

#[tokio::test]
async fn what_is_no_entry_raises_an_alarm() {
    let redis = Redis::start().unwrap();
    let near = instance(&redis).await;
    let table = Table::new();
    table.write(7, 1);
    near.warm(&table, 7).await;
    let mut events = near.cache.events_without_hits();
    redis.command(&["SET", in_redis!("values:7"), "junk"]).unwrap();
    eventually("the report arrived", async || near.values.get(&7).await.is_miss()).await;
    near.read(&table, 7).await;
    let Event::Alarm { class, reason } =
        until(&mut events, |event| matches!(event, Event::Alarm { .. })).await
    else {
        panic!("another")
    };
    assert_eq!(class, "values");
    assert!(!reason.is_empty());
    until(&mut events, |event| matches!(event, Event::Load { .. }) && seven(event)).await;
}

#[tokio::test]
async fn a_slow_subscriber_delays_no_read_and_learns_how_much_it_missed() {
    let instance = memory_instance().await;
    let table = Table::new();
    table.write(7, 1);
    let (mut events, mut rare) = (instance.cache.events(), instance.cache.events_without_hits());
    let began = Instant::now();
    for _ in 0..10_000 {
        instance.read(&table, 7).await;
    }
    assert!(began.elapsed() < Duration::from_secs(10));
    // A miss, a load and 9,999 hits, of which the channel holds 4,096.
    assert_eq!(next(&mut events).await, Event::Missed(10_001 - 4_096));
    for _ in 0..4_096 {
        assert!(matches!(next(&mut events).await, Event::Hit { source: HitSource::Memory, .. }));
    }
    assert_eq!(shorts(&mut rare).await, ["miss NotCached", "load value"]);
    // A subscriber that leaves costs nothing more, and the streams of the others go on.
    drop(events);
    let _ = instance.values.invalidate(&7).await;
    assert_eq!(shorts(&mut rare).await, ["invalidated by hand"]);
    drop(instance);
    assert_eq!(within(rare.next()).await, None, "the cache has ended");
}

#[tokio::test]
async fn no_event_names_a_key_of_a_secret_class() {
    let redis = Redis::start().unwrap();
    let builder = Cache::builder("test").redis(redis.url()).installation("test");
    let secrets = EntrySecrets::new("a secret of at least thirty-two bytes").unwrap();
    let cache = builder.entry_secrets(secrets).build().await.unwrap();
    let open: Class<str, u64> = cache.class("open").open().unwrap();
    let sessions: Class<str, u64> =
        cache.class("sessions").memory_only().tagged_by(|key: &str| tag("of", key)).open().unwrap();
    let letters: Class<str, u64> = cache.class("letters").protection(Protection::Sealed).open().unwrap();
    let mut events = cache.events();
    let load = || async { Ok::<_, Infallible>(1_u64) };
    for class in [&sessions, &letters] {
        for _ in 0..3 {
            within(class.get_or_load("s3cret", load)).await.unwrap();
        }
        let _ = class.invalidate("s3cret").await;
    }
    let _ = cache.invalidate_tag(tag("of", "s3cret")).await;
    let _ = cache.invalidate_matching("sessions:s3cret*").await.unwrap();
    let unopened = larder::Touch::entry("unopened", ["s3cret"]);
    let _ = cache.invalidation().touch(&unopened).unwrap().send().await;
    let _ = open.invalidate("public").await;
    let shown = |event: &Event| {
        matches!(event, Event::Invalidated { scope: InvalidatedScope::Entry(EntryName { key: Some(key), .. }), .. }
            if key == "public")
    };
    let mut seen = Vec::new();
    loop {
        let event = next(&mut events).await;
        if shown(&event) {
            break;
        }
        seen.push(event);
    }
    let text = format!("{seen:?}");
    assert!(
        seen.len() >= 10
            && text.contains("sessions")
            && text.contains("letters")
            && text.contains("unopened")
    );
    assert!(!text.contains("s3cret"), "{text}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_load_has_a_span_with_its_class_and_outcome() {
    let instance = memory_instance().await;
    let table = Table::new();
    table.write(7, 1);
    let spans = crate::support::logged::Logged::spans();
    instance.read(&table, 7).await;
    let load = || async { Err::<u64, _>(std::fmt::Error) };
    instance.values.get_or_load(&8, load).await.unwrap_err();
    let closed = spans.with("close");
    assert_eq!(closed.len(), 2, "{closed:?}");
    let fields =
        [r#"larder.load{larder.class="values" larder.outcome="value"}"#, "larder.outcome=\"failed\""];
    for (line, field) in closed.iter().zip(fields) {
        assert!(line.contains(field), "{line}");
    }
    assert!(closed[1].contains(r#"otel.status_code="ERROR""#), "{closed:?}");
}
