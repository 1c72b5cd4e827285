//! No secret is in the log, in Redis or in answers; no client sets protected fields; no name is read as a key or pattern.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Secret};

use crate::support::app::{ADMIN_PASSWORD, PASSWORD, TestApp, on_both_databases};
use crate::support::client::Client;

/// Creates each kind of secret of a user by using it, and returns them.
fn used_secrets(app: &TestApp, ann: &Client) -> Vec<String> {
    let key = ann.make_key(&json!({ "name": "ci" })).expect(201).field("key");
    let with_key = ann.with_token(&key);
    for _ in 0..3 {
        with_key.get("/api/v1/users/me").expect(200);
    }
    let hash: String = Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let enrolled = ann.post("/api/v1/auth/totp/enroll", &json!({ "password": PASSWORD })).expect(200);
    let secret = Secret::try_from_base32(enrolled.field("secret")).unwrap();
    let raw = STANDARD.encode(secret.as_bytes());
    let phone = Builder::new().with_secret(secret).build().unwrap();
    let code = json!({ "totp_code": phone.generate_current().to_string() });
    let confirmed = ann.post("/api/v1/auth/totp/confirm", &code).expect(200).json();
    let recovery = confirmed["recovery_codes"][0].as_str().unwrap().to_owned();
    let login = json!({ "username": "ann", "password": PASSWORD, "recovery_code": recovery });
    let granted = app.anonymous().post("/api/v1/auth/login", &login).expect(200);
    let (access, refresh) = (granted.field("access_token"), granted.field("refresh_token"));
    let admin = app.admin();
    for token in [&access, &refresh, &key] {
        assert_eq!(admin.token_form("/api/v1/auth/introspect", token).expect(200).json()["active"], true);
    }
    admin.post("/api/v1/auth/keys/rotate", &json!({})).expect(201);
    let private = app.stack.sql("SELECT private_key FROM signing_keys WHERE retired_at IS NULL");
    let password_hash =
        app.stack.sql(&format!("SELECT password_hash FROM credentials WHERE user_id = '{}'", ann.id));
    app.anonymous().token_form("/api/v1/auth/revoke", &refresh).expect(200);
    let bare: String = recovery.chars().filter(|letter| *letter != '-').collect();
    let mut secrets = vec![key, hash, enrolled.field("secret"), raw, recovery, bare, access, refresh];
    secrets.extend([private, password_hash, PASSWORD.to_owned(), ADMIN_PASSWORD.to_owned()]);
    secrets
}

fn neither_the_log_nor_redis_holds_a_secret(app: &TestApp) {
    let ann = app.user("ann");
    let secrets = used_secrets(app, &ann);
    let log = app.larder.printed();
    assert!(log.contains("DEBUG"), "the log is as talkative as it gets");
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "the log shows a secret: {secret}");
    }
    if app.has_redis() {
        let dump = redis_dump(app);
        assert!(dump.contains("api_key"), "there are entries to look at");
        for secret in &secrets {
            assert!(!dump.contains(secret.as_str()), "Redis holds a secret: {secret}");
        }
    }
}

/// Returns every key in Redis with its value.
fn redis_dump(app: &TestApp) -> String {
    let keys = app.stack.redis().command(&["KEYS", "*"]).unwrap();
    let mut dump = keys.clone();
    for key in keys.lines() {
        dump += &app.stack.redis().command(&["GET", key]).unwrap_or_default();
    }
    dump
}

fn no_client_sets_protected_fields(app: &TestApp) {
    let ann = app.user("ann");
    let before = ann.get("/api/v1/users/me").json();
    let fields: [(&str, Value); 12] = [
        ("id", json!("0192f0c1-2345-7abc-8def-0123456789ab")),
        ("role", json!("superadmin")),
        ("is_active", json!(false)),
        ("points", json!(1_000_000)),
        ("version", json!(7)),
        ("external_id", json!("mine")),
        ("created_at", json!("2001-01-01T00:00:00Z")),
        ("updated_at", json!("2001-01-01T00:00:00Z")),
        ("epoch", json!(0)),
        ("password_hash", json!("$argon2id$x")),
        ("totp_secret", json!("x")),
        ("user_id", json!("x")),
    ];
    for (name, value) in &fields {
        let refused = |status: u16| assert!(status == 422 || status == 403, "{name}: {status}");
        let mut register = json!({ "email": "eve@example.com", "username": "eve", "password": PASSWORD });
        register[name] = value.clone();
        refused(app.anonymous().post("/api/v1/auth/register", &register).status);
        refused(ann.patch("/api/v1/users/me", &json!({ *name: value })).status);
        let mut put = json!({ "email": "ann@example.com", "username": "ann" });
        put[name] = value.clone();
        refused(ann.put("/api/v1/users/me", &put).status);
        let mut key = json!({ "name": "ci" });
        key[name] = value.clone();
        refused(ann.make_key(&key).status);
        let mut login = json!({ "username": "ann", "password": PASSWORD });
        login[name] = value.clone();
        refused(app.anonymous().post("/api/v1/auth/login", &login).status);
    }
    assert_eq!(ann.get("/api/v1/users/me").json(), before);
    assert_eq!(app.admin().lookup(&json!({ "username": "eve" })).status, 404);
}

/// An address can contain characters that have a meaning in keys or patterns; it still names one user only.
fn a_name_with_pattern_characters_names_one_user(app: &TestApp) {
    let admin = app.admin();
    let locals = ["a*", "ab", "a?", "a{b}", "a+b", "a%3ab", "a'b", "user_email=ab", "#a", "a|b"];
    let mut users = Vec::new();
    for (number, local) in locals.iter().enumerate() {
        let email = format!("{local}@example.com");
        let body = json!({ "email": email, "username": format!("name{number}") });
        let made = admin.post("/api/v1/users", &body);
        if made.status == 201 {
            users.push((email, made.field("id")));
        }
    }
    assert!(users.len() >= 6, "most of them are addresses: {users:?}");
    for _ in 0..2 {
        for (email, id) in &users {
            assert_eq!(admin.lookup(&json!({ "email": email })).expect(200).field("id"), *id, "{email}");
        }
        // A change of the user whose address looks like a pattern drops that user's entries; all lookups stay correct.
        admin.patch(&format!("/api/v1/users/{}", users[0].1), &json!({ "bio": "new" })).expect(200);
    }
    admin.delete(&format!("/api/v1/users/{}", users[0].1)).expect(204);
    admin.lookup(&json!({ "email": users[0].0 })).expect(404);
    for (email, id) in &users[1..] {
        assert_eq!(admin.lookup(&json!({ "email": email })).expect(200).field("id"), *id);
    }
}

on_both_databases!(
    neither_the_log_nor_redis_holds_a_secret,
    no_client_sets_protected_fields,
    a_name_with_pattern_characters_names_one_user,
);
