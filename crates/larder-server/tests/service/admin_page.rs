//! `/admin/cache` over HTTP: which callers the service admits, what it shows to each, and that its stream delays no stop.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::json;

use crate::support::app::{Stack, TestApp};
use crate::support::client::{Answer, Client, Request};
use crate::support::{TIMEOUT, eventually};

fn posted(client: &Client, path: &str, body: &serde_json::Value) -> Answer {
    client.raw(Request::new("POST", &format!("/admin/cache/{path}")).header("x-larder-page", "1").json(body))
}

/// A stream of the page that stays open.
pub(crate) struct Stream {
    socket: TcpStream,
    read: String,
}

impl Stream {
    pub(crate) fn open(client: &Client) -> Self {
        let mut socket = TcpStream::connect(client.address).unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        let token = client.token.as_deref().unwrap();
        let head = format!(
            "GET /admin/cache/stream HTTP/1.1\r\nhost: larder\r\naccept-encoding: gzip\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).unwrap();
        Self { socket, read: String::new() }
    }

    /// As [`has`](Self::has), of what was not read yet.
    pub(crate) fn has_next(&mut self, text: &str) -> bool {
        self.read.clear();
        self.has(text)
    }

    /// Reads until the text is there; `false`: the stream ended before.
    fn has(&mut self, text: &str) -> bool {
        let mut some = [0; 16 * 1024];
        while !self.read.contains(text) {
            match self.socket.read(&mut some).unwrap() {
                0 => return false,
                length => self.read += &String::from_utf8_lossy(&some[..length]),
            }
        }
        true
    }
}

#[test]
fn only_admins_see_the_page_and_none_by_an_api_key() {
    let app = Stack::sqlite_memory().start();
    let (admin, ann) = (app.admin(), app.user("ann"));
    let key = admin.make_key(&json!({ "name": "for the page", "scopes": ["read", "write"] })).expect(201);
    let key = admin.with_token(&key.field("key"));
    for (client, status) in [(&app.anonymous(), 401), (&ann, 403), (&key, 403)] {
        let stream = client.raw(Request::new("GET", "/admin/cache/stream"));
        assert_eq!(stream.status, status, "{stream:?}");
        assert_eq!(posted(client, "clear", &json!({ "everything": true })).status, status);
        assert_eq!(posted(client, "warm", &json!(null)).status, status);
    }
    let forged = admin.raw(Request::new("POST", "/admin/cache/clear").json(&json!({ "everything": true })));
    assert_eq!(forged.status, 403, "without the header of the page");
    posted(&admin, "clear", &json!({ "everything": true })).expect(200);
    let page = app.anonymous().raw(Request::new("GET", "/admin/cache/"));
    assert!(page.expect(200).text().contains("<title>Cache</title>"));
}

#[test]
fn an_admin_sees_no_key_with_personal_data() {
    let app = Stack::sqlite_memory().start();
    let (boss, ada) = (app.admin(), app.user_with_role("ada", "admin"));
    let (mut of_boss, mut of_ada) = (Stream::open(&boss), Stream::open(&ada));
    assert!(of_boss.has("event: sample") && of_ada.has("event: sample"));
    let body = json!({ "email": "private@example.com", "username": "private" });
    boss.post("/api/v1/users", &body).expect(201);
    assert!(of_boss.has("user_email:private@example.com"), "{}", of_boss.read);
    assert!(of_ada.has("user_email:…"), "{}", of_ada.read);
    assert!(!of_ada.read.contains("private@example.com"), "{}", of_ada.read);
    let entry = json!({ "class": "user_email", "key": ["private@example.com"] });
    assert_eq!(posted(&ada, "explain", &entry).status, 403);
    posted(&boss, "explain", &entry).expect(200);
}

#[test]
fn a_stream_is_neither_compressed_nor_does_it_delay_the_stop() {
    let app = Stack::sqlite_memory().start();
    let mut stream = Stream::open(&app.admin());
    assert!(stream.has("event: sample"));
    let head = stream.read.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    assert!(head.contains("text/event-stream") && !head.contains("content-encoding"), "{head}");
    let TestApp { mut larder, .. } = app;
    let began = std::time::Instant::now();
    assert!(larder.stop(Signal::TERM).success());
    // The grace for requests in flight is 10 s, after which the service says that some were.
    assert!(!larder.printed().contains("requests were still in flight"), "{}", larder.printed());
    assert!(began.elapsed() < TIMEOUT);
    assert!(!stream.has("no such event"), "the stream ends");
}

#[test]
fn the_page_is_behind_the_prefix_of_paths() {
    let app = Stack::sqlite_memory().with_setting("LARDER_BASE_PATH", "/larder").start();
    let login =
        json!({ "email": crate::support::app::ADMIN_EMAIL, "password": crate::support::app::ADMIN_PASSWORD });
    let anonymous = app.anonymous();
    let granted = anonymous.raw(Request::new("POST", "/larder/api/v1/auth/login").json(&login)).expect(200);
    let moved = anonymous.raw(Request::new("GET", "/larder/admin/cache"));
    assert_eq!((moved.status, moved.header("location")), (308, Some("cache/")));
    anonymous.raw(Request::new("GET", "/larder/admin/cache/page.js")).expect(200);
    let admin = anonymous.with_token(&granted.field("access_token"));
    let path = "/larder/admin/cache/history?since=3600";
    eventually("the history has this instance", || {
        let history = admin.raw(Request::new("GET", path)).expect(200).json();
        history["instances"].as_array().is_some_and(|instances| instances.len() == 1)
    });
}
