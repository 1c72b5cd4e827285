//! The classes that are loaded at the start, the log lines of invalidations, and the keys that clearing does not remove.

use serde_json::json;

use crate::support::app::{TestApp, on_both_databases, on_redis};
use crate::support::eventually;

fn the_essential_classes_are_loaded_at_the_start(app: &TestApp) {
    let admin = app.admin();
    eventually("all essential classes have an entry before a client reads them", || {
        let health = admin.get("/api/v1/cache/health/detailed").expect(200).json();
        ["user_stats", "dashboard_stats", "user_list"].iter().all(|class| {
            ["memory", "redis"].iter().any(|tier| health["entries"][tier][class].as_u64() >= Some(1))
        })
    });
}

fn each_invalidation_is_logged_with_its_cause_and_what_it_dropped(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    ann.patch("/api/v1/users/me", &json!({ "bio": "sails" })).expect(200);
    admin.post("/api/v1/cache/clear", &json!(null)).expect(200);
    ann.post("/api/v1/users/cache/invalidate", &json!(null)).expect(200);
    app.stack.sql("UPDATE users SET bio = 'rows' WHERE username = 'ann'");
    let log = || {
        let printed = uncoloured(&app.larder.printed());
        let lines = printed.lines().filter(|line| line.contains("action=\"cache_invalidation\""));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let one_has = |words: &[&str]| log().iter().any(|line| words.iter().all(|word| line.contains(word)));
    for words in [
        &["cause=committed", "user_details", "user_list", "keys=", "delivery=sent"][..],
        &["cause=by hand", "what=\"everything\"", "delivery=sent"],
        &["cause=by hand", "what=\"user\"", &format!("by={}", ann.id)],
    ] {
        eventually(&format!("{words:?} in {:#?}", log()), || one_has(words));
    }
    for personal in ["ann@example.com", "boss@example.com", "sails"] {
        assert!(!one_has(&[personal]), "{personal}: {:#?}", log());
    }
}

/// Removes the escape sequences for colours.
fn uncoloured(printed: &str) -> String {
    let mut parts = printed.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

fn clearing_removes_no_key_of_other_software(app: &TestApp) {
    let redis = app.stack.redis();
    redis.command(&["SET", "celery-task-meta-1", "a neighbour's"]).unwrap();
    let admin = app.admin();
    admin.get("/api/v1/users").expect(200);
    for path in ["/api/v1/cache/clear", "/v1.0/cache/clear", "/cache/clear"] {
        admin.post(path, &json!(null)).expect(200);
    }
    admin.post("/api/v1/cache/invalidate", &json!({ "pattern": "*" })).expect(200);
    assert_eq!(redis.command(&["GET", "celery-task-meta-1"]).unwrap(), "a neighbour's");
}

on_both_databases!(
    the_essential_classes_are_loaded_at_the_start,
    each_invalidation_is_logged_with_its_cause_and_what_it_dropped,
);

mod shared {
    use super::*;

    on_redis!(clearing_removes_no_key_of_other_software);
}
