//! `/api/v1/users`: creating, reading by every name, changing, deleting, looking up.

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp, on_every_stack};
use crate::support::client::Client;

const UNKNOWN: &str = "0192f0c1-2345-7abc-8def-0123456789ab";

/// Every field that a user may have.
fn full(name: &str) -> Value {
    json!({
        "email": format!("{name}@example.com"), "username": name, "phone": "+12425550123",
        "external_id": "HR-5779", "full_name": "Ann Bonny", "bio": "sails", "occupation": "captain",
        "location": "Nassau", "avatar_url": "https://example.com/ann.png", "skills": ["fencing"],
        "experience": "ten years",
    })
}

fn an_admin_creates_users_with_role_state_and_external_id(app: &TestApp) {
    let admin = app.admin();
    let mut body = full("ann");
    body["role"] = json!("admin");
    admin.post("/api/v1/users", &body).refuses(403, "password_needed");
    let answer = admin.post("/api/v1/users", &admin.confirmed(&body)).expect(201);
    let user = answer.json();
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(&user[field], value, "{field}");
    }
    let path = answer.header("location").unwrap();
    assert_eq!(path, format!("/api/v1/users/{}", user["id"].as_str().unwrap()));
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert_eq!(admin.get(path).expect(200).json(), user);

    let login = |name: &str| json!({ "username": name, "password": PASSWORD });
    app.anonymous().post("/api/v1/auth/login", &login("ann")).expect(401);
    let body = json!({ "email": "b@example.com", "username": "bea", "password": PASSWORD });
    admin.post("/api/v1/users", &body).expect(201);
    assert_eq!(app.login(&login("bea")).validate(), 200);
    let asleep =
        json!({ "email": "c@example.com", "username": "cyd", "password": PASSWORD, "is_active": false });
    assert_eq!(admin.post("/api/v1/users", &asleep).expect(201).json()["is_active"], false);
    app.anonymous().post("/api/v1/auth/login", &login("cyd")).expect(403);

    admin
        .post("/api/v1/users", &json!({ "role": "king" }))
        .complains_about(422, &["email", "role", "username"]);
    let taken = json!({ "email": "d@example.com", "username": "dan", "external_id": "HR-5779" });
    admin.post("/api/v1/users", &taken).complains_about(409, &["external_id"]);
}

fn a_user_is_found_under_each_of_its_names(app: &TestApp) {
    let admin = app.admin();
    let user = admin.post("/api/v1/users", &full("ann")).expect(201).json();
    let id = user["id"].as_str().unwrap();
    for name in [id, &id.to_uppercase(), "HR-5779"] {
        assert_eq!(admin.get(&format!("/api/v1/users/{name}")).expect(200).json(), user, "{name}");
    }
    let bea = app.user("bea");
    assert_eq!(bea.get("/api/v1/users/me").expect(200).json()["id"], bea.id);
    for name in [UNKNOWN, "hr-5779", "HR-1"] {
        admin.get(&format!("/api/v1/users/{name}")).expect(404);
        admin.patch(&format!("/api/v1/users/{name}"), &json!({ "bio": "x" })).expect(404);
        admin.delete(&format!("/api/v1/users/{name}")).expect(404);
        admin.post(&format!("/api/v1/users/{name}/activate"), &json!({})).expect(404);
    }
    for by in [
        json!({ "id": id }),
        json!({ "email": "Ann@Example.com" }),
        json!({ "username": "ANN" }),
        json!({ "phone": "+1 (242) 555-0123" }),
    ] {
        assert_eq!(admin.lookup(&by).expect(200).json(), user, "{by}");
    }
    for by in [
        json!({ "id": UNKNOWN }),
        json!({ "email": "nobody@example.com" }),
        json!({ "username": "nobody" }),
        json!({ "phone": "+12425550199" }),
    ] {
        admin.lookup(&by).expect(404);
        admin.lookup(&by).expect(404);
    }
    admin.lookup(&json!({})).complains_about(422, &["body"]);
    admin.lookup(&json!({ "id": id, "username": "ann" })).complains_about(422, &["body"]);
    admin.lookup(&json!({ "external_id": "HR-5779" })).expect(422);
}

fn patch_keeps_clears_and_sets(app: &TestApp) {
    let admin = app.admin();
    let before = admin.post("/api/v1/users", &full("ann")).expect(201).json();
    let path = format!("/api/v1/users/{}", before["id"].as_str().unwrap());
    let patch = json!({ "bio": "sails no more", "phone": null, "skills": null, "external_id": "HR-2" });
    let answer = admin.patch(&path, &patch).expect(200);
    let after = answer.json();
    assert_eq!((answer.header("etag"), &after["version"]), (Some("\"2\""), &json!(2)));
    assert_eq!((&after["bio"], &after["phone"]), (&json!("sails no more"), &Value::Null));
    assert_eq!((&after["skills"], &after["external_id"]), (&json!([]), &json!("HR-2")));
    for kept in ["id", "email", "username", "full_name", "location", "experience", "created_at", "role"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    assert!(after["updated_at"].as_str().unwrap() >= before["updated_at"].as_str().unwrap());
    admin.get("/api/v1/users/HR-5779").expect(404);
    assert_eq!(admin.get("/api/v1/users/HR-2").expect(200).json(), after);
    admin.lookup(&json!({ "phone": "+12425550123" })).expect(404);

    admin.patch(&path, &json!({ "email": null })).complains_about(422, &["email"]);
    admin.patch(&path, &json!({ "version": 9, "id": UNKNOWN })).complains_about(422, &["id", "version"]);
    admin.patch(&path, &json!({ "password": PASSWORD })).complains_about(422, &["password"]);
    admin.patch(&path, &json!([])).complains_about(422, &["body"]);
    admin.patch(&path, &json!({ "username": "boss2" })).expect(200);
    admin.patch(&path, &json!({ "username": "admin" })).complains_about(409, &["username"]);
    assert_eq!(admin.get(&path).json()["version"], 3, "refused changes change nothing");
}

fn put_replaces_everything_a_user_may_edit(app: &TestApp) {
    let admin = app.admin();
    let before = admin.post("/api/v1/users", &full("ann")).expect(201).json();
    let path = format!("/api/v1/users/{}", before["id"].as_str().unwrap());
    let body = json!({ "email": "ann@example.org", "username": "ann.b", "bio": "new" });
    let after = admin.put(&path, &body).expect(200).json();
    assert_eq!((&after["email"], &after["bio"]), (&json!("ann@example.org"), &json!("new")));
    for cleared in ["phone", "full_name", "occupation", "location", "avatar_url", "experience"] {
        assert_eq!(after[cleared], Value::Null, "{cleared}");
    }
    assert_eq!((&after["skills"], &after["version"]), (&json!([]), &json!(2)));
    for kept in ["id", "created_at", "role", "is_active", "external_id"] {
        assert_eq!(
            after[kept], before[kept],
            "{kept}: only an admin sets it, so it stays when it is missing"
        );
    }
    admin.put(&path, &json!({ "bio": "x" })).complains_about(422, &["email", "username"]);
    assert_eq!(admin.get(&path).expect(200).json(), after);

    let bea = app.user("bea");
    let body = json!({ "email": "bea@example.com", "username": "bea", "location": "Nassau" });
    assert_eq!(bea.put("/api/v1/users/me", &body).expect(200).json()["location"], "Nassau");
}

/// Checks that every read of this instance shows the user as the acknowledged write left it.
fn seen_everywhere(client: &Client, user: &Value) {
    assert_eq!(&client.get(&format!("/api/v1/users/{}", user["id"].as_str().unwrap())).json(), user);
    assert_eq!(&client.lookup(&json!({ "email": user["email"] })).expect(200).json(), user);
    assert_eq!(&client.lookup(&json!({ "username": user["username"] })).expect(200).json(), user);
    let list = client.get("/api/v1/users").json();
    let listed = list["items"].as_array().unwrap().iter().find(|item| item["id"] == user["id"]);
    assert_eq!(listed, Some(user));
}

fn own_writes_are_always_seen_on_the_instance(app: &TestApp) {
    let admin = app.admin();
    let user = admin.post("/api/v1/users", &full("ann")).expect(201).json();
    seen_everywhere(&admin, &user);
    let path = format!("/api/v1/users/{}", user["id"].as_str().unwrap());
    for round in 0..25 {
        let body = json!({ "bio": format!("round {round}"), "username": format!("ann{round}") });
        let user = admin.patch(&path, &body).expect(200).json();
        assert_eq!(user["version"], round + 2);
        seen_everywhere(&admin, &user);
        let previous = format!("ann{}", round - 1);
        admin.lookup(&json!({ "username": previous })).expect(404);
    }
    let user = admin.post(&format!("{path}/deactivate"), &json!({})).expect(200).json();
    seen_everywhere(&admin, &user);
    admin.delete(&path).expect(204);
    admin.get(&path).expect(404);
    admin.get("/api/v1/users/HR-5779").expect(404);
    admin.lookup(&json!({ "email": "ann@example.com" })).expect(404);
    assert_eq!(admin.get("/api/v1/users").json()["total"], 1);
    admin.delete(&path).expect(404);
}

on_every_stack!(
    an_admin_creates_users_with_role_state_and_external_id,
    a_user_is_found_under_each_of_its_names,
    patch_keeps_clears_and_sets,
    put_replaces_everything_a_user_may_edit,
    own_writes_are_always_seen_on_the_instance,
);
