//! Refusals, failed logins and interventions in the cache leave entries in the audit log; the log's own protection is
//! examined.

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, Stack, TestApp, on_both_databases};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::larder::Larder;

fn entries(admin: &Client, action: &str) -> Vec<Value> {
    let page = admin.get(&format!("/api/v1/audit?limit=100&action={action}")).expect(200).json();
    page["items"].as_array().unwrap().clone()
}

/// The number of events in these entries: equal ones share an entry.
fn count<'a>(entries: impl Iterator<Item = &'a Value>) -> i64 {
    entries.map(|entry| entry["details"]["count"].as_i64().unwrap()).sum()
}

fn what_was_refused_is_in_the_audit_log_with_address_and_key(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let key = ann.make_key(&json!({ "name": "ci" })).expect(201).json();
    let by_key = ann.with_token(key["key"].as_str().unwrap());
    for name in ["ann", "ann", "zqx-nobody"] {
        let body = json!({ "username": name, "password": "wrong horse battery" });
        app.anonymous().post("/api/v1/auth/login", &body).expect(401);
    }
    by_key.get(&format!("{}/permissions", admin.path())).expect(403);
    ann.post("/api/v1/users", &json!({})).expect(403);
    ann.with_token("forged").get("/api/v1/users/me").expect(401);
    app.anonymous().get("/api/v1/users/me").expect(401);
    admin.put("/api/v1/cache/classes/user_list", &json!({ "enabled": false })).expect(204);
    admin.post("/api/v1/cache/clear", &json!({})).expect(200);
    admin.patch(&ann.path(), &admin.confirmed(&json!({ "role": "admin" }))).expect(200);

    eventually("the entries are written", || !entries(&admin, "cache.clear").is_empty());
    let failed = entries(&admin, "login.fail");
    let of_ann = |entry: &&Value| entry["target_id"] == json!(ann.id);
    assert_eq!((count(failed.iter().filter(of_ann)), count(failed.iter())), (2, 3), "{failed:?}");
    assert!(failed.iter().all(|entry| entry["details"]["address"] == "127.0.0.1"), "{failed:?}");
    let refused = entries(&admin, "request.refuse");
    assert!(refused.iter().all(|entry| entry["actor_id"] == json!(ann.id)), "{refused:?}");
    let with_key = refused.iter().filter(|entry| entry["details"]["api_key"] == key["id"]);
    assert_eq!((count(with_key), count(refused.iter())), (1, 2), "{refused:?}");
    let forged = entries(&admin, "credential.refuse");
    assert_eq!((count(forged.iter()), &forged[0]["details"]["code"]), (1, &json!("access_token_invalid")));
    let switched = entries(&admin, "cache.switch");
    assert_eq!(switched[0]["details"]["code"], "user_list off");
    assert_eq!(switched[0]["actor_id"], json!(admin.id));
    let role = &entries(&admin, "user.update")[0]["details"];
    assert_eq!([&role["role_before"], &role["role_after"]], [&json!("user"), &json!("admin")]);
    let log = app.larder.stderr();
    assert!(log.contains("login.fail") && log.contains(&ann.id) && !log.contains("zqx-nobody"), "by id");

    let limited = json!({ "username": "ann", "password": "wrong horse battery" });
    while app.anonymous().post("/api/v1/auth/login", &limited).status != 429 {}
    eventually("the limit too", || !entries(&admin, "request.limit").is_empty());
    by_key.patch("/api/v1/users/me", &json!({ "bio": "by key" })).expect(200);
    assert_eq!(entries(&admin, "user.update")[0]["details"]["api_key"], key["id"]);
}

/// Each case is a way to take the protection of the log away.
fn a_log_that_lost_its_protection_is_named(app: &TestApp, losses: &[(&str, &str)]) {
    let url = app.stack.database_url();
    let doctor = app.command(&["doctor"]);
    assert!(doctor.is_success && !doctor.output.contains("audit_log"), "{}", doctor.output);
    for (trigger, loss) in losses {
        app.stack.sql(loss);
        let doctor = app.command(&["doctor"]);
        let named = format!("the trigger {trigger} of audit_log is missing");
        assert!(!doctor.is_success && doctor.output.contains(&named), "{loss}: {}", doctor.output);
    }
    let settings = [("LARDER_LISTEN", "127.0.0.1:0"), ("DATABASE_URL", url.as_str())];
    let mut again = Larder::start(&["serve"], &std::env::temp_dir(), &settings);
    again.line("Listening on http://");
    assert!(again.stderr().contains("of audit_log is missing"), "{}", again.stderr());
}

#[test]
fn on_sqlite_a_dropped_trigger_is_named() {
    a_log_that_lost_its_protection_is_named(
        &Stack::sqlite_memory().start(),
        &[("audit_log_undeleted", "DROP TRIGGER audit_log_undeleted")],
    );
}

#[test]
fn on_postgres_a_trigger_that_is_off_or_empty_is_named() {
    let app = Stack::postgres_memory().start();
    let empty = "CREATE OR REPLACE FUNCTION audit_log_kept() RETURNS TRIGGER LANGUAGE plpgsql AS \
                 $$ BEGIN RETURN NEW; END $$";
    let off = "ALTER TABLE audit_log DISABLE TRIGGER audit_log_row_kept";
    a_log_that_lost_its_protection_is_named(&app, &[("audit_log_row_kept", off), ("audit_log_kept", empty)]);
    let login = json!({ "email": crate::support::app::ADMIN_EMAIL, "password": PASSWORD });
    app.anonymous().post("/api/v1/auth/login", &login).expect(401);
}

on_both_databases!(what_was_refused_is_in_the_audit_log_with_address_and_key);
