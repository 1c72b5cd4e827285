//! No user exceeds its rights: not by a permission, an API key, a view of the cache, or a session that is over.

use serde_json::{Value, json};

use crate::support::app::{Stack, TestApp, on_both_databases};
use crate::support::eventually;

fn a_permission_grants_one_right_of_an_admin_and_no_more(app: &TestApp) {
    let boss = app.admin();
    let (admin, helper) = (app.user_with_role("adm", "admin"), app.user_with_role("help", "admin"));
    let ann = app.user("ann");
    for permission in ["points.write", "achievements.award"] {
        admin.grant(&helper, permission).expect(200);
    }
    let book = |key: &str| json!({ "amount": 5, "reason": "a favour", "idempotency_key": key });
    let award = |to: &str| json!({ "user_id": to, "badge_type": "helper" });
    helper.post(&format!("{}/points", boss.path()), &book("boss")).expect(403);
    helper.get(&format!("{}/points", boss.path())).expect(403);
    helper.post("/api/v1/achievements/award", &award(&boss.id)).expect(403);
    helper.post(&format!("{}/points", ann.path()), &book("ann")).expect(201);
    helper.post("/api/v1/achievements/award", &award(&ann.id)).expect(201);
}

fn the_last_active_superadmin_stays(app: &TestApp) {
    let boss = app.admin();
    let refused = |answer: crate::support::client::Answer| {
        answer.refuses(409, "last_superadmin");
    };
    let second = app.user_with_role("second", "superadmin");
    second.patch("/api/v1/users/me", &second.confirmed(&json!({ "role": "admin" }))).expect(200);
    let asleep = boss.confirmed(&json!({ "role": "superadmin", "is_active": false }));
    boss.patch(&second.path(), &asleep).expect(200);
    // An inactive superadmin does not count.
    refused(boss.patch("/api/v1/users/me", &json!({ "role": "user" })));
    refused(boss.post("/api/v1/users/me/deactivate", &json!(null)));
    refused(boss.post(&format!("/v1.0/user/{}/deactivate", boss.id), &json!(null)));
    refused(boss.delete_itself());
    refused(boss.delete_with(&format!("/api/users/{}/", boss.id), &boss.confirmed(&json!({}))));
    let bulk = boss.post("/api/v1/users/bulk/deactivate", &json!({ "ids": [boss.id] })).expect(200).json();
    assert_eq!(bulk["results"][0]["outcome"], "forbidden", "{bulk}");
    assert_eq!(boss.validate(), 200);

    boss.patch(&second.path(), &boss.confirmed(&json!({ "is_active": true }))).expect(200);
    let both = json!({ "ids": [boss.id, second.id] });
    let bulk = boss.post("/api/v1/users/bulk/deactivate", &both).expect(200).json();
    assert_eq!(bulk["changed"], 0, "not together either: {bulk}");
    boss.patch("/api/v1/users/me", &json!({ "role": "user" })).expect(200);
}

fn an_api_key_creates_no_user_with_a_higher_role(app: &TestApp) {
    let (boss, ann) = (app.admin(), app.user("ann"));
    let body = json!({ "name": "script", "scopes": ["read", "write"] });
    let made = boss.make_key(&body).expect(201);
    let key = boss.with_token(&made.field("key"));
    let evil = |role: &str| {
        json!({ "email": format!("{role}@evil.example"), "username": format!("evil-{role}"),
                "password": "correct horse battery", "role": role })
    };
    for role in ["admin", "superadmin"] {
        key.post("/api/v1/users", &evil(role)).expect(403);
        key.patch(&ann.path(), &json!({ "role": role })).expect(403);
    }
    key.post("/api/v1/users", &evil("user")).expect(201);
    key.patch(&ann.path(), &json!({ "role": "user", "bio": "by a script" })).expect(200);
}

fn the_cache_shows_admins_no_address_and_no_search_of_superadmins(app: &TestApp) {
    let (boss, admin) = (app.admin(), app.user_with_role("adm", "admin"));
    let key = json!({ "class": "user_email", "key": ["boss@example.com"] });
    let text = "user_email:boss@example.com";
    let texts = |client: &crate::support::client::Client, pattern: &str| -> Vec<Value> {
        let page = client.get(&format!("/api/v1/cache/keys?limit=1000&pattern={pattern}")).expect(200).json();
        page["items"].as_array().unwrap().iter().map(|item| item["text"].clone()).collect()
    };
    eventually("a superadmin sees the key", || {
        boss.lookup(&json!({ "email": "boss@example.com" })).expect(200);
        boss.get("/api/v1/users?search=boss@exam").expect(200);
        boss.get("/api/v1/superadmin/users?search=boss@exam").expect(200);
        texts(&boss, "user_email:*").contains(&json!(text)) && texts(&boss, "*boss@exam*").len() >= 3
    });
    boss.post("/api/v1/cache/explain", &key).expect(200);
    assert_eq!(texts(&admin, "user_email:*"), [] as [Value; 0]);
    assert_eq!(texts(&admin, "*boss@exam*"), [] as [Value; 0]);
    admin.post("/api/v1/cache/explain", &key).expect(403);
    eventually("an admin sees what is for admins", || {
        admin.get(&admin.path()).expect(200);
        texts(&admin, "user_details:*").contains(&json!(format!("user_details:{}", admin.id)))
    });
}

fn a_token_of_a_session_that_is_over_raises_no_alarm(app: &TestApp) {
    let (boss, ann) = (app.admin(), app.user("ann"));
    ann.post("/api/v1/auth/logout", &json!(null)).expect(204);
    for _ in 0..3 {
        let body = json!({ "refresh_token": ann.refresh_token });
        app.anonymous().post("/api/v1/auth/refresh", &body).expect(401);
    }
    let log = boss.get(&format!("/api/v1/audit?action=session.reuse&target={}", ann.id)).expect(200).json();
    assert_eq!(log["items"], json!([]), "a closed session reports no reuse");
}

/// A change waits for its row's lock while psql takes the caller's rights away. When it gets the lock, it checks the
/// caller's rights again.
#[test]
fn a_caller_that_loses_a_right_while_its_change_waits_changes_nothing() {
    let app = Stack::postgres_redis().start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(sqlx::PgPool::connect(&app.stack.database_url())).unwrap();
    let lost = [
        ("role = 'user'", json!({ "role": "superadmin" })),
        ("is_active = FALSE", json!({ "is_active": true })),
        ("is_active = FALSE", json!({ "bio": "still here" })),
    ];
    for (number, (loss, change)) in lost.iter().enumerate() {
        let boss = app.user_with_role(&format!("boss{number}"), "superadmin");
        let mut holding = runtime.block_on(database.begin()).unwrap();
        let loss = format!("UPDATE users SET {loss} WHERE id = '{}'", boss.id);
        runtime.block_on(sqlx::query(sqlx::AssertSqlSafe(loss)).execute(&mut *holding)).unwrap();
        std::thread::scope(|scope| {
            let changing = scope.spawn(|| boss.patch("/api/v1/users/me", change).status);
            let waiting = "SELECT COUNT(*) FROM pg_stat_activity
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";
            eventually("the change waits for the row", || app.stack.sql(waiting) == "1");
            runtime.block_on(holding.commit()).unwrap();
            let status = changing.join().unwrap();
            assert!([401, 403].contains(&status), "{change} was answered with {status}");
        });
        let row = format!("SELECT role, is_active, COALESCE(bio, '') FROM users WHERE id = '{}'", boss.id);
        assert!(["user|t|", "superadmin|f|"].contains(&app.stack.sql(&row).as_str()), "{change}");
    }
}

on_both_databases!(
    a_permission_grants_one_right_of_an_admin_and_no_more,
    the_last_active_superadmin_stays,
    an_api_key_creates_no_user_with_a_higher_role,
    the_cache_shows_admins_no_address_and_no_search_of_superadmins,
    a_token_of_a_session_that_is_over_raises_no_alarm,
);
