//! Hostile input: each request is refused with a clear answer, changes nothing, and leaves no secret in the log.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};

use crate::support::app::{ADMIN_EMAIL, ADMIN_PASSWORD, TestApp, on_every_stack};
use crate::support::client::{Answer, Client, Request, send_raw};

/// A part of every name, address, text and password of these tests, valid or not, so that a search of the log finds each.
const MARK: &str = "zqx";
/// The telephone number of the user.
const PHONE: &str = "+19876501234";
/// A part of every telephone number; longer than the fractions of seconds in the log, so that it is not found by chance.
const PHONE_MARK: &str = "98765012";

fn json_request(method: &'static str, path: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::new(method, path).header("content-type", "application/json").bytes(body)
}

#[track_caller]
fn refused(what: &str, answer: &Answer) {
    assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
    assert!(!answer.text().to_lowercase().contains(MARK), "{what} is repeated: {}", answer.text());
}

/// Returns all rows of the tables of users, credentials, sessions, keys and counts.
fn everything(app: &TestApp) -> String {
    ["users", "credentials", "sessions", "refresh_tokens", "signing_keys", "user_counts", "user_days"]
        .map(|table| app.stack.sql(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3")))
        .join("\n")
}

/// Registers a user with every field set; each contains a mark.
fn marked_user(app: &TestApp) -> Client {
    let body = json!({
        "email": "zqx.ann@zqx.example", "username": "zqx.ann", "phone": PHONE, "password": "zqx password",
        "full_name": "Zqx Ann", "bio": "zqx bio", "location": "Zqxburg", "occupation": "zqx", "skills": ["zqx"],
        "experience": "zqx", "avatar_url": "https://zqx.example/ann.png",
    });
    app.anonymous().post("/api/v1/auth/register", &body).expect(201);
    app.login(&json!({ "email": "ZQX.ann@zqx.example", "password": "zqx password" }))
}

/// Runs `attack`, then checks that it changed nothing and that the log shows no secret.
fn withstands(app: &TestApp, attack: impl Fn(&Client, &Client)) {
    let (admin, ann) = (app.admin(), marked_user(app));
    let before = everything(app);
    attack(&ann, &admin);
    assert_eq!(everything(app), before, "nothing changed");
    assert_eq!(ann.get("/api/v1/users/me").expect(200).json()["full_name"], "Zqx Ann");
    assert_eq!(app.anonymous().get("/readyz").expect(200).json()["status"], "ready");
    // Valid requests must leave no personal data in the log either.
    ann.lookup(&json!({ "email": "zqx.ann@zqx.example" })).expect(200);
    ann.lookup(&json!({ "phone": PHONE })).expect(200);
    admin.lookup(&json!({ "username": "zqx.nobody" })).expect(404);
    admin.get("/api/v1/users/zqx-external").expect(404);
    admin.patch(&ann.path(), &json!({ "external_id": "zqx-external", "phone": "+19876501239" })).expect(200);
    admin.get("/api/v1/users/zqx-external").expect(200);
    ann.patch("/api/v1/users/me", &ann.confirmed(&json!({ "email": "zqx@zqx.example", "username": "zqx" })))
        .expect(200);
    let taken = json!({ "email": "zqx@zqx.example", "username": "zqx2", "password": "zqx password" });
    app.anonymous().post("/api/v1/auth/register", &taken).expect(409);

    let log = app.larder.stderr();
    assert!(log.contains("DEBUG"), "the log includes the level DEBUG");
    let log = log.to_lowercase();
    let tokens = [&ann, &admin].map(|client| [client.token.clone().unwrap(), client.refresh_token.clone()]);
    let secrets = tokens.concat().into_iter().map(|token| token.to_lowercase());
    let marks = [MARK, PHONE_MARK, ADMIN_EMAIL, ADMIN_PASSWORD, "argon2"].map(str::to_owned);
    for secret in secrets.chain(marks) {
        let line = log.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "the log shows {secret}");
    }
    assert!(!log.contains("panicked"), "{log}");
    for secret in [MARK, PHONE_MARK, ADMIN_PASSWORD] {
        assert!(!app.larder.stdout().to_lowercase().contains(secret));
    }
}

fn bodies_of_impossible_shapes_are_refused(app: &TestApp) {
    withstands(app, |ann, admin| {
        let deep = |open: &str, close: &str| open.repeat(100_000) + &close.repeat(100_000);
        let routes = [
            ("POST", "/api/v1/auth/register".to_owned()),
            ("POST", "/api/v1/auth/login".to_owned()),
            ("POST", "/api/v1/auth/refresh".to_owned()),
            ("POST", "/api/v1/auth/password".to_owned()),
            ("POST", "/api/v1/users/lookup".to_owned()),
            ("POST", "/api/v1/users".to_owned()),
            ("PATCH", ann.path()),
            ("PUT", ann.path()),
        ];
        let bodies: Vec<(&str, Vec<u8>)> = vec![
            ("brackets", deep("[", "]").into()),
            ("open brackets", "[".repeat(1_000_000).into()),
            ("braces", deep("{\"zqx\":", "}").into()),
            ("deep in a field", format!("{{\"bio\":{}}}", deep("[", "]")).into()),
            ("bad UTF-8", b"{\"email\":\"zqx\xff\xfe@example.com\"}".to_vec()),
            ("overlong UTF-8", b"{\"username\":\"zqx\xc0\x80\"}".to_vec()),
            ("UTF-16", b"\xff\xfe{\0}\0".to_vec()),
            ("a raw NUL", b"{\"username\":\"zqx\0\"}".to_vec()),
            ("NULs", vec![0; 4096]),
            ("a lone surrogate", br#"{"username":"zqx\ud800"}"#.to_vec()),
            ("a huge number", br#"{"version":1e999}"#.to_vec()),
            ("many digits", format!("{{\"phone\":{}}}", "9".repeat(100_000)).into()),
            ("unknown fields", br#"{"zqx":1,"__proto__":{},"$where":"1"}"#.to_vec()),
            ("ten thousand fields", many_fields().into()),
            ("a list", br#"["zqx"]"#.to_vec()),
            ("a text", br#""zqx""#.to_vec()),
            ("too large", vec![b' '; (1 << 20) + 1]),
        ];
        for (method, path) in &routes {
            for (what, body) in &bodies {
                let answer = admin.send(json_request(method, path, body.clone()));
                let shape = ["zqx", "__proto__", "$where"].iter().all(|mark| !answer.text().contains(mark));
                // An answer repeats the names of unknown fields, and nothing else of the request.
                assert!(shape || *what == "braces" || what.contains("fields"), "{what}: {}", answer.text());
                assert!((400..500).contains(&answer.status), "{method} {path} {what}: {answer:?}");
                assert!(answer.text().len() < 20_000, "{what} grows the answer");
            }
        }
    });
}

fn many_fields() -> String {
    let fields: Vec<_> = (0..10_000).map(|number| format!("\"zqx{number}\":1")).collect();
    format!("{{{}}}", fields.join(","))
}

fn values_of_impossible_kinds_are_refused(app: &TestApp) {
    withstands(app, |ann, admin| {
        let odd =
            [json!(7), json!(true), json!([]), json!({}), json!(1e300), json!(["zqx"]), json!({ "zqx": 1 })];
        let texts = [
            "",
            " ",
            "zqx:b",
            "zqx*",
            "zqx[",
            "zqx]",
            "zqx\nb",
            "zqx\0",
            "zqx\r\nx: y",
            "zqx\u{1b}[0m",
            "zqx b",
            "zqx\u{202e}",
            "*",
            "{zqx}",
            "' OR 1=1 --zqx",
            "zqx@",
            "@zqx.example",
            "zqx@@zqx.example",
            "zqx a@zqx.example",
            "zqx:a@zqx.example",
            "zqx[a@zqx.example",
            "zqx\n@zqx.example",
            "zqx\0@zqx.example",
            "zqx@[127.0.0.1]",
        ];
        for field in ["email", "username", "phone"] {
            let long = format!("zqx{}@zqx.example", "x".repeat(300));
            for value in odd.iter().cloned().chain(texts.map(Value::from)).chain([json!(long)]) {
                let body = json!({ field: value });
                let send = |what: &str, answer: Answer| refused(&format!("{what} {body}"), &answer);
                send("lookup", ann.lookup(&body));
                send("patch", ann.patch("/api/v1/users/me", &body));
                let mut login = body.clone();
                login["password"] = json!("zqx password");
                send("login", app.anonymous().post("/api/v1/auth/login", &login));
                let mut register = json!({
                    "email": "zqx.b@zqx.example", "username": "zqx.b", "password": "zqx password",
                });
                register[field] = value.clone();
                send("register", app.anonymous().post("/api/v1/auth/register", &register));
                send("create", admin.post("/api/v1/users", &register));
            }
        }
        for field in ["full_name", "bio", "occupation", "location", "avatar_url", "experience", "external_id"]
        {
            for value in
                [json!(7), json!(["zqx"]), json!("zqx\0"), json!("zqx\u{7f}"), json!("zqx".repeat(2_000))]
            {
                refused(field, &admin.patch(&ann.path(), &json!({ field: value })));
            }
        }
        let many = vec!["zqx"; 51];
        for value in [json!("zqx"), json!([1]), json!([["zqx"]]), json!([""]), json!(["zqx\0"]), json!(many)]
        {
            refused("skills", &ann.patch("/api/v1/users/me", &json!({ "skills": value })));
        }
        for (field, value) in
            [("role", json!("zqx")), ("role", json!(1)), ("is_active", json!("true")), ("id", json!(1))]
        {
            refused(field, &admin.patch(&ann.path(), &json!({ field: value })));
        }
    });
}

fn paths_of_impossible_shapes_are_refused(app: &TestApp) {
    withstands(app, |_, admin| {
        let long = "z".repeat(10 * 1024);
        let ids = [
            "..",
            ".",
            "%2e%2e",
            "%00",
            "zqx%00",
            "me%00",
            "me%2Factivate",
            "%2F",
            "*",
            "zqx:b",
            "zqx[",
            "%FF",
            "zqx%ff",
            "%C0%80",
            "%0a",
            "zqx%0d%0ax",
            "%zz",
            "zqx%",
            "lookup",
            "Me",
            "ME",
            "me%20",
            "-",
            "_",
            "8f14e45f-ceea-467f-9575-6f2e1f2d3a4b",
            "00000000-0000-0000-0000-000000000000",
            "%7b0192f0c1-2345-7abc-8def-0123456789ab%7d",
            "zqx@zqx.example",
            &long,
        ];
        for id in ids {
            let path = format!("/api/v1/users/{id}");
            for request in [
                Request::new("GET", &path),
                Request::new("DELETE", &path),
                json_request("PATCH", &path, r#"{"bio":"zqx"}"#),
                json_request("PUT", &path, r#"{"email":"zqx@zqx.example","username":"zqx"}"#),
                Request::new("POST", &format!("{path}/activate")),
                Request::new("POST", &format!("{path}/deactivate")),
            ] {
                refused(id, &admin.send(request));
            }
        }
    });
}

fn queries_of_impossible_shapes_are_refused(app: &TestApp) {
    withstands(app, |ann, _| {
        for query in [
            "limit=0",
            "limit=1000000000",
            "limit=99999999999999999999",
            "limit=-1",
            "limit=zqx",
            "limit=%00",
            "limit=1%00",
            "limit=1&limit=2",
            "page=-1",
            "page=0",
            "page=99999999999999999999",
            "page=1&page=1",
            "page=0x10",
            "page=1e3",
            "page=%ff",
            "page=\u{0661}",
            "cursor=zqx",
            "cursor=%00",
            "cursor=AAAA",
            "cursor=////",
            "cursor=..",
            "role=zqx",
            "role=%ff",
            "role=user&role=admin",
            "status=zqx",
            "consistency=zqx",
            "consistency=fresh&consistency=bounded",
            "consistency=%ff",
        ] {
            refused(query, &ann.get(&format!("/api/v1/users?{query}")));
        }
        refused("a long cursor", &ann.get(&format!("/api/v1/users?cursor={}", "A".repeat(20_000))));
        refused("a cursor of zeros", &ann.get(&format!("/api/v1/users?cursor={}", "A".repeat(34))));
        for path in ["/api/v1/users/me?consistency=%ff", "/api/v1/%ff", "/%00", "/zqx/../api/v1/users", "//"]
        {
            refused(path, &ann.get(path));
        }
    });
}

/// The HTTP library refuses these requests before a route runs: the answer has a status and no problem body.
fn requests_that_are_no_http_are_refused(app: &TestApp) {
    withstands(app, |ann, _| {
        let token = ann.token.as_ref().unwrap();
        let head = format!("host: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n");
        let with =
            |lines: &str| format!("GET /api/v1/users/me HTTP/1.1\r\n{head}{lines}\r\n\r\n").into_bytes();
        let many: String = (0..200).map(|number| format!("x-zqx-{number}: zqx\r\n")).collect();
        let raw: Vec<(&str, Vec<u8>)> = vec![
            (
                "bytes in the path",
                [b"GET /api/v1/users/zqx\xff HTTP/1.1\r\n", head.as_bytes(), b"\r\n"].concat(),
            ),
            ("a NUL in the path", [b"GET /zqx\0 HTTP/1.1\r\n", head.as_bytes(), b"\r\n"].concat()),
            (
                "bytes in the query",
                [b"GET /api/v1/users?role=\xff HTTP/1.1\r\n", head.as_bytes(), b"\r\n"].concat(),
            ),
            ("a long path", format!("GET /{} HTTP/1.1\r\n{head}\r\n", "z".repeat(70_000)).into_bytes()),
            ("many headers", with(many.trim_end())),
            ("a giant header", with(&format!("x-zqx: {}", "x".repeat(1 << 20)))),
            ("a NUL in a header", with("x-zqx: \0")),
            ("a space before the colon", with("x-zqx : 1")),
            ("two lengths", with("content-length: 1\r\ncontent-length: 2")),
            ("a negative length", with("content-length: -1")),
            ("a length beyond 64 bits", with("content-length: 99999999999999999999")),
            ("length and chunks", with("content-length: 3\r\ntransfer-encoding: zqx")),
            ("another version", b"GET / HTTP/7.7\r\n\r\n".to_vec()),
            ("no method", b" / HTTP/1.1\r\n\r\n".to_vec()),
            ("nonsense", b"zqx\r\n\r\n".to_vec()),
            ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20)),
        ];
        for (what, wire) in raw {
            let answer = send_raw(app.address, &wire);
            // A connection that is closed without an answer is a refusal too.
            assert!(
                answer.as_ref().is_none_or(|answer| (400..500).contains(&answer.status)),
                "{what}: {answer:?}"
            );
        }
        let broken_chunks = format!(
            "PATCH /api/v1/users/me HTTP/1.1\r\n{head}content-type: application/json\r\n\
             transfer-encoding: chunked\r\n\r\nzqx\r\n{{}}\r\n0\r\n\r\n"
        );
        let answer = send_raw(app.address, broken_chunks.as_bytes());
        assert!(answer.is_none_or(|answer| (400..500).contains(&answer.status)));
        // The client disconnects in the middle of a body.
        for _ in 0..20 {
            let mut stream = TcpStream::connect(app.address).unwrap();
            let length = "content-type: application/json\r\ncontent-length: 900";
            stream
                .write_all(
                    format!("PATCH /api/v1/users/me HTTP/1.1\r\n{head}{length}\r\n\r\n{{\"bio\":").as_bytes(),
                )
                .unwrap();
            stream.shutdown(Shutdown::Both).unwrap();
        }
    });
}

fn giant_headers_that_routes_read_are_refused(app: &TestApp) {
    withstands(app, |ann, admin| {
        let giant = "zqx".repeat(10_000);
        let get = |name: &str, value: &str| Request::new("GET", "/api/v1/users/me").header(name, value);
        refused("authorization", &app.anonymous().send(get("authorization", &format!("Bearer {giant}"))));
        ann.send(get("if-none-match", &giant)).expect(200);
        ann.send(get("if-none-match", &"\"7\",".repeat(5_000))).expect(200);
        ann.send(get("accept", &giant)).expect(200);
        ann.send(get("cookie", &giant)).expect(200);
        let patch = |name: &str, value: &str| {
            json_request("PATCH", &ann.path(), r#"{"bio":"zqx"}"#).header(name, value)
        };
        admin.send(patch("if-match", &giant)).expect(412);
        admin.send(patch("if-match", &"\"7\",".repeat(5_000))).expect(412);
        let typed = Request::new("PATCH", &ann.path()).header("content-type", &giant).bytes("{}");
        admin.send(typed).expect(415);
    });
}

on_every_stack!(
    bodies_of_impossible_shapes_are_refused,
    values_of_impossible_kinds_are_refused,
    paths_of_impossible_shapes_are_refused,
    queries_of_impossible_shapes_are_refused,
    requests_that_are_no_http_are_refused,
    giant_headers_that_routes_read_are_refused,
);
