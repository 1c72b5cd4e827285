//! An unreadable row through the API: only its own reads fail, the answer names the field, and a change repairs the row.

use serde_json::json;

use crate::support::app::{TestApp, on_both_databases};
use crate::support::eventually;

/// Writes a value that the schema refuses, as if it were older than the constraint.
fn smuggle(app: &TestApp, table: &str, statement: &str) {
    if app.stack.database_url().starts_with("postgres") {
        app.stack.sql(&format!("SET session_replication_role = replica; {statement}"));
        return;
    }
    let name = format!("{table}_readable_updated");
    let trigger = app.stack.sql(&format!("SELECT sql FROM sqlite_master WHERE name = '{name}'"));
    app.stack.sql(&format!("DROP TRIGGER {name}; {statement}; {trigger}"));
}

fn an_unreadable_user_fails_no_page_and_a_change_repairs_it(app: &TestApp) {
    let (boss, ann, bob) = (app.admin(), app.user("ann"), app.user("bob"));
    smuggle(app, "users", "UPDATE users SET skills = '[1]' WHERE username = 'ann'");
    let usernames = || {
        let items = bob.get("/api/v1/users").expect(200).json();
        items["items"].as_array().unwrap().iter().map(|user| user["username"].clone()).collect::<Vec<_>>()
    };
    eventually("the list leaves it out", || !usernames().contains(&json!("ann")));
    assert!(usernames().contains(&json!("bob")));
    for path in [
        "/api/v1/users?search=ann@",
        "/api/v1/users?search=example",
        "/api/v1/dashboard/statistics",
        "/api/v1/users/statistics",
        "/api/v1/superadmin/users",
        "/api/v1/leaderboard",
        "/api/v1/achievements/recent",
        "/api/v1/audit",
    ] {
        boss.get(path).expect(200);
    }
    assert_eq!(boss.get("/api/v1/users/statistics").json()["total"], 3, "it is counted");

    for client in [&boss, &ann] {
        eventually("no copy from before is left", || client.get(&ann.path()).status == 500);
        let answer = client.get(&ann.path());
        assert_eq!(answer.status, 500);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let problem = answer.json();
        assert!(problem["detail"].as_str().unwrap().contains("skills"), "{problem}");
        assert!(problem["errors"]["skills"].is_string(), "{problem}");
        client.get(&format!("{}/full-profile", ann.path())).complains_about(500, &["skills"]);
    }
    // The user still logs in. A change of other fields fails, because it would have to write the unreadable field back.
    assert_eq!(ann.validate(), 200);
    ann.patch(&ann.path(), &json!({ "bio": "new" })).complains_about(500, &["skills"]);
    ann.put(&format!("{}/interests", ann.path()), &json!({ "interests": ["a"] })).expect(200);

    let mended = ann.patch(&ann.path(), &json!({ "skills": [], "bio": "new" })).expect(200).json();
    assert_eq!((&mended["skills"], &mended["bio"]), (&json!([]), &json!("new")));
    boss.get(&ann.path()).expect(200);
    eventually("the list shows it again", || usernames().contains(&json!("ann")));

    let named = app.larder.printed();
    let named: Vec<_> = named.lines().filter(|line| line.contains("a row cannot be read")).collect();
    assert_eq!(named.len(), 1, "once an hour: {named:?}");
    assert!(named[0].contains(&ann.id) && named[0].contains("skills"), "{named:?}");
    assert!(!named[0].contains("ann@") && !named[0].contains("example.com"), "{named:?}");
}

fn an_unreadable_user_can_be_deactivated_and_deleted(app: &TestApp) {
    let (boss, ann, bob) = (app.admin(), app.user("ann"), app.user("bob"));
    smuggle(app, "users", "UPDATE users SET skills = '[1]' WHERE username IN ('ann', 'bob')");
    boss.post("/api/v1/users/bulk/deactivate", &json!({ "ids": [ann.id] })).expect(200);
    eventually("its tokens end", || ann.validate() == 401);
    boss.delete(&bob.path()).expect(204);
    assert_eq!(boss.get("/api/v1/users/statistics").expect(200).json()["total"], 2);
}

fn replacing_an_unreadable_part_repairs_it(app: &TestApp) {
    let ann = app.user("ann");
    let path = format!("{}/interests", ann.path());
    ann.put(&path, &json!({ "interests": ["sailing"] })).expect(200);
    smuggle(app, "interests", "UPDATE interests SET interests = '[1]'");
    eventually("its answer names it", || ann.get(&path).status == 500);
    ann.get(&path).complains_about(500, &["interests"]);
    ann.get(&ann.path()).expect(200);
    ann.put(&path, &json!({ "interests": ["rowing"] })).expect(200);
    assert_eq!(ann.get(&path).expect(200).json()["interests"], json!(["rowing"]));
}

on_both_databases!(
    an_unreadable_user_fails_no_page_and_a_change_repairs_it,
    an_unreadable_user_can_be_deactivated_and_deleted,
    replacing_an_unreadable_part_repairs_it,
);
