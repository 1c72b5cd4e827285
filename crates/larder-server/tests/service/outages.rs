//! Redis hangs or is away, or the database is stopped: every request is answered in time, and no answer is stale.

use std::time::{Duration, Instant};

use larder_testbed::{Postgres, free_port};
use serde_json::json;

use crate::support::app::{Stack, TestApp, on_redis};
use crate::support::client::{Answer, Client, Request};
use crate::support::eventually;

/// A request may wait for several time-outs of 250 ms, and never for TCP's time-outs of minutes.
const BOUNDED: Duration = Duration::from_secs(3);

fn in_time(what: &str, request: impl FnOnce() -> Answer) -> Answer {
    let start = Instant::now();
    let answer = request();
    assert!(start.elapsed() < BOUNDED, "{what} took {:?}", start.elapsed());
    answer
}

fn bio(client: &Client) -> String {
    client.get("/api/v1/users/me").expect(200).field("bio")
}

fn while_redis_hangs_writes_are_queued_and_own_writes_seen(app: &TestApp) {
    let second = app.second_instance();
    let ann = app.user("ann");
    let there = second.here(&ann);
    for client in [&ann, &there] {
        client.patch("/api/v1/users/me", &json!({ "bio": "before" })).expect(200);
        assert_eq!(bio(client), "before");
        assert_eq!(client.get("/api/v1/users").json()["items"][0]["bio"], "before");
    }
    app.stack.redis().pause().unwrap();
    for round in 0..4 {
        let body =
            ann.confirmed(&json!({ "bio": format!("hung {round}"), "username": format!("ann{round}") }));
        let written = in_time("a write", || ann.patch("/api/v1/users/me", &body)).expect(200);
        assert_eq!(written.header("cache-invalidation"), Some("queued"));
        let read = in_time("a read", || ann.get("/api/v1/users/me")).expect(200);
        assert_eq!(read.json()["bio"], body["bio"]);
        let list = in_time("a list", || ann.get("/api/v1/users")).expect(200);
        assert_eq!(list.json()["items"][0]["bio"], body["bio"]);
        in_time("a lookup", || ann.lookup(&json!({ "username": body["username"] }))).expect(200);
        let old = format!("ann{}", round - 1);
        in_time("an old name", || ann.lookup(&json!({ "username": old }))).expect(404);
        in_time("a fresh read", || ann.get("/api/v1/users/me?consistency=fresh")).expect(200);
    }
    in_time("a login", || {
        let credentials = json!({ "username": "ann3", "password": crate::support::app::PASSWORD });
        app.anonymous().post("/api/v1/auth/login", &credentials)
    })
    .expect(200);
    let ready = in_time("readiness", || app.anonymous().get("/readyz")).expect(200).json();
    assert_eq!((&ready["status"], &ready["cache"]), (&json!("ready"), &json!("degraded")));
    assert!(app.metrics().value("larder_cache_unsent_invalidations", &[]) >= 1.0);
    // The other instance's validity ends by itself, because a heartbeat that gets no reply does not extend it.
    eventually("the other instance stops trusting its memory", || bio(&there) == "hung 3");

    app.stack.redis().resume().unwrap();
    eventually("Redis is used again", || {
        ann.patch("/api/v1/users/me", &json!({ "bio": format!("after {:?}", Instant::now()) }))
            .expect(200)
            .header("cache-invalidation")
            == Some("sent")
    });
    assert_eq!(app.metrics().value("larder_cache_unsent_invalidations", &[]), 0.0);
    let last = bio(&ann);
    eventually("the other instance uses it again", || {
        second.anonymous().get("/readyz").expect(200).json()["cache"] == "working"
    });
    assert_eq!(there.get("/api/v1/users/me?consistency=fresh").expect(200).field("bio"), last);
    eventually("memory answers again", || {
        let answer = there.get("/api/v1/users/me").expect(200);
        assert_eq!(answer.field("bio"), last);
        answer.header("cache-status") == Some("larder; hit; detail=memory")
    });
}

fn a_token_ended_while_redis_hangs_is_refused_on_this_instance(app: &TestApp) {
    let ann = app.user("ann");
    assert_eq!(ann.validate(), 200);
    app.stack.redis().pause().unwrap();
    let ended = in_time("logout", || ann.post("/api/v1/auth/logout", &json!({}))).expect(204);
    assert_eq!(ended.header("cache-invalidation"), Some("queued"));
    in_time("validate", || ann.get("/api/v1/auth/validate")).expect(401);
    app.stack.redis().resume().unwrap();
    eventually("Redis is used again", || {
        assert_eq!(ann.validate(), 401);
        app.anonymous().get("/readyz").expect(200).json()["cache"] == "working"
    });
    assert_eq!(ann.validate(), 401);
}

on_redis!(
    while_redis_hangs_writes_are_queued_and_own_writes_seen,
    a_token_ended_while_redis_hangs_is_refused_on_this_instance,
);

#[test]
fn without_a_database_the_service_lives_but_is_not_ready() {
    let server = Postgres::start().unwrap();
    let app = Stack::postgres_on(&server.url()).start();
    let ann = app.user("ann");
    let memory = "larder; hit; detail=memory";
    eventually("memory has a copy", || {
        ann.get("/api/v1/users/me").expect(200).header("cache-status") == Some(memory)
    });
    drop(server);
    eventually("it is not ready", || app.anonymous().get("/readyz").status == 503);
    let answer = app.anonymous().get("/readyz").expect(503);
    assert_eq!(answer.header("retry-after"), Some("1"));
    app.anonymous().get("/livez").expect(200);
    assert_eq!(ann.get("/api/v1/users/me").expect(200).header("cache-status"), Some(memory));
    let start = Instant::now();
    for request in [
        Request::new("PATCH", "/api/v1/users/me").json(&json!({ "bio": "lost" })),
        Request::new("GET", "/api/v1/users/0192f0c1-2345-7abc-8def-0123456789ab"),
        Request::new("GET", "/api/v1/users/me?consistency=fresh"),
        Request::new("GET", "/api/v1/users?limit=3"),
    ] {
        assert_eq!(ann.send(request).expect(503).header("retry-after"), Some("1"));
    }
    assert!(start.elapsed() < BOUNDED * 4, "four requests took {:?}", start.elapsed());
    let credentials = json!({ "username": "ann", "password": crate::support::app::PASSWORD });
    app.anonymous().post("/api/v1/auth/login", &credentials).expect(503);
}

#[test]
fn a_redis_that_is_away_from_the_start_fails_no_request() {
    let absent = format!("redis://127.0.0.1:{}/0", free_port().unwrap());
    let app = Stack::sqlite_memory().with_redis_at(absent).start();
    let ann = app.user("ann");
    assert_eq!(app.anonymous().get("/readyz").expect(200).json()["cache"], "degraded");
    let written = in_time("a write", || ann.patch("/api/v1/users/me", &json!({ "bio": "alone" })));
    assert_eq!(written.expect(200).header("cache-invalidation"), Some("queued"));
    assert_eq!(bio(&ann), "alone");
}
