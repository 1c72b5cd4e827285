//! `/api/v1/auth/totp`: setting up a second factor, logging in with it, replacing a lost one.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::support::app::{ADMIN_PASSWORD, PASSWORD, Stack, TestApp, on_both_databases};
use crate::support::client::{Answer, Client};
use crate::support::eventually;
use crate::support::larder::Larder;

/// The authenticator application on the user's telephone.
pub(crate) struct Authenticator(Totp);

impl Authenticator {
    fn scan(enrolled: &Answer) -> Self {
        let secret = enrolled.field("secret");
        let uri = enrolled.field("otpauth_uri");
        assert!(uri.starts_with("otpauth://totp/larder:") && uri.contains(&secret), "{uri}");
        let secret = Secret::try_from_base32(secret).unwrap();
        Self(Builder::new().with_secret(secret).build().unwrap())
    }

    /// Returns the code of the time step that is `steps` after the present one.
    pub(crate) fn code(&self, steps: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.0.generate(now.checked_add_signed(steps * 30).unwrap()).to_string()
    }
}

/// Enables the second factor; returns the authenticator and the recovery codes.
pub(crate) fn enabled(client: &Client) -> (Authenticator, Vec<String>) {
    let enrolled = client.post("/api/v1/auth/totp/enroll", &json!({ "password": PASSWORD })).expect(200);
    let phone = Authenticator::scan(&enrolled);
    let confirmed =
        client.post("/api/v1/auth/totp/confirm", &json!({ "totp_code": phone.code(0) })).expect(200);
    let codes = confirmed.json()["recovery_codes"].as_array().unwrap().clone();
    (phone, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

fn login(app: &TestApp, name: &str, more: Value) -> Answer {
    let mut body = json!({ "username": name, "password": PASSWORD });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.anonymous().post("/api/v1/auth/login", &body)
}

fn a_second_factor_is_required_and_no_code_is_accepted_twice(app: &TestApp) {
    let ann = app.user("ann");
    let state = |client: &Client| client.get("/api/v1/auth/totp").expect(200).json();
    assert_eq!(state(&ann), json!({ "enabled": false, "recovery_codes": 0 }));
    ann.post("/api/v1/auth/totp/enroll", &json!({ "password": "wrong horse battery" })).expect(403);
    ann.post("/api/v1/auth/totp/confirm", &json!({ "totp_code": "000000" }))
        .refuses(409, "nothing_to_confirm");
    let enrolled = ann.post("/api/v1/auth/totp/enroll", &json!({ "password": PASSWORD })).expect(200);
    login(app, "ann", json!({})).expect(200);
    let forgotten = Authenticator::scan(&enrolled);
    let (phone, codes) = enabled(&ann);
    assert_eq!(codes.len(), 10);
    assert_ne!(forgotten.code(0), phone.code(0), "a second enrolment replaces the first");
    assert_eq!(state(&ann), json!({ "enabled": true, "recovery_codes": 10 }));
    assert_eq!(ann.validate(), 200, "sessions stay");
    ann.post("/api/v1/auth/totp/enroll", &json!({ "password": PASSWORD })).refuses(409, "second_factor_on");

    login(app, "ann", json!({})).complains_about(401, &["totp_code"]);
    let other = json!({ "username": "ann", "password": "wrong horse battery" });
    let wrong = app.anonymous().post("/api/v1/auth/login", &other).expect(401).json();
    assert_eq!(
        wrong["errors"],
        Value::Null,
        "the answer does not mention a second factor before the password is right"
    );
    login(app, "ann", json!({ "totp_code": phone.code(0) })).expect(401);
    let next = phone.code(1);
    login(app, "ann", json!({ "totp_code": next })).expect(200);
    login(app, "ann", json!({ "totp_code": next })).expect(401);
    login(app, "ann", json!({ "totp_code": phone.code(9) })).expect(401);
    login(app, "ann", json!({ "recovery_code": codes[0].to_uppercase() })).expect(200);
    login(app, "ann", json!({ "recovery_code": codes[0] })).expect(401);
    login(app, "ann", json!({ "recovery_code": "abcd-efgh-ijkl-mnop" })).expect(401);
    login(app, "ann", json!({ "totp_code": next, "recovery_code": codes[1] }))
        .complains_about(422, &["recovery_code"]);
    assert_eq!(state(&ann), json!({ "enabled": true, "recovery_codes": 9 }));
    let admin = app.admin();
    eventually("the login with the password alone has an entry of its own", || {
        let log = admin.get("/api/v1/audit?action=login.code_missing").expect(200).json();
        log["items"][0]["target_id"] == json!(ann.id)
    });

    let remove = |more: Value| {
        let mut body = json!({ "password": PASSWORD });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ann.send(crate::support::client::Request::new("DELETE", "/api/v1/auth/totp").json(&body))
    };
    remove(json!({})).refuses(403, "code_needed");
    remove(json!({ "totp_code": next })).refuses(403, "code_wrong");
    remove(json!({ "password": "wrong horse battery", "recovery_code": codes[2] }))
        .refuses(403, "password_wrong");
    remove(json!({ "recovery_code": codes[2] })).expect(204);
    remove(json!({ "recovery_code": codes[3] })).refuses(409, "second_factor_absent");
    login(app, "ann", json!({})).expect(200);
    assert_eq!(app.stack.sql("SELECT COUNT(*) FROM recovery_codes"), "0");
}

fn one_code_sent_many_times_at_once_is_accepted_once(app: &TestApp) {
    let ann = app.user("ann");
    let (phone, codes) = enabled(&ann);
    let other = app.second_instance();
    for more in [json!({ "totp_code": phone.code(1) }), json!({ "recovery_code": codes[0] })] {
        let tries: Vec<_> = std::thread::scope(|scope| {
            let send = |app| {
                let more = more.clone();
                scope.spawn(move || login(app, "ann", more).status)
            };
            let tries: Vec<_> = [app, &other, app, &other, app].map(send).into();
            tries.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(tries.iter().filter(|status| **status == 200).count(), 1, "{tries:?}");
        assert_eq!(tries.iter().filter(|status| **status == 401).count(), 4, "{tries:?}");
    }
}

fn code_guesses_are_limited_and_an_admin_removes_a_lost_second_factor(app: &TestApp) {
    let (ann, bea, admin) = (app.user("ann"), app.user("bea"), app.admin());
    let (phone, _) = enabled(&ann);
    let mut statuses = Vec::new();
    for number in 0..12 {
        let guess = format!("{number:06}");
        statuses.push(login(app, "ann", json!({ "totp_code": guess })));
    }
    let refused = statuses.iter().filter(|answer| answer.status == 429).collect::<Vec<_>>();
    assert!((1..=2).contains(&refused.len()), "the first ten were answered");
    let wait: u64 = refused[0].header("retry-after").unwrap().parse().unwrap();
    assert!((1..=120).contains(&wait), "{wait}");
    login(app, "ann", json!({ "totp_code": phone.code(1) })).expect(429);
    login(app, "bea", json!({})).expect(200);

    let path = format!("{}/totp", ann.path());
    ann.delete(&path).expect(403);
    bea.delete(&path).expect(403);
    admin.delete(&format!("{}/totp", admin.path())).expect(403);
    admin.delete(&path).expect(204);
    login(app, "ann", json!({})).expect(200);
    let helper = app.user_with_role("helper", "admin");
    helper.delete(&format!("{}/totp", admin.path())).expect(403);
    let body = json!({ "password": ADMIN_PASSWORD });
    admin.post("/api/v1/auth/totp/enroll", &body).expect(200);
}

/// The right password and wrong codes at the login do not keep the owner's sessions from confirming, nor one session
/// another one.
fn guesses_of_codes_elsewhere_leave_a_session_its_own(app: &TestApp) {
    let ann = app.user("ann");
    let other = app.again("ann");
    let (_, codes) = enabled(&ann);
    let wrong = |number: usize| json!({ "totp_code": format!("{number:06}") });
    let guess = |number| login(app, "ann", wrong(number)).status;
    assert!((0..12).map(guess).any(|status| status == 429));
    let guess = |number: usize| {
        let mut body = other.confirmed(&json!({ "name": "ci" }));
        body["totp_code"] = format!("{number:06}").into();
        other.post("/api/v1/users/me/api-keys", &body).status
    };
    let statuses: Vec<_> = (0..12).map(guess).collect();
    assert!(statuses.starts_with(&[403; 9]) && statuses.ends_with(&[429]), "{statuses:?}");
    let key = json!({ "name": "ci", "recovery_code": codes[0] });
    ann.make_key(&key).expect(201);
}

const KEY: &str = "c2VjcmV0IGtleSBmb3IgdGhlIHRlc3RzIG9mIFRPVFA=";
const OTHER_KEY: &str = "YW5vdGhlciBrZXkgZm9yIHRoZSB0ZXN0cyBvZiBUT1Q=";

#[test]
fn secrets_are_sealed_with_the_key_of_the_settings() {
    let app = Stack::sqlite_memory().with_setting("LARDER_SECRET_KEY", KEY).start();
    let ann = app.user("ann");
    let (phone, _) = enabled(&ann);
    let stored = app.stack.sql("SELECT secret FROM totp");
    assert!(stored.starts_with("sealed."), "{stored}");
    login(&app, "ann", json!({ "totp_code": phone.code(1) })).expect(200);

    let url = app.stack.database_url();
    for key in ["", OTHER_KEY] {
        let settings =
            [("LARDER_LISTEN", "127.0.0.1:0"), ("DATABASE_URL", &*url), ("LARDER_SECRET_KEY", key)];
        let mut other = Larder::start(&["serve"], &std::env::temp_dir(), &settings);
        assert_eq!(other.wait().code(), Some(1), "{}", other.printed());
        assert!(other.stderr().contains("LARDER_SECRET_KEY"), "{}", other.stderr());
        assert!(!other.printed().contains(KEY) && !other.printed().contains(OTHER_KEY));
    }
}

#[test]
fn the_key_of_the_settings_is_replaced_step_by_step() {
    let app = Stack::sqlite_memory().with_setting("LARDER_SECRET_KEY", KEY).start();
    let ann = app.user("ann");
    let (phone, _) = enabled(&ann);
    let (url, sealed) = (app.stack.database_url(), app.stack.sql("SELECT secret FROM totp"));
    // In the last step the settings hold the new key alone.
    let steps = [(KEY, OTHER_KEY), (OTHER_KEY, KEY), (OTHER_KEY, "")];
    for (nth, (key, other)) in (1..).zip(steps) {
        let settings = [
            ("LARDER_LISTEN", "127.0.0.1:0"),
            ("DATABASE_URL", &*url),
            ("LARDER_SECRET_KEY", key),
            ("LARDER_SECRET_KEY_OTHER", other),
        ];
        let mut step = Larder::start(&["serve"], &std::env::temp_dir(), &settings);
        let address = step.line("Listening on http://").parse().unwrap();
        assert_eq!(app.stack.sql("SELECT secret FROM totp") == sealed, nth == 1, "step {nth}");
        if nth == steps.len() {
            let body = json!({ "username": "ann", "password": PASSWORD, "totp_code": phone.code(1) });
            Client::anonymous(address).post("/api/v1/auth/login", &body).expect(200);
        }
    }
}

#[test]
fn secrets_from_before_the_key_are_sealed_at_the_next_start() {
    let app = Stack::sqlite_memory().start();
    let ann = app.user("ann");
    let (phone, _) = enabled(&ann);
    assert!(app.stack.sql("SELECT secret FROM totp").starts_with("plain."));
    let url = app.stack.database_url();
    let settings = [("LARDER_LISTEN", "127.0.0.1:0"), ("DATABASE_URL", &*url), ("LARDER_SECRET_KEY", KEY)];
    let mut other = Larder::start(&["serve"], &std::env::temp_dir(), &settings);
    let address = other.line("Listening on http://").parse().unwrap();
    assert!(app.stack.sql("SELECT secret FROM totp").starts_with("sealed."));
    let body = json!({ "username": "ann", "password": PASSWORD, "totp_code": phone.code(1) });
    Client::anonymous(address).post("/api/v1/auth/login", &body).expect(200);
}

/// Until it has a second factor, a user that has to have one may enroll and log out, and nothing else.
#[test]
fn a_user_that_has_to_have_a_second_factor_may_only_enroll() {
    let app = Stack::sqlite_memory().with_setting("LARDER_SECOND_FACTOR_REQUIRED", "admins").start();
    let (boss, ann) = (app.admin(), app.user("ann"));
    ann.get("/api/v1/users/me").expect(200);
    let key = json!({ "name": "ci" });
    for (method, path, body) in [
        ("GET", "/api/v1/users/me", json!({})),
        ("GET", "/api/v1/users", json!({})),
        ("GET", "/v1.0/users/me", json!({})),
        ("POST", "/api/v1/users", json!({ "email": "b@example.com", "username": "bea" })),
        ("POST", "/api/v1/users/me/api-keys", boss.confirmed(&key)),
        ("POST", "/api/v1/auth/keys/rotate", json!({})),
    ] {
        let answer = boss.send(crate::support::client::Request::new(method, path).json(&body));
        if answer.status != 404 {
            answer.refuses(403, "second_factor_required");
        }
    }
    assert_eq!(boss.get("/api/v1/auth/totp").expect(200).json()["enabled"], false);
    let password = json!({ "password": boss.password });
    let enrolled = boss.post("/api/v1/auth/totp/enroll", &password).expect(200);
    boss.get("/api/v1/users").refuses(403, "second_factor_required");
    let secret = Secret::try_from_base32(enrolled.field("secret")).unwrap();
    let code = Builder::new().with_secret(secret).build().unwrap().generate_current().to_string();
    let confirmed = boss.post("/api/v1/auth/totp/confirm", &json!({ "totp_code": code })).expect(200).json();
    boss.get("/api/v1/users").expect(200);
    // Without it again, the same.
    let mut remove = password;
    remove["recovery_code"] = confirmed["recovery_codes"][0].clone();
    boss.delete_with("/api/v1/auth/totp", &remove).expect(204);
    boss.get("/api/v1/users").refuses(403, "second_factor_required");
    boss.post("/api/v1/auth/logout", &json!({})).expect(204);
    // Another setting, another instance: every user.
    let strict = app.instance_with("LARDER_SECOND_FACTOR_REQUIRED", "everyone");
    strict.here(&ann).get("/api/v1/users/me").refuses(403, "second_factor_required");
}

on_both_databases!(
    a_second_factor_is_required_and_no_code_is_accepted_twice,
    one_code_sent_many_times_at_once_is_accepted_once,
    code_guesses_are_limited_and_an_admin_removes_a_lost_second_factor,
    guesses_of_codes_elsewhere_leave_a_session_its_own,
);
