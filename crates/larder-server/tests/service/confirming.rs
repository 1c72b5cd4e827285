//! What a stolen access token, or a stolen API key, is not enough for.

use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::support::app::{PASSWORD, Stack, TestApp, on_both_databases};
use crate::support::client::{Answer, Client};

/// The own e-mail address, user name and telephone number, by every path and method that changes them.
fn changes(user: &Client) -> Vec<(&'static str, String, Value)> {
    let put = json!({ "email": "thief@example.com", "username": "ann" });
    vec![
        ("PATCH", "/api/v1/users/me".to_owned(), json!({ "email": "thief@example.com" })),
        ("PATCH", user.path(), json!({ "username": "thief" })),
        ("PATCH", user.path(), json!({ "phone": "+12425550199", "bio": "stolen" })),
        ("PUT", "/api/v1/users/me".to_owned(), put.clone()),
        ("PATCH", format!("/v1.0/user/update/{}", user.id), json!({ "email": "thief@example.com" })),
        ("PUT", format!("/v1.0/user/update/{}", user.id), put.clone()),
        ("PATCH", format!("/api/users/{}/", user.id), json!({ "phone": "+12425550199" })),
        ("PUT", format!("/api/users/{}/", user.id), put),
    ]
}

fn send(user: &Client, (method, path, body): &(&str, String, Value)) -> Answer {
    if *method == "PUT" { user.put(path, body) } else { user.patch(path, body) }
}

fn deletions(user: &Client) -> [String; 3] {
    [user.path(), format!("/v1.0/user/delete/{}", user.id), format!("/api/users/{}/", user.id)]
}

fn a_stolen_token_neither_takes_an_account_over_nor_outlives_its_session(app: &TestApp) {
    let ann = app.user("ann");
    let before = ann.get("/api/v1/users/me").json();
    let make_key = |body: &Value| ann.post("/api/v1/users/me/api-keys", body);
    for change in changes(&ann) {
        send(&ann, &change).refuses(403, "password_needed");
    }
    for path in deletions(&ann) {
        ann.delete(&path).refuses(403, "password_needed");
    }
    make_key(&json!({ "name": "backdoor" })).refuses(403, "password_needed");
    let guess = json!({ "name": "backdoor", "current_password": "wrong horse battery" });
    make_key(&guess).refuses(403, "password_wrong");
    ann.delete_with("/api/v1/users/me", &json!({ "current_password": "" })).refuses(403, "password_wrong");
    ann.delete_with("/api/v1/users/me", &json!({ "password": PASSWORD })).complains_about(422, &["password"]);
    assert_eq!(ann.get("/api/v1/users/me").json(), before);
    // A profile, and a PUT of what is there already, need no password.
    ann.patch("/api/v1/users/me", &json!({ "bio": "mine", "email": "ann@example.com" })).expect(200);
    ann.put("/api/v1/users/me", &json!({ "email": "ann@example.com", "username": "ann" })).expect(200);

    let key = ann.make_key(&json!({ "name": "ci" })).expect(201);
    let endless = ann.make_key(&json!({ "name": "ci", "expires_at": null })).expect(201).json();
    assert_eq!(endless["expires_at"], Value::Null);
    let end: jiff::Timestamp = key.field("expires_at").parse().unwrap();
    let days = (end - jiff::Timestamp::now()).total(jiff::Unit::Hour).unwrap() / 24.0;
    assert!((89.9..=90.0).contains(&days), "{days}");
    let thief = ann.with_token(&key.field("key"));
    let confirmed =
        |(method, path, body): (&'static str, String, Value)| (method, path, ann.confirmed(&body));
    for change in changes(&ann).into_iter().map(confirmed) {
        send(&thief, &change).refuses(403, "login_needed");
    }
    thief.delete_itself().refuses(403, "login_needed");
    thief.patch("/api/v1/users/me", &json!({ "bio": "by key" })).expect(200);

    for change in changes(&ann).into_iter().map(confirmed).take(3) {
        send(&ann, &change).expect(200);
    }
    ann.delete_itself().expect(204);
}

fn phone(user: &Client) -> (Totp, Vec<String>) {
    let enrolled = user.post("/api/v1/auth/totp/enroll", &json!({ "password": PASSWORD })).expect(200);
    let secret = Secret::try_from_base32(enrolled.field("secret")).unwrap();
    let phone = Builder::new().with_secret(secret).build().unwrap();
    let code = json!({ "totp_code": phone.generate_current().to_string() });
    let confirmed = user.post("/api/v1/auth/totp/confirm", &code).expect(200).json();
    let codes = confirmed["recovery_codes"].as_array().unwrap();
    (phone, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

#[test]
fn with_a_second_factor_the_code_is_needed_too() {
    let app = &Stack::sqlite_memory().start();
    let ann = app.user("ann");
    let (_, codes) = phone(&ann);
    let key = json!({ "name": "ci" });
    ann.make_key(&key).refuses(403, "code_needed");
    ann.delete_itself().refuses(403, "code_needed");
    let email = ann.confirmed(&json!({ "email": "new@example.com" }));
    ann.patch("/api/v1/users/me", &email).refuses(403, "code_needed");
    let with = |body: &Value, code: &str| {
        let mut body = body.clone();
        body["recovery_code"] = code.into();
        body
    };
    ann.make_key(&with(&key, &codes[0])).expect(201);
    ann.make_key(&with(&key, &codes[0])).refuses(403, "code_wrong");
    ann.patch("/api/v1/users/me", &with(&email, &codes[1])).expect(200);
    ann.delete_with("/api/v1/users/me", &with(&ann.confirmed(&json!({})), &codes[2])).expect(204);
}

#[test]
fn an_admins_key_gives_no_rights() {
    let app = &Stack::sqlite_memory().start();
    let (boss, ann) = (app.admin(), app.user("ann"));
    let helper = app.user_with_role("helper", "admin");
    let key = boss.with_token(&boss.make_key(&json!({ "name": "ci" })).expect(201).field("key"));
    let grant = format!("{}/permissions/points.write", ann.path());
    key.put(&grant, &json!(null)).refuses(403, "login_needed");
    boss.grant(&ann, "points.write").expect(200);
    for user in [&ann, &helper] {
        key.post(&format!("{}/deactivate", user.path()), &json!(null)).expect(200);
    }
    let activate = format!("{}/activate", helper.path());
    key.post(&activate, &json!(null)).refuses(403, "login_needed");
    key.patch(&helper.path(), &json!({ "is_active": true })).refuses(403, "login_needed");
    let both = json!({ "ids": [helper.id, ann.id] });
    let bulk = key.post("/api/v1/users/bulk/activate", &both).expect(200).json();
    let outcomes = [&bulk["results"][0]["outcome"], &bulk["results"][1]["outcome"]];
    assert_eq!(outcomes, [&json!("forbidden"); 2], "a permission is a right as a role is: {bulk}");
    boss.post(&activate, &boss.confirmed(&json!({}))).expect(200);
}

/// The thief of an admin's token makes no second admin, and gives no account a right.
fn a_stolen_token_of_an_admin_gives_no_rights(app: &TestApp) {
    let (boss, ann) = (app.admin(), app.user("ann"));
    let helper = app.user_with_role("helper", "admin");
    let sleeper = app.user_with_role("sleeper", "admin");
    boss.post(&format!("{}/deactivate", sleeper.path()), &json!(null)).expect(200);
    let own = |body: Value| {
        let mut body = body;
        body["email"] = "eve@example.com".into();
        body["username"] = "eve".into();
        body
    };
    let gifts = [
        ("POST", "/api/v1/users".to_owned(), own(json!({ "role": "admin", "password": PASSWORD }))),
        ("POST", "/v1.0/user/create".to_owned(), own(json!({ "role": "admin", "password": PASSWORD }))),
        ("POST", "/api/users/".to_owned(), own(json!({ "role": "admin", "password": PASSWORD }))),
        ("PATCH", ann.path(), json!({ "role": "admin" })),
        ("PATCH", format!("/v1.0/user/update/{}", ann.id), json!({ "role": "admin" })),
        ("PATCH", format!("/api/users/{}/", ann.id), json!({ "role": "admin" })),
        ("PUT", ann.path(), json!({ "email": "ann@example.com", "username": "ann", "role": "admin" })),
        // The address gets the mail with which the password is set.
        ("PATCH", sleeper.path(), json!({ "email": "thief@example.com" })),
        ("PATCH", sleeper.path(), json!({ "is_active": true })),
        ("POST", format!("{}/activate", sleeper.path()), json!({})),
        ("POST", format!("/v1.0/user/{}/activate", sleeper.id), json!({})),
        ("PUT", format!("{}/permissions/points.write", ann.path()), json!({})),
        ("POST", format!("/v1.0/permissions/{}/audit.read", ann.id), json!({})),
    ];
    let send = |by: &Client, (method, path, body): &(&'static str, String, Value)| {
        by.send(crate::support::client::Request::new(method, path).json(body))
    };
    for gift in &gifts {
        send(&helper, gift).refuses(403, "password_needed");
    }
    let ids = json!({ "ids": [sleeper.id, ann.id] });
    let outcomes =
        |answer: &Value| [&answer["results"][0], &answer["results"][1]].map(|one| one["outcome"].clone());
    let bulk = helper.post("/api/v1/users/bulk/activate", &ids).expect(200).json();
    assert_eq!(outcomes(&bulk), [json!("forbidden"), json!("already")]);
    let mut guessed = ids.clone();
    guessed["current_password"] = "wrong horse battery".into();
    helper.post("/api/v1/users/bulk/activate", &guessed).refuses(403, "password_wrong");
    assert_eq!(ann.get("/api/v1/users/me").json()["role"], "user");

    // With the password each of them works, and what gives no right needs none.
    let bulk = helper.post("/api/v1/users/bulk/activate", &helper.confirmed(&ids)).expect(200).json();
    assert_eq!(outcomes(&bulk), [json!("changed"), json!("already")]);
    for (method, path, body) in &gifts[3..] {
        let answer = send(&helper, &(*method, path.clone(), helper.confirmed(body)));
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
    }
    send(&helper, &(gifts[0].0, gifts[0].1.clone(), helper.confirmed(&gifts[0].2))).expect(201);
    helper.post("/api/v1/users", &json!({ "email": "f@example.com", "username": "fay" })).expect(201);
    helper.patch(&ann.path(), &json!({ "role": "user" })).expect(200);
}

/// A code is valid once, so an answer that changes nothing for want of a budget leaves it unspent.
#[test]
fn a_change_that_is_limited_spends_no_code() {
    let app = Stack::sqlite_memory().with_setting("LARDER_FAILURES_PER_ADDRESS", "2").start();
    let ann = app.user("ann");
    let (_, codes) = phone(&ann);
    let change = |email: &str| {
        let mut body = ann.confirmed(&json!({ "email": email }));
        body["recovery_code"] = codes[0].clone().into();
        body
    };
    let register = json!({ "email": "bea@example.com", "username": "bea", "password": PASSWORD });
    app.anonymous().post("/api/v1/auth/register", &register).expect(201);
    ann.patch("/api/v1/users/me", &change("new@example.com")).refuses(429, "too_many_failures");
    let left = ann.get("/api/v1/auth/totp").expect(200).json();
    assert_eq!(left["recovery_codes"], json!(codes.len()), "{left}");
    // A wrong password takes nothing from the budget of guesses about names.
    let app = Stack::sqlite_memory().with_setting("LARDER_FAILURES_PER_ADDRESS", "3").start();
    let ann = app.user("ann");
    let wrong = json!({ "email": "new@example.com", "current_password": "wrong horse battery" });
    for _ in 0..2 {
        ann.patch("/api/v1/users/me", &wrong).refuses(403, "password_wrong");
    }
    ann.patch("/api/v1/users/me", &ann.confirmed(&json!({ "email": "new@example.com" }))).expect(200);
}

/// Changing the own names discloses which are taken, as registering does: both take from one budget.
#[test]
fn guesses_of_taken_names_are_limited_on_every_path() {
    let app = Stack::sqlite_memory().with_setting("LARDER_FAILURES_PER_ADDRESS", "6").start();
    let (ann, _) = (app.user("ann"), app.user("bea"));
    let guess = |number: usize| {
        let body =
            ann.confirmed(&json!({ "email": "bea@example.com", "phone": format!("+1242555{number:04}") }));
        ann.patch("/api/v1/users/me", &body).status
    };
    let statuses: Vec<_> = (0..6).map(guess).collect();
    assert_eq!(statuses, [409, 409, 409, 409, 429, 429], "two registrations took from the same budget");
    let register = json!({ "email": "cyd@example.com", "username": "cyd", "password": PASSWORD });
    app.anonymous().post("/api/v1/auth/register", &register).expect(429);
    ann.patch("/api/v1/users/me", &json!({ "bio": "still works" })).expect(200);
}

on_both_databases!(
    a_stolen_token_neither_takes_an_account_over_nor_outlives_its_session,
    a_stolen_token_of_an_admin_gives_no_rights,
);
