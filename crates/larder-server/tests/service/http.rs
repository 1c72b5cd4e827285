//! The protocol around the routes: paths, methods, media types, sizes, health.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::app::{PASSWORD, Stack, TestApp, on_both_databases};
use crate::support::client::{Request, send_raw};

const MIB: usize = 1 << 20;

fn unknown_paths_and_methods_are_problems(app: &TestApp) {
    let ann = app.user("ann");
    for path in ["/", "/api", "/api/v1", "/api/v2/users", "/api/v1/users//", "/api/v1/nothing", "/livez/x"] {
        ann.get(path).expect(404);
        app.anonymous().get(path).expect(404);
    }
    ann.get("/api/v1/users/me/activate/now").expect(404);
    for (method, path, allowed) in [
        ("DELETE", "/api/v1/users", "GET,HEAD,POST"),
        ("POST", "/api/v1/users/me", "GET,HEAD,PATCH,PUT,DELETE"),
        ("GET", "/api/v1/auth/login", "POST"),
        ("GET", "/api/v1/users/me/activate", "POST"),
        ("OPTIONS", "/api/v1/auth/validate", "GET,HEAD"),
        ("PATCH", "/livez", "GET,HEAD"),
        ("BREW", "/readyz", "GET,HEAD"),
    ] {
        let answer = ann.send(Request::new(method, path)).expect(405);
        let mut allow: Vec<_> = answer.header("allow").unwrap().split(',').map(str::trim).collect();
        let mut expected: Vec<_> = allowed.split(',').collect();
        allow.sort_unstable();
        expected.sort_unstable();
        assert_eq!(allow, expected, "{method} {path}");
    }
}

fn bodies_have_to_be_json_and_say_so(app: &TestApp) {
    let register = || Request::new("POST", "/api/v1/auth/register");
    let send = |request: Request| app.anonymous().send(request);
    for broken in ["", "{", "{\"email\":}", "{'email':1}", "nonsense", "{} {}", "[1,]", "\u{feff}{}"] {
        let answer = send(register().header("content-type", "application/json").bytes(broken)).expect(400);
        assert!(answer.json()["detail"].as_str().unwrap().contains("line "), "{broken}");
    }
    let body = |name: &str| {
        let email = format!("{name}@example.com");
        json!({ "email": email, "username": name, "password": PASSWORD }).to_string()
    };
    for wrong in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json", ""] {
        send(register().header("content-type", wrong).bytes(body("ann"))).expect(415);
    }
    send(register().bytes(body("ann"))).expect(415);
    for (name, right) in [("bea", "application/json; charset=utf-8"), ("cyd", "application/merge-patch+json")]
    {
        send(register().header("content-type", right).bytes(body(name))).expect(201);
    }
    for (body, fields) in [("[]", ["body"]), ("null", ["body"]), ("7", ["body"]), ("\"x\"", ["body"])] {
        let request = register().header("content-type", "application/json").bytes(body);
        send(request).complains_about(422, &fields);
    }
}

fn a_body_above_one_mebibyte_is_refused_declared_or_chunked(app: &TestApp) {
    let ann = app.user("ann");
    let filled = |bytes: usize| {
        let frame = json!({ "bio": "" }).to_string().len();
        json!({ "bio": "x".repeat(bytes - frame) }).to_string()
    };
    let patch = || Request::new("PATCH", "/api/v1/users/me").header("content-type", "application/json");
    ann.send(patch().bytes(filled(MIB))).complains_about(422, &["bio"]);
    let answer = ann.send(patch().bytes(filled(MIB + 1))).expect(413);
    assert!(answer.json()["detail"].as_str().unwrap().contains("1 MiB"));

    let chunked = |bytes: usize| {
        let head = format!(
            "PATCH /api/v1/users/me HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
            ann.token.as_ref().unwrap()
        );
        let mut wire = head.into_bytes();
        for chunk in filled(bytes).as_bytes().chunks(16 * 1024) {
            wire.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            wire.extend(chunk);
            wire.extend(b"\r\n");
        }
        wire.extend(b"0\r\n\r\n");
        send_raw(app.address, &wire).unwrap()
    };
    chunked(MIB).complains_about(422, &["bio"]);
    let answer = chunked(MIB + 1).expect(413);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(ann.get("/api/v1/users/me").json()["version"], 1);
}

fn a_body_that_says_it_is_huge_is_refused_before_it_is_sent(app: &TestApp) {
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                content-type: application/json\r\ncontent-length: 10737418240\r\n\r\n";
    let answer = send_raw(app.address, head.as_bytes()).unwrap().expect(413);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}

#[test]
fn a_client_that_stalls_in_a_body_is_disconnected() {
    let app = Stack::sqlite_memory().with_setting("LARDER_BODY_TIMEOUT", "0.5").start();
    let wire = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                content-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    let start = Instant::now();
    let answer = send_raw(app.address, wire.as_bytes()).unwrap();
    answer.refuses(408, "body_too_slow");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(start.elapsed() < Duration::from_secs(20), "after {:?}", start.elapsed());
}

fn health_reports_process_database_and_cache(app: &TestApp) {
    let anonymous = app.anonymous();
    assert_eq!(anonymous.get("/livez").expect(200).json(), json!({ "status": "alive" }));
    let cache = if app.has_redis() { "working" } else { "memory-only" };
    let ready = json!({ "status": "ready", "database": "ok", "cache": cache });
    assert_eq!(anonymous.get("/readyz").expect(200).json(), ready);
}

on_both_databases!(
    unknown_paths_and_methods_are_problems,
    bodies_have_to_be_json_and_say_so,
    a_body_above_one_mebibyte_is_refused_declared_or_chunked,
    a_body_that_says_it_is_huge_is_refused_before_it_is_sent,
    health_reports_process_database_and_cache,
);
