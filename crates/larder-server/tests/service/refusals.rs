//! Answers that are given before the request's body was read. A close with unread bytes resets the connection, and a reset
//! can destroy the answer on its way: each of these clients has to get its answer.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::app::{PASSWORD, Stack, TestApp};
use crate::support::client::{Client, Request};

/// Longer than the service's own time-outs.
const TIMEOUT: Duration = Duration::from_secs(25);

/// How often each refusal is provoked.
const TRIES: usize = 100;

fn head(method: &str, path: &str, lines: &str, length: usize) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nhost: larder\r\n{lines}content-length: {length}\r\n\r\n")
        .into_bytes()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// Sends everything before it reads, as Apache, requests and Python's urllib do. Returns the status and whether the answer
/// says that the connection closes; `None`: the answer was lost, or cut off.
fn answer(stream: &mut TcpStream, wire: &[u8]) -> Option<(u16, bool)> {
    for part in wire.chunks(64 * 1024) {
        stream.write_all(part).ok()?;
    }
    let (mut received, mut some) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&received).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            if body.len() == length.parse::<usize>().ok()? {
                return Some((head.get(9..12)?.parse().ok()?, head.contains("connection: close")));
            }
        }
        match stream.read(&mut some) {
            Ok(read @ 1..) => received.extend_from_slice(&some[..read]),
            _ => return None,
        }
    }
}

#[test]
fn no_refusal_before_the_body_is_read_is_lost() {
    let app = Stack::sqlite_memory().start();
    let token = app.user("ann").token.unwrap();
    let expired = "authorization: Bearer expired\r\ncontent-type: application/json\r\n";
    let own = format!("authorization: Bearer {token}\r\n");
    let json = "content-type: application/json\r\n";
    let chunked = {
        let mut wire = format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nhost: larder\r\n{json}transfer-encoding: chunked\r\n\r\n"
        )
        .into_bytes();
        for _ in 0..40 {
            wire.extend(b"8000\r\n");
            wire.extend([b' '; 0x8000]);
            wire.extend(b"\r\n");
        }
        wire.extend(b"0\r\n\r\n");
        wire
    };
    let with_body = |mut wire: Vec<u8>, length: usize| {
        wire.resize(wire.len() + length, b' ');
        wire
    };
    let sized = |method: &str, path: &str, lines: &str, length: usize| {
        with_body(head(method, path, lines, length), length)
    };
    let cases = [
        ("an expired token, 40 kB", 401, sized("PATCH", "/api/v1/users/me", expired, 40_000)),
        ("an expired token, 900 kB", 401, sized("PATCH", "/api/v1/users/me", expired, 900_000)),
        ("an unknown path", 404, sized("POST", "/nothing", json, 900_000)),
        ("an unknown method", 405, sized("BREW", "/readyz", json, 900_000)),
        ("a declared length", 413, sized("POST", "/api/v1/auth/login", json, 1_500_000)),
        ("chunks", 413, chunked),
        ("no JSON", 415, sized("PATCH", "/api/v1/users/me", &own, 900_000)),
        ("a giant header", 431, format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(900_000)).into()),
    ];
    for (what, status, wire) in &cases {
        // 431 is the HTTP library's own answer.
        let outcomes: Vec<_> =
            (0..TRIES).map(|_| answer(&mut connect(app.address), wire).map(|(status, _)| status)).collect();
        let lost = outcomes.iter().filter(|outcome| **outcome != Some(*status)).count();
        assert_eq!(lost, 0, "{what}: {lost} of {TRIES} lost, such as {:?}", outcomes[0]);
    }
}

/// A front end that refreshes its token gets its 401 on a connection that it can keep; a large rest closes it.
#[test]
fn a_small_body_is_drained_and_a_larger_one_closes_the_connection() {
    let app = Stack::sqlite_memory().start();
    let mut kept = connect(app.address);
    for _ in 0..3 {
        let wire = [head("POST", "/nothing", "", 40_000), vec![b' '; 40_000]].concat();
        assert_eq!(answer(&mut kept, &wire), Some((404, false)));
    }
    let wire = [head("POST", "/nothing", "", 200_000), vec![b' '; 200_000]].concat();
    assert_eq!(answer(&mut kept, &wire), Some((404, true)));
    assert_eq!(kept.read(&mut [0; 16]).unwrap(), 0, "the service has closed its half");
    // A client that waits for 100 Continue gets the final answer instead, and need not send the body.
    let mut waiting = connect(app.address);
    let wire = head("POST", "/nothing", "expect: 100-continue\r\n", 40_000);
    assert_eq!(answer(&mut waiting, &wire), Some((404, true)));
    // One that is welcome is called to send it.
    let mut welcome = connect(app.address);
    let body = format!(r#"{{"username":"ann","password":"{PASSWORD}"}}"#);
    let lines = "expect: 100-continue\r\ncontent-type: application/json\r\n";
    welcome.write_all(&head("POST", "/api/v1/auth/login", lines, body.len())).unwrap();
    let mut called = [0; 25];
    welcome.read_exact(&mut called).unwrap();
    assert_eq!(&called, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(answer(&mut welcome, body.as_bytes()).unwrap().0, 401);
}

/// How long the service reads what a refused client goes on sending is bounded in time; in bytes, the test below shows.
#[test]
fn a_refused_client_that_sends_on_is_cut_off() {
    let app = Stack::sqlite_memory().with_setting("LARDER_CLOSE_TIMEOUT", "0.3").start();
    let declared = 1 << 30;
    let began = Instant::now();
    let mut silent = connect(app.address);
    assert_eq!(answer(&mut silent, &head("POST", "/nothing", "", declared)), Some((404, true)));
    // The half that the service closed reads as its end; the other half is open until the time-out.
    assert_eq!(silent.read(&mut [0; 16]).unwrap(), 0);
    let part = [b' '; 1024];
    while silent.write_all(&part).is_ok() {
        assert!(began.elapsed() < TIMEOUT, "the service reads on");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());

    let app = Stack::sqlite_memory().with_setting("LARDER_CLOSE_TIMEOUT", "3600").start();
    let mut fast = connect(app.address);
    assert_eq!(answer(&mut fast, &head("POST", "/nothing", "", declared)), Some((404, true)));
    let part = vec![b' '; 64 * 1024];
    let sent = (0..declared / part.len()).take_while(|_| fast.write_all(&part).is_ok()).count() * part.len();
    assert!((16 << 20..64 << 20).contains(&sent), "{sent} bytes were read");
    let _ = fast.shutdown(Shutdown::Both);
}

fn sends(client: &Client, path: &str, bytes: usize) -> u16 {
    let body = format!("{{\"bio\":\"{}\"}}", "x".repeat(bytes - 10));
    client.send(Request::new("POST", path).header("content-type", "application/json").bytes(body)).status
}

/// A body without a credential is small; one with a credential may be larger.
#[test]
fn each_route_has_its_own_limit_for_bodies() {
    let limit = |app: &TestApp, admin: &Client| {
        let found: Vec<_> = ["/api/v1/auth/login", "/api/v1/auth/register", "/api/v1/auth/password"]
            .into_iter()
            .map(|path| [sends(admin, path, 16 << 10), sends(admin, path, (16 << 10) + 1)])
            .collect();
        assert_eq!(found, [[422, 413]; 3]);
        let path = "/api/v1/users";
        assert_eq!([sends(admin, path, 1 << 20), sends(admin, path, (1 << 20) + 1)], [422, 413]);
        let (path, form) = ("/api/v1/auth/revoke", "application/x-www-form-urlencoded");
        let long = format!("token={}", "x".repeat(16 << 10));
        let refused =
            app.anonymous().send(Request::new("POST", path).header("content-type", form).bytes(long));
        let detail = refused.expect(413).field("detail");
        assert!(detail.contains("16 KiB (16384 bytes)"), "{detail}");
    };
    let app = Stack::sqlite_memory().start();
    limit(&app, &app.admin());
    let app = Stack::sqlite_memory()
        .with_setting("LARDER_AUTH_BODY_BYTES", "1024")
        .with_setting("LARDER_BODY_BYTES", "2048")
        .start();
    let admin = app.admin();
    assert_eq!(
        [sends(&admin, "/api/v1/auth/login", 1024), sends(&admin, "/api/v1/auth/login", 1025)],
        [422, 413]
    );
    assert_eq!([sends(&admin, "/api/v1/users", 2048), sends(&admin, "/api/v1/users", 2049)], [422, 413]);
}
