//! `/api/v1/users/{id}/api-keys`: what a key may do, and which changes end it on every instance.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, Stack, TestApp, on_both_databases};
use crate::support::client::{Client, Request};
use crate::support::{eventually, within};

/// The staleness bound of two seconds, and two seconds for a busy machine.
const BOUND: Duration = Duration::from_secs(4);

fn create(client: &Client, body: &Value) -> (Client, Value) {
    let made = client.make_key(body).expect(201).json();
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
    admin.patch(&ann.path(), &admin.confirmed(&json!({ "role": "admin" }))).expect(200);
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
    ann.delete_itself().expect(204);
    ended("user deleted", &key);
}

/// While a key is deleted, requests still use it. The note of such a use waits for the deletion, and then there is nothing
/// to note.
#[test]
fn a_key_that_is_used_while_it_is_deleted_is_no_fault() {
    let app = Stack::postgres_memory().start();
    let ann = app.user("ann");
    let (key, made) = create(&ann, &json!({ "name": "deleted soon" }));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(sqlx::PgPool::connect(&app.stack.database_url())).unwrap();
    let mut deleting = runtime.block_on(database.begin()).unwrap();
    let deletion = format!("DELETE FROM api_keys WHERE id = '{}'", made["id"].as_str().unwrap());
    runtime.block_on(sqlx::query(sqlx::AssertSqlSafe(deletion)).execute(&mut *deleting)).unwrap();
    assert_eq!(key.validate(), 200, "the deletion is not committed yet");
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("the note waits for the deletion", || app.stack.sql(waiting) == "1");
    runtime.block_on(deleting.commit()).unwrap();
    eventually("the note has ended", || app.stack.sql(waiting) == "0");
    within(BOUND, "the key has ended", || key.validate() == 401);
    // The note of another key follows in the same log.
    let (next, _) = create(&ann, &json!({ "name": "next" }));
    assert_eq!(next.validate(), 200);
    eventually("it is noted", || app.stack.sql("SELECT COUNT(*) FROM api_key_uses") == "1");
    let printed = app.larder.printed();
    assert!(!printed.contains("could not be noted"), "{printed}");
}

/// The operations that a session may use, each as method and path, by what they need from an API key: a scope, or
/// `session` if no key may use them. A second statement of what the annotations declare, so that a wrong annotation is
/// found.
const NEEDS: [(&str, &[&str]); 5] = [
    ("metrics", &["GET /metrics"]),
    (
        "read",
        &[
            "GET /api/users/",
            "GET /api/users/{id}/",
            "GET /api/v1/achievements/recent",
            "GET /api/v1/achievements/stats",
            "GET /api/v1/achievements/summary",
            "GET /api/v1/audit",
            "GET /api/v1/auth/totp",
            "GET /api/v1/auth/validate",
            "GET /api/v1/cache/classes",
            "POST /api/v1/cache/explain",
            "GET /api/v1/cache/health/detailed",
            "GET /api/v1/cache/history",
            "GET /api/v1/cache/keys",
            "GET /api/v1/cache/stats",
            "GET /api/v1/cache/test",
            "GET /api/v1/cache/tuning",
            "GET /api/v1/dashboard/statistics",
            "GET /api/v1/leaderboard",
            "GET /api/v1/leaderboard/me",
            "GET /api/v1/leaderboard/{id}",
            "GET /api/v1/superadmin/users",
            "GET /api/v1/users",
            "POST /api/v1/users/lookup",
            "GET /api/v1/users/statistics",
            "GET /api/v1/users/{id}",
            "GET /api/v1/users/{id}/accessibility",
            "GET /api/v1/users/{id}/achievements",
            "GET /api/v1/users/{id}/achievements/stats",
            "GET /api/v1/users/{id}/achievements/summary",
            "GET /api/v1/users/{id}/api-keys",
            "GET /api/v1/users/{id}/details",
            "GET /api/v1/users/{id}/full-profile",
            "GET /api/v1/users/{id}/interests",
            "GET /api/v1/users/{id}/languages",
            "GET /api/v1/users/{id}/permissions",
            "GET /api/v1/users/{id}/points",
            "GET /api/v1/users/{id}/preferences",
            "GET /api/v1/users/{id}/profile",
            "GET /api/v1/users/{id}/sessions",
            "GET /api/v1/users/{id}/stats",
            "GET /cache/stats",
            "GET /cache/test",
            "GET /v1.0/cache/health/detailed",
            "GET /v1.0/cache/stats",
            "GET /v1.0/cache/test",
        ],
    ),
    (
        "write",
        &[
            "POST /api/users/",
            "DELETE /api/users/{id}/",
            "PATCH /api/users/{id}/",
            "PUT /api/users/{id}/",
            "POST /api/v1/achievements/award",
            "POST /api/v1/achievements/cache/invalidate",
            "POST /api/v1/achievements/cache/invalidate/global",
            "PUT /api/v1/cache/classes/{name}",
            "POST /api/v1/cache/clear",
            "POST /api/v1/cache/clear/user/{id}",
            "POST /api/v1/cache/tuning/{change}/undo",
            "POST /api/v1/cache/invalidate",
            "POST /api/v1/cache/warm",
            "POST /api/v1/users",
            "POST /api/v1/users/bulk/activate",
            "POST /api/v1/users/bulk/deactivate",
            "POST /api/v1/users/import",
            "POST /api/v1/users/cache/invalidate",
            "DELETE /api/v1/users/{id}",
            "PATCH /api/v1/users/{id}",
            "PUT /api/v1/users/{id}",
            "PATCH /api/v1/users/{id}/accessibility",
            "PUT /api/v1/users/{id}/accessibility",
            "POST /api/v1/users/{id}/activate",
            "POST /api/v1/users/{id}/deactivate",
            "PUT /api/v1/users/{id}/interests",
            "PUT /api/v1/users/{id}/languages",
            "DELETE /api/v1/users/{id}/permissions/{permission}",
            "POST /api/v1/users/{id}/points",
            "PATCH /api/v1/users/{id}/preferences",
            "PUT /api/v1/users/{id}/preferences",
            "PATCH /api/v1/users/{id}/profile",
            "PUT /api/v1/users/{id}/profile",
            "POST /cache/clear",
            "POST /cache/clear/user/{user_id}",
            "POST /cache/warm",
            "POST /v1.0/cache/clear",
            "POST /v1.0/cache/clear/user/{user_id}",
            "POST /v1.0/cache/warm",
            "DELETE /v1.0/permissions/{id}/{permission}",
            "POST /v1.0/points/{id}",
            "POST /v1.0/user/create",
            "DELETE /v1.0/user/delete/{id}",
            "PATCH /v1.0/user/update/{id}",
            "PUT /v1.0/user/update/{id}",
            "POST /v1.0/user/{id}/activate",
            "POST /v1.0/user/{id}/deactivate",
        ],
    ),
    ("introspect", &["POST /api/v1/auth/introspect"]),
    (
        "session",
        &[
            "POST /api/v1/auth/email/confirm/request",
            "POST /api/v1/auth/keys/rotate",
            "POST /api/v1/auth/logout",
            "POST /api/v1/auth/password",
            "DELETE /api/v1/auth/totp",
            "POST /api/v1/auth/totp/confirm",
            "POST /api/v1/auth/totp/enroll",
            "POST /api/v1/users/{id}/api-keys",
            "DELETE /api/v1/users/{id}/api-keys/{key_id}",
            "POST /api/v1/users/export",
            "PUT /api/v1/users/{id}/permissions/{permission}",
            "DELETE /api/v1/users/{id}/sessions",
            "DELETE /api/v1/users/{id}/sessions/{session_id}",
            "DELETE /api/v1/users/{id}/totp",
            "POST /v1.0/permissions/{id}/{permission}",
            "PUT /v1.0/permissions/{id}/{permission}",
        ],
    ),
];

fn an_operation_admits_keys_with_its_scope_alone(app: &TestApp) {
    let document = app.anonymous().get("/openapi.json").expect(200).json();
    let mut protected = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if !operation["security"].as_array().unwrap().is_empty() {
                protected.push(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    protected.sort();
    let mut needs: Vec<_> = NEEDS.iter().flat_map(|(_, of)| *of).map(ToString::to_string).collect();
    needs.sort();
    assert_eq!(protected, needs, "every protected operation is in the table");

    let admin = app.user_with_role("root", "admin");
    for scope in ["read", "write", "introspect", "metrics"] {
        let (key, _) = create(&admin, &json!({ "name": scope, "scopes": [scope] }));
        for (needed, operations) in NEEDS {
            for operation in operations {
                let (method, path) = operation.split_once(' ').unwrap();
                let answer = key.send(Request::new(method, &nowhere(path)));
                let about = format!("{operation} by a key for {scope}: {}", answer.text());
                let detail = match answer.status {
                    403 => answer.field("detail"),
                    status => status.to_string(),
                };
                let [no_scope, no_session] = ["the scope that this request needs", "this needs a login"];
                let is_included = needed == "metrics" && scope == "read";
                let is_missing = needed != "session" && needed != scope && !is_included;
                assert_eq!(detail.contains(no_scope), is_missing, "{about}");
                assert_eq!(detail.contains(no_session), needed == "session", "{about}");
            }
        }
        assert_eq!(key.get("/api/v1/auth/validate").status == 200, scope == "read", "the key is still valid");
    }
}

/// The path, with variable segments that name nothing that exists.
fn nowhere(path: &str) -> String {
    path.replace("{id}", "00000000-0000-7000-8000-000000000000").replace(['{', '}'], "")
}

on_both_databases!(
    a_key_acts_as_its_user_within_its_scopes,
    keys_are_listed_without_their_secrets_to_those_concerned,
    an_ended_key_is_refused_on_every_instance,
    an_operation_admits_keys_with_its_scope_alone,
);
