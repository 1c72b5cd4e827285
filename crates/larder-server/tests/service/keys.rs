//! `/.well-known/jwks.json` and the rotation of the keys behind it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_databases};
use crate::support::client::Client;
use crate::support::{eventually, within};

const MINUTE: i64 = 60_000_000;

fn jwks(app: &TestApp) -> Vec<Value> {
    let answer = app.anonymous().get("/.well-known/jwks.json").expect(200);
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

/// Moves the retirements of keys into the past.
fn pass(app: &TestApp, minutes: i64) {
    let shift = minutes * MINUTE;
    app.stack.sql(&format!(
        "UPDATE signing_keys SET retired_at = retired_at - {shift} WHERE retired_at IS NOT NULL"
    ));
}

fn a_new_key_is_published_before_it_signs_and_the_old_one_verifies_until_its_tokens_have_ended(
    app: &TestApp,
) {
    let other = app.second_instance();
    let (admin, before) = (app.admin(), app.user("ann"));
    before.post("/api/v1/auth/keys/rotate", &json!({})).expect(403);
    let rotated = admin.post("/api/v1/auth/keys/rotate", &json!({})).expect(201);
    let new = rotated.field("kid");
    let keys = jwks(app);
    assert!(keys.len() == 2 && keys[1]["kid"] == json!(new), "published at once");
    assert_eq!(kid(&app.again("ann")), kid(&before), "and it does not sign yet");

    pass(app, 3);
    // Another user logs in meanwhile, because ann's first session would end with the 21st.
    app.user("ben");
    eventually("the new key signs", || kid(&app.again("ben")) == new);
    let after = app.again("ann");
    // The other instance does not know the new key yet, so it reads the keys from the database.
    for client in [&before, &after] {
        assert_eq!([client.validate(), other.here(client).validate()], [200; 2]);
    }
    let keys = jwks(app);
    assert!([&before, &after].iter().all(|client| verifies(&keys, client.token.as_ref().unwrap())));

    // The key retired so long ago that every token of it has expired; each instance drops it when it reads the keys
    // again.
    pass(app, 20);
    let latest = admin.post("/api/v1/auth/keys/rotate", &json!({})).expect(201).field("kid");
    let kids: Vec<_> = jwks(app).iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kids, [new, latest]);
    // This holds also on the instance that remembers the verified signature: a removed key verifies no token.
    assert_eq!([before.validate(), after.validate()], [401, 200]);
    // A third instance remembers no signature, so it verifies with the keys alone.
    let third = app.second_instance();
    assert_eq!([third.here(&before).validate(), third.here(&after).validate()], [401, 200]);
}

fn an_emergency_rotation_ends_every_token_on_every_instance(app: &TestApp) {
    let other = app.second_instance();
    let (ann, refresh) = (app.user("ann"), "/api/v1/auth/refresh");
    let stolen = kid(&ann);
    assert_eq!([ann.validate(), other.here(&ann).validate()], [200; 2]);
    let ended = app.command(&["keys", "rotate", "--now"]);
    assert!(
        ended.is_success && ended.output.contains("Every token has ended: 1 sessions"),
        "{}",
        ended.output
    );
    within(Duration::from_secs(5), "both instances refuse the token", || {
        [ann.validate(), other.here(&ann).validate()] == [401; 2]
    });
    ann.post(refresh, &json!({ "refresh_token": ann.refresh_token })).refuses(401, "session_ended");
    for instance in [app, &other] {
        let mut new = instance.again("ann");
        // An instance reads the keys again before it signs, unless it read them within the last second.
        within(Duration::from_secs(5), "no instance signs with the stolen key", || {
            new = if kid(&new) == stolen { instance.again("ann") } else { new.clone() };
            kid(&new) != stolen
        });
        assert_eq!([app.here(&new).validate(), other.here(&new).validate()], [200; 2]);
    }
    let kids: Vec<_> = jwks(app).iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect();
    assert!(!kids.contains(&stolen), "{kids:?}");
    assert_eq!(app.stack.sql("SELECT COUNT(*) FROM audit_log WHERE action = 'key.replace'"), "1");
    let gentle = app.command(&["keys", "rotate"]);
    assert!(gentle.is_success && gentle.output.contains("signs from"), "{}", gentle.output);
    assert_eq!(app.stack.sql("SELECT COUNT(*) FROM signing_keys"), "2");
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
            let anonymous = other.anonymous();
            scope.spawn(move || {
                for number in 0..10 {
                    assert_eq!(anonymous.with_token(&junk(thread * 100 + number)).validate(), 401);
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
    a_new_key_is_published_before_it_signs_and_the_old_one_verifies_until_its_tokens_have_ended,
    an_emergency_rotation_ends_every_token_on_every_instance,
    junk_kids_do_not_hide_a_new_key,
);
