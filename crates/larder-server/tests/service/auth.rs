//! `/api/v1/auth`: registering, logging in with each identifier, the claims of a token, refreshing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp, on_every_stack};

/// The fields of a user in the contract; an answer has no others.
const FIELDS: [&str; 19] = [
    "avatar_url",
    "bio",
    "created_at",
    "email",
    "email_verified",
    "experience",
    "external_id",
    "full_name",
    "id",
    "is_active",
    "location",
    "occupation",
    "phone",
    "points",
    "role",
    "skills",
    "updated_at",
    "username",
    "version",
];

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn registering_answers_with_every_field_of_the_user_and_no_secret(app: &TestApp) {
    let body = json!({
        "email": " Ann@Example.COM ", "username": "Ann.B", "phone": "+1 (242) 555-0123", "password": PASSWORD,
        "full_name": "Ann Bonny", "bio": "sails\nand sings", "occupation": "captain", "location": "Nassau",
        "avatar_url": "https://example.com/ann.png", "skills": ["fencing", "sql: *"], "experience": "ten years",
    });
    let answer = app.anonymous().post("/api/v1/auth/register", &body).expect(201);
    let user = answer.json();
    assert_eq!(keys(&user), FIELDS);
    let id = user["id"].as_str().unwrap();
    assert!(id.len() == 36 && id.as_bytes()[14] == b'7', "a UUIDv7: {id}");
    assert_eq!(answer.header("location"), Some(format!("/api/v1/users/{id}").as_str()));
    assert_eq!((answer.header("etag"), &user["version"]), (Some("\"1\""), &json!(1)));
    assert_eq!(user["email"], "ann@example.com");
    assert_eq!((&user["username"], &user["phone"]), (&json!("ann.b"), &json!("+12425550123")));
    assert_eq!((&user["role"], &user["is_active"]), (&json!("user"), &json!(true)));
    assert_eq!((&user["external_id"], &user["skills"]), (&Value::Null, &json!(["fencing", "sql: *"])));
    for time in ["created_at", "updated_at"] {
        let text = user[time].as_str().unwrap();
        assert!(text.ends_with('Z') && text.contains('T') && text.starts_with("20"), "RFC 3339: {text}");
    }
    assert!(!answer.text().contains(PASSWORD) && !answer.text().contains("argon2"), "{}", answer.text());

    let bare = json!({ "email": "bo@example.com", "username": "bo1", "password": PASSWORD });
    let user = app.anonymous().post("/api/v1/auth/register", &bare).expect(201).json();
    assert_eq!(keys(&user), FIELDS, "empty fields are shown as null, not left out");
    assert_eq!((&user["phone"], &user["skills"]), (&Value::Null, &json!([])));
}

fn registering_grants_nothing_and_names_every_mistake(app: &TestApp) {
    let register = |body: &Value| app.anonymous().post("/api/v1/auth/register", body);
    let with = |name: &str, value: Value| {
        let mut body = json!({ "email": "cy@example.com", "username": "cyd", "password": PASSWORD });
        body[name] = value;
        body
    };
    for (name, value) in [("role", json!("admin")), ("is_active", json!(true)), ("external_id", json!("1"))] {
        register(&with(name, value)).complains_about(422, &[name]);
    }
    register(&json!({})).complains_about(422, &["email", "password", "username"]);
    register(&json!({ "email": "x", "username": "a b", "password": "short", "phone": 5, "nope": 1 }))
        .complains_about(422, &["email", "nope", "password", "phone", "username"]);

    register(&with("phone", json!("+12425550123"))).expect(201);
    register(&with("username", json!("other"))).complains_about(409, &["email"]);
    register(&with("email", json!("other@example.com"))).complains_about(409, &["username"]);
    let taken = json!({
        "email": "third@example.com", "username": "third", "password": PASSWORD, "phone": "+1 242 555 0123",
    });
    register(&taken).complains_about(409, &["phone"]);
    let total = app.admin().get("/api/v1/users").json()["total"].clone();
    assert_eq!(total, 2, "the superadmin and the one registered user");
}

fn each_identifier_logs_in_and_exactly_one_is_needed(app: &TestApp) {
    let body = json!({
        "email": "ann@example.com", "username": "ann", "phone": "+12425550123", "password": PASSWORD,
    });
    let id = app.anonymous().post("/api/v1/auth/register", &body).expect(201).field("id");
    let login = |body: Value| app.anonymous().post("/api/v1/auth/login", &body);
    for by in [
        json!({ "email": "ANN@example.com" }),
        json!({ "username": "Ann" }),
        json!({ "phone": "+1 242 555-0123" }),
    ] {
        let mut body = by;
        body["password"] = json!(PASSWORD);
        assert_eq!(app.login(&body).id, id);
        body["password"] = json!("wrong horse battery");
        let wrong = login(body.clone()).expect(401);
        body["password"] = json!("");
        assert_eq!(login(body).expect(401).text(), wrong.text());
        let nobody = login(json!({ "email": "nobody@example.com", "password": PASSWORD })).expect(401);
        assert_eq!(nobody.text(), wrong.text(), "the answer does not show whether the user exists");
    }
    login(json!({ "password": PASSWORD })).complains_about(422, &["body"]);
    login(json!({ "email": "ann@example.com", "username": "ann", "password": PASSWORD }))
        .complains_about(422, &["body"]);
    login(json!({ "email": "ann@example.com" })).complains_about(422, &["password"]);
    login(json!({ "id": id, "password": PASSWORD })).expect(422);
}

/// Decodes header and claims of a JWT.
fn decoded(token: &str) -> [Value; 2] {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    [parts.next().unwrap(), parts.next().unwrap()].map(|part| serde_json::from_slice(&part).unwrap())
}

fn a_login_grants_a_token_with_the_claims_of_the_contract(app: &TestApp) {
    app.user("ann");
    let credentials = json!({ "username": "ann", "password": PASSWORD });
    let granted = app.anonymous().post("/api/v1/auth/login", &credentials).expect(200);
    let body = granted.json();
    assert_eq!(keys(&body), ["access_token", "device_token", "expires_in", "refresh_token", "token_type"]);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(900)));
    let [header, claims] = decoded(&granted.field("access_token"));
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("at+jwt")));
    assert!(header["kid"].is_string());
    assert_eq!(keys(&claims), ["aud", "client_id", "epoch", "exp", "iat", "iss", "jti", "sid", "sub"]);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 900);

    let client = app.anonymous().with_token(&granted.field("access_token"));
    let valid = client.get("/api/v1/auth/validate").expect(200).json();
    assert_eq!(keys(&valid), ["expires_at", "role", "session_id", "user_id", "valid"]);
    assert_eq!((&valid["user_id"], &valid["session_id"]), (&claims["sub"], &claims["sid"]));
    assert_eq!((&valid["role"], &valid["expires_at"]), (&json!("user"), &claims["exp"]));
    app.anonymous().get("/api/v1/auth/validate").expect(401);
}

fn refreshing_rotates_and_a_reused_token_ends_the_family(app: &TestApp) {
    let (ann, other) = (app.user("ann"), app.again("ann"));
    let refresh =
        |token: &str| app.anonymous().post("/api/v1/auth/refresh", &json!({ "refresh_token": token }));
    let first = refresh(&ann.refresh_token).expect(200);
    assert_eq!(keys(&first.json()), ["access_token", "expires_in", "refresh_token", "token_type"]);
    let renewed = ann.with_token(&first.field("access_token"));
    let second = refresh(&first.field("refresh_token")).expect(200);
    assert_ne!(first.field("refresh_token"), second.field("refresh_token"));
    let latest = ann.with_token(&second.field("access_token"));
    assert_eq!(
        [ann.validate(), renewed.validate(), latest.validate()],
        [200; 3],
        "one session, three tokens"
    );
    assert_eq!(
        decoded(&first.field("access_token"))[1]["sid"],
        decoded(ann.token.as_ref().unwrap())[1]["sid"]
    );

    refresh(&ann.refresh_token).expect(401);
    assert_eq!(
        [ann.validate(), renewed.validate(), latest.validate()],
        [401; 3],
        "a reused token means that a second client has it"
    );
    refresh(&second.field("refresh_token")).expect(401);
    assert_eq!(other.validate(), 200, "another session of the same user stays open");
    refresh(&other.refresh_token).expect(200);

    refresh("never issued").expect(401);
    refresh(&"x".repeat(513)).complains_about(422, &["refresh_token"]);
    refresh("").complains_about(422, &["refresh_token"]);
}

on_every_stack!(
    registering_answers_with_every_field_of_the_user_and_no_secret,
    registering_grants_nothing_and_names_every_mistake,
    each_identifier_logs_in_and_exactly_one_is_needed,
    a_login_grants_a_token_with_the_claims_of_the_contract,
    refreshing_rotates_and_a_reused_token_ends_the_family,
);
