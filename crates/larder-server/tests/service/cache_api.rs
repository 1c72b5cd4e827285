//! `/api/v1/cache`: health and statistics, invalidation by hand, warming, switching classes on and off.

use std::time::{SystemTime, UNIX_EPOCH};

use larder_testbed::free_port;
use serde_json::{Value, json};

use crate::support::app::{Stack, TestApp, on_both_databases};
use crate::support::client::Client;
use crate::support::eventually;

fn explain(admin: &Client, class: &str, key: &Value) -> Value {
    admin.post("/api/v1/cache/explain", &json!({ "class": class, "key": key })).expect(200).json()
}

fn is_held(admin: &Client, class: &str, key: &Value) -> bool {
    let explained = explain(admin, class, key);
    // An entry whose tag was invalidated can still be stored; it is no longer served.
    explained["memory"]["served"] == true || explained["redis"]["served"] == true
}

/// Reads the user until the cache holds it. One read is not enough: the journal reports the user's writes some time after
/// they were acknowledged, which invalidates the entry a second time.
fn cached(admin: &Client, user: &Client) {
    eventually("the user is held", || {
        user.get(&user.path()).expect(200);
        user.get(&user.path()).expect(200);
        is_held(admin, "user_details", &json!([user.id]))
    });
}

fn cached_entries_are_listed_explained_and_dropped(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let mut held = Value::Null;
    // One attempt checks both, because the journal's report of the user's writes can invalidate the entry in between.
    eventually("it is held and listed", || {
        cached(&admin, &ann);
        held = explain(&admin, "user_details", &json!([ann.id]));
        let page = admin.get("/api/v1/cache/keys?pattern=user_details:*").expect(200).json();
        let listed = page["items"].as_array().unwrap().iter().any(|item| item["text"] == held["text"]);
        listed && (held["memory"]["served"] == true || held["redis"]["served"] == true)
    });
    let tier = if held["memory"]["served"] == true { &held["memory"] } else { &held["redis"] };
    assert_eq!(held["text"], format!("user_details:{}", ann.id));
    assert_eq!((&tier["absent"], &tier["served"]), (&json!(false), &json!(true)));
    assert!(tier["since"].as_str().unwrap() < tier["until"].as_str().unwrap(), "{tier}");
    assert_eq!(tier["tags"][0], json!({ "name": "user_details", "stands": true }), "{tier}");

    for what in [
        json!({ "user": ann.id }),
        json!({ "class": "user_details" }),
        json!({ "pattern": "user_det*" }),
        json!({ "all": true }),
    ] {
        cached(&admin, &ann);
        let dropped = admin.post("/api/v1/cache/invalidate", &what).expect(200).json();
        assert_eq!(dropped["delivery"], "sent", "{dropped}");
        assert_eq!(dropped["journalled"], true, "{dropped}");
        assert!(!is_held(&admin, "user_details", &json!([ann.id])), "after {what}");
        let why = explain(&admin, "user_details", &json!([ann.id]))["last_invalidation"].clone();
        assert_eq!(why["cause"], "by hand", "after {what}: {why}");
    }
    admin.post("/api/v1/cache/invalidate", &json!({})).complains_about(422, &["body"]);
    let two = json!({ "all": true, "class": "user_list" });
    admin.post("/api/v1/cache/invalidate", &two).complains_about(422, &["body"]);
    admin.post("/api/v1/cache/invalidate", &json!({ "class": "romos" })).complains_about(422, &["class"]);
    admin.get("/api/v1/cache/keys?limit=0").complains_about(422, &["limit"]);
    admin.get("/api/v1/cache/keys?cursor=x").complains_about(422, &["cursor"]);
}

fn one_user_is_cleared_under_any_of_its_names(app: &TestApp) {
    let admin = app.admin();
    let second = app.second_instance();
    let ann = app.user("ann");
    admin.patch(&ann.path(), &json!({ "external_id": "5779356081" })).expect(200);
    let there = second.here(&admin);
    for id in [ann.id.as_str(), "5779356081"] {
        cached(&admin, &ann);
        eventually("the user is held there", || {
            there.get(&ann.path()).expect(200);
            is_held(&there, "user_details", &json!([ann.id]))
        });
        let cleared = admin.post(&format!("/api/v1/cache/clear/user/{id}"), &json!(null)).expect(200).json();
        assert!(cleared["keys"].as_u64().unwrap() >= 4, "{cleared}");
        assert!(!is_held(&admin, "user_details", &json!([ann.id])), "by {id}");
        eventually("the other instance dropped it", || {
            explain(&there, "user_details", &json!([ann.id]))["memory"].is_null()
        });
    }
    for nobody in ["4711", "0192f0c1-2345-7abc-8def-0123456789ab", "%2A", "a%20b%3A%00", "me"] {
        admin.post(&format!("/api/v1/cache/clear/user/{nobody}"), &json!(null)).expect(200);
    }
}

fn a_class_is_switched_off_and_on_while_it_runs(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    cached(&admin, &ann);
    admin.put("/api/v1/cache/classes/user_details", &json!({ "enabled": false })).expect(204);
    let status = || ann.get(&ann.path()).expect(200).header("cache-status").unwrap().to_owned();
    assert_eq!((status(), status()), ("larder; fwd=bypass".to_owned(), "larder; fwd=bypass".to_owned()));
    let classes = admin.get("/api/v1/cache/classes").expect(200).json();
    let enabled = |name: &str| {
        let classes = classes.as_array().unwrap();
        classes.iter().find(|class| class["name"] == name).unwrap()["enabled"].clone()
    };
    assert_eq!((enabled("user_details"), enabled("user_list")), (json!(false), json!(true)));
    admin.put("/api/v1/cache/classes/user_details", &json!({ "enabled": true })).expect(204);
    eventually("it is held again", || status().contains("hit"));
    let nobody = admin.put("/api/v1/cache/classes/romos", &json!({ "enabled": true }));
    nobody.complains_about(422, &["class"]);
    admin.put("/api/v1/cache/classes/user_list", &json!({})).complains_about(422, &["enabled"]);
}

fn both_hit_rates_are_shown_and_labelled(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    cached(&admin, &ann);
    let stats = admin.get("/api/v1/cache/stats").expect(200).json();
    let application = &stats["application"];
    for name in ["hits", "misses", "hit_rate_percent", "total_lookups", "invalidations"] {
        assert!(application[name].is_number(), "{name}: {application}");
    }
    assert!(application["hits"].as_u64().unwrap() > 0, "{application}");
    assert_eq!(stats["server"].is_null(), !app.has_redis(), "{stats}");
    assert!(!app.has_redis() || stats["server"]["keyspace_hit_rate_percent"].is_number(), "{stats}");
    let details = stats["classes"].as_array().unwrap().iter().find(|class| class["name"] == "user_details");
    let details = details.unwrap();
    assert!(details["loads"]["count"].as_u64().unwrap() > 0, "{details}");
    assert!(details["counts"]["memory_hits"].is_number(), "{details}");

    let health = app.anonymous().get("/api/v1/cache/health").expect(200).json();
    let expected = if app.has_redis() { ("working", "redis") } else { ("memory-only", "memory") };
    assert_eq!((health["status"].as_str().unwrap(), health["backend"].as_str().unwrap()), expected);
    eventually("memory's entries are counted by class", || {
        cached(&admin, &ann);
        let detailed = admin.get("/api/v1/cache/health/detailed").expect(200).json();
        detailed["entries"]["memory"]["user_details"].as_u64() >= Some(1)
    });
    assert_eq!(admin.get("/api/v1/cache/test").expect(200).json(), all_worked());
    let warmed = admin.post("/api/v1/cache/warm", &json!(null)).expect(200).json();
    assert!(warmed["warmed"].as_array().unwrap().contains(&json!("user_list")), "{warmed}");
}

/// Waits until the service has loaded, at its start, the statistics, the dashboard and the first page of users for each
/// role.
fn warmed_at_the_start(admin: &Client) {
    for (class, loads) in [("user_stats", 1), ("dashboard_stats", 1), ("user_list", 3)] {
        eventually("it was loaded at the start", || {
            let classes = admin.get("/api/v1/cache/classes").expect(200).json();
            let class = classes.as_array().unwrap().iter().find(|one| one["name"] == class).unwrap().clone();
            class["loads"]["count"].as_u64().unwrap() >= loads
        });
    }
}

fn the_essential_classes_are_warm_before_the_first_request(app: &TestApp) {
    warmed_at_the_start(&app.admin());
}

fn cleared_entries_are_warmed_on_demand(app: &TestApp) {
    let (admin, chief, ann) = (app.admin(), app.user_with_role("chief", "admin"), app.user("ann"));
    // After this, every entry was loaded on demand.
    warmed_at_the_start(&admin);
    let first_page = |role: &str, is_active: Option<&str>| {
        ("user_list", json!([role, "25", "page=1", null, is_active, "-created_at", null]))
    };
    let held = || {
        let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
        let today = json!([today.to_string()]);
        let essentials = [
            ("user_stats", today.clone()),
            ("dashboard_stats", today),
            first_page("user", Some("true")),
            first_page("admin", None),
            first_page("superadmin", None),
        ];
        essentials.map(|(class, key)| is_held(&admin, class, &key))
    };
    eventually("nothing is held", || {
        admin.post("/api/v1/cache/clear", &json!(null)).expect(200);
        held() == [false; 5]
    });
    let readers = [
        (&admin, "/api/v1/users/statistics"),
        (&admin, "/api/v1/dashboard/statistics"),
        (&ann, "/api/v1/users"),
        (&chief, "/api/v1/users"),
        (&admin, "/api/v1/users"),
    ];
    // One attempt checks everything, because the journal can report earlier writes in between. `held` runs before the
    // reads, so that warming and not a read has filled the entries.
    eventually("warming loads it for every reader", || {
        admin.post("/api/v1/cache/warm", &json!(null)).expect(200);
        let is_hit = |(client, path): &(&Client, &str)| {
            client.get(path).expect(200).header("cache-status").unwrap().contains("hit")
        };
        held() == [true; 5] && readers.iter().all(is_hit)
    });
}

pub(crate) fn all_worked() -> Value {
    json!({
        "cache_available": true, "set_operation": true, "get_operation": true,
        "exists_operation": true, "delete_operation": true, "get_after_delete": true,
    })
}

fn all_but_the_basic_health_is_for_admins(app: &TestApp) {
    let ann = app.user("ann");
    let gets = ["health/detailed", "stats", "test", "keys", "classes"].map(|path| ("GET", path, json!(null)));
    let posts = [
        ("POST", "clear", json!(null)),
        ("POST", "clear/user/x", json!(null)),
        ("POST", "warm", json!(null)),
        ("POST", "invalidate", json!({ "all": true })),
        ("POST", "explain", json!({ "class": "user_details", "key": ["x"] })),
        ("PUT", "classes/user_list", json!({ "enabled": false })),
    ];
    for (method, path, body) in gets.into_iter().chain(posts) {
        let path = format!("/api/v1/cache/{path}");
        for (client, status) in [(&app.anonymous(), 401), (&ann, 403)] {
            let answer = match method {
                "GET" => client.get(&path),
                "PUT" => client.put(&path, &body),
                _ => client.post(&path, &body),
            };
            assert_eq!(answer.status, status, "{method} {path}");
        }
    }
    let health = app.anonymous().get("/api/v1/cache/health").expect(200);
    assert!(!health.text().contains("version") && !health.text().contains("redis://"), "{}", health.text());
}

#[test]
fn while_redis_is_away_the_cache_api_answers_and_says_so() {
    let url = format!("redis://127.0.0.1:{}", free_port().unwrap());
    let app = Stack::sqlite_memory().with_redis_at(url).start();
    let admin = app.admin();
    let mut health = app.anonymous().get("/api/v1/cache/health").expect(200).json();
    let reasons = health.as_object_mut().unwrap().remove("reasons").unwrap();
    assert_eq!((reasons.as_array().unwrap().len(), &reasons[0]["cause"]), (1, &json!("away")), "{reasons}");
    assert!(!reasons.to_string().contains("127.0.0.1"), "{reasons}");
    assert_eq!(
        health,
        json!({
            "status": "degraded", "backend": "memory", "connected": false, "latency_ms": null, "age_ms": 0.0,
        })
    );
    let cleared = admin.post("/api/v1/cache/clear", &json!(null)).expect(200);
    assert_eq!(cleared.header("cache-invalidation"), Some("queued"));
    assert_eq!(cleared.json()["journalled"], true, "{}", cleared.text());
    let detailed = admin.get("/api/v1/cache/health/detailed").expect(200).json();
    assert_eq!((&detailed["redis"], &detailed["entries"]["redis"]), (&Value::Null, &Value::Null));
    assert_eq!(admin.get("/api/v1/cache/test").expect(200).json()["cache_available"], false);
}

on_both_databases!(
    cached_entries_are_listed_explained_and_dropped,
    one_user_is_cleared_under_any_of_its_names,
    a_class_is_switched_off_and_on_while_it_runs,
    both_hit_rates_are_shown_and_labelled,
    the_essential_classes_are_warm_before_the_first_request,
    cleared_entries_are_warmed_on_demand,
    all_but_the_basic_health_is_for_admins,
);
