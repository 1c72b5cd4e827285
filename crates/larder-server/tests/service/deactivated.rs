//! Trace 8: in each way that deactivates or deletes a user, the user's tokens and keys end on every instance.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_every_stack};
use crate::support::client::Client;
use crate::support::within;

/// The staleness bound: the greatest age of a bounded answer.
const BOUND: Duration = Duration::from_secs(2);

/// All credentials with which a client acts as this user.
struct Access {
    /// A client with an access token.
    session: Client,
    /// A client with an API key.
    key: Client,
}

impl Access {
    /// Registers a user on `app` and renews its refresh token on `second`.
    fn of_new(app: &TestApp, second: &TestApp, name: &str) -> Self {
        let opened = app.user(name);
        let body = json!({ "refresh_token": opened.refresh_token });
        let renewed = second.anonymous().post("/api/v1/auth/refresh", &body).expect(200);
        let session = opened.with_token(&renewed.field("access_token"));
        let session = Client { refresh_token: renewed.field("refresh_token"), ..session };
        let key = session.make_key(&json!({ "name": "ci" })).expect(201);
        Self { key: session.with_token(&key.field("key")), session }
    }

    /// Returns the statuses of the access token and of the API key on an instance.
    fn validate(&self, on: &TestApp) -> [u16; 2] {
        [&self.session, &self.key].map(|client| on.here(client).validate())
    }

    fn refresh(&self, on: &TestApp) -> u16 {
        let body = json!({ "refresh_token": self.session.refresh_token });
        on.anonymous().post("/api/v1/auth/refresh", &body).status
    }
}

/// The required fields of a PUT, and the one that deactivates.
fn put_body(name: &str) -> Value {
    json!({ "email": format!("{name}@example.com"), "username": name, "is_active": false })
}

type Way<'a> = (&'a str, &'a dyn Fn(&Client));

/// Calls `end` with each way that an admin has, and with the name of the user it is tried on.
fn ways_over_http(admin: &Client, end: &mut dyn FnMut(Way<'_>)) {
    let inactive = json!({ "is_active": false });
    let post = |path: &str, body: &Value| drop(admin.post(path, body).expect(200));
    let patch = |path: &str| drop(admin.patch(path, &inactive).expect(200));
    let put = |path: &str, name: &str| drop(admin.put(path, &put_body(name)).expect(200));
    let hotel = |user: &Client| format!("/v1.0/user/update/{}", user.id);
    let academy = |user: &Client| format!("/api/users/{}/", user.id);
    let ways: [Way<'_>; 13] = [
        ("patch", &|user| patch(&user.path())),
        ("put", &|user| put(&user.path(), "put")),
        ("route", &|user| post(&format!("{}/deactivate", user.path()), &json!({}))),
        ("bulk", &|user| post("/api/v1/users/bulk/deactivate", &json!({ "ids": [user.id] }))),
        ("hotel-patch", &|user| patch(&hotel(user))),
        ("hotel-put", &|user| put(&hotel(user), "hotel-put")),
        ("hotel-route", &|user| post(&format!("/v1.0/user/{}/deactivate", user.id), &json!({}))),
        ("delete", &|user| drop(admin.delete(&user.path()).expect(204))),
        ("hotel-delete", &|user| {
            admin.delete(&format!("/v1.0/user/delete/{}", user.id)).expect(204);
        }),
        ("academy-patch", &|user| patch(&academy(user))),
        ("academy-put", &|user| put(&academy(user), "academy-put")),
        ("academy-delete", &|user| drop(admin.delete(&academy(user)).expect(204))),
        ("by-itself", &|user| drop(user.delete_itself().expect(204))),
    ];
    ways.into_iter().for_each(end);
}

fn trace_8_every_way_of_ending_a_user_ends_its_tokens_and_keys_everywhere(app: &TestApp) {
    let second = app.second_instance();
    let admin = app.admin();
    let opened = |name: &str| {
        let access = Access::of_new(app, &second, name);
        // Reads often enough that memory holds the answers, so that the end has copies to invalidate.
        for _ in 0..4 {
            assert_eq!([access.validate(app), access.validate(&second)], [[200; 2]; 2], "{name}");
        }
        access
    };
    let ended_there = |access: &Access, name: &str| {
        for token in
            [access.session.token.as_ref(), access.key.token.as_ref(), Some(&access.session.refresh_token)]
        {
            let worth = second.here(&admin).token_form("/api/v1/auth/introspect", token.unwrap()).expect(200);
            assert_eq!(worth.json(), json!({ "active": false }), "{name}: introspected");
        }
        assert_eq!([access.refresh(app), access.refresh(&second)], [401; 2], "{name}: refresh tokens");
        within(BOUND, name, || access.validate(&second) == [401; 2]);
    };
    ways_over_http(&admin, &mut |(name, end)| {
        let access = opened(name);
        end(&access.session);
        assert_eq!(access.validate(app), [401; 2], "{name}: at once where it was done");
        ended_there(&access, name);
    });
    for (name, statement) in [
        ("sql-update", "UPDATE users SET is_active = FALSE WHERE username = 'sql-update'"),
        ("sql-delete", "DELETE FROM users WHERE username = 'sql-delete'"),
    ] {
        let access = opened(name);
        app.stack.sql(statement);
        within(BOUND, name, || access.validate(app) == [401; 2] && access.validate(&second) == [401; 2]);
        ended_there(&access, name);
    }
}

on_every_stack!(trace_8_every_way_of_ending_a_user_ends_its_tokens_and_keys_everywhere);
