//! Logout, a new password, each way of deactivation, and deletion end tokens at once on the instance that did it.

use serde_json::json;

use crate::support::app::{PASSWORD, TestApp, on_every_stack};
use crate::support::client::Client;

const NEW_PASSWORD: &str = "staple of another kind";

fn refresh_status(app: &TestApp, client: &Client) -> u16 {
    let body = json!({ "refresh_token": client.refresh_token });
    app.anonymous().post("/api/v1/auth/refresh", &body).status
}

fn logging_out_ends_this_session_and_no_other(app: &TestApp) {
    let (ann, other) = (app.user("ann"), app.again("ann"));
    assert_eq!([ann.validate(), other.validate()], [200; 2]);
    let answer = ann.post("/api/v1/auth/logout", &json!({})).expect(204);
    assert_eq!((answer.header("cache-invalidation"), answer.text()), (Some("sent"), ""));
    assert_eq!([ann.validate(), other.validate()], [401, 200]);
    ann.get("/api/v1/users/me").expect(401);
    ann.post("/api/v1/auth/logout", &json!({})).expect(401);
    assert_eq!(refresh_status(app, &ann), 401);
    assert_eq!(refresh_status(app, &other), 200);
}

fn a_new_password_ends_every_session(app: &TestApp) {
    let (ann, other) = (app.user("ann"), app.again("ann"));
    let change = |current: &str, new: &str| {
        ann.post("/api/v1/auth/password", &json!({ "current_password": current, "new_password": new }))
    };
    change("wrong horse battery", NEW_PASSWORD).expect(403);
    change(PASSWORD, "short").complains_about(422, &["new_password"]);
    assert_eq!([ann.validate(), other.validate()], [200; 2], "nothing has changed so far");

    assert_eq!(change(PASSWORD, NEW_PASSWORD).expect(204).header("cache-invalidation"), Some("sent"));
    assert_eq!([ann.validate(), other.validate()], [401; 2]);
    assert_eq!([refresh_status(app, &ann), refresh_status(app, &other)], [401; 2]);
    let login = |password: &str| {
        app.anonymous().post("/api/v1/auth/login", &json!({ "username": "ann", "password": password }))
    };
    login(PASSWORD).expect(401);
    login(NEW_PASSWORD).expect(200);
    // A second password within the same second: tokens are compared by their epoch, not by times.
    let ann = app.login(&json!({ "username": "ann", "password": NEW_PASSWORD }));
    assert_eq!(ann.validate(), 200);
    let body = json!({ "current_password": NEW_PASSWORD, "new_password": PASSWORD });
    ann.post("/api/v1/auth/password", &body).expect(204);
    assert_eq!(ann.validate(), 401);
}

type Way = fn(&Client, &Client);

fn deactivation_ends_tokens_whatever_way_it_comes(app: &TestApp) {
    let admin = app.admin();
    let ways: [(&str, Way); 3] = [
        ("route", |admin, user| {
            admin.post(&format!("{}/deactivate", user.path()), &json!({})).expect(200);
        }),
        ("patch", |admin, user| {
            admin.patch(&user.path(), &json!({ "is_active": false })).expect(200);
        }),
        ("put", |admin, user| {
            let user_now = admin.get(&user.path()).json();
            let body = json!({
                "email": user_now["email"], "username": user_now["username"], "is_active": false,
            });
            admin.put(&user.path(), &body).expect(200);
        }),
    ];
    for (name, deactivate) in ways {
        let (user, other) = (app.user(name), app.again(name));
        assert_eq!([user.validate(), other.validate()], [200; 2]);
        deactivate(&admin, &user);
        assert_eq!([user.validate(), other.validate()], [401; 2], "{name}");
        assert_eq!(admin.get(&user.path()).json()["is_active"], false, "{name}");
        assert_eq!(refresh_status(app, &user), 401, "{name}");
        let credentials = json!({ "username": name, "password": PASSWORD });
        app.anonymous().post("/api/v1/auth/login", &credentials).expect(403);
        let wrong = json!({ "username": name, "password": "wrong horse battery" });
        app.anonymous().post("/api/v1/auth/login", &wrong).expect(401);

        let answer = admin.post(&format!("{}/activate", user.path()), &json!({})).expect(200);
        assert_eq!((&answer.json()["is_active"], answer.header("etag")), (&json!(true), Some("\"3\"")));
        assert_eq!([user.validate(), other.validate()], [401; 2], "{name}: what has ended stays ended");
        assert_eq!(refresh_status(app, &other), 401, "{name}");
        assert_eq!(app.again(name).validate(), 200, "{name}");
    }
}

fn a_deleted_user_has_no_tokens(app: &TestApp) {
    let (ann, bea) = (app.user("ann"), app.user("bea"));
    assert_eq!([ann.validate(), bea.validate()], [200; 2]);
    app.admin().delete(&ann.path()).expect(204);
    bea.delete_itself().expect(204);
    for user in [&ann, &bea] {
        assert_eq!(user.validate(), 401);
        assert_eq!(refresh_status(app, user), 401);
    }
    app.anonymous()
        .post("/api/v1/auth/login", &json!({ "username": "ann", "password": PASSWORD }))
        .expect(401);
    // A later user with the same name is another user.
    let heir = app.user("ann");
    assert_ne!(heir.id, ann.id);
    assert_eq!([heir.validate(), ann.validate()], [200, 401]);
}

fn a_role_that_was_taken_away_is_gone_with_the_next_request(app: &TestApp) {
    let admin = app.admin();
    let helper = app.user_with_role("helper", "admin");
    app.plain_user(&helper, "first");
    admin.patch(&helper.path(), &json!({ "role": "user" })).expect(200);
    let body = json!({ "email": "second@example.com", "username": "second" });
    helper.post("/api/v1/users", &body).expect(403);
    assert_eq!(helper.get("/api/v1/auth/validate").expect(200).field("role"), "user");
    admin.patch(&helper.path(), &admin.confirmed(&json!({ "role": "admin" }))).expect(200);
    helper.post("/api/v1/users", &body).expect(201);
}

on_every_stack!(
    logging_out_ends_this_session_and_no_other,
    a_new_password_ends_every_session,
    deactivation_ends_tokens_whatever_way_it_comes,
    a_deleted_user_has_no_tokens,
    a_role_that_was_taken_away_is_gone_with_the_next_request,
);
