//! Sessions: listed, ended, idle, evicted; two tabs that refresh at once.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{Stack, TestApp, on_both_databases};
use crate::support::client::{Answer, Client};
use crate::support::within;

/// The staleness bound of two seconds, and two seconds for a busy machine.
const BOUND: Duration = Duration::from_secs(4);

fn refresh(app: &TestApp, token: &str) -> Answer {
    app.anonymous().post("/api/v1/auth/refresh", &json!({ "refresh_token": token }))
}

fn sessions(client: &Client) -> Vec<Value> {
    client.get("/api/v1/users/me/sessions").expect(200).json()["items"].as_array().unwrap().clone()
}

fn sessions_are_listed_and_ended_one_or_all(app: &TestApp) {
    let other = app.second_instance();
    let (first, second, bea) = (app.user("ann"), app.again("ann"), app.user("bea"));
    let third = app.again("ann");
    let listed = sessions(&second);
    assert_eq!(listed.len(), 3);
    let current: Vec<_> = listed.iter().map(|session| session["current"] == true).collect();
    assert_eq!(current, [false, true, false], "newest first: {listed:?}");
    let path = |id: &Value| format!("/api/v1/users/me/sessions/{}", id.as_str().unwrap());
    let of_first = path(&listed[2]["id"]);

    assert_eq!([other.here(&first).validate(), other.here(&third).validate()], [200; 2]);
    bea.get(&format!("{}/sessions", first.path())).expect(403);
    bea.delete(&format!("{}/sessions", first.path())).expect(403);
    bea.delete(&of_first).expect(404);
    second.delete("/api/v1/users/me/sessions/x").complains_about(422, &["session_id"]);
    second.delete(&of_first).expect(204);
    second.delete(&of_first).expect(404);
    assert_eq!([first.validate(), second.validate(), third.validate()], [401, 200, 200]);
    within(BOUND, "elsewhere too", || other.here(&first).validate() == 401);
    assert_eq!(sessions(&second).len(), 2);
    refresh(app, &second.refresh_token).expect(200);
    assert_eq!(sessions(&third)[0]["current"], false, "the one that was used last is first");

    second.delete("/api/v1/users/me/sessions").expect(204);
    assert_eq!([second.validate(), third.validate(), bea.validate()], [401, 401, 200]);
    let last = app.again("ann");
    app.admin().delete(&format!("{}/sessions", last.path())).expect(204);
    assert_eq!(last.validate(), 401, "an admin ends those of users that it manages");
}

/// Two tabs of a browser share a refresh token and send it at the same time, each to another instance.
fn two_tabs_that_refresh_at_once_keep_the_session(app: &TestApp) {
    let (other, ann) = (app.second_instance(), app.user("ann"));
    let pairs = std::thread::scope(|scope| {
        let tabs = [app, &other, app].map(|on| {
            let token = &ann.refresh_token;
            scope.spawn(move || {
                let granted = refresh(on, token).expect(200);
                (granted.field("access_token"), granted.field("refresh_token"))
            })
        });
        tabs.map(|tab| tab.join().unwrap())
    });
    assert!(pairs.iter().all(|pair| *pair == pairs[0]), "the same pair: {pairs:?}");
    let tab = ann.with_token(&pairs[0].0);
    assert_eq!([app.here(&tab).validate(), other.here(&tab).validate()], [200; 2]);
    let next = refresh(&other, &pairs[0].1).expect(200);
    // The successor is used by now, so the first token is reuse although its grace is not over.
    refresh(app, &ann.refresh_token).refuses(401, "session_ended");
    refresh(app, &next.field("refresh_token")).refuses(401, "session_ended");
    assert_eq!(app.stack.sql("SELECT COUNT(*) FROM audit_log WHERE action = 'session.reuse'"), "1");
}

#[test]
fn the_settings_of_sessions_are_kept() {
    let app = Stack::sqlite_memory()
        .with_setting("LARDER_SESSIONS_PER_USER", "2")
        .with_setting("LARDER_REFRESH_GRACE_SECONDS", "0")
        .with_setting("LARDER_SESSION_IDLE_SECONDS", "3600")
        .with_setting("LARDER_API_KEY_DAYS", "1")
        .start();
    let (first, second) = (app.user("ann"), app.again("ann"));
    let renewed = refresh(&app, &first.refresh_token).expect(200);
    let third = app.again("ann");
    assert_eq!(
        [first.validate(), second.validate(), third.validate()],
        [200, 401, 200],
        "least recently used"
    );
    let evicted = app.admin().get("/api/v1/audit?action=session.evict").expect(200).json();
    assert_eq!(evicted["items"][0]["target_id"], json!(third.id), "{evicted}");

    // Time passes for the session: it was last refreshed over an hour ago.
    app.stack.sql("UPDATE refresh_tokens SET issued_at = issued_at - 3700000000");
    assert_eq!(sessions(&third), [] as [Value; 0]);
    let worth =
        app.admin().token_form("/api/v1/auth/introspect", &renewed.field("refresh_token")).expect(200);
    assert_eq!(worth.json(), json!({ "active": false }));
    refresh(&app, &renewed.field("refresh_token")).refuses(401, "session_ended");

    let fourth = app.again("ann");
    refresh(&app, &fourth.refresh_token).expect(200);
    refresh(&app, &fourth.refresh_token).refuses(401, "session_ended");
    let fifth = app.again("ann");
    let end: jiff::Timestamp = fifth.make_key(&json!({ "name": "ci" })).field("expires_at").parse().unwrap();
    assert!(end < jiff::Timestamp::now() + jiff::SignedDuration::from_hours(25));
}

on_both_databases!(sessions_are_listed_and_ended_one_or_all, two_tabs_that_refresh_at_once_keep_the_session,);
