//! Lists show each role only what it may see, regardless of earlier readers; writes invalidate their cached pages.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp, on_both_databases};
use crate::support::client::Client;
use crate::support::within;

const BOUND: Duration = Duration::from_secs(2);
const LIST: &str = "/api/v1/users?limit=100";
const SUPERADMIN_LIST: &str = "/api/v1/superadmin/users?limit=100";

/// Creates one active and one inactive user of each role, and returns a reader of each role.
fn cast(app: &TestApp) -> [(&'static str, Client); 3] {
    let admin = app.admin();
    for role in ["user", "admin", "superadmin"] {
        for (status, is_active) in [("on", true), ("off", false)] {
            let name = format!("{role}.{status}");
            let body = json!({
                "email": format!("{name}@hidden.example"), "username": name, "role": role, "is_active": is_active,
                "full_name": format!("Secretive {name}"),
            });
            admin.post("/api/v1/users", &admin.confirmed(&body)).expect(201);
        }
    }
    [("user", app.user("asker")), ("admin", app.user_with_role("chief", "admin")), ("superadmin", admin)]
}

/// Checks what a list must show and hide for a reader of this role.
#[track_caller]
fn check(role: &str, client: &Client, path: &str) {
    let list = client.get(path).expect(200).json();
    let items = list["items"].as_array().unwrap();
    for user in items {
        let (of, is_own) = (user["role"].as_str().unwrap(), user["id"] == client.id.as_str());
        let sees = is_own || role == "superadmin" || (role == "admin" && of != "superadmin");
        assert_eq!(user.get("email").is_some(), sees, "{role} {path} {user}");
        assert!(user["is_active"] == true || role != "user", "{role} {path} {user}");
    }
    if !list["total"].is_null() {
        assert_eq!(list["total"], items.len(), "{role} {path}: the total is of what is shown");
    }
    if path.contains("hidden.example") {
        let expected = match role {
            "user" => 0,
            "admin" => 4,
            _ => 6,
        };
        assert_eq!(items.len(), expected, "{role} {path}");
    } else if path.contains("Secretive") {
        assert_eq!(items.len(), if role == "user" { 3 } else { 6 }, "{role} {path}");
    } else if path == LIST {
        assert_eq!(items.len(), if role == "user" { 6 } else { 9 }, "{role} {path}");
    }
    if let Some(cursor) = list["next_cursor"].as_str() {
        assert!(!cursor.contains("hidden"), "{cursor}");
    }
}

fn no_role_sees_hidden_users_or_fields_after_any_other_role_asked(app: &TestApp) {
    let readers = cast(app);
    let paths = [
        LIST,
        "/api/v1/users?limit=100&role=superadmin",
        "/api/v1/users?limit=100&role=admin&status=active",
        "/api/v1/users?limit=100&search=hidden.example",
        "/api/v1/users?limit=100&search=Secretive",
        "/api/v1/users?limit=100&sort=-points",
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for path in paths {
            // Each reader reads twice: the first answer comes from a load or another reader's entry, the second from
            // memory.
            for reader in order.into_iter().chain(order) {
                check(readers[reader].0, &readers[reader].1, path);
            }
        }
        // The write invalidates every page, so the next order begins without an entry.
        readers[2].1.patch("/api/v1/users/me", &json!({ "bio": format!("{order:?}") })).expect(200);
    }
    let [(_, user), (_, admin), (_, superadmin)] = &readers;
    user.get("/api/v1/users?sort=email").complains_about(422, &["sort"]);
    user.get("/api/v1/users?sort=email&role=user").complains_about(422, &["sort"]);
    user.get("/api/v1/users?status=inactive").complains_about(422, &["status"]);
    admin.get("/api/v1/users?sort=email").complains_about(422, &["sort"]);
    admin.get("/api/v1/users?sort=email&role=superadmin").complains_about(422, &["sort"]);
    admin.get("/api/v1/users?sort=email&role=user").expect(200);
    superadmin.get("/api/v1/users?sort=email").expect(200);
    // The cursor of a superadmin gives an admin neither its sort order nor its page.
    let cursor = superadmin.get("/api/v1/users?sort=email&limit=1").json();
    let cursor = cursor["next_cursor"].as_str().unwrap();
    admin.get(&format!("/api/v1/users?sort=email&cursor={cursor}")).complains_about(422, &["sort"]);
    admin.get(&format!("/api/v1/users?cursor={cursor}")).complains_about(422, &["cursor"]);
    for reader in [user, admin] {
        reader.get(SUPERADMIN_LIST).expect(403);
    }
    app.anonymous().get(LIST).expect(401);
    app.anonymous().get(SUPERADMIN_LIST).expect(401);
}

/// Waits until memory answers with the page.
#[track_caller]
fn in_memory(client: &Client, path: &str) -> Value {
    let mut body = Value::Null;
    within(BOUND, path, || {
        let answer = client.get(path).expect(200);
        body = answer.json();
        answer.header("cache-status") == Some("larder; hit; detail=memory")
    });
    body
}

/// A name, the write, and for each list whether it shows the user afterwards.
type Step<'a> = (&'static str, &'a dyn Fn(), [bool; 4]);

fn each_write_drops_every_list_it_shows_in(app: &TestApp) {
    let admin = app.admin();
    let paths = [LIST, SUPERADMIN_LIST, "/api/v1/users?search=changing", "/api/v1/users?status=inactive"];
    let id = app.plain_user(&admin, "changing")["id"].as_str().unwrap().to_owned();
    let user = format!("/api/v1/users/{id}");
    let has =
        |list: &Value, seen: &dyn Fn(&Value) -> bool| list["items"].as_array().unwrap().iter().any(seen);
    let steps: [Step<'_>; 6] = [
        (
            "update",
            &|| drop(admin.patch(&user, &json!({ "bio": "new" })).expect(200)),
            [true, true, true, false],
        ),
        (
            "deactivate",
            &|| drop(admin.post(&format!("{user}/deactivate"), &json!({})).expect(200)),
            [true; 4],
        ),
        (
            "activate",
            &|| drop(admin.post(&format!("{user}/activate"), &json!({})).expect(200)),
            [true, true, true, false],
        ),
        (
            "sql",
            &|| drop(app.stack.sql("UPDATE users SET is_active = FALSE WHERE username = 'changing'")),
            [true; 4],
        ),
        ("sql delete", &|| drop(app.stack.sql("DELETE FROM users WHERE username = 'changing'")), [false; 4]),
        ("create", &|| drop(app.plain_user(&admin, "changing")), [true, true, true, false]),
    ];
    for (what, write, shown) in steps {
        let before: Vec<_> = paths.iter().map(|path| in_memory(&admin, path)).collect();
        write();
        for (number, path) in paths.iter().enumerate() {
            let changed = |list: &Value| {
                has(list, &|user| user["username"] == "changing") == shown[number] && *list != before[number]
            };
            // The list did not show the user before the write and does not show it after.
            let stays = !shown[number] && !has(&before[number], &|user| user["username"] == "changing");
            if what.starts_with("sql") {
                within(BOUND, what, || stays || changed(&admin.get(path).json()));
            } else {
                assert!(stays || changed(&admin.get(path).json()), "{what} {path}");
            }
        }
    }
}

fn superadmins_see_how_users_log_in(app: &TestApp) {
    let admin = app.admin();
    app.plain_user(&admin, "plain");
    let ann = app.user("ann");
    let of = |name: &str| {
        let list = admin.get(SUPERADMIN_LIST).expect(200).json();
        list["items"].as_array().unwrap().iter().find(|user| user["username"] == name).unwrap().clone()
    };
    let plain = of("plain");
    assert_eq!((&plain["has_password"], &plain["live_sessions"]), (&json!(false), &json!(0)));
    assert_eq!((&plain["last_login_at"], &plain["credentials_epoch"]), (&Value::Null, &json!(0)));
    let seen = of("ann");
    assert_eq!((&seen["has_password"], &seen["live_sessions"]), (&json!(true), &json!(1)));
    assert!(seen["last_login_at"].is_string() && seen["password_changed_at"].is_string(), "{seen}");
    assert!(!seen.to_string().contains("argon2") && !seen.to_string().contains("hash"), "no secret: {seen}");
    // A new session or password invalidates the page as well.
    in_memory(&admin, SUPERADMIN_LIST);
    app.again("ann");
    assert_eq!(of("ann")["live_sessions"], 2);
    in_memory(&admin, SUPERADMIN_LIST);
    ann.post("/api/v1/auth/logout", &json!({})).expect(204);
    assert_eq!(of("ann")["live_sessions"], 1);
    in_memory(&admin, SUPERADMIN_LIST);
    let body = json!({ "current_password": PASSWORD, "new_password": "another horse battery" });
    app.again("ann").post("/api/v1/auth/password", &body).expect(204);
    assert_eq!((&of("ann")["credentials_epoch"], &of("ann")["live_sessions"]), (&json!(2), &json!(0)));
    in_memory(&admin, SUPERADMIN_LIST);
    app.stack.sql(&format!("DELETE FROM credentials WHERE user_id = '{}'", ann.id));
    within(BOUND, "no passwords", || of("ann")["has_password"] == false);
}

on_both_databases!(
    no_role_sees_hidden_users_or_fields_after_any_other_role_asked,
    each_write_drops_every_list_it_shows_in,
    superadmins_see_how_users_log_in,
);
