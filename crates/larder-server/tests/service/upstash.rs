//! The service on a Redis behind a REST front, as `UPSTASH_REDIS_REST_URL` and `UPSTASH_REDIS_REST_TOKEN` name it.

use std::time::{Duration, Instant};

use larder_testbed::{Authority, Nginx, Redis, RestFront};
use serde_json::json;

use crate::support::app::Stack;
use crate::support::client::Client;
use crate::support::eventually;

const BOUND: Duration = Duration::from_secs(2);

fn bio(client: &Client) -> String {
    client.get("/api/v1/users/me").expect(200).field("bio")
}

#[test]
fn two_instances_share_entries_over_rest_and_see_every_change() {
    let redis = Redis::start().unwrap();
    let front = RestFront::start(redis.port()).unwrap();
    let stack = Stack::sqlite_memory()
        .with_setting("UPSTASH_REDIS_REST_URL", &front.url())
        .with_setting("UPSTASH_REDIS_REST_TOKEN", front.token())
        .with_setting("LARDER_REDIS_BUDGET", "5");
    let app = stack.start();
    let second = app.second_instance();
    let ann = app.user("ann");
    let there = second.here(&ann);
    for instance in [&app, &second] {
        eventually("Redis is usable", || {
            instance.anonymous().get("/readyz").expect(200).json()["cache"] == "working"
        });
    }
    let written = ann.patch("/api/v1/users/me", &json!({ "bio": "one" })).expect(200);
    assert_eq!(written.header("cache-invalidation"), Some("queued"), "a failover behind REST could undo it");
    assert_eq!((bio(&ann), bio(&there)), ("one".to_owned(), "one".to_owned()));
    eventually("Redis answers", || {
        let answer = there.get("/api/v1/users/me").expect(200);
        assert_eq!(answer.field("bio"), "one");
        answer.header("cache-status") == Some("larder; hit; detail=redis")
    });
    app.stack.sql("UPDATE users SET bio = 'by hand' WHERE username = 'ann'");
    let committed = Instant::now();
    for client in [&ann, &there] {
        eventually("the change of other software", || bio(client) == "by hand");
        assert!(committed.elapsed() < BOUND, "seen after {:?}", committed.elapsed());
    }
    let cleared = app.admin().post("/v1.0/cache/clear", &json!({})).expect(200);
    assert_eq!(cleared.header("cache-invalidation"), Some("queued"), "the journal has it");
    front.cut();
    app.stack.sql("UPDATE users SET bio = 'without Redis' WHERE username = 'ann'");
    let committed = Instant::now();
    eventually("the change without Redis", || bio(&there) == "without Redis");
    assert!(committed.elapsed() < BOUND, "seen after {:?}", committed.elapsed());
    front.heal();
    eventually("Redis is used again", || {
        let answer = there.get("/api/v1/users/me").expect(200);
        assert_eq!(answer.field("bio"), "without Redis");
        answer.header("cache-status") == Some("larder; hit; detail=redis")
    });
}

/// The service on a REST front behind TLS; `SSL_CERT_FILE` has the certificates that its system trusts.
fn over_tls(front: &RestFront, proxy: &Nginx, trusted: &Authority) -> Stack {
    Stack::sqlite_memory()
        .with_setting("UPSTASH_REDIS_REST_URL", &format!("https://localhost:{}", proxy.address().port()))
        .with_setting("UPSTASH_REDIS_REST_TOKEN", front.token())
        .with_setting("SSL_CERT_FILE", trusted.certificate().to_str().unwrap())
}

#[test]
fn the_certificate_of_the_interface_is_verified() {
    let (authority, other) = (Authority::create().unwrap(), Authority::create().unwrap());
    let redis = Redis::start().unwrap();
    let front = RestFront::start(redis.port()).unwrap();
    let proxy = Nginx::start_tls(&[front.port()], &authority.issue("localhost").unwrap()).unwrap();
    let app = over_tls(&front, &proxy, &other).start();
    assert_eq!(app.anonymous().get("/readyz").expect(200).json()["cache"], "degraded");
    let ann = app.user("ann");
    ann.patch("/api/v1/users/me", &json!({ "bio": "without Redis" })).expect(200);
    assert_eq!(bio(&ann), "without Redis");
    assert_eq!(front.requests(), 0, "the token was sent to no unknown server");
    let app = over_tls(&front, &proxy, &authority).start();
    eventually("Redis is usable", || app.anonymous().get("/readyz").expect(200).json()["cache"] == "working");
    assert!(front.requests() > 0);
}
