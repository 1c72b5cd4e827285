//! What browsers, proxies and tracers rely on: CORS, revalidation, encodings, a prefix, ids of requests, slashes.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::app::{ADMIN_EMAIL, ADMIN_PASSWORD, Stack, TestApp, on_stacks};
use crate::support::client::{Answer, Client, Request, send_raw};

const ORIGIN: &str = "https://app.example.com";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Passes bytes through gzip.
pub(crate) fn gzip(bytes: &[u8], arguments: &[&str]) -> Vec<u8> {
    let gzip = Command::new("gzip").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut gzip = gzip.unwrap();
    // The input is smaller than a pipe's buffer, so this cannot wait for the output to be read.
    gzip.stdin.take().unwrap().write_all(bytes).unwrap();
    let ended = gzip.wait_with_output().unwrap();
    assert!(ended.status.success());
    ended.stdout
}

fn headers(answer: &Answer, name: &str) -> Vec<String> {
    let values = answer.all(name).flat_map(|value| value.split(','));
    values.map(|entry| entry.trim().to_ascii_lowercase()).collect()
}

#[test]
fn a_page_of_an_allowed_origin_and_no_other_reads_answers() {
    let app = Stack::sqlite_memory().with_setting("LARDER_CORS_ORIGINS", ORIGIN).start();
    let ann = app.user("ann");
    let from = |origin: &str, path: &str| ann.send(Request::new("GET", path).header("origin", origin));
    for (path, status) in [("/api/v1/users/me", 200), ("/api/v1/users/nobody", 404), ("/nowhere", 404)] {
        let answer = from(ORIGIN, path).expect(status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN), "{path}");
        let exposed = headers(&answer, "access-control-expose-headers");
        for name in
            ["etag", "cache-status", "cache-invalidation", "retry-after", "link", "location", "x-request-id"]
        {
            assert!(exposed.contains(&name.to_owned()), "{name}: {exposed:?}");
        }
        assert!(headers(&answer, "vary").contains(&"origin".to_owned()), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        let other = from("https://evil.example", path).expect(status);
        assert_eq!(other.header("access-control-allow-origin"), None, "{path}");
    }
    // What clients of an API set, and what libraries that trace requests add to each.
    let sendable = [
        "authorization",
        "if-match",
        "content-type",
        "cache-control",
        "traceparent",
        "tracestate",
        "baggage",
        "x-request-id",
    ];
    let preflight = |origin: &str| {
        let ask = Request::new("OPTIONS", "/api/v1/users/me").header("origin", origin);
        let ask = ask.header("access-control-request-method", "PATCH");
        app.anonymous().raw(ask.header("access-control-request-headers", &sendable.join(",")))
    };
    let allowed = preflight(ORIGIN).expect(200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some(ORIGIN));
    assert!(headers(&allowed, "access-control-allow-methods").contains(&"patch".to_owned()));
    let sent = headers(&allowed, "access-control-allow-headers");
    assert!(sendable.iter().all(|name| sent.contains(&(*name).to_owned())), "{sent:?}");
    assert_eq!(allowed.header("access-control-max-age"), Some("600"));
    assert_eq!(preflight("https://evil.example").header("access-control-allow-origin"), None);
}

/// An answer that comes before the request was read is readable too, so that a page sees the problem and no failure of the
/// network. If several origins may read it, the service has to have read which of them asks.
#[test]
fn a_page_reads_refusals_of_requests_that_no_route_saw() {
    for (setting, of_known) in
        [(ORIGIN, Some(ORIGIN)), ("*", Some("*")), ("https://app.example.com,https://b.example.com", None)]
    {
        let app = Stack::sqlite_memory()
            .with_setting("LARDER_CORS_ORIGINS", setting)
            .with_setting("LARDER_BASE_PATH", "/id")
            .with_setting("LARDER_CONNECTIONS_PER_ADDRESS", "8")
            .start();
        let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\norigin: {ORIGIN}\r\n\r\n");
        let send = |wire: &str| send_raw(app.address, wire.as_bytes()).unwrap();
        let close = |wire: String| wire.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
        let beside = send(&close(ask("/livez"))).expect(404);
        let own = if setting == "*" { "*" } else { ORIGIN };
        assert_eq!(beside.header("access-control-allow-origin"), Some(own));
        let long = ask(&format!("/{}", "x".repeat(70_000)));
        let many = ask("/livez").replacen("\r\n\r\n", &format!("\r\n{}\r\n", "x: y\r\n".repeat(200)), 1);
        let other = many.replace(ORIGIN, "https://evil.example");
        let check = |answer: Answer, status: u16, named: Option<&str>| {
            let answer = answer.expect(status);
            let exposed = headers(&answer, "access-control-expose-headers");
            assert_eq!(answer.header("access-control-allow-origin"), named, "{setting}: {status}");
            let has_id = exposed.contains(&"x-request-id".to_owned());
            assert_eq!(has_id && exposed.contains(&"retry-after".to_owned()), named.is_some(), "{exposed:?}");
        };
        check(send(&long), 431, of_known);
        check(send(&many), 431, Some(own));
        check(send(&other), 431, of_known);
        let silent = || std::net::TcpStream::connect(app.address).unwrap();
        let mut held = Vec::new();
        let mut last = None;
        crate::support::eventually("one address has all that it may have", || {
            held.push(silent());
            let answer = send(&close(ask("/id/api/v1/users")));
            let is_full = answer.status == 503;
            last = Some(answer);
            is_full
        });
        check(last.unwrap(), 503, Some(own));
        // Silent connections hold the places from which probes are answered: no route reads the next request.
        held.extend((0..4).map(|_| silent()));
        check(send(&close(ask("/id/api/v1/users"))), 503, Some(own));
        drop(held);
    }
}

fn without_the_setting_no_origin_is_allowed(app: &TestApp) {
    let answer = app.anonymous().send(Request::new("GET", "/livez").header("origin", ORIGIN)).expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

fn a_long_answer_is_compressed_unless_it_has_a_tag(app: &TestApp) {
    let ann = app.user("ann");
    ann.patch("/api/v1/users/me", &json!({ "bio": "long ".repeat(300) })).expect(200);
    let get = |path: &str| ann.raw(Request::new("GET", path).header("accept-encoding", "gzip")).expect(200);
    let document = get("/openapi.json");
    assert_eq!(document.header("content-encoding"), Some("gzip"));
    let plain = gzip(&document.unchunked(), &["-dc"]);
    assert_eq!(plain, app.anonymous().get("/openapi.json").text().as_bytes());
    assert!(document.unchunked().len() * 4 < plain.len());
    assert!(headers(&document, "vary").contains(&"accept-encoding".to_owned()));
    let tagged = get("/api/v1/users/me");
    assert_eq!((tagged.header("content-encoding"), tagged.header("etag").is_some()), (None, true));
    assert_eq!(get("/livez").header("content-encoding"), None, "it is short");
}

fn a_body_is_decoded_or_refused(app: &TestApp) {
    let ann = app.user("ann");
    let send = |encoding: &str, bytes: Vec<u8>| {
        let request = Request::new("PATCH", "/api/v1/users/me").header("content-type", "application/json");
        ann.send(request.header("content-encoding", encoding).bytes(bytes))
    };
    let body = br#"{"bio": "compressed"}"#;
    assert_eq!(send("gzip", gzip(body, &["-c"])).expect(200).json()["bio"], "compressed");
    send("identity", body.to_vec()).expect(200);
    // Names of encodings have no case, and `x-gzip` is the old name of `gzip`.
    for name in ["GZIP", "Gzip", "x-gzip", "X-GZip"] {
        assert_eq!(send(name, gzip(body, &["-c"])).expect(200).json()["bio"], "compressed", "{name}");
    }
    send("Identity", body.to_vec()).expect(200);
    for encoding in ["br", "zstd", "gzip, gzip", "nonsense"] {
        let refused = send(encoding, body.to_vec());
        assert_eq!(refused.header("accept-encoding"), Some("gzip"), "{encoding}");
        refused.refuses(415, "body_encoding_unknown");
    }
    send("gzip", body.to_vec()).refuses(400, "body_unreadable");
    // The limit is on what the body becomes.
    let bomb = format!("{{\"bio\": \"{}\"}}", "a".repeat(2 << 20));
    send("gzip", gzip_of_file(bomb.as_bytes())).refuses(413, "body_too_large");

    // Without a body there is nothing to decode, whatever the header says.
    let livez = Request::new("GET", "/livez").header("content-encoding", "br");
    assert_eq!(ann.raw(livez).expect(200).status, 200);
    // Decoding removes the length of a body; the body of a DELETE is read all the same.
    let password = ann.confirmed(&json!({})).to_string();
    let delete = Request::new("DELETE", "/api/v1/users/me").header("content-type", "application/json");
    let delete = delete.header("content-encoding", "gzip").bytes(gzip(password.as_bytes(), &["-c"]));
    ann.send(delete).expect(204);
}

/// As [`gzip`], for an input of any length.
fn gzip_of_file(bytes: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    std::fs::write(&path, bytes).unwrap();
    Command::new("gzip").arg("-c").arg(&path).output().unwrap().stdout
}

#[test]
fn everything_is_below_the_base_path_and_nothing_beside_it() {
    let app = Stack::sqlite_memory().with_setting("LARDER_BASE_PATH", "/id/larder").start();
    let anonymous = app.anonymous();
    let get = |path: &str| anonymous.raw(Request::new("GET", path));
    get("/id/larder/livez").expect(200);
    assert_eq!(get("/id/larder/api/v1/users/me").expect(401).field("code"), "credential_missing");
    for beside in ["/livez", "/api/v1/users/me", "/id/larderlivez", "/id/larder", "/"] {
        assert_eq!(get(beside).expect(404).field("code"), "path_unknown", "{beside}");
    }
    let document = get("/id/larder/openapi.json").expect(200).json();
    assert_eq!(document["servers"][0]["url"], "/id/larder");
    assert_eq!(get("/id/larder/docs").header("location"), Some("/id/larder/docs/"));
    assert!(get("/id/larder/docs/swagger-initializer.js").text().contains("\"../openapi.json\""));
    let body = json!({ "email": "ann@example.com", "username": "ann", "password": "a long password" });
    let made = anonymous.raw(Request::new("POST", "/id/larder/api/v1/auth/register").json(&body)).expect(201);
    let location = made.header("location").unwrap().to_owned();
    assert_eq!(location, format!("/id/larder/api/v1/users/{}", made.field("id")));
    assert_eq!(get(&location).expect(401).field("code"), "credential_missing");
    let login = json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD });
    let login = Request::new("POST", "/id/larder/api/v1/auth/login").json(&login);
    let bearer = format!("Bearer {}", anonymous.raw(login).expect(200).field("access_token"));
    let page = |path: &str| {
        anonymous.raw(Request::new("GET", path).header("authorization", &bearer)).expect(200).json()
    };
    let first = page("/id/larder/api/users/?page=1&page_size=1");
    let next =
        first["next"].as_str().unwrap().split_once("/id/larder/").expect("the prefix is in the link").1;
    assert_eq!(page(&format!("/id/larder/{next}"))["results"].as_array().unwrap().len(), 1);
}

fn an_answer_a_problem_and_the_log_have_the_id_of_the_request(app: &TestApp) {
    let anonymous = app.anonymous();
    let traced = format!("00-{TRACE}-b7ad6b7169203331-01");
    let ask = |path: &str| {
        let request = Request::new("GET", path).header("x-request-id", "shop-7/a");
        anonymous.send(request.header("traceparent", &traced))
    };
    for path in ["/livez", "/nowhere", "/api/v1/users/me"] {
        let answer = ask(path);
        assert_eq!(answer.header("x-request-id"), Some("shop-7/a"), "{path}");
        let continued = answer.header("traceparent").unwrap();
        assert!(continued.starts_with(&format!("00-{TRACE}-")) && continued != traced, "{continued}");
        if answer.status >= 400 {
            assert_eq!(answer.field("request_id"), "shop-7/a", "{path}");
        }
    }
    let log = app.larder.stderr();
    assert!(log.contains("request_id=shop-7/a") && log.contains(&format!("trace_id={TRACE}")), "{log}");
    let wire = b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let [first, second] = [(), ()].map(|()| send_raw(app.address, wire).unwrap());
    assert_ne!(first.header("x-request-id").unwrap(), second.header("x-request-id").unwrap());
    assert_eq!(first.header("traceparent"), None);
}

fn a_request_that_cannot_be_parsed_is_refused_with_a_problem(app: &TestApp) {
    let refused = |wire: &str, status: u16, code: &str| {
        let answer = send_raw(app.address, wire.as_bytes()).unwrap();
        answer.refuses(status, code);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.header("x-request-id"), Some(answer.field("request_id").as_str()));
    };
    for garbage in ["\u{1}\u{2}\r\n\r\n", "GET /livez HTTP/1.1\r\na b: c\r\n\r\n", "GET /livez\r\n\r\n"] {
        refused(garbage, 400, "request_unparsable");
    }
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(70_000));
    refused(&long, 431, "head_too_large");
    let fits = format!("GET /livez?{} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "x".repeat(30_000));
    assert_eq!(send_raw(app.address, fits.as_bytes()).unwrap().status, 200);
    let header = "x".repeat(33 << 10);
    refused(&format!("GET /livez HTTP/1.1\r\nhost: a\r\nx: {header}\r\n\r\n"), 431, "head_too_large");
    let many = "x: y\r\n".repeat(200);
    refused(&format!("GET /livez HTTP/1.1\r\nhost: a\r\n{many}\r\n"), 431, "head_too_large");
    // Also behind a good request on the same connection.
    let (good, bad) = ("GET /livez HTTP/1.1\r\nhost: a\r\n\r\n", "nonsense\r\n\r\n");
    let mut stream = std::net::TcpStream::connect(app.address).unwrap();
    let mut received = String::new();
    stream.write_all(format!("{good}{bad}").as_bytes()).unwrap();
    stream.read_to_string(&mut received).unwrap();
    assert!(received.starts_with("HTTP/1.1 200") && received.contains("request_unparsable"), "{received}");
}

fn a_path_is_known_with_and_without_a_slash_at_its_end(app: &TestApp) {
    let (admin, ann) = (app.admin(), app.user("ann"));
    let get = |client: &Client, path: &str| client.raw(Request::new("GET", path));
    for path in [format!("{}/", ann.path()), "/api/v1/users/me/".to_owned()] {
        assert_eq!(get(&ann, &path).expect(200).field("username"), "ann", "{path}");
    }
    assert!(get(&ann, "/api/v1/users/?limit=1").expect(200).json()["items"].is_array());
    assert_eq!(get(&ann, "/api/v1/users//").expect(404).field("code"), "path_unknown");
    let body = json!({ "email": "bob@example.com", "username": "bob" });
    admin.raw(Request::new("POST", "/api/v1/users/").json(&body)).expect(201);
    assert_eq!(ann.raw(Request::new("PUT", "/livez/")).expect(405).field("code"), "method_unknown");
    // Such a request counts for the route that served it.
    let counted = admin.get("/metrics").expect(200).text().to_owned();
    let created = |line: &&str| line.contains("route=\"/api/v1/users\"") && line.contains("method=\"POST\"");
    assert!(counted.lines().any(|line| created(&line)), "{counted}");
}

on_stacks!(
    [sqlite_memory],
    without_the_setting_no_origin_is_allowed,
    a_long_answer_is_compressed_unless_it_has_a_tag,
    a_body_is_decoded_or_refused,
    an_answer_a_problem_and_the_log_have_the_id_of_the_request,
    a_request_that_cannot_be_parsed_is_refused_with_a_problem,
    a_path_is_known_with_and_without_a_slash_at_its_end
);
