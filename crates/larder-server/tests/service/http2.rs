//! HTTP/2 with prior knowledge, on the port of HTTP/1.1: what holds there holds here, for each stream of a connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::app::{PASSWORD, Stack, TestApp};
use crate::support::eventually;

/// Longer than the service's own time-outs.
const TIMEOUT: Duration = Duration::from_secs(25);

/// A body that the test sends part by part; it ends when the sender is dropped.
struct Parts(mpsc::UnboundedReceiver<Bytes>);

impl Body for Parts {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}

type Sender = SendRequest<Parts>;

/// A connection whose streams have this window for answers.
async fn connect(address: SocketAddr, window: u32) -> (Sender, tokio::task::JoinHandle<hyper::Result<()>>) {
    let stream = TokioIo::new(tokio::net::TcpStream::connect(address).await.unwrap());
    let mut builder = Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window).initial_connection_window_size(1 << 24);
    let (sender, connection) = builder.handshake(stream).await.unwrap();
    (sender, tokio::spawn(connection))
}

fn request(method: Method, path: &str, token: Option<&str>) -> hyper::http::request::Builder {
    let request = Request::builder().method(method).uri(format!("http://larder{path}"));
    let request = request.header("content-type", "application/json");
    match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    }
}

/// A complete body.
fn whole(body: impl Into<Bytes>) -> Parts {
    let (send, parts) = mpsc::unbounded_channel();
    let body = body.into();
    if !body.is_empty() {
        send.send(body).unwrap();
    }
    Parts(parts)
}

async fn read(answer: Response<hyper::body::Incoming>) -> (u16, Value, hyper::HeaderMap) {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status.as_u16(), serde_json::from_slice(&body).unwrap_or_default(), head.headers)
}

async fn get(sender: &mut Sender, path: &str, token: Option<&str>) -> (u16, Value, hyper::HeaderMap) {
    read(sender.send_request(request(Method::GET, path, token).body(whole("")).unwrap()).await.unwrap()).await
}

async fn post(sender: &mut Sender, path: &str, body: impl Into<Bytes>) -> (u16, Value, hyper::HeaderMap) {
    let request = request(Method::POST, path, None).body(whole(body)).unwrap();
    read(sender.send_request(request).await.unwrap()).await
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { tokio::time::timeout(TIMEOUT * 2, test).await.expect("in time") })
}

#[test]
fn one_connection_serves_many_requests_at_once_beside_http_1() {
    let app = Stack::sqlite_memory().with_setting("LARDER_BASE_PATH", "/larder").start();
    let login = json!({ "email": "boss@example.com", "password": "the first of all passwords" }).to_string();
    run(async {
        let (mut sender, _connection) = connect(app.address, 1 << 16).await;
        let (status, granted, headers) = post(&mut sender, "/larder/api/v1/auth/login", login).await;
        assert_eq!(status, 200, "{granted}");
        assert!(headers.contains_key("x-request-id") && headers["x-content-type-options"] == "nosniff");
        assert!(!headers.contains_key("connection"), "{headers:?}");
        let token = granted["access_token"].as_str().unwrap();
        let all: Vec<_> = (0..50)
            .map(|_| {
                let mut sender = sender.clone();
                let token = token.to_owned();
                tokio::spawn(async move { get(&mut sender, "/larder/api/v1/users/me", Some(&token)).await.0 })
            })
            .collect();
        for one in all {
            assert_eq!(one.await.unwrap(), 200);
        }
        // A body would end the stream with an error.
        for (path, status) in [("/larder/livez", 200), ("/livez", 404)] {
            let head = request(Method::HEAD, path, None).body(whole("")).unwrap();
            let answer = sender.send_request(head).await.unwrap();
            assert_eq!(answer.status(), status);
            assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty(), "{path}");
        }
        assert_eq!(get(&mut sender, "/larder/nowhere", None).await.0, 404);
        // An answer of several windows.
        let (status, document, _) = get(&mut sender, "/larder/openapi.json", None).await;
        assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
        let livez = crate::support::client::Request::new("GET", "/larder/livez");
        assert_eq!(app.anonymous().raw(livez).status, 200, "HTTP/1.1 on the same port");
    });
}

/// As many clients do, this one sends its complete body before it reads: no answer is lost, and the connection stays.
#[test]
fn no_refusal_before_the_body_is_read_is_lost() {
    let app = Stack::sqlite_memory().start();
    run(async {
        let (mut sender, _connection) = connect(app.address, 1 << 16).await;
        for _ in 0..8 {
            for (path, size, expected, code) in [
                ("/api/v1/auth/login", 900_000, 413, "body_too_large"),
                ("/nothing", 900_000, 404, "path_unknown"),
                ("/nothing", 40_000, 404, "path_unknown"),
            ] {
                let (status, problem, _) = post(&mut sender, path, vec![b' '; size]).await;
                assert_eq!((status, &problem["code"]), (expected, &json!(code)), "{path} {size}");
            }
        }
        assert_eq!(get(&mut sender, "/livez", None).await.0, 200);
    });
}

#[test]
fn each_stream_has_the_deadlines_of_a_request() {
    let app = Stack::sqlite_memory()
        .with_setting("LARDER_BODY_TIMEOUT", "0.4")
        .with_setting("LARDER_WRITE_TIMEOUT", "0.5")
        .with_setting("LARDER_IDLE_TIMEOUT", "0.8")
        .start();
    run(async {
        let (mut sender, connection) = connect(app.address, 16 * 1024).await;
        let began = Instant::now();
        let (send, parts) = mpsc::unbounded_channel();
        let slow = request(Method::POST, "/api/v1/auth/login", None).body(Parts(parts)).unwrap();
        send.send(Bytes::from_static(b"{")).unwrap();
        let (status, problem, _) = read(sender.send_request(slow).await.unwrap()).await;
        assert_eq!((status, &problem["code"]), (408, &json!("body_too_slow")));
        assert!(began.elapsed() >= Duration::from_millis(400));

        // An answer that is not read is cut off, and others on the same connection are not.
        let unread = request(Method::GET, "/openapi.json", None).body(whole("")).unwrap();
        let (head, mut body) = sender.send_request(unread).await.unwrap().into_parts();
        assert_eq!(head.status, 200);
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(1200) {
            assert_eq!(get(&mut sender, "/livez", None).await.0, 200);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let ended = loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                end => break end,
            }
        };
        assert!(matches!(ended, Some(Err(_))), "the rest of the answer came: {ended:?}");
        assert_eq!(get(&mut sender, "/livez", None).await.0, 200);

        // Without a request, the connection ends by GOAWAY.
        let began = Instant::now();
        connection.await.unwrap().unwrap();
        assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
    });
}

#[test]
fn a_stream_counts_as_a_connection_of_its_address() {
    let app = Stack::sqlite_memory()
        .with_setting("LARDER_CONNECTIONS_PER_ADDRESS", "4")
        .with_setting("LARDER_CORS_ORIGINS", "https://a.example,https://b.example")
        .start();
    run(async {
        let (mut sender, _connection) = connect(app.address, 1 << 16).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            let (send, parts) = mpsc::unbounded_channel();
            let begun = request(Method::POST, "/api/v1/auth/login", None).body(Parts(parts)).unwrap();
            held.push((send, tokio::spawn(sender.send_request(begun))));
        }
        let mut refused = get(&mut sender, "/api/v1/users", None).await;
        while refused.0 == 401 {
            // The service may not have seen all of the held streams yet.
            refused = get(&mut sender, "/api/v1/users", None).await;
        }
        let (status, problem, headers) = refused;
        assert_eq!((status, &problem["code"]), (503, &json!("connections_full")));
        assert_eq!(problem["request_id"], headers["x-request-id"].to_str().unwrap());
        assert!(headers["retry-after"] == "1" && headers["x-content-type-options"] == "nosniff");
        assert!(!headers.contains_key("access-control-allow-origin"), "it named no origin");
        assert_eq!(get(&mut sender, "/livez", None).await.0, 200, "a probe is answered");
        let of_page = request(Method::GET, "/api/v1/users", None).header("origin", "https://b.example");
        let (status, _, headers) =
            read(sender.send_request(of_page.body(whole("")).unwrap()).await.unwrap()).await;
        assert_eq!(
            (status, headers["access-control-allow-origin"].as_bytes()),
            (503, &b"https://b.example"[..])
        );
        // The connection and its streams fill the share, so there is no further connection either.
        let mut other = TcpStream::connect(app.address).unwrap();
        other.write_all(b"GET /openapi.json HTTP/1.1\r\nhost: larder\r\n\r\n").unwrap();
        let mut text = String::new();
        let _ = other.read_to_string(&mut text);
        assert!(text.starts_with("HTTP/1.1 503") && text.contains("connections_full"), "{text}");
        for (send, answer) in held {
            drop(send);
            assert_ne!(answer.await.unwrap().unwrap().status(), 503);
        }
        while get(&mut sender, "/api/v1/users", None).await.0 != 401 {}
        let refused = app.metrics().value("larder_http_connections_refused_total", &[("bound", "address")]);
        assert!(refused >= 3.0, "two streams and a connection: {refused}");
    });
}

/// GOAWAY names the last stream: those that have begun are answered completely, and then the process ends.
#[test]
fn a_stop_answers_the_streams_that_have_begun() {
    let mut app = Stack::sqlite_memory().start();
    app.user("ann");
    run(async {
        let (mut sender, connection) = connect(app.address, 1 << 16).await;
        let (send, parts) = mpsc::unbounded_channel();
        let begun = request(Method::POST, "/api/v1/auth/login", None).body(Parts(parts)).unwrap();
        let answer = tokio::spawn(sender.send_request(begun));
        send.send(Bytes::from_static(b"  ")).unwrap();
        // A later request is answered, so the service has seen the earlier one.
        assert_eq!(get(&mut sender, "/livez", None).await.0, 200);
        app.larder.signal(Signal::TERM);
        eventually("no new connection", || TcpStream::connect(app.address).is_err());
        let body = json!({ "username": "ann", "password": PASSWORD }).to_string();
        send.send(body.into()).unwrap();
        drop(send);
        let (status, granted, _) = read(answer.await.unwrap().unwrap()).await;
        assert_eq!(status, 200, "{granted}");
        connection.await.unwrap().unwrap();
    });
    let began = Instant::now();
    assert_eq!(app.larder.wait().code(), Some(0), "{}", app.larder.printed());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(!app.larder.printed().contains("still in flight"), "{}", app.larder.printed());
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET /livez`, encoded without Huffman and without the dynamic table.
fn livez() -> Vec<u8> {
    [&[0x82, 0x86][..], &[0x04, 6], b"/livez", &[0x01, 6], b"larder"].concat()
}

/// A client of hostile frames.
fn hostile(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).unwrap();
    stream
}

/// Sends `wire` until the service ends the connection; returns how many bytes were sent.
fn flood(stream: &mut TcpStream, mut wire: impl FnMut() -> Vec<u8>) -> usize {
    let (began, mut sent) = (Instant::now(), 0);
    loop {
        let bytes = wire();
        if stream.write_all(&bytes).is_err() {
            return sent;
        }
        sent += bytes.len();
        assert!(began.elapsed() < TIMEOUT, "the service goes on");
    }
}

/// Whether the connection has ended: reads until its end, or its reset.
fn ends(stream: &mut TcpStream) -> bool {
    let mut some = [0; 64 * 1024];
    loop {
        match stream.read(&mut some) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

fn resident_kib(app: &TestApp) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", app.larder.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn floods_of_frames_end_their_connection_and_cost_little() {
    let app = Stack::sqlite_memory().with_setting("LARDER_WRITE_TIMEOUT", "0.5").start();
    app.anonymous().get("/livez").expect(200);
    let before = resident_kib(&app);

    // CVE-2023-44487: requests that are cancelled at once.
    let mut next = 1;
    let mut rapid = hostile(app.address);
    let sent = flood(&mut rapid, || {
        let request = frame(HEADERS, END_STREAM | END_HEADERS, next, &livez());
        let reset = frame(RST_STREAM, 0, next, &8_u32.to_be_bytes());
        next += 2;
        [request, reset].concat()
    });
    // Most of it was discarded while the connection was closed in stages: few requests were begun.
    assert!(sent < 24 << 20, "{sent} bytes");
    let log = app.larder.stderr();
    let begun = log.matches("started processing request").count();
    assert!(begun > 0 && begun < 2_000, "{begun} of {next} requests were begun");

    // A header block without an end (CERT VU#421644).
    let mut endless = hostile(app.address);
    endless.write_all(&frame(HEADERS, END_STREAM, 1, &livez())).unwrap();
    let header = [&[0x00, 1, b'x', 100][..], &[b'x'; 100]].concat();
    let part = frame(CONTINUATION, 0, 1, &header.repeat(100));
    let sent = flood(&mut endless, || part.clone());
    assert!(sent < 64 << 20, "{sent} bytes");

    // Pings whose answers are not read.
    let pings = frame(PING, 0, 0, &[7; 8]).repeat(1000);
    flood(&mut hostile(app.address), || pings.clone());
    let settings = frame(SETTINGS, 0, 0, &[]).repeat(1000);
    flood(&mut hostile(app.address), || settings.clone());

    let grown = resident_kib(&app).saturating_sub(before);
    assert!(grown < 48 * 1024, "{grown} KiB");
    app.anonymous().get("/livez").expect(200);
}

#[test]
fn what_is_not_http_2_after_all_is_refused_and_ends() {
    let app = Stack::sqlite_memory().with_setting("LARDER_HEAD_TIMEOUT", "0.6").start();
    // Half a preface, a preface without a request, and a request whose headers never end.
    let half = {
        let mut stream = TcpStream::connect(app.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(&PREFACE[..10]).unwrap();
        stream
    };
    let silent = hostile(app.address);
    let open = {
        let mut stream = hostile(app.address);
        stream.write_all(&frame(HEADERS, END_STREAM, 1, &livez())).unwrap();
        stream
    };
    for (what, mut stream) in [("half a preface", half), ("silent", silent), ("an open head", open)] {
        let began = Instant::now();
        assert!(ends(&mut stream), "{what}");
        assert!(began.elapsed() < TIMEOUT / 2, "{what}: {:?}", began.elapsed());
    }
    // A method that begins as the preface does.
    let mut similar = TcpStream::connect(app.address).unwrap();
    similar.set_read_timeout(Some(TIMEOUT)).unwrap();
    similar.write_all(b"PRI * HTTP/1.1\r\nhost: larder\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    similar.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 4"), "{text}");
    run(async {
        let (mut sender, _connection) = connect(app.address, 1 << 16).await;
        let long = request(Method::GET, "/livez", None).header("x-long", "x".repeat(60_000));
        let answer = sender.send_request(long.body(whole("")).unwrap()).await;
        assert!(answer.is_err() || answer.unwrap().status() == 431);
        let (mut sender, _connection) = connect(app.address, 1 << 16).await;
        assert_eq!(get(&mut sender, "/livez", None).await.0, 200);
    });
}
