//! Introspection and revocation of every kind of token; no kind is accepted as another.

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_databases};
use crate::support::client::{Client, Request};

const INTROSPECT: &str = "/api/v1/auth/introspect";
const REVOKE: &str = "/api/v1/auth/revoke";

fn introspected(by: &Client, token: &str) -> Value {
    by.token_form(INTROSPECT, token).expect(200).json()
}

fn api_key(client: &Client, scopes: &Value) -> String {
    let body = json!({ "name": "test", "scopes": scopes });
    client.make_key(&body).expect(201).field("key")
}

fn introspection_reports_to_admins_whether_a_token_is_valid_now(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let access = ann.token.clone().unwrap();
    let worth = introspected(&admin, &access);
    assert_eq!((&worth["active"], &worth["sub"]), (&json!(true), &json!(ann.id)));
    assert_eq!((&worth["token_type"], &worth["role"]), (&json!("access_token"), &json!("user")));
    assert_eq!(worth["exp"].as_u64().unwrap() - worth["iat"].as_u64().unwrap(), 900);
    let refresh = introspected(&admin, &ann.refresh_token);
    assert_eq!((&refresh["token_type"], &refresh["sid"]), (&json!("refresh_token"), &worth["sid"]));
    let key = api_key(&ann, &json!(["read"]));
    let of_key = introspected(&admin, &key);
    assert_eq!((&of_key["token_type"], &of_key["scope"]), (&json!("api_key"), &json!("read")));

    // A client without the right learns nothing; an API key needs the scope `introspect`.
    ann.token_form(INTROSPECT, &access).expect(403);
    app.anonymous().token_form(INTROSPECT, &access).expect(401);
    ann.make_key(&json!({ "name": "x", "scopes": ["introspect"] })).expect(403);
    let asking = admin.with_token(&api_key(&admin, &json!(["introspect"])));
    assert_eq!(introspected(&asking, &access), worth);
    asking.get("/api/v1/users/me").expect(403);
    let other = admin.with_token(&api_key(&admin, &json!(["read", "write"])));
    other.token_form(INTROSPECT, &access).expect(403);

    // The answer is the same for every kind of invalid token.
    let inactive = json!({ "active": false });
    ann.post("/api/v1/auth/logout", &json!({})).expect(204);
    let wrong_secret = format!("{}{}", &key[..40], "A".repeat(23));
    for token in
        [&access, &ann.refresh_token, "junk", "lk_", "lk_0000000000000000", &wrong_secret, "a.b.c", "%00"]
    {
        assert_eq!(introspected(&admin, token), inactive);
    }
    admin.post(&format!("{}/deactivate", ann.path()), &json!({})).expect(200);
    assert_eq!(introspected(&admin, &key), inactive);
    admin.post(INTROSPECT, &json!({ "token": access })).expect(415);
    admin.token_form(INTROSPECT, "").complains_about(422, &["token"]);
}

fn the_holder_of_a_token_may_revoke_it(app: &TestApp) {
    let revoke = |token: &str| app.anonymous().token_form(REVOKE, token).expect(200);
    let by_access = app.user("ann");
    let (by_refresh, stays) = (app.again("ann"), app.again("ann"));
    let key = api_key(&stays, &json!(["read"]));
    let with_key = app.anonymous().with_token(&key);
    assert_eq!([by_access.validate(), by_refresh.validate(), with_key.validate()], [200; 3]);
    revoke(by_access.token.as_ref().unwrap());
    assert_eq!(by_access.validate(), 401);
    let refresh = json!({ "refresh_token": by_access.refresh_token });
    app.anonymous().post("/api/v1/auth/refresh", &refresh).expect(401);
    revoke(&by_refresh.refresh_token);
    assert_eq!([by_refresh.validate(), stays.validate(), with_key.validate()], [401, 200, 200]);
    revoke(&format!("{}{}", &key[..40], "A".repeat(23)));
    assert_eq!(with_key.validate(), 200, "the public part alone ends nothing");
    revoke(&key);
    assert_eq!([stays.validate(), with_key.validate()], [200, 401]);
    for unknown in ["junk", &key, by_access.token.as_ref().unwrap(), "lk_x"] {
        assert_eq!(revoke(unknown).header("cache-invalidation"), Some("sent"));
    }
    let twice = Request::new("POST", REVOKE).header("content-type", "application/x-www-form-urlencoded");
    app.anonymous().send(twice.bytes("token=a&token=b")).expect(400);
}

/// The service accepts each kind of token only in its own place.
fn no_token_passes_for_another_kind(app: &TestApp) {
    let ann = app.user("ann");
    let (access, key) = (ann.token.clone().unwrap(), api_key(&ann, &json!(["read", "write"])));
    let refreshed =
        |token: &str| app.anonymous().post("/api/v1/auth/refresh", &json!({ "refresh_token": token })).status;
    assert_eq!([refreshed(&access), refreshed(&key)], [422, 401], "too long for one, and unknown");
    assert_eq!(ann.with_token(&ann.refresh_token).validate(), 401);
    assert_eq!(ann.with_token(&format!("lk_{}", ann.refresh_token)).validate(), 401);
    let by_header = |value: &str| {
        app.anonymous().send(Request::new("GET", "/api/v1/auth/validate").header("x-api-key", value)).status
    };
    assert_eq!([by_header(&key), by_header(&ann.refresh_token)], [200, 401]);
    // The `authorization` header takes precedence over `x-api-key`, even if its token is invalid.
    let both = Request::new("GET", "/api/v1/auth/validate").header("x-api-key", &key);
    ann.with_token("junk").send(both).expect(401);
    assert_eq!(ann.validate(), 200);
}

on_both_databases!(
    introspection_reports_to_admins_whether_a_token_is_valid_now,
    the_holder_of_a_token_may_revoke_it,
    no_token_passes_for_another_kind,
);
