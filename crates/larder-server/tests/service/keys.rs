//! `/.well-known/jwks.json` and the rotation of the keys behind it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_databases};
use crate::support::client::Client;
use crate::support::eventually;

const MINUTE: i64 = 60_000_000;

fn jwks(app: &TestApp) -> Vec<Value> {
    let answer = app.stranger().get("/.well-known/jwks.json").expect(200);
    assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
    answer.json()["keys"].as_array().unwrap().clone()
}

fn kid(client: &Client) -> String {
    decode_header(client.token.as_ref().unwrap()).unwrap().kid.unwrap()
}

/// Verifies a token as a resource server does, with the key set alone.
fn verifies(jwks: &[Value], token: &str) -> bool {
    let kid = decode_header(token).unwrap().kid;
    let key = jwks.iter().find(|key| key["kid"].as_str() == kid.as_deref());
    let Some(key) = key else { return false };
    let point = DecodingKey::from_ed_components(key["x"].as_str().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["larder"]);
    decode::<Value>(token, &point, &validation).is_ok()
}

fn the_key_set_alone_verifies_a_token(app: &TestApp) {
    let ann = app.user("ann");
    let keys = jwks(app);
    let token = ann.token.as_ref().unwrap();
    assert!(keys.len() == 1 && verifies(&keys, token));
    let key = keys[0].as_object().unwrap();
    let names: Vec<_> = key.keys().map(String::as_str).collect();
    assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x"], "and nothing private");
    assert_eq!((&key["kty"], &key["crv"]), (&json!("OKP"), &json!("Ed25519")));
    assert_eq!((&key["alg"], &key["use"]), (&json!("EdDSA"), &json!("sig")));
    assert_eq!(URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap().len(), 32);
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let installation = app.stack.sql("SELECT id FROM installation");
    assert_eq!(claims["iss"], format!("urn:larder:{installation}"));
    let other = app.again("ann");
    let jti = |client: &Client| {
        let claims = URL_SAFE_NO_PAD.decode(client.token.as_ref().unwrap().split('.').nth(1).unwrap());
        serde_json::from_slice::<Value>(&claims.unwrap()).unwrap()["jti"].as_str().unwrap().to_owned()
    };
    assert_ne!(jti(&ann), jti(&other), "each token has its own id");
}

fn a_rotated_key_signs_and_the_old_one_verifies_until_its_tokens_have_ended(app: &TestApp) {
    let other = app.second_instance();
    let (admin, before) = (app.admin(), app.user("ann"));
    before.post("/api/v1/auth/keys/rotate", &json!({})).expect(403);
    let new = admin.post("/api/v1/auth/keys/rotate", &json!({})).expect(201).field("kid");
    let after = app.again("ann");
    assert_ne!(kid(&before), new);
    assert_eq!(kid(&after), new);
    // The other instance does not know the new key yet, so it reads the keys from the database.
    for client in [&before, &after] {
        assert_eq!([client.validate(), other.here(client).validate()], [200; 2]);
    }
    let keys = jwks(app);
    assert_eq!(keys.len(), 2);
    assert!([&before, &after].iter().all(|client| verifies(&keys, client.token.as_ref().unwrap())));

    // The key retired so long ago that every token of it has expired; each instance drops it when it reads the keys
    // again.
    let retired = format!(
        "UPDATE signing_keys SET retired_at = retired_at - {} WHERE retired_at IS NOT NULL",
        20 * MINUTE
    );
    app.stack.sql(&retired);
    let latest = admin.post("/api/v1/auth/keys/rotate", &json!({})).expect(201).field("kid");
    let kids: Vec<_> = jwks(app).iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kids, [new, latest]);
    // This holds also on the instance that remembers the verified signature: a removed key verifies no token.
    assert_eq!([before.validate(), after.validate()], [401, 200]);
    // A third instance remembers no signature, so it verifies with the keys alone.
    let third = app.second_instance();
    assert_eq!([third.here(&before).validate(), third.here(&after).validate()], [401, 200]);
}

/// Tokens that name unknown keys cost a bounded number of queries, and a token of a new key is still accepted.
fn junk_kids_do_not_hide_a_new_key(app: &TestApp) {
    let other = app.second_instance();
    let (admin, ann) = (app.admin(), app.user("ann"));
    let junk = |number: u32| {
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": format!("0192f0c1-2345-7abc-8def-{number:012}") });
        let [header, claims] = [header, json!({})].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([0; 64]))
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let stranger = other.stranger();
            scope.spawn(move || {
                for number in 0..10 {
                    assert_eq!(stranger.with_token(&junk(thread * 100 + number)).validate(), 401);
                }
            });
        }
        admin.post("/api/v1/auth/keys/rotate", &json!({})).expect(201);
        let ann = app.again("ann");
        assert_eq!(other.here(&ann).validate(), 200);
    });
    eventually("the old token too", || other.here(&ann).validate() == 200);
}

on_both_databases!(
    the_key_set_alone_verifies_a_token,
    a_rotated_key_signs_and_the_old_one_verifies_until_its_tokens_have_ended,
    junk_kids_do_not_hide_a_new_key,
);
