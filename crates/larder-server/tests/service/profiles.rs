//! Profiles and their parts: which users may read and change them, and which reads and writes cache or invalidate them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_databases};
use crate::support::client::{Client, Request};
use crate::support::{eventually, within};

/// The staleness bound: the greatest age of a bounded answer.
const BOUND: Duration = Duration::from_secs(2);
const HIT: &str = "larder; hit; detail=memory";

/// Returns each part with a valid body, a second valid body, an invalid body, and the fields that its refusal names.
fn parts() -> [(&'static str, Value, Value, Value, &'static [&'static str]); 4] {
    [
        (
            "preferences",
            json!({ "theme": "dark", "locale": "pt-br", "time_zone": "America/Nassau", "push_notifications": false }),
            json!({ "theme": "light" }),
            json!({ "theme": "pink", "time_zone": "no zone", "shoe": 44 }),
            &["shoe", "theme", "time_zone"],
        ),
        (
            "languages",
            json!({ "languages": [{ "code": "en", "level": "native" }, { "code": "es-419", "level": "basic" }] }),
            json!({ "languages": [] }),
            json!({ "languages": [{ "code": "en", "level": "good" }] }),
            &["languages"],
        ),
        (
            "accessibility",
            json!({ "text_scale_percent": 150, "captions": true }),
            json!({ "screen_reader": true }),
            json!({ "text_scale_percent": 301, "captions": 1 }),
            &["captions", "text_scale_percent"],
        ),
        (
            "interests",
            json!({ "interests": ["sailing", "C++: *"] }),
            json!({ "interests": [] }),
            json!({ "interests": ["a", "A"] }),
            &["interests"],
        ),
    ]
}

fn becomes_hit(client: &Client, path: &str) {
    within(BOUND * 5, path, || client.get(path).expect(200).header("cache-status") == Some(HIT));
}

fn each_part_is_put_read_and_dropped_with_the_full_profile(app: &TestApp) {
    let ann = app.user("ann");
    let full = "/api/v1/users/me/full-profile";
    let defaults = ann.get(full).expect(200).json();
    assert_eq!(defaults["preferences"]["theme"], "system");
    assert_eq!((&defaults["languages"], &defaults["interests"]), (&json!([]), &json!([])));
    for (name, first, second, bad, fields) in parts() {
        let path = format!("/api/v1/users/me/{name}");
        becomes_hit(&ann, &path);
        becomes_hit(&ann, full);
        for body in [&first, &second, &first] {
            let answer = ann.put(&path, body).expect(200);
            let (part, tag) = (answer.json(), answer.header("etag").unwrap().to_owned());
            let read = ann.get(&path).expect(200);
            assert_eq!((read.json(), read.header("etag")), (part.clone(), Some(tag.as_str())));
            let all = ann.get(full).expect(200).json();
            assert_eq!(all[name], part.get(name).unwrap_or(&part).clone(), "{name}");
            let same = ann.send(Request::new("GET", &path).header("if-none-match", &tag));
            assert_eq!(same.status, 304);
        }
        ann.put(&path, &bad).complains_about(422, fields);
        ann.put(&path, &json!([])).complains_about(422, &["body"]);
    }
    let patched = ann.patch("/api/v1/users/me/preferences", &json!({ "theme": "system" })).expect(200).json();
    assert_eq!((&patched["theme"], &patched["locale"]), (&json!("system"), &json!("pt-BR")));
    let patched =
        ann.patch("/api/v1/users/me/accessibility", &json!({ "captions": false })).expect(200).json();
    assert_eq!((&patched["captions"], &patched["text_scale_percent"]), (&json!(false), &json!(150)));
    ann.patch("/api/v1/users/me/languages", &json!({})).expect(405);
}

fn a_part_is_changed_only_in_the_state_that_was_expected(app: &TestApp) {
    let ann = app.user("ann");
    let path = "/api/v1/users/me/interests";
    let put = |tag: &str, interests: Value| {
        let request = Request::new("PUT", path).header("if-match", tag);
        ann.send(request.json(&json!({ "interests": interests })))
    };
    let never_set = ann.get(path).expect(200).header("etag").unwrap().to_owned();
    let first = put(&never_set, json!(["a"])).expect(200).header("etag").unwrap().to_owned();
    put(&never_set, json!(["b"])).expect(412);
    put("W/\"x\"", json!(["b"])).expect(412);
    put(&format!("\"x\", {first}"), json!(["b"])).expect(200);
    put("*", json!(["c"])).expect(200);
    assert_eq!(ann.get(path).json()["interests"], json!(["c"]));
}

fn parts_are_for_oneself_and_for_those_who_manage_one(app: &TestApp) {
    let (admin, ann, bea) = (app.admin(), app.user("ann"), app.user("bea"));
    let helper = app.user_with_role("helper", "admin");
    admin.patch(&ann.path(), &json!({ "external_id": "5779356081", "bio": "sails" })).expect(200);
    for name in ["preferences", "languages", "accessibility", "interests", "full-profile"] {
        let path = format!("{}/{name}", ann.path());
        app.anonymous().get(&path).expect(401);
        bea.get(&path).expect(403);
        helper.get(&path).expect(200);
        ann.get(&path).expect(200);
        admin.get(&format!("/api/v1/users/5779356081/{name}")).expect(200);
        helper.get(&format!("{}/{name}", admin.path())).expect(403);
        admin.get(&format!("/api/v1/users/nobody/{name}")).expect(404);
        admin.get(&format!("/api/v1/users/bulk/{name}")).complains_about(422, &["id"]);
    }
    let interests = json!({ "interests": ["x"] });
    bea.put(&format!("{}/interests", ann.path()), &interests).expect(403);
    helper.put(&format!("{}/interests", admin.path()), &interests).expect(403);
    helper.put("/api/v1/users/5779356081/interests", &interests).expect(200);
    assert_eq!(ann.get("/api/v1/users/me/interests").json(), interests);
    bea.patch(&format!("{}/profile", ann.path()), &json!({ "bio": "x" })).expect(403);

    let public = bea.get(&format!("{}/profile", ann.path())).expect(200);
    assert_eq!(public.json()["bio"], "sails");
    assert!(!public.text().contains("example.com") && !public.text().contains("5779356081"));
    assert_eq!(bea.get("/api/v1/users/5779356081/profile").expect(200).json(), public.json());
    let details = bea.get(&format!("{}/details", ann.path())).expect(200).json();
    assert_eq!(details, bea.get(&ann.path()).json());
    assert_eq!(ann.get("/api/v1/users/me/details").json()["email"], "ann@example.com");
}

fn a_changed_profile_drops_every_part(app: &TestApp) {
    let ann = app.user("ann");
    let profile = "/api/v1/users/me/profile";
    let body = json!({ "bio": "sails", "skills": ["fencing"] });
    assert_eq!(ann.put(profile, &body).expect(200).json()["skills"], json!(["fencing"]));
    let patched = ann.patch(profile, &json!({ "location": "Nassau", "skills": null })).expect(200);
    let user = patched.json();
    assert_eq!((&user["bio"], &user["location"]), (&json!("sails"), &json!("Nassau")));
    assert_eq!(patched.header("etag"), Some("\"3\""));
    assert_eq!(ann.get(profile).expect(200).json(), user);
    assert_eq!(ann.put(profile, &json!({})).expect(200).json()["bio"], Value::Null);
    ann.put(profile, &json!({ "email": "x@example.com", "role": "admin" })).complains_about(422, &["email"]);
    let stale = Request::new("PATCH", profile).header("if-match", "\"1\"").json(&json!({ "bio": "x" }));
    ann.send(stale).expect(412);

    let paths = ["profile", "full-profile", "preferences", "languages", "accessibility", "interests"];
    let paths = paths.map(|name| format!("/api/v1/users/me/{name}"));
    for path in &paths {
        becomes_hit(&ann, path);
    }
    ann.patch(profile, &json!({ "bio": "again" })).expect(200);
    for path in &paths {
        let status = ann.get(path).expect(200).header("cache-status").unwrap().to_owned();
        // The full profile may already be loaded again: the miss of the profile started its warming.
        assert!(status != HIT || path.ends_with("full-profile"), "{path}: {status}");
    }
    assert_eq!(ann.get(&paths[1]).json()["user"]["bio"], "again");
}

fn parts_changed_by_other_software_are_seen_everywhere_within_the_bound(app: &TestApp) {
    let ann = app.user("ann");
    let second = app.second_instance();
    let both = [ann.clone(), second.here(&ann)];
    let path = "/api/v1/users/me/preferences";
    let of_ann = "user_id IN (SELECT id FROM users WHERE username = 'ann')";
    let insert =
        "INSERT INTO preferences (user_id, theme) SELECT id, 'dark' FROM users WHERE username = 'ann'";
    let update = format!("UPDATE preferences SET theme = 'light' WHERE {of_ann}");
    let delete = format!("DELETE FROM preferences WHERE {of_ann}");
    for (sql, theme) in [(insert, "dark"), (&update, "light"), (&delete, "system")] {
        for client in &both {
            becomes_hit(client, path);
            becomes_hit(client, "/api/v1/users/me/full-profile");
        }
        let tag = ann.get(path).header("etag").unwrap().to_owned();
        app.stack.sql(sql);
        within(BOUND, theme, || {
            both.iter().all(|client| {
                let full = client.get("/api/v1/users/me/full-profile").json();
                client.get(path).json()["theme"] == theme && full["preferences"]["theme"] == theme
            })
        });
        let request = Request::new("GET", path).header("if-none-match", &tag);
        assert_eq!(
            ann.send(request).status,
            200,
            "the tag changes although other software raises no version"
        );
    }
}

/// A hit at the first read proves that the service loaded the entry in the background. A read can come before that
/// load, and the journal's report of the write can invalidate the entry again; so the loop creates users until one read
/// is a hit.
fn the_likely_next_read_is_warmed(app: &TestApp) {
    let admin = app.admin();
    let is_hit = |path: &str| {
        let answer = admin.get(path).expect(200);
        answer.header("cache-status").unwrap().starts_with("larder; hit")
    };
    let mut number = 0;
    let mut fresh = || {
        number += 1;
        let user = app.plain_user(&admin, &format!("cat{number}"));
        format!("/api/v1/users/{}", user["id"].as_str().unwrap())
    };
    eventually("the first read of a created user is a hit", || is_hit(&fresh()));
    eventually("after a profile, the first read of the full profile is a hit", || {
        let path = fresh();
        admin.get(&format!("{path}/profile")).expect(200);
        is_hit(&format!("{path}/full-profile"))
    });
}

fn a_deleted_user_has_no_parts(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    for (name, first, ..) in parts() {
        ann.put(&format!("/api/v1/users/me/{name}"), &first).expect(200);
    }
    let names = ["profile", "full-profile", "preferences", "languages", "accessibility", "interests"];
    for name in names {
        admin.get(&format!("{}/{name}", ann.path())).expect(200);
    }
    admin.delete(&ann.path()).expect(204);
    for name in names {
        admin.get(&format!("{}/{name}", ann.path())).expect(404);
    }
    assert_eq!(app.stack.sql("SELECT COUNT(*) FROM preferences"), "0");
}

on_both_databases!(
    each_part_is_put_read_and_dropped_with_the_full_profile,
    a_part_is_changed_only_in_the_state_that_was_expected,
    parts_are_for_oneself_and_for_those_who_manage_one,
    a_changed_profile_drops_every_part,
    parts_changed_by_other_software_are_seen_everywhere_within_the_bound,
    the_likely_next_read_is_warmed,
    a_deleted_user_has_no_parts,
);
