//! Many users in one request: the outcome for each, the tokens that end, and the entries of the audit log.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp, on_both_databases};
use crate::support::client::Client;
use crate::support::within;

const UNKNOWN: &str = "0192f0c1-2345-7abc-8def-0123456789ab";

fn bulk(client: &Client, verb: &str, ids: &Value) -> Value {
    client.post(&format!("/api/v1/users/bulk/{verb}"), &json!({ "ids": ids })).expect(200).json()
}

fn outcomes(answer: &Value) -> Vec<&str> {
    answer["results"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect()
}

fn trace_8_deactivated_together_all_tokens_end_and_each_outcome_is_reported(app: &TestApp) {
    let (admin, ann, bea) = (app.admin(), app.user("ann"), app.user("bea"));
    let helper = app.user_with_role("helper", "admin");
    let second = app.second_instance();
    let elsewhere = second.here(&ann);
    assert_eq!((elsewhere.validate(), ann.validate(), bea.validate()), (200, 200, 200));
    admin.patch(&bea.path(), &json!({ "external_id": "5779356081" })).expect(200);

    let ids = json!([ann.id, "5779356081", bea.id.to_uppercase(), UNKNOWN, "nobody", admin.id]);
    let answer = bulk(&helper, "deactivate", &ids);
    let expected = ["changed", "changed", "changed", "not_found", "not_found", "forbidden"];
    assert_eq!((outcomes(&answer), &answer["changed"]), (expected.to_vec(), &json!(2)));
    assert_eq!(
        (&answer["results"][1]["id"], &answer["results"][1]["user_id"]),
        (&json!("5779356081"), &json!(bea.id))
    );
    assert_eq!(
        (ann.validate(), bea.validate(), admin.validate()),
        (401, 401, 200),
        "at once, where it was made"
    );
    within(Duration::from_secs(2), "elsewhere", || elsewhere.validate() == 401);
    assert_eq!(admin.get(&ann.path()).json()["is_active"], false);

    let again = bulk(&helper, "deactivate", &json!([ann.id, bea.id]));
    assert_eq!((outcomes(&again), &again["changed"]), (vec!["already", "already"], &json!(0)));
    let back = bulk(&helper, "activate", &json!([ann.id, bea.id]));
    assert_eq!(back["changed"], 2);
    assert_eq!((ann.validate(), bea.validate()), (401, 401), "older tokens stay void");
    assert_eq!(app.again("ann").validate(), 200);

    let path = "/api/v1/users/bulk/deactivate";
    ann.post(path, &json!({ "ids": [bea.id] })).expect(401);
    app.again("bea").post(path, &json!({})).expect(403);
    admin.post(path, &json!({ "ids": [] })).complains_about(422, &["ids"]);
    admin.post(path, &json!({ "ids": ["me"] })).complains_about(422, &["ids"]);
    let named = json!({ "email": "x@example.com", "username": "xxx", "external_id": "bulk" });
    admin.post("/api/v1/users", &named).complains_about(422, &["external_id"]);
}

fn a_thousand_users_are_changed_in_one_request(app: &TestApp) {
    let admin = app.admin();
    let users: Vec<_> = (0..7).map(|n| app.plain_user(&admin, &format!("user{n}"))["id"].clone()).collect();
    let mut ids: Vec<_> = (0..993).map(|n| json!(format!("nobody-{n}"))).collect();
    ids.extend(users.iter().cloned());
    let answer = bulk(&admin, "deactivate", &json!(ids));
    assert_eq!((&answer["changed"], outcomes(&answer).len()), (&json!(7), 1000));
    assert_eq!(admin.get("/api/v1/users?status=inactive").json()["total"], 7);
    ids.push(json!("one more"));
    admin.post("/api/v1/users/bulk/activate", &json!({ "ids": ids })).complains_about(422, &["ids"]);
}

/// Returns the audit log, newest first, as pairs of action and details.
fn log(admin: &Client, query: &str) -> Vec<(String, Value)> {
    let answer = admin.get(&format!("/api/v1/audit?{query}")).expect(200).json();
    let lines = answer["items"].as_array().unwrap().iter();
    let mut pairs: Vec<_> =
        lines.map(|line| (line["action"].as_str().unwrap().to_owned(), line["details"].clone())).collect();
    for (action, details) in &mut pairs {
        let address = details.as_object_mut().unwrap().remove("address");
        // The start creates the first superadmin without a request.
        assert_eq!(address, Some(json!("127.0.0.1")).filter(|_| action != "admin.create"), "{action}");
    }
    pairs
}

fn every_write_is_in_the_audit_log_without_its_values(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    ann.patch("/api/v1/users/me", &ann.confirmed(&json!({ "bio": "sails", "phone": "+12425550123" })))
        .expect(200);
    ann.patch("/api/v1/users/me", &json!({ "bio": "sails" })).expect(200);
    ann.put("/api/v1/users/me/preferences", &json!({ "theme": "dark" })).expect(200);
    ann.put("/api/v1/users/me/interests", &json!({ "interests": ["sailing"] })).expect(200);
    bulk(&admin, "deactivate", &json!([ann.id]));
    admin.post(&format!("{}/activate", ann.path()), &json!({})).expect(200);
    let back = app.again("ann");
    let new = json!({ "current_password": PASSWORD, "new_password": "another password" });
    back.post("/api/v1/auth/password", &new).expect(204);
    let back = app.login(&json!({ "username": "ann", "password": "another password" }));
    back.post("/api/v1/auth/logout", &json!({})).expect(204);
    let last = app.login(&json!({ "username": "ann", "password": "another password" }));
    let refresh = json!({ "refresh_token": last.refresh_token });
    let next = app.anonymous().post("/api/v1/auth/refresh", &refresh).expect(200).field("refresh_token");
    app.anonymous().post("/api/v1/auth/refresh", &json!({ "refresh_token": next })).expect(200);
    app.anonymous().post("/api/v1/auth/refresh", &refresh).expect(401);
    admin.delete(&ann.path()).expect(204);

    let lines = log(&admin, &format!("target={}&limit=100", ann.id));
    let mut words: Vec<_> = lines.iter().map(|(action, _)| action.as_str()).collect();
    words.reverse();
    let expected = [
        "user.create",
        "session.open",
        "user.update",
        "preferences.update",
        "interests.update",
        "bulk.deactivate",
        "user.activate",
        "session.open",
        "password.change",
        "session.open",
        "session.close",
        "session.open",
        "session.reuse",
        "user.delete",
    ];
    assert_eq!(words, expected);
    let updated = lines.iter().find(|(action, _)| action == "user.update").unwrap();
    assert_eq!(updated.1, json!({ "fields": ["phone", "bio"] }));
    let all = admin.get("/api/v1/audit?limit=100").expect(200);
    for hidden in ["example.com", "sails", "2425550123", "sailing", "\"ann\""] {
        assert!(!all.text().contains(hidden), "{hidden}");
    }

    let by_admin = log(&admin, &format!("actor={}&target={}", admin.id, ann.id));
    let by_admin: Vec<_> = by_admin.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(by_admin, ["user.delete", "user.activate", "bulk.deactivate"]);
    assert_eq!(log(&admin, "action=admin.create").len(), 1);
    assert_eq!(log(&admin, "action=user.import").len(), 0);
}

fn the_audit_log_is_for_admins_and_continues_at_its_cursor(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    app.anonymous().get("/api/v1/audit").expect(401);
    ann.get("/api/v1/audit").expect(403);
    ann.get("/api/v1/audit?limit=0").expect(403);
    app.user_with_role("helper", "admin").get("/api/v1/audit").expect(200);
    admin
        .get("/api/v1/audit?limit=0&actor=me&action=x&cursor=x")
        .complains_about(422, &["action", "actor", "cursor", "limit"]);
    let all = admin.get("/api/v1/audit?limit=100").expect(200).json();
    let (all, mut parts, mut cursor) = (all["items"].as_array().unwrap().clone(), Vec::new(), String::new());
    loop {
        let part = admin.get(&format!("/api/v1/audit?limit=2{cursor}")).expect(200).json();
        parts.extend(part["items"].as_array().unwrap().iter().cloned());
        let Some(next) = part["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert!(parts.len() > 4);
    assert_eq!(parts, all);
}

on_both_databases!(
    trace_8_deactivated_together_all_tokens_end_and_each_outcome_is_reported,
    a_thousand_users_are_changed_in_one_request,
    every_write_is_in_the_audit_log_without_its_values,
    the_audit_log_is_for_admins_and_continues_at_its_cursor,
);
