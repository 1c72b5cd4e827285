//! Consistency of reads, their `Cache-Status`, and conditional requests.

use serde_json::json;

use crate::support::app::{Stack, TestApp, on_both_databases};
use crate::support::client::{Answer, Client, Request};
use crate::support::eventually;

const MEMORY: &str = "larder; hit; detail=memory";
const REDIS: &str = "larder; hit; detail=redis";

fn cache_status(client: &Client, path: &str) -> String {
    client.get(path).expect(200).header("cache-status").unwrap().to_owned()
}

fn cache_status_names_hit_and_tier(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    for path in [ann.path(), "/api/v1/users?limit=7".to_owned()] {
        let first = cache_status(&admin, &path);
        // The service warms a new user in the background, so its first read may be a hit.
        assert!(path == ann.path() || first.starts_with("larder; fwd=miss"), "{path}: {first}");
        if app.has_redis() {
            eventually("Redis has a copy", || {
                let status = cache_status(&admin, &path);
                // The background load can reach memory before this read. The write drops both copies, and the loop
                // tries again.
                if status == MEMORY {
                    let bio = format!("{:?}", std::time::Instant::now());
                    ann.patch("/api/v1/users/me", &json!({ "bio": bio })).expect(200);
                }
                status == REDIS
            });
        }
        eventually("memory has a copy", || cache_status(&admin, &path) == MEMORY);
        ann.patch("/api/v1/users/me", &json!({ "bio": path })).expect(200);
        assert_ne!(cache_status(&admin, &path), MEMORY, "{path}: a write drops the copy");
    }
    let lookup = json!({ "username": "ann" });
    let status = || admin.lookup(&lookup).expect(200).header("cache-status").unwrap().to_owned();
    assert!(status().starts_with("larder; fwd=miss"), "the name was never asked for");
    eventually("memory answers the lookup", || status() == MEMORY);
}

fn a_read_has_the_consistency_that_it_asks_for(app: &TestApp) {
    let ann = app.user("ann");
    for path in ["/api/v1/users/me".to_owned(), ann.path(), "/api/v1/users".to_owned()] {
        eventually("memory has a copy", || cache_status(&ann, &path) == MEMORY);
        for _ in 0..3 {
            let fresh = cache_status(&ann, &format!("{path}?consistency=fresh"));
            assert_ne!(fresh, MEMORY, "{path}: fresh is never answered from memory alone");
        }
        let bounded = |path: &str| cache_status(&ann, &format!("{path}?consistency=bounded"));
        eventually("bounded is", || bounded(&path) == MEMORY);
        for bad in ["strong", "", "Fresh", "fresh%00", "fresh%20"] {
            let refused = ann.get(&format!("{path}?consistency={bad}"));
            refused.complains_about(422, &["consistency"]);
        }
        ann.get(&format!("{path}?consistency=fresh&consistency=fresh")).expect(400);
    }
    let by = json!({ "username": "ann" });
    ann.post("/api/v1/users/lookup?consistency=fresh", &by).expect(200);
    ann.post("/api/v1/users/lookup?consistency=weak", &by).complains_about(422, &["consistency"]);
    // Without Redis a fresh read loads, so it sees the write of other software at once. With Redis the read sees it
    // after the next poll of the journal, which `foreign.rs` checks.
    if !app.has_redis() {
        app.stack.sql("UPDATE users SET bio = 'by hand' WHERE username = 'ann'");
        assert_eq!(ann.get("/api/v1/users/me?consistency=fresh").json()["bio"], "by hand");
    }
}

fn with(client: &Client, method: &'static str, path: &str, name: &str, value: &str) -> Answer {
    let request = Request::new(method, path).header(name, value);
    client.send(match method {
        "GET" | "DELETE" => request,
        "PUT" => request.json(&json!({ "email": "ann@example.com", "username": "ann" })),
        "PATCH" => request.json(&json!({ "bio": format!("if {value}") })),
        _ => request.json(&json!({})),
    })
}

fn an_answer_that_the_client_has_is_not_sent_again(app: &TestApp) {
    let ann = app.user("ann");
    let get = |path: &str, tag: &str| with(&ann, "GET", path, "if-none-match", tag);
    for path in ["/api/v1/users/me", &ann.path()] {
        assert_eq!(ann.get(path).expect(200).header("etag"), Some("\"1\""));
        for tag in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "W/\"7\",W/\"1\"", "*"] {
            let answer = get(path, tag).expect(304);
            assert_eq!((answer.text(), answer.header("etag")), ("", Some("\"1\"")), "{tag}");
            assert!(answer.header("cache-status").is_some(), "{tag}");
        }
        for tag in ["\"2\"", "1", "\"01\"", "\"\"", "", "\"1", "\"-1\"", "abc, def"] {
            assert_eq!(get(path, tag).expect(200).json()["username"], "ann", "{tag}");
        }
    }
    ann.patch("/api/v1/users/me", &json!({ "bio": "new" })).expect(200);
    assert_eq!(get("/api/v1/users/me", "\"1\"").expect(200).header("etag"), Some("\"2\""));
    get("/api/v1/users/me", "\"2\"").expect(304);
    app.anonymous().get("/api/v1/users/me").expect(401);
}

fn a_write_that_insists_on_another_version_is_refused(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let path = ann.path();
    let write = |method: &'static str, tag: &str| with(&admin, method, &path, "if-match", tag);
    for method in ["PATCH", "PUT", "DELETE"] {
        for tag in ["\"2\"", "\"2\", \"3\"", "W/\"1\"", "1", "\"x\"", "\"0\"", "\"99999999999999999999\"", ""]
        {
            write(method, tag).expect(412);
        }
    }
    for route in ["activate", "deactivate"] {
        with(&admin, "POST", &format!("{path}/{route}"), "if-match", "\"2\"").expect(412);
    }
    let untouched = admin.get(&path).json();
    assert_eq!((&untouched["version"], &untouched["bio"]), (&json!(1), &json!(null)));

    assert_eq!(write("PATCH", "\"1\"").expect(200).header("etag"), Some("\"2\""));
    write("PATCH", "\"1\"").expect(412);
    assert_eq!(write("PUT", "\"1\", \"2\"").expect(200).header("etag"), Some("\"3\""));
    assert_eq!(write("PATCH", "*").expect(200).header("etag"), Some("\"4\""));
    assert_eq!(write("PATCH", "W/\"1\", \"4\"").expect(200).header("etag"), Some("\"5\""));
    with(&admin, "POST", &format!("{path}/deactivate"), "if-match", "\"5\"").expect(200);
    write("DELETE", "\"5\"").expect(412);
    write("DELETE", "\"6\"").expect(204);
    write("DELETE", "\"6\"").expect(404);
}

#[test]
fn every_view_of_a_user_has_a_tag_of_its_own() {
    let app = Stack::sqlite_memory().start();
    let (admin, ann, bob) = (app.admin(), app.user("ann"), app.user("bob"));
    let tag = |by: &Client| by.get(&ann.path()).expect(200).header("etag").unwrap().to_owned();
    assert_eq!((tag(&ann), tag(&admin), tag(&bob)), ("\"1\"".into(), "\"1\"".into(), "\"1-public\"".into()));
    // Bob becomes an admin: the view that his browser keeps lacks the address, so it is no answer any more.
    with(&bob, "GET", &ann.path(), "if-none-match", "\"1-public\"").expect(304);
    admin.patch(&bob.path(), &admin.confirmed(&json!({ "role": "admin" }))).expect(200);
    let bob = app.again("bob");
    let shown = with(&bob, "GET", &ann.path(), "if-none-match", "\"1-public\"").expect(200);
    assert_eq!(shown.json()["email"], "ann@example.com");
    let varies: Vec<_> = shown.all("vary").collect();
    assert!(
        varies.iter().any(|vary| vary.contains("authorization") && vary.contains("x-api-key")),
        "{varies:?}"
    );
}

#[test]
fn every_method_has_both_conditions() {
    let app = Stack::sqlite_memory().start();
    let (admin, ann) = (app.admin(), app.user("ann"));
    let interests = format!("{}/interests", ann.path());
    let digest = ann.get(&interests).expect(200).header("etag").unwrap().to_owned();
    let paths = [
        (ann.path(), "\"1\"".to_owned()),
        (format!("{}/profile", ann.path()), "\"1\"".to_owned()),
        (interests.clone(), digest),
    ];
    for (path, tag) in &paths {
        with(&admin, "GET", path, "if-match", "\"7\"").expect(412);
        with(&admin, "GET", path, "if-match", &format!("W/{tag}")).expect(412);
        with(&admin, "GET", path, "if-match", &format!("\"7\", {tag}")).expect(200);
        with(&admin, "GET", path, "if-match", "*").expect(200);
        let both = Request::new("GET", path).header("if-match", tag).header("if-none-match", tag);
        admin.send(both).expect(304);
    }
    // A write that must not find what the client has already, or anything at all.
    for tag in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "*"] {
        for method in ["PATCH", "PUT", "DELETE"] {
            with(&admin, method, &ann.path(), "if-none-match", tag).expect(412);
        }
        with(&admin, "POST", &format!("{}/deactivate", ann.path()), "if-none-match", tag).expect(412);
    }
    let set = |tag: &str| {
        ann.send(
            Request::new("PUT", &interests).header("if-none-match", tag).json(&json!({ "interests": ["x"] })),
        )
    };
    set(&paths[2].1).expect(412);
    set("*").expect(412);
    set("\"another\"").expect(200);
    assert_eq!(ann.get("/api/v1/users/me").json()["version"], 1);
    with(&admin, "PATCH", &ann.path(), "if-none-match", "\"7\"").expect(200);
}

fn one_of_many_writers_with_one_version_wins(app: &TestApp) {
    let ann = app.user("ann");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let write = |_| {
            let ann = &ann;
            scope.spawn(move || with(ann, "PATCH", "/api/v1/users/me", "if-match", "\"1\"").status)
        };
        let writers: Vec<_> = (0..12).map(write).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let count = |status| statuses.iter().filter(|other| **other == status).count();
    assert_eq!((count(200), count(412)), (1, 11), "{statuses:?}");
    assert_eq!(ann.get("/api/v1/users/me").json()["version"], 2);
}

on_both_databases!(
    cache_status_names_hit_and_tier,
    a_read_has_the_consistency_that_it_asks_for,
    an_answer_that_the_client_has_is_not_sent_again,
    a_write_that_insists_on_another_version_is_refused,
    one_of_many_writers_with_one_version_wins,
);
