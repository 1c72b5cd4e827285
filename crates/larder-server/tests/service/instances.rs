//! Several instances on one database: they accept each other's tokens and apply each other's invalidations.

use std::time::Duration;

use serde_json::json;

use crate::support::app::{PASSWORD, TestApp, on_every_stack, on_redis};
use crate::support::client::Client;
use crate::support::{eventually, within};

/// The staleness bound: the greatest age of a bounded answer.
const BOUND: Duration = Duration::from_secs(2);

fn a_new_token_is_accepted_on_every_instance_at_once(app: &TestApp) {
    let second = app.second_instance();
    let ann = app.user("ann");
    assert_eq!(second.here(&ann).validate(), 200);
    // The other instance now has a copy of her state in memory, without the sessions that follow.
    for round in 0..8 {
        let (opened, elsewhere) = if round % 2 == 0 { (app, &second) } else { (&second, app) };
        let session = opened.again("ann");
        assert_eq!(elsewhere.here(&session).validate(), 200, "round {round}");
        let body = json!({ "refresh_token": session.refresh_token });
        let renewed = elsewhere.anonymous().post("/api/v1/auth/refresh", &body).expect(200);
        assert_eq!(opened.here(&session).with_token(&renewed.field("access_token")).validate(), 200);
    }
}

fn an_instance_finds_in_redis_what_another_loaded(app: &TestApp) {
    let second = app.second_instance();
    let ann = app.user("ann");
    let there = second.here(&ann);
    assert_eq!(there.validate(), 200);
    for path in [ann.path(), "/api/v1/users?limit=9".to_owned()] {
        let status =
            |client: &Client| client.get(&path).expect(200).header("cache-status").unwrap().to_owned();
        // The journal reports the earlier writes after they were acknowledged, which can invalidate the entry once more.
        eventually("a hit in Redis for what another instance loaded", || {
            let loaded = status(&ann) == "larder; fwd=miss; stored";
            let found = status(&there) == "larder; hit; detail=redis";
            if !(loaded && found) {
                ann.patch("/api/v1/users/me", &json!({ "bio": format!("{:?}", std::time::Instant::now()) }))
                    .expect(200);
            }
            loaded && found
        });
        within(BOUND, "a copy in memory", || status(&there) == "larder; hit; detail=memory");
    }
}

fn a_write_is_seen_elsewhere_fresh_at_once_and_bounded_within_the_bound(app: &TestApp) {
    let second = app.second_instance();
    let ann = app.user("ann");
    let pair = [ann.clone(), second.here(&ann)];
    for round in 0..10_usize {
        let (here, there) = (&pair[round % 2], &pair[(round + 1) % 2]);
        let bio = json!(format!("round {round}"));
        // Both instances have copies that the write invalidates.
        there.get("/api/v1/users/me").expect(200);
        let written = here.patch("/api/v1/users/me", &json!({ "bio": bio })).expect(200);
        assert_eq!(written.header("cache-invalidation"), Some("sent"));
        let version = written.json()["version"].clone();
        assert_eq!(there.get("/api/v1/users/me?consistency=fresh").json()["version"], version);
        let listed = there.get("/api/v1/users?consistency=fresh").json();
        assert_eq!(listed["items"][0]["bio"], bio, "the list too");
        within(BOUND, "a bounded read", || there.get("/api/v1/users/me").json()["version"] == version);
        within(BOUND, "a bounded list", || there.get("/api/v1/users").json()["items"][0]["bio"] == bio);
        assert_eq!(here.get("/api/v1/users/me").json()["version"], version);
    }
}

type Way<'a> = &'a dyn Fn(&Client);

fn trace_8_tokens_ended_on_one_instance_end_on_another_within_the_bound(app: &TestApp) {
    let second = app.second_instance();
    let admin = app.admin();
    let ways: [(&str, Way<'_>); 6] = [
        ("route", &|user| {
            admin.post(&format!("{}/deactivate", user.path()), &json!({})).expect(200);
        }),
        ("patch", &|user| {
            admin.patch(&user.path(), &json!({ "is_active": false })).expect(200);
        }),
        ("delete", &|user| {
            admin.delete(&user.path()).expect(204);
        }),
        ("logout", &|user| {
            user.post("/api/v1/auth/logout", &json!({})).expect(204);
        }),
        ("password", &|user| {
            let body = json!({ "current_password": PASSWORD, "new_password": "staple of another kind" });
            user.post("/api/v1/auth/password", &body).expect(204);
        }),
        ("reuse", &|user| {
            let body = json!({ "refresh_token": user.refresh_token });
            let next = app.anonymous().post("/api/v1/auth/refresh", &body).expect(200).field("refresh_token");
            app.anonymous().post("/api/v1/auth/refresh", &json!({ "refresh_token": next })).expect(200);
            app.anonymous().post("/api/v1/auth/refresh", &body).expect(401);
        }),
    ];
    for (name, end) in ways {
        let user = app.user(name);
        let there = second.here(&user);
        // Reads often enough that memory holds the state, so that the end has a copy to invalidate.
        for _ in 0..5 {
            assert_eq!([user.validate(), there.validate()], [200; 2], "{name}");
        }
        end(&user);
        assert_eq!(user.validate(), 401, "{name}: at once where it was done");
        within(BOUND, name, || there.validate() == 401);
        for path in ["/api/v1/users/me", "/api/v1/users"] {
            there.get(path).expect(401);
        }
    }
}

on_every_stack!(
    a_new_token_is_accepted_on_every_instance_at_once,
    a_write_is_seen_elsewhere_fresh_at_once_and_bounded_within_the_bound,
    trace_8_tokens_ended_on_one_instance_end_on_another_within_the_bound,
);

mod coherent {
    use super::*;

    on_redis!(an_instance_finds_in_redis_what_another_loaded);
}
