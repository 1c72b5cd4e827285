//! The ITT Hotel API: `/v1.0`, exact in what its document prints.

use larder_testbed::free_port;
use serde_json::{Value, json};

use crate::cache_api::all_worked;
use crate::support::app::{Stack, TestApp, on_both_databases};

fn names(object: &Value) -> Vec<&str> {
    object.as_object().unwrap_or_else(|| panic!("{object}")).keys().map(String::as_str).collect()
}

const KEY_COUNTS: [&str; 5] =
    ["dashboard_stats_keys", "total_keys", "user_details_keys", "user_list_keys", "user_stats_keys"];

fn the_health_is_as_printed(app: &TestApp) {
    let health = app.anonymous().get("/v1.0/cache/health").expect(200).json();
    let info = &health["cache_info"];
    assert_eq!((&health["success"], &info["status"]), (&json!(true), &json!("available")));
    let printed = ["connected_clients", "hit_rate", "redis_version", "status", "used_memory"];
    if app.has_redis() {
        assert_eq!((names(&health), names(info)), (vec!["cache_info", "success"], printed.to_vec()));
        assert!(info["redis_version"].as_str().unwrap().starts_with("7."), "{info}");
        assert!(info["used_memory"].as_str().unwrap().ends_with(['K', 'M']), "{info}");
        assert!(info["connected_clients"].as_u64().unwrap() >= 1 && info["hit_rate"].is_number(), "{info}");
    } else {
        assert_eq!(info["backend"], "memory");
        for of_redis in ["redis_version", "used_memory", "connected_clients"] {
            assert_eq!(info[of_redis], Value::Null, "{info}");
        }
    }
}

fn the_detailed_health_is_as_printed(app: &TestApp) {
    let admin = app.admin();
    admin.get("/v1.0/cache/health/detailed").expect(200);
    let health = admin.get("/v1.0/cache/health/detailed").expect(200).json();
    assert_eq!(names(&health), ["cache_info", "detailed_statistics", "success", "timestamp"]);
    assert!(names(&health["cache_info"]).contains(&"total_commands_processed"), "{health}");
    let detailed = &health["detailed_statistics"];
    let parts = ["connections", "key_counts", "memory_usage", "performance", "redis_mode", "redis_version"];
    assert_eq!(names(detailed), parts);
    assert_eq!(names(&detailed["key_counts"]), KEY_COUNTS);
    let memory = ["memory_fragmentation_ratio", "used_memory", "used_memory_peak"];
    assert_eq!(names(&detailed["memory_usage"]), memory);
    let connections = ["connected_clients", "total_connections_received", "uptime_in_seconds"];
    assert_eq!(names(&detailed["connections"]), connections);
    assert_eq!(names(&detailed["performance"]), ["hit_rate", "keyspace_hits", "keyspace_misses"]);
    if app.has_redis() {
        assert_eq!(detailed["redis_mode"], "standalone");
        assert!(detailed["performance"]["keyspace_misses"].as_u64().unwrap() > 0, "{detailed}");
    } else {
        assert_eq!(detailed["performance"]["keyspace_hits"], Value::Null);
    }
}

fn the_management_answers_are_as_printed(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let post = |path: &str| admin.post(&format!("/v1.0/cache/{path}"), &json!(null)).expect(200).json();
    let warmed = json!({ "success": true, "message": "Essential caches warmed successfully" });
    assert_eq!(post("warm"), warmed);
    let stats = admin.get("/v1.0/cache/stats").expect(200).json();
    assert_eq!(names(&stats), ["cache_info", "key_counts", "success"]);
    assert_eq!(names(&stats["key_counts"]), KEY_COUNTS);
    assert!(stats["key_counts"]["user_list_keys"].as_u64().unwrap() >= 1, "{stats}");
    if app.has_redis() {
        assert_eq!(names(&stats["cache_info"]), ["hit_rate", "redis_version", "status"]);
    }
    let cleared = json!({ "success": true, "message": "All user caches cleared successfully" });
    assert_eq!(post("clear"), cleared);
    for id in ["5779356081", ann.id.as_str()] {
        let message = format!("Cache cleared for user {id}");
        assert_eq!(post(&format!("clear/user/{id}")), json!({ "success": true, "message": message }));
    }
    let tested = admin.get("/v1.0/cache/test").expect(200).json();
    assert_eq!(tested, json!({ "success": true, "test_results": all_worked() }));

    for path in ["health/detailed", "stats", "test"] {
        let path = format!("/v1.0/cache/{path}");
        assert_eq!((app.anonymous().get(&path).status, ann.get(&path).status), (401, 403), "{path}");
    }
    for path in ["clear", "clear/user/1", "warm"] {
        let path = format!("/v1.0/cache/{path}");
        let statuses = [&app.anonymous(), &ann].map(|client| client.post(&path, &json!(null)).status);
        assert_eq!(statuses, [401, 403], "{path}");
    }
}

fn users_are_created_changed_and_ended_under_the_hotels_paths(app: &TestApp) {
    let admin = app.admin();
    let body = json!({ "email": "ann@example.com", "username": "ann", "password": "correct horse battery",
                       "external_id": "5779356081" });
    let made = admin.post("/v1.0/user/create", &body).expect(201);
    let id = made.field("id");
    let ann = app.again("ann");
    let path = format!("/v1.0/user/update/{id}");
    assert_eq!(ann.patch(&path, &json!({ "bio": "one" })).expect(200).json()["bio"], "one");
    assert_eq!(ann.get("/api/v1/users/5779356081").expect(200).json()["bio"], "one");
    // `update_user(user_id, updates)` sets what `updates` has: PUT of one field keeps the others.
    let full = json!({ "full_name": "Ann Bonny", "occupation": "captain" });
    admin.patch(&path, &full).expect(200);
    let put = admin.put("/v1.0/user/update/5779356081", &json!({ "bio": "two" })).expect(200).json();
    for (field, value) in
        [("bio", "two"), ("full_name", "Ann Bonny"), ("occupation", "captain"), ("username", "ann")]
    {
        assert_eq!(put[field], value, "{field}");
    }
    assert_eq!(put["external_id"], "5779356081");
    let cleared = admin.put(&path, &json!({ "occupation": null })).expect(200).json();
    assert_eq!((&cleared["occupation"], &cleared["bio"]), (&json!(null), &json!("two")));
    // What GET returns can be sent back, by the user itself too.
    let mut whole = ann.get("/api/v1/users/me").expect(200).json();
    whole["bio"] = json!("three");
    assert_eq!(ann.put(&path, &whole).expect(200).json()["bio"], "three");
    ann.put(&path, &json!({ "points": 7 })).complains_about(422, &["points"]);
    ann.put(&path, &json!({ "role": "admin" })).expect(403);
    ann.put(&path, &json!({ "email": null, "nonsense": 1 })).complains_about(422, &["email", "nonsense"]);

    ann.post(&format!("/v1.0/user/{id}/deactivate"), &json!(null)).expect(403);
    admin.post(&format!("/v1.0/user/{id}/deactivate"), &json!(null)).expect(200);
    assert_eq!(ann.validate(), 401);
    let active = admin.post(&format!("/v1.0/user/{id}/activate"), &json!(null)).expect(200).json();
    assert_eq!(active["is_active"], true);
    admin.delete(&format!("/v1.0/user/delete/{id}")).expect(204);
    admin.get(&format!("/api/v1/users/{id}")).expect(404);
    admin.patch(&path, &json!({ "bio": "three" })).expect(404);
}

fn points_and_permissions_go_under_the_hotels_paths(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let path = format!("/v1.0/points/{}", ann.id);
    let body = json!({ "amount": 30, "reason": "a stay", "idempotency_key": "stay-1" });
    assert_eq!(admin.post(&path, &body).expect(201).json()["balance"], 30);
    assert_eq!(admin.post(&path, &body).expect(200).json()["balance"], 30, "booked once");
    assert_eq!(ann.get("/api/v1/users/me").expect(200).json()["points"], 30);
    ann.post(&path, &json!({ "amount": 5, "reason": "me", "idempotency_key": "me-1" })).expect(403);

    let path = format!("/v1.0/permissions/{}/points.write", ann.id);
    admin.put(&path, &admin.confirmed(&json!({}))).expect(200);
    let granted = ann.get("/api/v1/users/me/permissions").expect(200).json();
    assert_eq!(granted["items"][0]["permission"], "points.write", "{granted}");
    admin.delete(&path).expect(204);
    assert_eq!(ann.get("/api/v1/users/me/permissions").expect(200).json()["items"], json!([]));
    admin.post(&path, &admin.confirmed(&json!({}))).expect(200);
}

#[test]
fn while_redis_is_away_every_cache_path_says_so_and_clearing_still_clears() {
    let url = format!("redis://127.0.0.1:{}", free_port().unwrap());
    let app = Stack::sqlite_memory().with_redis_at(url).start();
    let admin = app.admin();
    let away = json!({ "success": false, "error": "Redis cache not available", "cache_available": false });
    for root in ["/v1.0/cache", "/cache"] {
        for path in ["health", "stats", "test"] {
            assert_eq!(admin.get(&format!("{root}/{path}")).expect(503).json(), away, "{root}/{path}");
        }
        assert_eq!(admin.post(&format!("{root}/warm"), &json!(null)).expect(503).json(), away);
        for path in ["clear", "clear/user/5779356081"] {
            let cleared = admin.post(&format!("{root}/{path}"), &json!(null)).expect(503);
            assert_eq!(cleared.header("cache-invalidation"), Some("queued"), "{path}");
            let detail = cleared.field("detail");
            assert!(detail.contains("memory is cleared") && detail.contains("journal holds it"), "{detail}");
        }
    }
    assert_eq!(admin.get("/v1.0/cache/health/detailed").expect(503).json(), away);
}

on_both_databases!(
    the_health_is_as_printed,
    the_detailed_health_is_as_printed,
    the_management_answers_are_as_printed,
    users_are_created_changed_and_ended_under_the_hotels_paths,
    points_and_permissions_go_under_the_hotels_paths,
);
