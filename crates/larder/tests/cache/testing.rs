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
async fn a_manual_clock_is_refused_where_others_count_the_time() {
    let builder = crate::support::builder().redis("redis://127.0.0.1:1").installation("test");
    let error = builder.manual_clock(&ManualClock::new()).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("memory alone"), "{error}");
}
