//! What a resource server and its libraries rely on: discovery, the claims of a token, challenges, Basic at introspection.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::app::{Stack, TestApp, on_stacks};
use crate::support::client::{Client, Request};
use crate::support::larder::Larder;

const DISCOVERY: &str = "/.well-known/oauth-authorization-server";
const INTROSPECT: &str = "/api/v1/auth/introspect";
const ISSUER: &str = "https://id.example.com/larder";

fn claims(client: &Client) -> Value {
    let token = client.token.as_ref().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

fn challenge(client: &Client, request: Request) -> (u16, String) {
    let answer = client.send(request);
    (answer.status, answer.header("www-authenticate").unwrap().to_owned())
}

fn the_issuer_is_the_installation_until_it_is_configured(app: &TestApp) {
    app.anonymous().get(DISCOVERY).refuses(404, "issuer_unset");
    let of_installation = claims(&app.admin());
    assert!(of_installation["iss"].as_str().unwrap().starts_with("urn:larder:"), "{of_installation}");
    assert_eq!(
        (&of_installation["aud"], &of_installation["client_id"]),
        (&json!("larder"), &json!("larder"))
    );
}

#[test]
fn a_configured_issuer_and_audience_are_those_of_tokens_and_of_discovery() {
    let stack = Stack::sqlite_memory().with_setting("LARDER_ISSUER", ISSUER);
    let app = stack.with_setting("LARDER_AUDIENCE", "https://api.example.com").start();
    let admin = app.admin();
    let of_token = claims(&admin);
    assert_eq!((&of_token["iss"], &of_token["aud"]), (&json!(ISSUER), &json!("https://api.example.com")));
    let metadata = app.anonymous().get(DISCOVERY).expect(200).json();
    assert_eq!(metadata["issuer"], ISSUER);
    assert_eq!(metadata["jwks_uri"], format!("{ISSUER}/.well-known/jwks.json"));
    assert_eq!(metadata["introspection_endpoint"], format!("{ISSUER}{INTROSPECT}"));
    let worth = admin.token_form(INTROSPECT, admin.token.as_ref().unwrap()).expect(200).json();
    assert_eq!((&worth["iss"], &worth["client_id"]), (&json!(ISSUER), &json!("larder")));
    // A token of this database that names another issuer or audience is no token of this service.
    let other = app.instance_with("LARDER_AUDIENCE", "another");
    assert_eq!(other.here(&admin).validate(), 401);
}

/// RFC 8414 has the document between host and path of the issuer; the service also serves it below the path.
#[test]
fn the_document_is_found_where_the_issuer_says() {
    for (base, below) in [("", DISCOVERY.to_owned()), ("/larder", format!("/larder{DISCOVERY}"))] {
        let stack = Stack::sqlite_memory().with_setting("LARDER_ISSUER", ISSUER);
        let app = stack.with_setting("LARDER_BASE_PATH", base).start();
        // The OpenAPI document has one of these paths alone, so the answer is not held against it.
        let get = |path: &str| app.anonymous().raw(Request::new("GET", path));
        for path in [format!("{DISCOVERY}/larder"), below] {
            assert_eq!(get(&path).expect(200).json()["issuer"], ISSUER, "{path}");
        }
        get(&format!("{DISCOVERY}/other")).expect(404);
        get(&format!("{base}/livez/larder")).expect(404);
    }
}

#[test]
fn an_issuer_that_contradicts_the_prefix_of_paths_is_refused_at_the_start() {
    let start = |issuer: &str| {
        let settings = [("LARDER_BASE_PATH", "/larder"), ("LARDER_ISSUER", issuer)];
        Larder::command(&["config"], &settings)
    };
    for issuer in ["https://id.example.com", "https://id.example.com/other"] {
        let refused = start(issuer);
        assert!(!refused.is_success, "{}", refused.output);
        for part in ["LARDER_ISSUER", issuer, "LARDER_BASE_PATH", "/larder"] {
            assert!(refused.output.contains(part), "{part}: {}", refused.output);
        }
    }
    assert!(start("https://id.example.com/auth/larder").is_success);
}

fn a_refusal_says_in_its_challenge_what_is_wrong_with_the_token(app: &TestApp) {
    let (admin, anonymous) = (app.admin(), app.anonymous());
    let validate = || Request::new("GET", "/api/v1/auth/validate");
    assert_eq!(challenge(&anonymous, validate()), (401, "Bearer".to_owned()));
    let invalid = (401, "Bearer error=\"invalid_token\"".to_owned());
    for token in ["junk", "lk_0000000000000000_x"] {
        assert_eq!(challenge(&anonymous.with_token(token), validate()), invalid);
    }
    let ended = app.user("ann");
    ended.post("/api/v1/auth/logout", &json!({})).expect(204);
    assert_eq!(challenge(&ended, validate()), invalid);
    let made = admin.make_key(&json!({ "name": "r", "scopes": ["read"] })).expect(201);
    let reading = anonymous.with_token(&made.field("key"));
    let create = Request::new("POST", "/api/v1/users").json(&json!({}));
    let insufficient = (403, "Bearer error=\"insufficient_scope\", scope=\"write\"".to_owned());
    assert_eq!(challenge(&reading, create), insufficient);
}

fn a_client_introspects_with_basic(app: &TestApp) {
    let (admin, anonymous) = (app.admin(), app.anonymous());
    let made = admin.make_key(&json!({ "name": "rs", "scopes": ["introspect"] }));
    let (id, key) = (made.field("id"), made.field("key"));
    let basic = |path: &str, id: &str, key: &str| {
        let client = STANDARD.encode(format!("{id}:{key}"));
        let form = format!("token={}", admin.token.as_ref().unwrap());
        Request::new("POST", path)
            .header("authorization", &format!("basic {client}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .bytes(form)
    };
    let worth = anonymous.send(basic(INTROSPECT, &id, &key)).expect(200).json();
    assert_eq!((&worth["active"], &worth["sub"]), (&json!(true), &json!(admin.id)));
    let other = admin.make_key(&json!({ "name": "other" })).field("id");
    for (id, key) in
        [(id.as_str(), "wrong"), (&other, &key), ("", &key), (&id, admin.token.as_ref().unwrap())]
    {
        let refused = (401, "Basic realm=\"larder\"".to_owned());
        assert_eq!(challenge(&anonymous, basic(INTROSPECT, id, key)), refused, "{id}");
    }
    // Basic is for clients at introspection, and no way in anywhere else.
    let elsewhere = Request::new("GET", "/api/v1/users/me");
    let elsewhere =
        elsewhere.header("authorization", &format!("Basic {}", STANDARD.encode(format!("{id}:{key}"))));
    anonymous.send(elsewhere.clone()).refuses(401, "credential_missing");
    // A scheme of a proxy in front does not hide the key in its own header.
    let reading = admin.make_key(&json!({ "name": "r", "scopes": ["read"] })).field("key");
    anonymous.send(elsewhere.header("x-api-key", &reading)).expect(200);
}

on_stacks!(
    [sqlite_memory],
    the_issuer_is_the_installation_until_it_is_configured,
    a_refusal_says_in_its_challenge_what_is_wrong_with_the_token,
    a_client_introspects_with_basic
);
