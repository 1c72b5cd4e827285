//! Texts as people and other systems write them: names, identifiers, numbers and keys of JSON.

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp, on_both_databases};
use crate::support::client::Request;

const V4: &str = "8f14e45f-ceea-467f-9575-6f2e1f2d3a4b";

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn a_name_is_found_however_it_is_written(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let found = |term: &str| {
        let list = ann.get(&format!("/api/v1/users?search={}", percent(term))).expect(200).json();
        let items = list["items"].as_array().unwrap().clone();
        items.iter().map(|user| user["username"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (username, name) in [
        ("fang", "王芳"),
        ("min", "김민"),
        ("odysseus", "ΟΔΥΣΣΕΥΣ"),
        ("turk", "İstanbul"),
        ("german", "Straße"),
        ("zoe", "Zoe\u{308}"),
    ] {
        let body =
            json!({ "email": format!("{username}@example.com"), "username": username, "full_name": name });
        let made = admin.post("/api/v1/users", &body).expect(201).json();
        assert_eq!(made["full_name"], name, "a name is stored as it was sent");
    }
    for (term, username) in [
        ("王芳", "fang"),
        ("芳", "fang"),
        ("김민", "min"),
        ("\u{1100}\u{1175}\u{11b7}\u{1106}\u{1175}\u{11ab}", "min"),
        ("ΟΔΥΣ", "odysseus"),
        ("οδυσσευς", "odysseus"),
        ("istanbul", "turk"),
        ("STRASSE", "german"),
        ("strasse", "german"),
        ("ZOË", "zoe"),
        ("zo", "zoe"),
    ] {
        assert_eq!(found(term), [username], "{term}");
    }
    ann.get("/api/v1/users?search=%CC%81").complains_about(422, &["search"]);
    // Other software renames a user; the next search finds the new name.
    app.stack.sql("UPDATE users SET full_name = 'Ærøskøbing' WHERE username = 'turk'");
    let fresh = ann.get("/api/v1/users?search=aeroskobing&consistency=fresh").expect(200).json();
    assert_eq!(fresh["items"][0]["username"], "turk");
}

fn a_name_is_visible_and_turns_no_text(app: &TestApp) {
    let ann = app.user("ann");
    for bad in ["\u{202e}nnA", "\u{200b}\u{200d}", "\u{301}", "\u{2066}a\u{2069}"] {
        for field in ["full_name", "bio", "location", "occupation", "experience"] {
            ann.patch("/api/v1/users/me", &json!({ field: bad })).complains_about(422, &[field]);
        }
        ann.patch("/api/v1/users/me", &json!({ "skills": [bad] })).complains_about(422, &["skills"]);
    }
}

fn an_identifier_is_read_alike_everywhere(app: &TestApp) {
    let (admin, anonymous) = (app.admin(), app.anonymous());
    let body =
        json!({ "email": "\u{feff} Ann@Example.com ", "username": " Ａnn\u{200b}", "password": PASSWORD });
    let ann = anonymous.post("/api/v1/auth/register", &body).expect(201).json();
    assert_eq!((&ann["email"], &ann["username"]), (&json!("ann@example.com"), &json!("ann")));
    let path = format!("/api/v1/users/{}", ann["id"].as_str().unwrap());
    let change =
        json!({ "phone": " +44 (0)20 7946\u{a0}0958", "external_id": format!(" {}", V4.to_uppercase()) });
    let changed = admin.patch(&path, &change).expect(200).json();
    assert_eq!((&changed["phone"], &changed["external_id"]), (&json!("+442079460958"), &json!(V4)));
    for login in [
        json!({ "email": "ANN@example.com\u{200b}" }),
        json!({ "username": "ａｎｎ" }),
        json!({ "phone": "＋44 20 7946 0958" }),
    ] {
        assert_eq!(admin.lookup(&login).expect(200).json()["id"], ann["id"], "{login}");
        let mut login = login;
        login["password"] = json!(PASSWORD);
        anonymous.post("/api/v1/auth/login", &login).expect(200);
    }
    // Look-alikes are other names, and refused rather than taken for the same.
    for (field, value) in
        [("username", "\u{430}nn"), ("email", "\u{430}nn@example.com"), ("username", "\u{212a}im")]
    {
        let mut body = json!({ "email": "new@example.com", "username": "new", "password": PASSWORD });
        body[field] = json!(value);
        anonymous.post("/api/v1/auth/register", &body).complains_about(422, &[field]);
    }
    let taken = json!({ "email": "Ann@EXAMPLE.com", "username": "other", "password": PASSWORD });
    anonymous.post("/api/v1/auth/register", &taken).complains_about(409, &["email"]);
}

fn a_number_is_one_that_its_country_can_have(app: &TestApp) {
    let (admin, bob) = (app.admin(), app.user("bob"));
    for bad in ["12425550123", "+999 1234567", "+1 242 555 01", "+44 020 7946 0958"] {
        admin.patch(&bob.path(), &json!({ "phone": bad })).complains_about(422, &["phone"]);
    }
    // A number from before these rules, or from other software, still names its user.
    app.stack.sql("UPDATE users SET phone = '+99912345678' WHERE username = 'bob'");
    let old = json!({ "phone": "+999 1234 5678" });
    assert_eq!(admin.lookup(&old).expect(200).json()["id"], bob.id);
    let login = json!({ "phone": "+99912345678", "password": PASSWORD });
    app.anonymous().post("/api/v1/auth/login", &login).expect(200);
    admin.patch(&bob.path(), &json!({ "full_name": "Bob" })).expect(200);
}

fn ids_of_other_systems_name_users_in_bodies_and_paths(app: &TestApp) {
    let admin = app.admin();
    for (number, external) in [
        V4,
        "auth0|5f7c8ec7c33c6c004bbafe82",
        "google-oauth2|1034",
        "samlp|acme|ann+x@example.com",
        "42",
        "a==",
        "f:9f1c2d3e-4b5a-4c6d-8e7f-001122334455:ann.lee",
        "urn:example:staff:8",
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({ "email": format!("u{number}@example.com"), "username": format!("user{number}"),
                           "external_id": external });
        let made = admin.post("/api/v1/users", &body).expect(201).json();
        assert_eq!(made["external_id"], external);
        for path in [
            format!("/api/v1/users/{}", percent(external)),
            format!("/api/v1/users/{}", made["id"].as_str().unwrap()),
        ] {
            assert_eq!(admin.get(&path).expect(200).json()["id"], made["id"], "{path}");
        }
        let award = json!({ "user_id": external, "badge_type": "first" });
        admin.post("/api/v1/achievements/award", &award).expect(201);
        admin.post("/api/v1/users/bulk/activate", &json!({ "ids": [external] })).expect(200);
        admin.post(&format!("/api/v1/cache/clear/user/{}", percent(external)), &json!(null)).expect(200);
    }
    // The id of a user here is no external id of another user.
    let first = admin.get("/api/v1/users/42").expect(200).field("id");
    let body = json!({ "email": "x@example.com", "username": "xavier", "external_id": first });
    admin.post("/api/v1/users", &body).complains_about(422, &["external_id"]);
    for bad in ["a|b;c", "::", "a/b", "|", "me", "a b"] {
        let body = json!({ "email": "x@example.com", "username": "xavier", "external_id": bad });
        admin.post("/api/v1/users", &body).complains_about(422, &["external_id"]);
    }
}

fn numbers_of_free_json_come_back_as_sent(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let data = r#"{"z":1.0,"a":[1e2,1E+2,-0.0,0.1,12345678901234567890,123456789012345678901234567890,1.10],"n":null}"#;
    let body = format!(
        r#"{{"user_id": "{}", "badge_type": "exact", "data": {}}}"#,
        ann.id,
        data.replace(':', " : ")
    );
    let request =
        Request::new("POST", "/api/v1/achievements/award").header("content-type", "application/json");
    let made = admin.send(request.bytes(body)).expect(201);
    assert!(made.text().contains(data), "{}", made.text());
    for _ in 0..2 {
        let list = ann.get("/api/v1/users/me/achievements").expect(200);
        assert!(list.text().contains(data), "{}", list.text());
    }
}

fn an_integer_may_be_written_with_a_fraction_of_zero(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let book = |key: &str, amount: &str| {
        let body = format!(r#"{{"amount": {amount}, "reason": "x", "idempotency_key": "{key}"}}"#);
        let request = Request::new("POST", &format!("{}/points", ann.path()))
            .header("content-type", "application/json");
        admin.send(request.bytes(body))
    };
    assert_eq!(book("a", "5.0").expect(201).json()["balance"], 5);
    assert_eq!(book("b", "1e2").expect(201).json()["balance"], 105);
    for (key, bad) in [("c", "5.5"), ("d", "1e300"), ("e", "9007199254740993.0"), ("f", "\"5\"")] {
        book(key, bad).complains_about(422, &["amount"]);
    }
}

fn a_key_twice_is_refused_and_named(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let send = |path: &str, method: &'static str, body: &str| {
        let request = Request::new(method, path).header("content-type", "application/json");
        admin.send(request.bytes(body.to_owned()))
    };
    send(&ann.path(), "PATCH", r#"{"bio": "a", "bio": "b"}"#).complains_about(422, &["bio"]);
    send(&ann.path(), "PATCH", r#"{"bio": "a", "\u0062io": "b"}"#).complains_about(422, &["bio"]);
    let nested = format!(
        r#"{{"user_id": "{}", "badge_type": "a", "data": {{"list": [{{"x": 1, "x": 1}}], "x": 2}}}}"#,
        ann.id
    );
    send("/api/v1/achievements/award", "POST", &nested).complains_about(422, &["data.list[0].x"]);
    let login = r#"{"username": "ann", "username": "bob", "password": "x"}"#;
    send("/api/v1/auth/login", "POST", login).complains_about(422, &["username"]);
    assert_eq!(ann.get("/api/v1/users/me").expect(200).json()["bio"], Value::Null);
}

fn time_zones_are_those_of_iana(app: &TestApp) {
    let ann = app.user("ann");
    let put = |zone: &str| ann.patch("/api/v1/users/me/preferences", &json!({ "time_zone": zone }));
    for (sent, stored) in
        [("europe/berlin", "Europe/Berlin"), ("Asia/Calcutta", "Asia/Calcutta"), ("UTC", "UTC")]
    {
        assert_eq!(put(sent).expect(200).json()["time_zone"], stored);
    }
    for bad in ["Mars/Olympus", "CEST", "+02:00", ""] {
        put(bad).complains_about(422, &["time_zone"]);
    }
}

on_both_databases!(
    a_name_is_found_however_it_is_written,
    a_name_is_visible_and_turns_no_text,
    an_identifier_is_read_alike_everywhere,
    a_number_is_one_that_its_country_can_have,
    ids_of_other_systems_name_users_in_bodies_and_paths,
    numbers_of_free_json_come_back_as_sent,
    an_integer_may_be_written_with_a_fraction_of_zero,
    a_key_twice_is_refused_and_named,
    time_zones_are_those_of_iana,
);
