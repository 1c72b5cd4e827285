//! katiba360: users invalidate the cached data about themselves, admins that of all users.

use serde_json::json;

use crate::support::app::{TestApp, on_both_databases};
use crate::support::client::Client;
use crate::support::eventually;

const OF_USER: [&str; 2] = ["/api/v1/users/me", "/api/v1/users/me/stats"];
const ACHIEVEMENTS: [&str; 3] =
    ["/api/v1/users/me/achievements", "/api/v1/achievements/summary", "/api/v1/achievements/stats"];
const OF_ALL: [&str; 3] = ["/api/v1/leaderboard", "/api/v1/leaderboard/me", "/api/v1/achievements/recent"];

fn cache_status(client: &Client, path: &str) -> String {
    client.get(path).expect(200).header("cache-status").unwrap().to_owned()
}

/// Reads the paths until the cache answers all of them in one attempt: the journal's report of an earlier write can
/// invalidate an entry in between.
fn cached(client: &Client, paths: &[&str]) {
    let is_hit = |path: &&str| cache_status(client, path).starts_with("larder; hit");
    eventually("all of them are hits", || paths.iter().all(is_hit));
}

#[track_caller]
fn assert_dropped(client: &Client, paths: &[&str]) {
    for path in paths {
        let status = cache_status(client, path);
        assert!(status.starts_with("larder; fwd=miss"), "{path}: {status}");
    }
}

fn users_drop_their_own_entries_and_admins_those_of_all(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let explain = || {
        let body = json!({ "class": "user_details", "key": [ann.id] });
        admin.post("/api/v1/cache/explain", &body).expect(200).json()
    };
    cached(&ann, &OF_USER);
    let dropped = ann.post("/api/v1/users/cache/invalidate", &json!(null)).expect(200).json();
    assert_eq!((&dropped["success"], &dropped["invalidated"]["what"]), (&json!(true), &json!("user")));
    assert!(explain()["memory"].is_null() && explain()["redis"].is_null(), "{}", explain());
    assert_dropped(&ann, &OF_USER);

    cached(&ann, &ACHIEVEMENTS);
    let dropped = ann.post("/api/v1/achievements/cache/invalidate", &json!(null)).expect(200).json();
    assert_eq!(dropped["invalidated"]["what"], "achievements");
    assert_eq!(dropped["invalidated"]["keys"], 3, "{dropped}");
    assert_dropped(&ann, &ACHIEVEMENTS);

    ann.post("/api/v1/achievements/cache/invalidate/global", &json!(null)).expect(403);
    cached(&ann, &OF_ALL);
    let dropped = admin.post("/api/v1/achievements/cache/invalidate/global", &json!(null)).expect(200).json();
    assert_eq!(dropped["invalidated"]["tags"], 2, "{dropped}");
    assert_dropped(&ann, &OF_ALL);
    for path in
        ["users/cache/invalidate", "achievements/cache/invalidate", "achievements/cache/invalidate/global"]
    {
        app.anonymous().post(&format!("/api/v1/{path}"), &json!(null)).expect(401);
    }
}

on_both_databases!(users_drop_their_own_entries_and_admins_those_of_all);
