//! `/api/v1/users/{id}/api-keys`: what a key may do, and which changes end it on every instance.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp, on_both_databases};
use crate::support::client::Client;
use crate::support::{eventually, within};

/// The staleness bound of two seconds, and two seconds for a busy machine.
const BOUND: Duration = Duration::from_secs(4);

fn create(client: &Client, body: &Value) -> (Client, Value) {
    let made = client.post("/api/v1/users/me/api-keys", body).expect(201).json();
    (client.with_token(made["key"].as_str().unwrap()), made)
}

fn a_key_acts_as_its_user_within_its_scopes(app: &TestApp) {
    let (ann, bea, admin) = (app.user("ann"), app.user("bea"), app.admin());
    let (key, made) = create(&ann, &json!({ "name": "ci" }));
    assert!(made["key"].as_str().unwrap().starts_with(&format!("lk_{}_", made["id"].as_str().unwrap())));
    assert_eq!(made["scopes"], json!(["read", "write"]));
    let valid = key.get("/api/v1/auth/validate").expect(200).json();
    assert_eq!((&valid["user_id"], &valid["session_id"]), (&json!(ann.id), &Value::Null));
    key.patch("/api/v1/users/me", &json!({ "bio": "by key" })).expect(200);
    key.patch(&bea.path(), &json!({ "bio": "by key" })).expect(403);

    let (reader, _) = create(&ann, &json!({ "name": "reader", "scopes": ["read"] }));
    reader.get("/api/v1/users/me").expect(200);
    reader.lookup(&json!({ "username": "bea" })).expect(200);
    reader.patch("/api/v1/users/me", &json!({ "bio": "no" })).expect(403);
    let (writer, _) = create(&ann, &json!({ "name": "writer", "scopes": ["write"] }));
    writer.get("/api/v1/users/me").expect(403);

    // These requests require a session of the user; a key is refused.
    key.post("/api/v1/users/me/api-keys", &json!({ "name": "child" })).expect(403);
    key.post("/api/v1/auth/logout", &json!({})).expect(403);
    let body = json!({ "current_password": PASSWORD, "new_password": "another password" });
    key.post("/api/v1/auth/password", &body).expect(403);
    key.post("/api/v1/auth/totp/enroll", &json!({ "password": PASSWORD })).expect(403);
    key.delete(&format!("/api/v1/users/me/api-keys/{}", made["id"].as_str().unwrap())).expect(403);

    // A key has its user's present role, not the role at its creation.
    key.post(&format!("{}/activate", bea.path()), &json!({})).expect(403);
    admin.patch(&ann.path(), &json!({ "role": "admin" })).expect(200);
    key.post(&format!("{}/activate", bea.path()), &json!({})).expect(200);
}

fn keys_are_listed_without_their_secrets_to_those_concerned(app: &TestApp) {
    let (ann, bea, admin) = (app.user("ann"), app.user("bea"), app.admin());
    let (key, made) = create(&ann, &json!({ "name": "ci", "expires_at": "2999-01-01T00:00:00Z" }));
    let (_, later) = create(&ann, &json!({ "name": "later" }));
    let path = format!("{}/api-keys", ann.path());
    let items = |client: &Client| client.get(&path).expect(200).json()["items"].clone();
    let listed = items(&ann);
    assert_eq!([&listed[0]["id"], &listed[1]["id"]], [&later["id"], &made["id"]], "newest first");
    assert_eq!((&listed[1]["name"], &listed[1]["last_used_on"]), (&json!("ci"), &Value::Null));
    assert!(!listed.to_string().contains(&made["key"].as_str().unwrap()[20..]));
    assert_eq!(items(&admin), listed);
    bea.get(&path).expect(403);
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    bea.delete(&one).expect(403);
    bea.post(&path, &json!({ "name": "theft" })).expect(403);
    admin.post(&path, &json!({ "name": "theft" })).expect(403);

    assert_eq!(key.validate(), 200);
    let today = jiff::Timestamp::now().to_string()[..10].to_owned();
    eventually("its use is noted", || items(&ann)[1]["last_used_on"] == json!(today));
    admin.delete(&one).expect(204);
    assert_eq!(key.validate(), 401);
    ann.delete(&one).expect(404);
    ann.delete(&format!("{path}/0123456789abcdeF")).complains_about(422, &["key_id"]);
    for number in 0..49 {
        create(&ann, &json!({ "name": format!("key {number}") }));
    }
    ann.post(&path, &json!({ "name": "one too many" })).expect(403);
}

fn an_ended_key_is_refused_on_every_instance(app: &TestApp) {
    let other = app.second_instance();
    let (ann, admin) = (app.user("ann"), app.admin());
    let everywhere = |key: &Client| [key.validate(), other.here(key).validate()];
    let ended = |what: &str, key: &Client| {
        assert_eq!(key.validate(), 401, "{what}, here at once");
        within(BOUND, what, || other.here(key).validate() == 401);
    };
    let (deleted, made) = create(&ann, &json!({ "name": "deleted" }));
    assert_eq!(everywhere(&deleted), [200; 2]);
    ann.delete(&format!("/api/v1/users/me/api-keys/{}", made["id"].as_str().unwrap())).expect(204);
    ended("deleted", &deleted);

    let (foreign, made) = create(&ann, &json!({ "name": "deleted by other software" }));
    assert_eq!(everywhere(&foreign), [200; 2]);
    app.stack.sql(&format!("DELETE FROM api_keys WHERE id = '{}'", made["id"].as_str().unwrap()));
    within(BOUND, "deleted by other software", || everywhere(&foreign) == [401; 2]);

    let soon = jiff::Timestamp::now() + Duration::from_secs(3);
    let (expiring, _) = create(&ann, &json!({ "name": "expiring", "expires_at": soon.to_string() }));
    assert_eq!(everywhere(&expiring), [200; 2]);
    within(BOUND, "expired", || everywhere(&expiring) == [401; 2]);
    assert!(jiff::Timestamp::now() >= soon, "not before its time");

    let (key, _) = create(&ann, &json!({ "name": "of a deactivated user" }));
    assert_eq!(everywhere(&key), [200; 2]);
    admin.post(&format!("{}/deactivate", ann.path()), &json!({})).expect(200);
    ended("deactivated", &key);
    admin.post(&format!("{}/activate", ann.path()), &json!({})).expect(200);
    assert_eq!(everywhere(&key), [401; 2], "it stays void when the user is activated again");

    let ann = app.again("ann");
    let (key, _) = create(&ann, &json!({ "name": "of a deleted user" }));
    assert_eq!(everywhere(&key), [200; 2]);
    ann.delete("/api/v1/users/me").expect(204);
    ended("user deleted", &key);
}

on_both_databases!(
    a_key_acts_as_its_user_within_its_scopes,
    keys_are_listed_without_their_secrets_to_those_concerned,
    an_ended_key_is_refused_on_every_instance,
);
