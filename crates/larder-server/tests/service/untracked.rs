//! Questions to Redis outside the tracked connection: two settings bound them, and anonymous requests share one answer.

use std::net::TcpStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use larder_testbed::{Proxy, Redis};
use serde_json::Value;

use crate::support::app::{Stack, TestApp};
use crate::support::eventually;

/// The routes that ask Redis for anonymous requests.
const PUBLIC: [&str; 4] = ["/api/v1/cache/health", "/health/cache", "/v1.0/cache/health", "/cache/health"];
/// The greatest age of an answer to an anonymous request.
const RECENT: Duration = Duration::from_millis(500);

/// A service that reaches Redis through a proxy, which a test can slow down or stall.
struct Bed {
    // The service ends before its Redis.
    app: TestApp,
    proxy: Proxy,
    redis: Redis,
}

impl Bed {
    fn new(size: &str, timeout: &str) -> Self {
        let redis = Redis::start().unwrap();
        let proxy = Proxy::start(redis.port()).unwrap();
        let app = Stack::sqlite_memory()
            .with_redis_at(format!("redis://127.0.0.1:{}/0", proxy.port()))
            .with_setting("REDIS_POOL_SIZE", size)
            .with_setting("REDIS_POOL_TIMEOUT", timeout)
            .start();
        eventually("Redis is used", || {
            app.anonymous().get("/readyz").expect(200).json()["cache"] == "working"
        });
        Self { app, proxy, redis }
    }

    /// Counts the untracked connections of Redis, except the one that asks.
    fn untracked(&self) -> usize {
        let list = self.redis.command(&["CLIENT", "LIST", "TYPE", "normal"]).unwrap();
        let is_tracked = |line: &str| {
            let flags = line.split(' ').find_map(|field| field.strip_prefix("flags="));
            flags.is_some_and(|flags| flags.contains('t'))
        };
        list.lines().filter(|line| !is_tracked(line) && !line.contains("cmd=client|list")).count()
    }

    /// Requests this path as an admin, `times` times at once.
    fn asked(&self, path: &str, times: usize) -> Vec<JoinHandle<Value>> {
        let admin = self.app.admin();
        let ask = |_| {
            let (admin, path) = (admin.clone(), path.to_owned());
            thread::spawn(move || admin.get(&path).expect(200).json())
        };
        (0..times).map(ask).collect()
    }
}

#[test]
fn the_pools_size_is_how_many_connections_redis_sees() {
    let bed = Bed::new("2", "5.0");
    bed.proxy.delay(Duration::from_millis(20));
    let questions = bed.asked("/api/v1/cache/keys", 20);
    let mut most = 0;
    eventually("all are answered", || {
        most = most.max(bed.untracked());
        questions.iter().all(JoinHandle::is_finished)
    });
    assert_eq!(most, 2);
    for question in questions {
        assert_eq!(question.join().unwrap()["redis_is_away"], false);
    }
}

#[test]
fn the_pools_timeout_is_how_long_a_question_waits() {
    let bed = Bed::new("1", "0.05");
    bed.proxy.stall();
    let began = Instant::now();
    for question in bed.asked("/api/v1/cache/stats", 30) {
        assert_eq!(question.join().unwrap()["server"], Value::Null);
    }
    // In turn the 30 requests would take 250 ms each, which exceeds the limit.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

/// Counts how often the service asked Redis about its state: each time with a PING, which no other code sends.
fn pings(redis: &Redis) -> u32 {
    let stats = redis.command(&["INFO", "commandstats"]).unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_ping:calls="));
    calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
}

#[test]
fn two_hundred_anonymous_requests_at_once_cost_redis_few_questions() {
    let bed = Bed::new("10", "5.0");
    let (before, began) = (pings(&bed.redis), Instant::now());
    let strangers: Vec<_> = (0..200)
        .map(|nth| {
            let anonymous = bed.app.anonymous();
            thread::spawn(move || anonymous.get(PUBLIC[nth % PUBLIC.len()]).expect(200).json())
        })
        .collect();
    for anonymous in strangers {
        let health = anonymous.join().unwrap();
        let age = health.get("age_ms").map_or(0.0, |age| age.as_f64().unwrap());
        assert!((0.0..=500.0).contains(&age), "{health}");
    }
    let most = 1 + began.elapsed().as_millis() / RECENT.as_millis();
    let asked = u128::from(pings(&bed.redis) - before);
    assert!((1..=most).contains(&asked), "{asked} in {:?}", began.elapsed());
    assert!(bed.untracked() <= 1, "anonymous requests use more than one connection of the pool");
}

#[test]
fn no_anonymous_request_gets_an_answer_older_than_promised() {
    let bed = Bed::new("10", "5.0");
    let clients = || {
        let health = bed.app.anonymous().get("/v1.0/cache/health").expect(200).json();
        health["cache_info"]["connected_clients"].as_u64().unwrap()
    };
    let before = clients();
    let answered = Instant::now();
    let _more: Vec<_> =
        (0..5).map(|_| TcpStream::connect(("127.0.0.1", bed.redis.port())).unwrap()).collect();
    eventually("Redis took them", || {
        bed.redis.command(&["CLIENT", "LIST"]).unwrap().lines().count() as u64 > before + 5
    });
    // The test needs the answer to expire, so it sleeps.
    thread::sleep(RECENT.saturating_sub(answered.elapsed()) + Duration::from_millis(1));
    assert!(clients() >= before + 5, "the service did not ask Redis again");
}
