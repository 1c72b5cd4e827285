//! An e-mail address that an admin's token or key sets without a password gets no mail that resets the password: it
//! would take the account over.

use serde_json::{Value, json};

use crate::mails::{NEW, RESET, asked, entries, forgot, mails, on_both, reset};
use crate::support::app::TestApp;
use crate::support::client::{Client, Request};
use crate::support::eventually;

/// What the audit log has of the requests for a reset, without the mails that were sent.
fn withheld(app: &TestApp) -> Vec<Value> {
    let is_withheld = |entry: &Value| entry["details"]["code"] == "address_unproven";
    entries(app, "password.forget").into_iter().filter(is_withheld).collect()
}

fn email(address: &str) -> Value {
    json!({ "email": address })
}

fn key_of(admin: &Client) -> Client {
    let made = admin.make_key(&json!({ "name": "sync", "scopes": ["read", "write"] })).expect(201).json();
    admin.with_token(made["key"].as_str().unwrap())
}

#[test]
fn an_address_that_was_set_without_a_password_gets_no_reset() {
    on_both(|server, app| {
        let (ann, admin) = (app.user("ann"), app.admin());
        let key = key_of(&admin);
        let import = |client: &Client, address: &str| {
            let row = json!({ "id": ann.id, "email": address }).to_string();
            let request = Request::new("POST", "/api/v1/users/import");
            let report = client.send(request.header("content-type", "application/x-ndjson").bytes(row));
            assert_eq!(report.expect(200).json()["updated"], 1);
        };
        type Way<'a> = (&'a str, &'a dyn Fn(&str));
        let ways: [Way; 4] = [
            ("a key", &|address| drop(key.patch(&ann.path(), &email(address)).expect(200))),
            ("a session", &|address| drop(admin.patch(&ann.path(), &email(address)).expect(200))),
            ("an older path", &|address| {
                drop(key.put(&format!("/v1.0/user/update/{}", ann.id), &email(address)).expect(200));
            }),
            ("an import", &|address| import(&key, address)),
        ];
        for (number, (way, set)) in ways.iter().enumerate() {
            let address = format!("thief{number}@example.com");
            set(&address);
            assert_eq!(forgot(app, &address), 202, "{way}: the answer discloses nothing");
            eventually("the request is noted", || withheld(app).len() > number);
            assert_eq!(withheld(app)[0]["target_id"], json!(ann.id), "{way}");
            assert_eq!(mails(server).len(), 0, "{way}");
        }

        // Another value of another field leaves the address as it is.
        key.patch(&ann.path(), &json!({ "bio": "by key" })).expect(200);
        ann.patch(&ann.path(), &ann.confirmed(&json!({ "username": "anna" }))).expect(200);
        assert_eq!(forgot(app, "thief3@example.com"), 202);
        eventually("the request is noted", || withheld(app).len() > ways.len());

        // A password proves the address: the admin's, also for the present address, and the user's own.
        admin
            .patch(&ann.path(), &json!({ "email": "thief3@example.com", "current_password": "wrong horse" }))
            .refuses(403, "password_wrong");
        admin.patch(&ann.path(), &admin.confirmed(&email("thief3@example.com"))).expect(200);
        asked(server, app, "thief3@example.com");
        key.patch(&ann.path(), &email("typo@example.com")).expect(200);
        ann.patch(&ann.path(), &ann.confirmed(&email("ann@example.org"))).expect(200);
        let token = asked(server, app, "ann@example.org");
        app.anonymous().post(RESET, &reset(&token, NEW)).expect(204);
        assert_eq!(withheld(app).len(), ways.len() + 1);
    });
}

/// An account without a password gets its first one by mail: other systems keep its address by a key.
#[test]
fn a_user_without_a_password_gets_its_first_one_at_its_present_address() {
    on_both(|server, app| {
        let admin = app.admin();
        let user = app.plain_user(&admin, "bea");
        let path = format!("/api/v1/users/{}", user["id"].as_str().unwrap());
        key_of(&admin).patch(&path, &email("bea@example.org")).expect(200);
        let token = asked(server, app, "bea@example.org");
        app.anonymous().post(RESET, &reset(&token, NEW)).expect(204);
        app.login(&json!({ "email": "bea@example.org", "password": NEW }));
    });
}
