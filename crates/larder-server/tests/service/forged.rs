//! Access tokens that the service did not issue: each differs from a valid one in one point, and is refused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::app::{Stack, TestApp, on_every_stack};
use crate::support::client::{Client, Request};
use crate::support::within;

const UNKNOWN_KID: &str = "0192f0c1-2345-7abc-8def-0123456789ab";

fn part(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Signs with the key from the database, so that each forgery differs from a valid token in one point only.
struct Forger {
    kid: String,
    key: EncodingKey,
    /// The public key as the service publishes it.
    point: String,
    claims: Value,
}

impl Forger {
    fn new(app: &TestApp, token: &str) -> Self {
        let row = app.stack.sql("SELECT kid, private_key FROM signing_keys");
        let (kid, key) = row.split_once('|').unwrap();
        let key = EncodingKey::from_ed_der(&STANDARD.decode(key).unwrap());
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let keys = app.anonymous().get("/.well-known/jwks.json").expect(200).json();
        let point = keys["keys"][0]["x"].as_str().unwrap().to_owned();
        Self { kid: kid.to_owned(), key, point, claims: serde_json::from_slice(&claims).unwrap() }
    }

    /// Returns the public key as the secret of a symmetric signature: every client can read it.
    fn public_key(&self) -> EncodingKey {
        EncodingKey::from_secret(self.point.as_bytes())
    }

    fn header(&self) -> Header {
        Header { typ: Some("at+jwt".into()), kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) }
    }

    fn sign(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.key).unwrap()
    }

    fn with(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value;
        self.sign(&self.header(), &claims)
    }

    fn with_all(&self, values: &Value) -> String {
        let mut claims = self.claims.clone();
        claims.as_object_mut().unwrap().extend(values.as_object().unwrap().clone());
        self.sign(&self.header(), &claims)
    }

    fn without(&self, name: &str) -> String {
        let mut claims = self.claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        self.sign(&self.header(), &claims)
    }

    /// Signs with a header that has a further field.
    fn with_header(&self, name: &str, value: &Value) -> String {
        let mut header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": self.kid });
        header[name] = value.clone();
        let message = format!("{}.{}", part(header.to_string()), part(self.claims.to_string()));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, Algorithm::EdDSA).unwrap();
        format!("{message}.{signature}")
    }

    fn unsigned(&self, header: &Value, signature: &str) -> String {
        format!("{}.{}.{signature}", part(header.to_string()), part(self.claims.to_string()))
    }
}

/// Returns every forgery with the name of its fault.
fn forgeries(forger: &Forger, good: &str, other_user: &str) -> Vec<(&'static str, String)> {
    let now = forger.claims["iat"].as_u64().unwrap();
    let epoch = forger.claims["epoch"].as_i64().unwrap();
    let [head, body, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let none = json!({ "alg": "none", "typ": "at+jwt", "kid": forger.kid });
    let symmetric = Header { alg: Algorithm::HS256, ..forger.header() };
    let unknown_kid = Header { kid: Some(UNKNOWN_KID.into()), ..forger.header() };
    let by_kid = EncodingKey::from_secret(forger.kid.as_bytes());
    let mut changed = forger.claims.clone();
    changed["sub"] = json!(other_user);
    vec![
        ("alg none", forger.unsigned(&none, "")),
        ("alg None, a signature", forger.unsigned(&json!({ "alg": "None", "kid": forger.kid }), signature)),
        ("alg HS256", encode(&symmetric, &forger.claims, &by_kid).unwrap()),
        ("another body", format!("{head}.{}.{signature}", part(changed.to_string()))),
        ("no signature", format!("{head}.{body}.")),
        ("two parts", format!("{head}.{body}")),
        ("four parts", format!("{good}.x")),
        ("no kid", forger.sign(&Header { kid: None, ..forger.header() }, &forger.claims)),
        ("unknown kid", forger.sign(&Header { kid: Some("x".into()), ..forger.header() }, &forger.claims)),
        ("typ JWT", forger.sign(&Header { typ: Some("JWT".into()), ..forger.header() }, &forger.claims)),
        ("no typ", forger.sign(&Header { typ: None, ..forger.header() }, &forger.claims)),
        ("wrong aud", forger.with("aud", json!("somebody else"))),
        ("no aud", forger.without("aud")),
        ("another installation's iss", forger.with("iss", json!("urn:larder:another"))),
        ("no iss", forger.without("iss")),
        ("no jti", forger.without("jti")),
        ("HS256 with the public key", encode(&symmetric, &forger.claims, &forger.public_key()).unwrap()),
        ("an unknown kid of the right form", forger.sign(&unknown_kid, &forger.claims)),
        ("expired a second ago", forger.with("exp", json!(now - 1))),
        ("no exp", forger.without("exp")),
        ("a life of an hour", forger.with("exp", json!(now + 3_600))),
        ("issued in an hour", forger.with_all(&json!({ "iat": now + 3_600, "exp": now + 3_700 }))),
        ("not valid yet", forger.with("nbf", json!(now + 600))),
        ("nbf is text", forger.with("nbf", json!("now"))),
        ("an unknown critical extension", forger.with_header("crit", &json!(["b64"]))),
        ("exp is text", forger.with("exp", json!("tomorrow"))),
        ("another user's session", forger.with("sub", json!(other_user))),
        ("sub is no id", forger.with("sub", json!("me"))),
        ("unknown session", forger.with("sid", json!("0192f0c1-2345-7abc-8def-0123456789ab"))),
        ("an older epoch", forger.with("epoch", json!(epoch - 1))),
        ("a later epoch", forger.with("epoch", json!(epoch + 1))),
        ("no epoch", forger.without("epoch")),
        ("too long", forger.with("padding", json!("x".repeat(4_000)))),
        ("nothing", String::new()),
        ("not a token", "abc".into()),
        ("dots", "...".into()),
    ]
}

fn a_forged_token_is_refused_and_only_the_forged_one(app: &TestApp) {
    let (ann, bea) = (app.user("ann"), app.user("bea"));
    let good = ann.token.clone().unwrap();
    let forger = Forger::new(app, &good);
    let control = forger.sign(&forger.header(), &forger.claims);
    assert_eq!(ann.with_token(&control).validate(), 200, "the control: an unchanged token is accepted");
    for control in [forger.with("nbf", json!(1)), forger.with_header("cty", &json!("at+jwt"))] {
        assert_eq!(ann.with_token(&control).validate(), 200, "another control");
    }
    for (what, token) in forgeries(&forger, &good, &bea.id) {
        let forged = ann.with_token(&token);
        let answer = forged.get("/api/v1/users/me");
        assert_eq!(answer.status, 401, "{what}");
        // Without a token there is none that could be invalid.
        let challenge = if token.trim().is_empty() { "Bearer" } else { "Bearer error=\"invalid_token\"" };
        assert_eq!(answer.header("www-authenticate"), Some(challenge), "{what}");
        forged.patch("/api/v1/users/me", &json!({ "bio": "forged" })).expect(401);
    }
    let refresh = ann.with_token(&ann.refresh_token);
    assert_eq!(refresh.validate(), 401, "a refresh token is no access token");
    assert_eq!(ann.validate(), 200);
    assert_eq!(ann.get("/api/v1/users/me").json()["version"], 1, "no forged token changed the user");
}

/// The service may remember that it verified the signature of a token; it checks the token's end on every request.
fn a_token_is_refused_after_its_end_although_it_was_accepted_before(app: &TestApp) {
    let ann = app.user("ann");
    let forger = Forger::new(app, ann.token.as_ref().unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let short = ann.with_token(&forger.with("exp", json!(now + 3)));
    assert_eq!(short.validate(), 200);
    within(Duration::from_secs(5), "it has expired", || short.validate() == 401);
    let expired = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(expired >= now + 3, "not before its time");
    assert_eq!([short.validate(), ann.validate()], [401, 200]);
}

fn another_schemes_credentials_are_refused(app: &TestApp) {
    let ann = app.user("ann");
    let token = ann.token.clone().unwrap();
    let with = |value: &str| {
        let request = Request::new("GET", "/api/v1/auth/validate").header("authorization", value);
        app.anonymous().send(request).status
    };
    assert_eq!(with(&format!("bearer {token}")), 200, "schemes have no case");
    for value in ["Bearer", "Bearer ", "Basic YW5uOnBhc3M=", &token, &format!("Token {token}"), "\u{fc}"] {
        assert_eq!(with(value), 401, "{value:?}");
    }
}

fn a_token_of_another_installation_is_refused(app: &TestApp) {
    let elsewhere = Stack::sqlite_memory().start();
    let anonymous = elsewhere.user("ann");
    assert_eq!(anonymous.validate(), 200);
    let ann = app.user("ann");
    let here: Client = app.here(&anonymous);
    assert_eq!([here.validate(), ann.validate()], [401, 200]);
}

on_every_stack!(
    a_forged_token_is_refused_and_only_the_forged_one,
    a_token_is_refused_after_its_end_although_it_was_accepted_before,
    another_schemes_credentials_are_refused,
    a_token_of_another_installation_is_refused,
);
