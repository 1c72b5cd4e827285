//! Which role may change which user, and which fields each role sees.

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_every_stack};
use crate::support::client::{Answer, Client, Request};

const PRIVATE: [&str; 4] = ["email", "email_verified", "phone", "external_id"];

/// A caller of each role, and a user of each role as a target; no caller is a target.
struct Cast {
    callers: Vec<(&'static str, Client)>,
    targets: Vec<(&'static str, Value)>,
}

impl Cast {
    fn gather(app: &TestApp) -> Self {
        let admin = app.admin();
        let callers = vec![
            ("user", app.user("caller.user")),
            ("admin", app.user_with_role("caller.admin", "admin")),
            ("superadmin", admin.clone()),
        ];
        let target = |(number, role): (usize, &'static str)| {
            let body = json!({
                "email": format!("target{number}@example.com"), "username": format!("target.{role}"),
                "phone": format!("+1242555010{number}"), "external_id": format!("HR-{number}"), "role": role,
            });
            (role, admin.post("/api/v1/users", &admin.confirmed(&body)).expect(201).json())
        };
        let targets = ["user", "admin", "superadmin"].into_iter().enumerate().map(target).collect();
        Self { callers, targets }
    }
}

fn may(caller: &str, target: &str) -> bool {
    match caller {
        "user" => false,
        "admin" => target != "superadmin",
        _ => true,
    }
}

type Write = fn(&Client, &str, &Value) -> Answer;

fn others_are_changed_by_those_who_manage_them_only(app: &TestApp) {
    let Cast { callers, targets } = Cast::gather(app);
    let writes: [(&str, Write); 7] = [
        ("patch", |by, path, _| by.patch(path, &json!({ "bio": "changed" }))),
        ("role", |by, path, target| by.patch(path, &json!({ "role": target["role"] }))),
        ("state", |by, path, _| by.patch(path, &json!({ "is_active": true }))),
        ("external id", |by, path, target| by.patch(path, &json!({ "external_id": target["external_id"] }))),
        ("put", |by, path, target| {
            // It clears the telephone number: of an admin that needs the password.
            by.put(path, &by.confirmed(&json!({ "email": target["email"], "username": target["username"] })))
        }),
        ("deactivate", |by, path, _| by.post(&format!("{path}/deactivate"), &json!({}))),
        ("activate", |by, path, _| by.post(&format!("{path}/activate"), &by.confirmed(&json!({})))),
    ];
    for (caller, client) in &callers {
        for (role, target) in &targets {
            let path = format!("/api/v1/users/{}", target["id"].as_str().unwrap());
            for (what, write) in &writes {
                let expected = if may(caller, role) { 200 } else { 403 };
                assert_eq!(write(client, &path, target).status, expected, "{caller} → {role}: {what}");
                assert_eq!(
                    write(&app.anonymous(), &path, target).status,
                    401,
                    "without a token → {role}: {what}"
                );
            }
            let by_external = format!("/api/v1/users/{}", target["external_id"].as_str().unwrap());
            if !may(caller, role) {
                client.delete(&path).expect(403);
                client.patch(&by_external, &json!({ "bio": "x" })).expect(403);
            }
            app.anonymous().delete(&path).expect(401);
        }
    }
    let [user, admin, superadmin] = [&callers[0].1, &callers[1].1, &callers[2].1];
    let path = |nth: usize| format!("/api/v1/users/{}", targets[nth].1["id"].as_str().unwrap());
    user.get(&path(0)).expect(200);
    admin.delete(&path(0)).expect(204);
    for (client, privileged) in [(admin, path(1)), (superadmin, path(2))] {
        client.delete(&privileged).refuses(403, "password_needed");
        client.delete_with(&privileged, &client.confirmed(&json!({}))).expect(204);
    }
}

fn users_are_created_and_promoted_only_up_to_the_rank_that_the_caller_manages(app: &TestApp) {
    let Cast { callers, targets } = Cast::gather(app);
    let target = format!("/api/v1/users/{}", targets[0].1["id"].as_str().unwrap());
    for (caller, client) in &callers {
        for role in ["user", "admin", "superadmin"] {
            let name = format!("{caller}.{role}");
            let body = json!({ "email": format!("{name}@example.com"), "username": name, "role": role });
            let created = client.post("/api/v1/users", &client.confirmed(&body)).status;
            assert_eq!(created, if may(caller, role) { 201 } else { 403 }, "{caller} creates {role}");
            let promoted = client.patch(&target, &client.confirmed(&json!({ "role": role }))).status;
            assert_eq!(promoted, if may(caller, role) { 200 } else { 403 }, "{caller} promotes to {role}");
            // Sets the role back, so that the next caller finds a target with the role `user`.
            callers[2].1.patch(&target, &json!({ "role": "user" })).expect(200);
        }
    }
    callers[0].1.post("/api/v1/users", &json!({ "nonsense": 1 })).expect(403);
    app.anonymous().post("/api/v1/users", &json!({})).expect(401);
}

fn users_edit_themselves_but_not_their_rank(app: &TestApp) {
    let ann = app.user("ann");
    for path in ["/api/v1/users/me", &ann.path()] {
        let body = json!({ "bio": path, "phone": "+12425550123" });
        assert_eq!(ann.patch(path, &ann.confirmed(&body)).expect(200).json()["bio"], path);
        // A PUT may repeat what the user is already, because GET shows it. It sets nothing of that.
        for (body, put_status) in [
            (json!({ "role": "admin" }), 403),
            (json!({ "role": "user" }), 200),
            (json!({ "is_active": false }), 403),
            (json!({ "is_active": true }), 200),
            (json!({ "external_id": "HR-1" }), 403),
            (json!({ "external_id": null }), 200),
            (json!({ "bio": "smuggled", "role": "superadmin" }), 403),
        ] {
            ann.patch(path, &body).expect(403);
            let mut put = body;
            put["email"] = json!("ann@example.com");
            put["username"] = json!("ann");
            (put["bio"], put["phone"]) = (json!(path), json!("+12425550123"));
            ann.put(path, &put).expect(put_status);
        }
        ann.post(&format!("{path}/activate"), &json!({})).expect(403);
        ann.post(&format!("{path}/deactivate"), &json!({})).expect(403);
    }
    let me = ann.get("/api/v1/users/me").json();
    assert_eq!((&me["role"], &me["version"], &me["is_active"]), (&json!("user"), &json!(3), &json!(true)));
    assert_ne!(me["bio"], "smuggled");

    let helper = app.user_with_role("helper", "admin");
    helper.patch("/api/v1/users/me", &json!({ "role": "superadmin" })).expect(403);
    assert_eq!(helper.get("/api/v1/users/me").json()["version"], 1);
    ann.delete_itself().expect(204);
}

/// Returns the target as each route shows it to this caller.
fn shown(client: &Client, manages: bool, target: &Value) -> Vec<Value> {
    let list = client.get("/api/v1/users?limit=100").expect(200).json();
    let listed = list["items"].as_array().unwrap().iter().find(|user| user["id"] == target["id"]);
    let mut shown = vec![listed.unwrap().clone()];
    for name in ["id", "external_id"] {
        let name = target[name].as_str().unwrap();
        shown.push(client.get(&format!("/api/v1/users/{name}")).expect(200).json());
    }
    for name in ["id", "username"] {
        shown.push(client.lookup(&json!({ name: target[name] })).expect(200).json());
    }
    for name in ["email", "phone"] {
        let found = client.lookup(&json!({ name: target[name] }));
        if manages {
            shown.push(found.expect(200).json());
        } else {
            let unknown = if name == "email" { "nobody@example.com" } else { "+12425550000" };
            let unknown = client.lookup(&json!({ name: unknown })).expect(404);
            assert_eq!(
                found.expect(404).text(),
                unknown.text(),
                "the answer does not show whether a user has this {name}"
            );
        }
    }
    shown
}

fn others_see_public_fields_only(app: &TestApp) {
    let Cast { callers, targets } = Cast::gather(app);
    for (caller, client) in &callers {
        for (role, target) in &targets {
            let mut expected = target.clone();
            if !may(caller, role) {
                for hidden in PRIVATE {
                    expected.as_object_mut().unwrap().remove(hidden);
                }
            }
            for view in shown(client, may(caller, role), target) {
                assert_eq!(view, expected, "{caller} looks at {role}");
            }
        }
    }
    // One cache entry serves both views, so neither depends on the role of the reader whose load filled it.
    let (user, admin) = (&callers[0].1, &callers[1].1);
    let mine = user.get("/api/v1/users/me").expect(200).json();
    assert_eq!(mine["email"], "caller.user@example.com");
    assert_eq!(user.get(&admin.path()).json()["email"], Value::Null);
    assert_eq!(admin.get(&admin.path()).json()["email"], "caller.admin@example.com");
    let text = user.get("/api/v1/users").text().to_owned();
    assert!(text.contains("caller.user@example.com") && !text.contains("target0@example.com"));
}

fn without_a_token_nothing_is_shown(app: &TestApp) {
    let ann = app.user("ann");
    let anonymous = app.anonymous();
    for (method, path) in [
        ("GET", "/api/v1/users"),
        ("GET", "/api/v1/users/me"),
        ("GET", &ann.path()),
        ("GET", "/api/v1/users/0192f0c1-2345-7abc-8def-0123456789ab"),
        ("DELETE", "/api/v1/users/me"),
        ("POST", "/api/v1/auth/logout"),
        ("GET", "/api/v1/auth/validate"),
        ("POST", &format!("{}/activate", ann.path())),
    ] {
        let answer = anonymous.send(Request::new(method, path)).expect(401);
        assert!(!answer.text().contains("ann"), "{method} {path}");
    }
    anonymous.lookup(&json!({ "username": "ann" })).expect(401);
    let passwords = json!({ "current_password": "x", "new_password": "y" });
    anonymous.post("/api/v1/auth/password", &passwords).expect(401);
    assert_eq!(ann.validate(), 200);
}

on_every_stack!(
    others_are_changed_by_those_who_manage_them_only,
    users_are_created_and_promoted_only_up_to_the_rank_that_the_caller_manages,
    users_edit_themselves_but_not_their_rank,
    others_see_public_fields_only,
    without_a_token_nothing_is_shown,
);
