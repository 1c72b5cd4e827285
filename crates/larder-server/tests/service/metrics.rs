//! `/metrics`: every line is well formed, requests change the values, no label names a user, and only admins see it.

use std::time::{Duration, Instant};

use larder_testbed::free_port;
use serde_json::json;

use crate::support::app::{Stack, TestApp, on_both_databases};
use crate::support::client::{Client, Request};
use crate::support::eventually;
use crate::support::exposition::Metrics;

const REQUESTS: &str = "larder_http_request_duration_seconds_count";
const HITS: &str = "larder_cache_hits_total";
const MISSES: &str = "larder_cache_misses_total";
const DETAILS: (&str, &str) = ("class", "user_details");

/// A scrape may wait up to two seconds for Redis; the rest is for the database on a busy machine.
const BOUNDED: Duration = Duration::from_secs(4);

/// Reads all metrics and checks each line.
fn scrape(client: &Client) -> Metrics {
    let start = Instant::now();
    let answer = client.get("/metrics").expect(200);
    assert!(start.elapsed() < BOUNDED, "a scrape took {:?}", start.elapsed());
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4"));
    Metrics::parse(answer.text())
}

fn hits_rise_by_exactly_what_was_asked(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    // The journal's report of the user's writes can invalidate the entry in between, so the loop tries again.
    eventually("ten reads are ten hits", || {
        let before = scrape(&admin);
        for _ in 0..10 {
            ann.get(&ann.path()).expect(200);
        }
        let after = scrape(&admin);
        let hits =
            ["memory", "redis", "joined"].map(|tier| after.rise(&before, HITS, &[DETAILS, ("tier", tier)]));
        (hits.iter().sum(), after.rise(&before, MISSES, &[DETAILS])) == (10.0, 0.0)
    });
    let before = scrape(&admin);
    admin.put("/api/v1/cache/classes/user_details", &json!({ "enabled": false })).expect(204);
    for _ in 0..3 {
        ann.get(&ann.path()).expect(200);
    }
    let after = scrape(&admin);
    assert_eq!(after.value("larder_cache_class_enabled", &[DETAILS]), 0.0);
    assert_eq!(after.value("larder_cache_class_enabled", &[("class", "user_list")]), 1.0);
    assert_eq!(after.rise(&before, "larder_cache_bypasses_total", &[DETAILS]), 3.0);
    assert!(after.rise(&before, "larder_database_statements_total", &[]) >= 3.0);

    admin.post("/api/v1/cache/invalidate", &json!({ "class": "user_list" })).expect(200);
    let invalidated = scrape(&admin);
    assert_eq!(invalidated.rise(&after, "larder_cache_invalidations_total", &[("class", "user_list")]), 1.0);
}

fn every_metric_of_the_cache_exists(app: &TestApp) {
    let admin = app.admin();
    let stats = admin.get("/api/v1/cache/stats").expect(200).json();
    let metrics = scrape(&admin);
    for class in stats["classes"].as_array().unwrap() {
        let class = [("class", class["name"].as_str().unwrap())];
        for name in [
            "batches",
            "loads",
            "load_failures",
            "fills_refused",
            "loads_spoiled",
            "inserts_refused",
            "broken_frames",
            "no_room",
            "not_admitted",
            "other_codec",
            "expired",
            "abandoned_stopped",
            "cut",
            "refreshes",
            "stale_hits",
            "stale_on_error",
            "redis_budgets_spent",
            "breaker_refusals",
        ] {
            metrics.value(&format!("larder_cache_{name}_total"), &class);
        }
        assert_eq!(metrics.value("larder_cache_class_breaker_open", &class), 0.0);
        let loads = "larder_cache_load_duration_seconds";
        let count = metrics.value(&format!("{loads}_count"), &class);
        let longest = metrics.value(loads, &[class[0], ("quantile", "1")]);
        let sum = metrics.value(&format!("{loads}_sum"), &class);
        assert!(longest <= sum && sum <= count * longest, "{class:?}: {count}, {sum}, {longest}");
    }
    for name in ["larder_cache_evictions_total", "larder_cache_memory_bytes"] {
        metrics.value(name, &[]);
    }
    assert_eq!(metrics.value("larder_cache_prune_failures_total", &[]), 0.0);
    let unsent = metrics.get("larder_cache_unsent_invalidations", &[]);
    assert_eq!(unsent, app.has_redis().then_some(0.0));
    assert_eq!(metrics.value("larder_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);

    let present = if app.has_redis() { "working" } else { "memory-only" };
    let health = |state| metrics.value("larder_cache_health", &[("state", state)]);
    for state in ["working", "degraded", "memory-only"] {
        assert_eq!(health(state), f64::from(u8::from(state == present)), "{state}");
    }
    if app.has_redis() {
        assert_eq!(metrics.value("larder_redis_up", &[]), 1.0);
        assert!(metrics.value("larder_redis_memory_used_bytes", &[]) > 1e5);
        assert!(metrics.value("larder_redis_connected_clients", &[]) >= 1.0);
        assert!(metrics.value("larder_redis_keyspace_misses_total", &[]) >= 1.0);
    } else {
        assert!(!metrics.names().any(|name| name.starts_with("larder_redis_")));
    }
}

fn requests_are_counted_by_method_route_and_status(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let before = scrape(&admin);
    for _ in 0..3 {
        ann.get(&ann.path()).expect(200);
    }
    ann.send(Request::new("HEAD", &ann.path())).expect(200);
    app.anonymous().get(&ann.path()).expect(401);
    ann.get("/api/v1/users/nobody").expect(404);
    ann.get("/api/v1/nothing").expect(404);
    ann.send(Request::new("BREW", &ann.path())).expect(405);
    let after = scrape(&admin);
    let rise = |method, route, status| {
        after.rise(&before, REQUESTS, &[("method", method), ("route", route), ("status", status)])
    };
    let user = "/api/v1/users/{id}";
    for (method, route, status, expected) in [
        ("GET", user, "200", 3.0),
        ("HEAD", user, "200", 1.0),
        ("GET", user, "401", 1.0),
        ("GET", user, "404", 1.0),
        ("GET", "unmatched", "404", 1.0),
        ("other", user, "405", 1.0),
        ("GET", "/metrics", "200", 1.0),
    ] {
        assert_eq!(rise(method, route, status), expected, "{method} {route} {status}");
    }
    assert_eq!(after.value("larder_http_requests_in_flight", &[]), 1.0);
    let longest = [("method", "GET"), ("route", user), ("status", "200"), ("le", "+Inf")];
    assert!(after.value("larder_http_request_duration_seconds_bucket", &longest) >= 3.0);
    assert!(after.value("larder_http_request_duration_seconds_sum", &longest[..3]) > 0.0);
}

fn no_label_names_a_user_and_unknown_names_share_one_value(app: &TestApp) {
    let (admin, user) = (app.admin(), app.user("zebedee"));
    let names = json!({ "external_id": "5779356081", "phone": "+254712345678" });
    admin.patch(&user.path(), &names).expect(200);
    let everything_about_the_user = |round: u32| {
        for path in [
            user.path(),
            "/api/v1/users/5779356081".to_owned(),
            "/api/v1/users/5779356081/profile".to_owned(),
            "/v1.0/user/zebedee@example.com".to_owned(),
            format!("/zebedee@example.com/{round}"),
            format!("/api/v1/users?search=zebedee{round}"),
        ] {
            user.get(&path);
            app.anonymous().get(&path);
            user.send(Request::new(["ZEBEDEE", "5779356081"][round as usize % 2], &path));
        }
        user.lookup(&json!({ "email": "zebedee@example.com" }));
        user.lookup(&json!({ "phone": "+254712345678" }));
        admin.post("/api/v1/cache/clear/user/5779356081", &json!(null)).expect(200);
    };
    let kinds = || scrape(&admin).names().filter(|name| *name == REQUESTS).count();
    // The first scrape does not report its own series yet; later scrapes do.
    kinds();
    everything_about_the_user(0);
    let first = kinds();
    for round in 1..5 {
        everything_about_the_user(round);
    }
    assert_eq!(kinds(), first);
    let text = admin.get("/metrics").expect(200).text().to_owned();
    let key = user.token.as_deref().unwrap();
    for personal in
        ["zebedee", "ZEBEDEE", "example.com", "5779356081", "254712345678", &user.id, &admin.id, key]
    {
        assert!(!text.contains(personal), "{personal}");
    }
}

fn scrapes_are_for_admins_and_their_keys(app: &TestApp) {
    let (ann, boss) = (app.user("ann"), app.user_with_role("boss2", "admin"));
    app.anonymous().get("/metrics").expect(401);
    app.anonymous().with_token("lk_0123456789abcdef_x").get("/metrics").expect(401);
    ann.get("/metrics").expect(403);
    scrape(&boss);
    scrape(&app.admin());
    let key = |client: &Client, scope: &str| {
        let body = json!({ "name": scope, "scopes": [scope] });
        client.make_key(&body).expect(201).field("key")
    };
    let reads = key(&boss, "read");
    scrape(&app.anonymous().with_token(&reads));
    app.anonymous().send(Request::new("GET", "/metrics").header("x-api-key", &reads)).expect(200);
    boss.with_token(&key(&boss, "write")).get("/metrics").expect(403);
    ann.with_token(&key(&ann, "read")).get("/metrics").expect(403);

    let head = boss.send(Request::new("HEAD", "/metrics")).expect(200);
    assert_eq!(head.text(), "");
    let refused = boss.post("/metrics", &json!({})).expect(405);
    assert_eq!(refused.header("allow"), Some("GET,HEAD"));
    app.admin().patch(&boss.path(), &json!({ "role": "user" })).expect(200);
    app.anonymous().with_token(&reads).get("/metrics").expect(403);
}

#[test]
fn a_redis_that_hangs_is_reported_within_a_bound() {
    let app = Stack::sqlite_redis().start();
    let admin = app.admin();
    scrape(&admin);
    app.stack.redis().pause().unwrap();
    // 32 scrapes run at the same time; if they waited in turn, the last would exceed the limit.
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                let metrics = scrape(&admin);
                assert_eq!(metrics.value("larder_redis_up", &[]), 0.0);
                assert_eq!(metrics.get("larder_redis_memory_used_bytes", &[]), None);
            });
        }
    });
    eventually("the metrics report a degraded cache", || {
        scrape(&admin).value("larder_cache_health", &[("state", "degraded")]) == 1.0
    });
    app.stack.redis().resume().unwrap();
    eventually("the metrics report that Redis is up", || {
        let metrics = scrape(&admin);
        let working = metrics.value("larder_cache_health", &[("state", "working")]);
        (metrics.value("larder_redis_up", &[]), working) == (1.0, 1.0)
    });
}

#[test]
fn a_redis_that_is_away_is_reported() {
    let absent = format!("redis://127.0.0.1:{}", free_port().unwrap());
    let app = Stack::sqlite_memory().with_redis_at(absent).start();
    let metrics = scrape(&app.admin());
    assert_eq!(metrics.value("larder_redis_up", &[]), 0.0);
    assert_eq!(metrics.names().filter(|name| name.starts_with("larder_redis_")).count(), 1);
    assert_eq!(metrics.value("larder_cache_health", &[("state", "degraded")]), 1.0);
}

on_both_databases!(
    hits_rise_by_exactly_what_was_asked,
    every_metric_of_the_cache_exists,
    requests_are_counted_by_method_route_and_status,
    no_label_names_a_user_and_unknown_names_share_one_value,
    scrapes_are_for_admins_and_their_keys,
);
