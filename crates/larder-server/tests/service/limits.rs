//! Guessing passwords: the limits for an account and for an address, and that answers and their times reveal nothing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, Stack, TestApp, on_both_databases};
use crate::support::client::{Answer, Request};

fn login_from(app: &TestApp, header: (&str, &str), body: &Value) -> Answer {
    app.anonymous().send(Request::new("POST", "/api/v1/auth/login").header(header.0, header.1).json(body))
}

fn wrong(name: &str) -> Value {
    json!({ "username": name, "password": "wrong horse battery" })
}

fn password_guesses_are_limited_alike_for_known_and_unknown_users(app: &TestApp) {
    let ann = app.user("ann");
    let login = |body: &Value| app.anonymous().post("/api/v1/auth/login", body);
    let guess = |name: &str| {
        let answers: Vec<_> = (0..12).map(|_| login(&wrong(name))).collect();
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        let last = answers.last().unwrap();
        assert!(last.header("retry-after").unwrap().parse::<u64>().unwrap() <= 91, "{last:?}");
        (statuses, last.text().to_owned())
    };
    let known = guess("ann");
    assert_eq!(known.0, [[401; 10].as_slice(), &[429; 2]].concat());
    assert_eq!(known, guess("nobody"), "the answers do not show whether the user exists");
    login(&json!({ "username": "ann", "password": PASSWORD })).expect(429);
    // The limit affects neither her session nor another user's login.
    assert_eq!(ann.validate(), 200);
    let bea = app.user("bea");
    for _ in 0..12 {
        login(&json!({ "username": "bea", "password": PASSWORD })).expect(200);
    }
    // The same limit applies to guesses of the current password with a stolen session, and to this session alone.
    let change = || {
        let body = json!({ "current_password": "wrong horse battery", "new_password": "another password" });
        bea.post("/api/v1/auth/password", &body).status
    };
    let again = app.login(&json!({ "username": "bea", "password": PASSWORD }));
    let statuses: Vec<_> = (0..12).map(|_| change()).collect();
    assert_eq!(statuses, [[403; 10].as_slice(), &[429; 2]].concat());
    let right = json!({ "current_password": PASSWORD, "new_password": "another password" });
    bea.post("/api/v1/auth/password", &right).expect(429);
    again.post("/api/v1/auth/password", &right).expect(204);
}

#[test]
fn an_attack_from_elsewhere_does_not_lock_the_owner_out() {
    let app = Stack::sqlite_memory()
        .with_setting("LARDER_TRUSTED_PROXIES", "127.0.0.0/8")
        .with_setting("LARDER_FAILURES_PER_ACCOUNT", "2")
        .start();
    app.user("ann");
    let right = json!({ "username": "ann", "password": PASSWORD });
    let home = ("x-forwarded-for", "198.51.100.7");
    login_from(&app, home, &right).expect(200);
    let tried = (0..30).filter(|last| {
        let address = format!("203.0.113.{last}");
        login_from(&app, ("x-forwarded-for", &address), &wrong("ann")).status == 401
    });
    assert_eq!(tried.count(), 20, "ten times as many as from one address");
    login_from(&app, ("x-forwarded-for", "192.0.2.1"), &right).expect(429);
    login_from(&app, home, &right).expect(200);
}

#[test]
fn an_address_is_limited_and_only_trusted_proxies_name_another() {
    let app = Stack::sqlite_memory().with_setting("LARDER_FAILURES_PER_ADDRESS", "5").start();
    let claimed = |number: u32| {
        let (name, address) = (format!("user{number}"), format!("203.0.113.{number}"));
        let mut body = wrong(&name);
        body["device_token"] = json!("never issued");
        login_from(&app, ("x-forwarded-for", &address), &body).status
    };
    let statuses: Vec<_> = (0..7).map(claimed).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429], "an untrusted client cannot set its address");
    let refresh = || app.anonymous().post("/api/v1/auth/refresh", &json!({ "refresh_token": "x" })).status;
    let statuses: Vec<_> = (0..6).map(|_| refresh()).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429]);
    let revoke = || {
        let form = "application/x-www-form-urlencoded";
        let request = Request::new("POST", "/api/v1/auth/revoke").header("content-type", form);
        app.anonymous().send(request.bytes("token=x")).status
    };
    let statuses: Vec<_> = (0..6).map(|_| revoke()).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429]);
    let register = |number: u32| {
        let name = format!("many{number}");
        let body = json!({ "email": format!("{name}@example.com"), "username": name, "password": PASSWORD });
        app.anonymous().post("/api/v1/auth/register", &body).status
    };
    let statuses: Vec<_> = (0..6).map(register).collect();
    assert_eq!(statuses, [201, 201, 201, 201, 201, 429]);
}

#[test]
fn no_other_client_locks_out_a_device_that_the_owner_has_used() {
    let limit = ("LARDER_FAILURES_PER_ACCOUNT", "2");
    let app = Stack::sqlite_memory()
        .with_setting(limit.0, limit.1)
        .with_setting("LARDER_FAILURES_PER_ADDRESS", "10")
        .start();
    app.user("bea");
    let (ann, other) = (json!({ "username": "ann", "password": PASSWORD }), app.second_instance());
    app.user("ann");
    let login = |on: &TestApp, body: &Value, device: &str| {
        let mut body = body.clone();
        body["device_token"] = device.into();
        on.anonymous().post("/api/v1/auth/login", &body)
    };
    let granted = login(&app, &ann, "never issued").expect(200);
    let device = granted.field("device_token");
    // The other client shares the owner's address, and uses up its budget and the account's.
    let by_email = json!({ "email": "ann@example.com", "password": "wrong horse battery" });
    let statuses = [wrong("ann"), by_email.clone(), wrong("ann"), by_email]
        .map(|body| app.anonymous().post("/api/v1/auth/login", &body).status);
    assert_eq!(statuses, [401, 401, 429, 429], "all names of an account share one budget");
    app.anonymous().post("/api/v1/auth/login", &ann).expect(429);
    let other_names = (0..20).map(|number| wrong(&format!("nobody{number}")));
    let tried = other_names.filter(|body| app.anonymous().post("/api/v1/auth/login", body).status == 401);
    assert!(tried.count() < 10, "the address's budget is used up");
    let again = login(&app, &ann, &device).expect(200);
    assert_eq!(again.field("device_token"), device, "a known device keeps its token");
    login(&other, &ann, &device).expect(200);
    // A device token is no credential, helps with no other account, and has a budget of failures of its own.
    login(&app, &wrong("bea"), &device).expect(429);
    let own: Vec<_> = (0..4).map(|_| login(&app, &wrong("ann"), &device).status).collect();
    assert!(own.starts_with(&[401]) && own.ends_with(&[429, 429]), "{own:?}");
}

/// Returns the median.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// For an unknown user the service verifies the password against a dummy hash; without it the answer would be much
/// faster.
fn an_unknown_user_is_answered_as_slowly_as_a_wrong_password(app: &TestApp) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for number in 0..9 {
        app.user(&format!("user{number}"));
    }
    for number in 0..9 {
        for (name, times) in [(format!("user{number}"), &mut known), (format!("none{number}"), &mut unknown)]
        {
            let start = Instant::now();
            app.anonymous().post("/api/v1/auth/login", &wrong(&name)).expect(401);
            times.push(start.elapsed());
        }
    }
    let (known, unknown) = (median(known), median(unknown));
    assert!(unknown * 2 > known && known * 2 > unknown, "known: {known:?}, unknown: {unknown:?}");
}

on_both_databases!(
    password_guesses_are_limited_alike_for_known_and_unknown_users,
    an_unknown_user_is_answered_as_slowly_as_a_wrong_password,
);
