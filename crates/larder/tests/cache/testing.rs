//! The clock that a test of an application moves.

#![cfg(feature = "testing")]
use std::time::Duration;

use larder::error::ErrorKind;
use larder::testing::ManualClock;
use larder::{Lookup, Policy};

#[tokio::test]
async fn entries_end_when_the_test_moves_the_time() {
    let clock = ManualClock::new();
    let cache = crate::support::builder().manual_clock(&clock).build().await.unwrap();
    let policy = Policy::ttl(Duration::from_secs(600)).absent_for(Duration::from_secs(60)).jitter(0.0);
    let rooms = cache.class::<u32, u32>("rooms").policy(policy).open().unwrap();
    rooms.get_or_load(&1, async || Ok::<_, larder::Error>(1)).await.unwrap();
    rooms.get_or_load(&2, async || Ok::<_, larder::Error>(None)).await.unwrap();
    clock.advance(Duration::from_millis(59_999));
    assert_eq!((rooms.get(&1).await.is_hit(), rooms.get(&2).await), (true, Lookup::Absent));
    clock.advance(Duration::from_millis(1));
    assert_eq!((rooms.get(&1).await.is_hit(), rooms.get(&2).await), (true, Lookup::Miss));
    clock.clone().advance(Duration::from_secs(540));
    assert_eq!(rooms.get(&1).await, Lookup::Miss);
}

#[tokio::test]
async fn a_ttl_that_is_set_later_counts_for_later_loads_of_every_handle() {
    let clock = ManualClock::new();
    let cache = crate::support::builder().manual_clock(&clock).build().await.unwrap();
    let policy = Policy::ttl(Duration::from_secs(600)).stale_if_error(Duration::from_secs(60)).jitter(0.0);
    let open = || cache.class::<u32, u32>("rooms").policy(policy).open().unwrap();
    let (rooms, other) = (open(), open());
    let load = async |key: u32| other.get_or_load(&key, async || Ok::<_, larder::Error>(7)).await.unwrap();
    load(1).await;
    rooms.set_ttl(Duration::from_secs(60)).unwrap();
    load(2).await;
    clock.advance(Duration::from_secs(60));
    let is_hit = async |key: u32| rooms.get(&key).await.is_hit();
    assert!(is_hit(1).await && !is_hit(2).await, "what was stored keeps its TTL");
    cache.set_class_ttl("rooms", Duration::from_secs(1_200)).unwrap();
    load(2).await;
    clock.advance(Duration::from_secs(1_199));
    assert!(!is_hit(1).await && is_hit(2).await);
    open();
    for ttl in [Duration::ZERO, Policy::TTL_MAX] {
        let error = rooms.set_ttl(ttl).unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains("allowed is"), "{error}");
        assert!(cache.set_class_ttl("rooms", ttl).is_err());
    }
    let error = cache.set_class_ttl("romos", Duration::from_secs(1)).unwrap_err();
    assert!(error.to_string().contains("rooms"), "{error}");
}

#[tokio::test]
async fn a_manual_clock_is_refused_where_others_count_the_time() {
    let builder = crate::support::builder().redis("redis://127.0.0.1:1").installation("test");
    let error = builder.manual_clock(&ManualClock::new()).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("memory alone"), "{error}");
}
