//! The connections of the pool for untracked work: their number, the wait for one, and the handling of a broken one.

use std::time::{Duration, Instant};

use larder::cache::{Cache, Health};
use larder::error::ErrorKind;
use larder::introspection::RedisAnswer;
use larder_testbed::{Proxy, Redis};

use crate::support::{eventually, within};

const LONG: Duration = Duration::from_secs(5);
/// The delay of each direction, so that several questions overlap; far below the time-out.
const SLOW: Duration = Duration::from_millis(20);

/// A Redis behind a proxy, and a cache with a pool of `places` connections and the time-out `wait`.
async fn bed(places: u32, wait: Duration) -> (Redis, Proxy, Cache) {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let url = format!("redis://127.0.0.1:{}/0", proxy.port());
    let builder =
        crate::support::builder().redis(url).installation("test").redis_timeout(Duration::from_millis(500));
    let cache = builder.redis_pool_size(places).redis_pool_timeout(wait).build().await.unwrap();
    eventually("Redis is usable", async || cache.health() == Health::Working).await;
    (redis, proxy, cache)
}

/// How many untracked connections Redis has, except the one that asks.
fn untracked(redis: &Redis) -> usize {
    let list = redis.command(&["CLIENT", "LIST", "TYPE", "normal"]).unwrap();
    let is_tracked = |line: &str| {
        let flags = line.split(' ').find_map(|field| field.strip_prefix("flags="));
        flags.is_some_and(|flags| flags.contains('t'))
    };
    list.lines().filter(|line| !is_tracked(line) && !line.contains("cmd=client|list")).count()
}

async fn is_answered(cache: &Cache) -> bool {
    // The reply to another question would contain no version.
    within(cache.redis_info()).await.value().is_some_and(|info| info.version.contains('.'))
}

#[tokio::test]
async fn never_more_connections_than_places() {
    let (redis, proxy, cache) = bed(3, LONG).await;
    assert_eq!(untracked(&redis), 0, "they are dialled when needed");
    proxy.delay(SLOW);
    let questions: Vec<_> = (0..30)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { is_answered(&cache).await })
        })
        .collect();
    let mut most = 0;
    eventually("all are answered", async || {
        most = most.max(untracked(&redis));
        questions.iter().all(|question| question.is_finished())
    })
    .await;
    assert_eq!(most, 3);
    for question in questions {
        assert!(question.await.unwrap());
    }
    assert_eq!(untracked(&redis), 3, "kept for the next question");
}

#[tokio::test]
async fn a_question_without_a_free_connection_ends_after_the_pools_timeout() {
    let (_redis, proxy, cache) = bed(1, Duration::from_millis(20)).await;
    proxy.stall();
    let first = tokio::spawn({
        let cache = cache.clone();
        async move { cache.redis_info().await }
    });
    // On this single thread it runs until it has the connection and waits for Redis.
    tokio::task::yield_now().await;
    assert_eq!(within(cache.redis_info()).await, RedisAnswer::Away);
    assert!(!first.is_finished(), "which takes the operation's time-out");
    assert_eq!(within(first).await.unwrap(), RedisAnswer::Away);
}

#[tokio::test]
async fn idle_connections_that_broke_cost_no_answer() {
    let mut redis = Redis::start().unwrap();
    let cache = crate::support::builder()
        .redis(redis.url())
        .installation("test")
        .redis_pool_size(3)
        .build()
        .await
        .unwrap();
    // Each connection is open before the first one is answered, because all of it happens on this single thread.
    let fill = async || tokio::join!(is_answered(&cache), is_answered(&cache), is_answered(&cache));
    assert_eq!(fill().await, (true, true, true));
    assert_eq!(untracked(&redis), 3);

    redis.command(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
    assert!(is_answered(&cache).await, "the first question finds a broken one, and others beside it");
    assert_eq!(fill().await, (true, true, true));

    redis.restart().unwrap();
    assert!(is_answered(&cache).await, "the same after a restart");
    redis.kill().unwrap();
    assert!(!is_answered(&cache).await);
    redis.restart().unwrap();
    assert_eq!(fill().await, (true, true, true));
}

#[tokio::test]
async fn a_cancelled_question_leaves_no_reply_behind() {
    let (redis, proxy, cache) = bed(1, LONG).await;
    assert!(is_answered(&cache).await);
    let scans = || {
        let stats = redis.command(&["INFO", "commandstats"]).unwrap();
        stats.lines().find(|line| line.starts_with("cmdstat_scan:")).map(str::to_owned)
    };
    let before = scans();
    proxy.stall_replies();
    let question = tokio::spawn({
        let cache = cache.clone();
        async move { cache.keys("*", 10, None).await }
    });
    eventually("Redis was asked", async || scans() != before).await;
    question.abort();
    assert!(question.await.unwrap_err().is_cancelled());
    eventually("its connection is closed", async || untracked(&redis) == 0).await;
    proxy.heal();
    assert!(is_answered(&cache).await);
}

#[tokio::test]
async fn a_page_that_takes_too_long_ends_early_and_names_the_next() {
    let (redis, proxy, cache) = bed(1, LONG).await;
    let fill = "for key = 1, 1000 do redis.call('SET', key, '') end";
    redis.command(&["EVAL", fill, "0"]).unwrap();
    assert!(is_answered(&cache).await);
    // Ten steps would take 2.6 s; a page ends after 2 s and the step in progress.
    proxy.delay(Duration::from_millis(130));
    let began = Instant::now();
    let page = within(cache.keys("*", 10, None)).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(!page.is_redis_away && page.next.is_some());
}

#[tokio::test]
async fn a_pool_without_room_or_bounds_is_refused() {
    let builder = || crate::support::builder().redis("redis://127.0.0.1:1").installation("test");
    for (bad, says) in [
        (builder().redis_pool_size(0), "redis_pool_size 0: allowed is 1 to 1000"),
        (builder().redis_pool_size(1001), "redis_pool_size 1001: allowed is 1 to 1000"),
        (builder().redis_pool_timeout(Duration::ZERO), "redis_pool_timeout 0ns: allowed is 1ms to 60s"),
        (
            builder().redis_pool_timeout(Duration::from_secs(61)),
            "redis_pool_timeout 61s: allowed is 1ms to 60s",
        ),
    ] {
        let error = bad.build().await.err().unwrap();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Config, says));
    }
}
