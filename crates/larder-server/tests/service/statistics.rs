//! The statistics of all users, of the dashboard and of one user: they are correct, and each write that changes them
//! invalidates them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{Stack, TestApp, on_both_databases};
use crate::support::client::Client;
use crate::support::{eventually, within};

const BOUND: Duration = Duration::from_secs(2);
const STATISTICS: &str = "/api/v1/users/statistics";
const DASHBOARD: &str = "/api/v1/dashboard/statistics";

fn in_memory(client: &Client, path: &str) -> Value {
    let mut body = Value::Null;
    within(BOUND, path, || {
        let answer = client.get(path).expect(200);
        body = answer.json();
        answer.header("cache-status") == Some("larder; hit; detail=memory")
    });
    body
}

fn statistics_equal_what_counting_finds(app: &TestApp) {
    let admin = app.admin();
    for (name, role, is_active) in
        [("ann", "user", true), ("bea", "admin", true), ("cyd", "user", false), ("dan", "user", true)]
    {
        let email = format!("{name}@example.com");
        let body = json!({ "email": email, "username": name, "role": role, "is_active": is_active });
        admin.post("/api/v1/users", &admin.confirmed(&body)).expect(201);
    }
    let week = 7_i64 * 86_400_000_000;
    app.stack.sql(&format!(
        "UPDATE users SET created_at = created_at - {week} WHERE username IN ('ann', 'bea');
         INSERT INTO points_ledger (user_id, amount, reason, idempotency_key)
         SELECT id, 10, 'by hand', 'statistics-' || id FROM users WHERE username IN ('ann', 'bea')"
    ));
    within(BOUND, "the points", || admin.get(STATISTICS).json()["points"]["total"] == 20);
    let statistics = admin.get(STATISTICS).expect(200).json();
    assert_eq!(
        (&statistics["total"], &statistics["active"], &statistics["inactive"]),
        (&json!(5), &json!(4), &json!(1))
    );
    assert_eq!(statistics["by_role"], json!({ "user": 3, "admin": 1, "superadmin": 1 }));
    assert_eq!(statistics["points"], json!({ "total": 20, "mean": 4.0 }));
    assert_eq!(statistics["new_users"], json!({ "today": 3, "last_7_days": 3, "last_30_days": 5 }));

    let dashboard = admin.get(DASHBOARD).expect(200).json();
    for (name, figure) in statistics.as_object().unwrap() {
        assert_eq!(&dashboard[name], figure, "{name}");
    }
    let days = dashboard["sign_ups"].as_array().unwrap();
    assert_eq!(
        (days.len(), &days[29]["users"], &days[22]["users"]),
        (30, &json!(3), &json!(2)),
        "{dashboard}"
    );
    assert_eq!(days[29]["day"], statistics["day"]);
    let newest: Vec<_> =
        dashboard["newest_users"].as_array().unwrap().iter().map(|user| &user["username"]).collect();
    assert_eq!(newest, ["dan", "cyd", "admin", "bea", "ann"]);
}

fn statistics_are_for_admins_and_show_each_what_it_may_see(app: &TestApp) {
    let (admin, chief, ann) = (app.admin(), app.user_with_role("chief", "admin"), app.user("ann"));
    for path in [STATISTICS, DASHBOARD] {
        ann.get(path).expect(403);
        app.anonymous().get(path).expect(401);
        chief.get(&format!("{path}?consistency=fresh")).expect(200);
        chief.get(&format!("{path}?consistency=strong")).complains_about(422, &["consistency"]);
    }
    for (client, sees) in [(&admin, true), (&chief, false), (&admin, true), (&chief, false)] {
        let dashboard = client.get(DASHBOARD).json();
        let newest = dashboard["newest_users"].as_array().unwrap();
        let boss = newest.iter().find(|user| user["role"] == "superadmin").unwrap();
        assert_eq!(boss.get("email").is_some(), sees, "{boss}");
    }
    for (client, path, status) in [
        (&ann, "/api/v1/users/me/stats".to_owned(), 200),
        (&chief, format!("{}/stats", ann.path()), 200),
        (&chief, format!("{}/stats", admin.path()), 403),
        (&ann, format!("{}/stats", chief.path()), 403),
        (&admin, format!("{}/stats", chief.path()), 200),
        (&admin, "/api/v1/users/0192f0c1-2345-7abc-8def-0123456789ab/stats".to_owned(), 404),
        (&admin, "/api/v1/users/5779356081/stats".to_owned(), 404),
        (&admin, "/api/v1/users/%00/stats".to_owned(), 422),
    ] {
        client.get(&path).expect(status);
    }
}

fn each_write_drops_the_statistics_it_changes(app: &TestApp) {
    let admin = app.admin();
    let id = app.plain_user(&admin, "changing")["id"].as_str().unwrap().to_owned();
    let user = format!("/api/v1/users/{id}");
    let steps: [(&str, &dyn Fn(), Value); 7] = [
        (
            "update",
            &|| drop(admin.patch(&user, &admin.confirmed(&json!({ "role": "admin" }))).expect(200)),
            json!([2, 2, 1, 0]),
        ),
        (
            "deactivate",
            &|| drop(admin.post(&format!("{user}/deactivate"), &json!({})).expect(200)),
            json!([2, 1, 1, 0]),
        ),
        (
            "activate",
            &|| drop(admin.post(&format!("{user}/activate"), &admin.confirmed(&json!({}))).expect(200)),
            json!([2, 2, 1, 0]),
        ),
        (
            "sql",
            &|| {
                drop(app.stack.sql(
                    "INSERT INTO points_ledger (user_id, amount, reason, idempotency_key)
                     SELECT id, 5, 'by hand', 'changing' FROM users WHERE username = 'changing'",
                ));
            },
            json!([2, 2, 1, 5]),
        ),
        (
            "delete",
            &|| drop(admin.delete_with(&user, &admin.confirmed(&json!({}))).expect(204)),
            json!([1, 1, 0, 0]),
        ),
        ("register", &|| drop(app.user("ann")), json!([2, 2, 0, 0])),
        (
            "sql delete",
            &|| drop(app.stack.sql("DELETE FROM users WHERE username = 'ann'")),
            json!([1, 1, 0, 0]),
        ),
    ];
    for (what, write, expected) in steps {
        in_memory(&admin, STATISTICS);
        in_memory(&admin, DASHBOARD);
        write();
        for path in [STATISTICS, DASHBOARD] {
            let shown = || {
                let now = admin.get(path).json();
                json!([now["total"], now["active"], now["by_role"]["admin"], now["points"]["total"]])
            };
            if what.starts_with("sql") {
                within(BOUND, what, || shown() == expected);
            } else {
                assert_eq!(shown(), expected, "{what} {path}");
            }
        }
    }
}

fn statistics_of_a_user_follow_its_sessions_and_its_row(app: &TestApp) {
    let ann = app.user("ann");
    let path = "/api/v1/users/me/stats";
    let first = in_memory(&ann, path);
    assert_eq!(
        (&first["user_id"], &first["live_sessions"], &first["points"]),
        (&json!(ann.id), &json!(1), &json!(0))
    );
    assert!(first["last_login_at"].is_string() && first["password_changed_at"].is_string(), "{first}");
    let again = app.again("ann");
    let second = ann.get(path).json();
    assert_eq!(second["live_sessions"], 2);
    assert!(second["last_login_at"].as_str() > first["last_login_at"].as_str());
    in_memory(&ann, path);
    again.post("/api/v1/auth/logout", &json!({})).expect(204);
    assert_eq!(ann.get(path).json()["live_sessions"], 1);
    in_memory(&ann, path);
    app.stack.sql(
        "INSERT INTO points_ledger (user_id, amount, reason, idempotency_key)
         SELECT id, 9, 'by hand', 'nine' FROM users WHERE username = 'ann'",
    );
    within(BOUND, "the points", || ann.get(path).json()["points"] == 9);
    app.stack.sql("UPDATE sessions SET expires_at = 5 WHERE ended_at IS NOT NULL");
    assert_eq!(ann.get(&format!("{path}?consistency=fresh")).json()["live_sessions"], 1);
}

/// A session that was not refreshed for too long can never be used again, so it does not count. A refresh touches no cached
/// entry, and nevertheless its session counts.
#[test]
fn idle_sessions_do_not_count_as_live() {
    for stack in [Stack::sqlite_memory(), Stack::postgres_redis()] {
        let app = stack.with_setting("LARDER_SESSION_IDLE_SECONDS", "900").start();
        let (boss, ann) = (app.admin(), app.user("ann"));
        let used = app.again("ann");
        // Both sessions become idle four seconds after this.
        let earlier = 896_i64 * 1_000_000;
        app.stack.sql(&format!(
            "UPDATE refresh_tokens SET issued_at = issued_at - {earlier}
             WHERE session_id IN (SELECT id FROM sessions WHERE user_id = '{0}');
             UPDATE sessions SET created_at = created_at - {earlier} WHERE user_id = '{0}'",
            ann.id
        ));
        let path = "/api/v1/users/me/stats";
        let shown = || {
            let list = boss.get("/api/v1/superadmin/users").expect(200).json();
            let items = list["items"].as_array().unwrap().clone();
            let user = items.into_iter().find(|user| user["username"] == "ann").unwrap();
            [ann.get(path).expect(200).json()["live_sessions"].clone(), user["live_sessions"].clone()]
        };
        assert_eq!(shown(), [json!(2), json!(2)]);
        let body = json!({ "refresh_token": used.refresh_token });
        app.anonymous().post("/api/v1/auth/refresh", &body).expect(200);
        eventually("the other session is idle", || shown() == [json!(1), json!(1)]);
        assert_eq!(shown(), [json!(1), json!(1)]);
        let listed = ann.get("/api/v1/users/me/sessions").expect(200).json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "as the list of sessions has it: {listed}");
    }
}

on_both_databases!(
    statistics_equal_what_counting_finds,
    statistics_are_for_admins_and_show_each_what_it_may_see,
    each_write_drops_the_statistics_it_changes,
    statistics_of_a_user_follow_its_sessions_and_its_row,
);
