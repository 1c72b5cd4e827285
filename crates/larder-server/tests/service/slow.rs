//! Clients that hold what they use: connections, half of a request, an answer that they do not read. Each is bounded,
//! and the next client is served meanwhile.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketType};
use rustix::process::Signal;
use serde_json::json;

use crate::hashing::resident_kib;
use crate::support::app::{PASSWORD, Stack, TestApp};
use crate::support::eventually;
use crate::support::larder::Larder;

/// Longer than the service's own time-outs.
const TIMEOUT: Duration = Duration::from_secs(25);

/// A request that is no probe: without a credential it gets 401, if there is room for it.
const USERS: &[u8] = b"GET /api/v1/users HTTP/1.1\r\nhost: larder\r\n\r\n";

const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nhost: larder\r\n\r\n";

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// Connects from another address of the loopback network.
fn connect_from(own: [u8; 4], address: SocketAddr) -> TcpStream {
    let socket: OwnedFd = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((own, 0))).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// Sends a request and returns the status of its answer, and all that was read with it; 0: the connection ended.
fn status(stream: &mut TcpStream, wire: &[u8]) -> (u16, String) {
    let _ = stream.write_all(wire);
    let (mut received, mut some) = (Vec::new(), [0; 4096]);
    while !received.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut some) {
            Ok(read @ 1..) => received.extend_from_slice(&some[..read]),
            _ => return (0, String::new()),
        }
    }
    let text = String::from_utf8_lossy(&received).into_owned();
    (text[9..12].parse().unwrap(), text)
}

/// How long the service keeps the connection; whatever it still sends is read.
fn ends_after(mut stream: TcpStream, began: Instant) -> Duration {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("it is kept: {error}"),
    }
    began.elapsed()
}

#[test]
fn one_address_holds_only_its_share_and_another_one_is_served() {
    let app = Stack::sqlite_memory()
        .with_setting("LARDER_CONNECTIONS", "6")
        .with_setting("LARDER_CONNECTIONS_PER_ADDRESS", "4")
        .start();
    let mut held: Vec<_> = (0..4).map(|_| connect(app.address)).collect();
    for stream in &mut held {
        stream.write_all(b"G").unwrap();
    }
    let (refused, text) = status(&mut connect(app.address), USERS);
    assert_eq!(refused, 503, "{text}");
    for line in [
        "retry-after: 1",
        "connection: close",
        "content-type: application/problem+json",
        "cache-control: private, no-store",
        "x-content-type-options: nosniff",
        "connections_full",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let id = text.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
    assert!(text.contains(&format!("\"request_id\":\"{id}\"")), "{text}");
    let mut others: Vec<_> = (2..4).map(|last| connect_from([127, 0, 0, last], app.address)).collect();
    for other in &mut others {
        assert_eq!(status(other, LIVEZ).0, 200);
    }
    assert_eq!(status(&mut connect_from([127, 0, 0, 4], app.address), USERS).0, 503, "six in all");
    drop(held);
    eventually("there is room again", || status(&mut connect(app.address), USERS).0 == 401);
    let metrics = app.metrics();
    let refused = |bound| metrics.value("larder_http_connections_refused_total", &[("bound", bound)]);
    assert!(refused("address") >= 1.0 && refused("all") >= 1.0, "{} {}", refused("address"), refused("all"));
}

#[test]
fn a_trusted_proxy_has_no_limit_of_its_own() {
    let app = Stack::sqlite_memory()
        .with_setting("LARDER_CONNECTIONS_PER_ADDRESS", "1")
        .with_setting("LARDER_TRUSTED_PROXIES", "127.0.0.1")
        .start();
    let mut proxied: Vec<_> = (0..5).map(|_| connect(app.address)).collect();
    for stream in &mut proxied {
        assert_eq!(status(stream, LIVEZ).0, 200);
    }
    let first = connect_from([127, 0, 0, 2], app.address);
    assert_eq!(status(&mut connect_from([127, 0, 0, 2], app.address), USERS).0, 503);
    drop(first);
}

/// A proxy's idle connections are all that there may be: the supervisor's probe, the health check of the image and the
/// scrape are answered all the same, so that a restart does not end a healthy process.
#[test]
fn probes_are_answered_when_there_are_as_many_connections_as_are_allowed() {
    let app = Stack::sqlite_memory()
        .with_setting("LARDER_CONNECTIONS", "6")
        .with_setting("LARDER_TRUSTED_PROXIES", "127.0.0.2")
        .start();
    let key = app.admin().make_key(&json!({ "name": "prometheus", "scopes": ["metrics"] })).expect(201);
    let metrics = format!(
        "GET /metrics HTTP/1.1\r\nhost: larder\r\nauthorization: Bearer {}\r\n\r\n",
        key.field("key")
    );
    let mut idle = Vec::new();
    eventually("the proxy holds every place", || {
        let mut one = connect_from([127, 0, 0, 2], app.address);
        if status(&mut one, USERS).0 == 401 {
            idle.push(one);
        }
        idle.len() == 6
    });
    let probe = [127, 0, 0, 3];
    for wire in [LIVEZ, READYZ, b"HEAD /livez HTTP/1.1\r\nhost: larder\r\n\r\n", metrics.as_bytes()] {
        let (answered, text) = status(&mut connect_from(probe, app.address), wire);
        assert_eq!(answered, 200, "{text}");
        assert!(text.contains("connection: close"), "{text}");
    }
    for wire in [USERS, b"POST /livez HTTP/1.1\r\nhost: larder\r\ncontent-length: 0\r\n\r\n"] {
        let (refused, text) = status(&mut connect_from(probe, app.address), wire);
        assert_eq!(refused, 503, "{text}");
    }
    let listen = app.address.to_string();
    let health = Larder::command(&["health"], &[("LARDER_LISTEN", &listen)]);
    assert!(health.is_success, "{}", health.output);
    a_flood_of_refusals_leaves_the_probes_their_places(&app);
}

/// More connections are refused at once than get a 503: a probe from another address is still answered.
fn a_flood_of_refusals_leaves_the_probes_their_places(app: &TestApp) {
    // More than the places of the reserve, whose connections end without an answer too if they send nothing.
    const CLOSED: usize = 16;
    let (is_over, most_closed) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let held: Vec<_> = (0..80).map(|_| connect_from([127, 0, 0, 9], app.address)).collect();
                let is_closed = |mut one: TcpStream| one.read(&mut [0; 1]).is_ok_and(|read| read == 0);
                let closed = held.into_iter().map(is_closed).filter(|is_closed| *is_closed).count();
                most_closed.fetch_max(closed, Ordering::Relaxed);
            }
        });
        let mut asked = 0;
        eventually("connections are closed without an answer, and each probe is answered", || {
            asked += 1;
            let (answered, text) = status(&mut connect_from([127, 0, 0, 3], app.address), LIVEZ);
            if answered != 200 {
                is_over.store(true, Ordering::Relaxed);
                panic!("probe {asked}: {answered} {text}");
            }
            asked >= 20 && most_closed.load(Ordering::Relaxed) > CLOSED
        });
        is_over.store(true, Ordering::Relaxed);
    });
}

/// The limit on open files is the lowest bound of all: the reserve keeps database and answers alive.
#[test]
fn connections_never_use_up_the_descriptors() {
    let app = Stack::sqlite_memory().after("ulimit -n 160").start();
    let ann = app.user("ann");
    let held: Vec<_> = (0..200).map(|_| connect(app.address)).collect();
    // Most of so many at once are closed without an answer; a later one gets its answer.
    eventually("an answer", || status(&mut connect(app.address), USERS).0 == 503);
    drop(held);
    eventually("there is room again", || status(&mut connect(app.address), USERS).0 == 401);
    ann.patch("/api/v1/users/me", &json!({ "bio": "still here" })).expect(200);
    let log = app.larder.stderr();
    assert!(log.contains("connections are refused") && !log.contains("Too many open files"), "{log}");
}

#[test]
fn each_step_of_a_request_has_a_deadline() {
    let app = Stack::sqlite_memory()
        .with_setting("LARDER_HEAD_TIMEOUT", "0.6")
        .with_setting("LARDER_BODY_TIMEOUT", "0.4")
        .with_setting("LARDER_CLOSE_TIMEOUT", "0.2")
        .with_setting("LARDER_IDLE_TIMEOUT", "1.2")
        .start();
    let seconds = Duration::from_secs_f64;
    let began = Instant::now();
    let silent = connect(app.address);
    let mut idle = connect(app.address);
    assert_eq!(status(&mut idle, LIVEZ).0, 200);
    let mut again = connect(app.address);
    assert_eq!(status(&mut again, LIVEZ).0, 200);
    again.write_all(b"GET /livez HTTP/1.1\r\nx-slow: ").unwrap();
    // A byte at a time does not help: the deadlines count from the beginning of a step.
    let mut trickling = connect(app.address);
    let mut body = connect(app.address);
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9000\r\n\r\n";
    body.write_all(head.as_bytes()).unwrap();
    let ends = std::thread::scope(|scope| {
        let silent = scope.spawn(move || ends_after(silent, began));
        let again = scope.spawn(move || ends_after(again, began));
        let idle = scope.spawn(move || ends_after(idle, began));
        let trickler = {
            let mut trickling = trickling.try_clone().unwrap();
            let mut body = body.try_clone().unwrap();
            scope.spawn(move || {
                while trickling.write_all(b"G").and(body.write_all(b" ")).is_ok() {
                    std::thread::sleep(Duration::from_millis(50));
                }
            })
        };
        let (answered, text) = status(&mut body, b"");
        assert_eq!(answered, 408, "{text}");
        assert!(text.contains("connection: close"), "{text}");
        let body_ended = began.elapsed();
        assert_eq!(status(&mut trickling, b"").0, 0);
        let head_ended = began.elapsed();
        trickler.join().unwrap();
        [body_ended, head_ended, silent.join().unwrap(), again.join().unwrap(), idle.join().unwrap()]
    });
    for (what, end, at_least) in [
        ("a trickling body", ends[0], 0.4),
        ("a trickling head", ends[1], 0.6),
        ("no byte", ends[2], 0.6),
        ("half a head after an answer", ends[3], 0.6),
        ("an idle connection", ends[4], 1.2),
    ] {
        assert!(end >= seconds(at_least) && end < TIMEOUT / 2, "{what}: {end:?}");
    }
    assert!(ends[3] < seconds(1.2) || ends[3] < ends[4], "a begun head has the shorter time-out: {ends:?}");
}

/// Requests without end and no read: the answers fill the buffers, and then the connection is reset.
#[test]
fn a_reader_that_never_reads_is_disconnected() {
    let app = Stack::sqlite_memory().with_setting("LARDER_WRITE_TIMEOUT", "0.5").start();
    let mut stream = connect(app.address);
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    let began = Instant::now();
    let requests = b"GET /openapi.json HTTP/1.1\r\nhost: larder\r\n\r\n".repeat(200);
    let error = loop {
        if let Err(error) = stream.write_all(&requests) {
            break error;
        }
        assert!(began.elapsed() < TIMEOUT, "the service goes on");
    };
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    assert!(began.elapsed() >= Duration::from_millis(500));
}

#[test]
fn a_flood_of_unknown_fields_costs_no_more_than_is_reported() {
    let app = Stack::sqlite_memory().start();
    let ann = app.user("ann");
    let fields = |count: usize| {
        let fields: Vec<_> = (0..count).map(|number| format!("\"f{number}\":1")).collect();
        format!("{{{}}}", fields.join(","))
    };
    let send = |path: &str, body: String| {
        let request = crate::support::client::Request::new("PATCH", path);
        ann.send(request.header("content-type", "application/json").bytes(body))
    };
    let answer = send("/api/v1/users/me", fields(80_000)).expect(422);
    assert_eq!(answer.json()["errors"].as_object().unwrap().len(), 50);
    // Without a credential, so many fields are never read.
    let request = crate::support::client::Request::new("POST", "/api/v1/auth/login");
    let request = request.header("content-type", "application/json").bytes(fields(80_000));
    app.anonymous().send(request).refuses(413, "body_too_large");
}

/// A rolling update: the service is not ready at once, and answers new connections until the delay is over.
#[test]
fn a_stopping_service_is_unready_first_and_accepts_for_a_while() {
    let start =
        |delay: &str| -> TestApp { Stack::sqlite_memory().with_setting("LARDER_STOP_DELAY", delay).start() };
    // The delay is longer than the test, which ends it by a second signal: so the test does not depend on the machine's
    // speed.
    let mut app = start("3600");
    app.user("ann");
    app.anonymous().get("/readyz").expect(200);
    // A proxy's connection, which it would keep.
    let (mut kept, mut received) = (connect(app.address), String::new());
    app.larder.signal(Signal::TERM);
    eventually("unready", || status(&mut connect(app.address), READYZ).0 == 503);
    kept.write_all(b"GET /livez HTTP/1.1\r\nhost: larder\r\n\r\n").unwrap();
    kept.read_to_string(&mut received).unwrap();
    assert!(received.to_lowercase().contains("\r\nconnection: close\r\n"), "{received}");
    app.anonymous().get("/readyz").refuses(503, "stopping");
    app.anonymous()
        .post("/api/v1/auth/login", &json!({ "username": "ann", "password": PASSWORD }))
        .expect(200);
    assert_eq!(app.larder.stop(Signal::TERM).code(), Some(0), "{}", app.larder.printed());
    TcpStream::connect(app.address).unwrap_err();

    // The delay ends by itself; Ctrl-C has none.
    let mut app = start("0.3");
    let began = Instant::now();
    assert_eq!(app.larder.stop(Signal::TERM).code(), Some(0), "{}", app.larder.printed());
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    let mut app = start("3600");
    assert_eq!(app.larder.stop(Signal::INT).code(), Some(0), "{}", app.larder.printed());
}

const READYZ: &[u8] = b"GET /readyz HTTP/1.1\r\nhost: larder\r\nconnection: close\r\n\r\n";

/// The clients of large bodies that do not end hold a bounded memory together. The others are refused meanwhile, and small
/// bodies are not.
#[test]
fn bodies_that_wait_hold_a_bounded_memory() {
    const BODY: usize = 1 << 20;
    const CLIENTS: usize = 40;
    let app = Stack::sqlite_memory()
        .with_setting("LARDER_BODY_MEMORY", "4194304")
        .with_setting("LARDER_BODY_TIMEOUT", "6")
        .start();
    let ann = app.user("ann");
    let head = format!(
        "PATCH /api/v1/users/me HTTP/1.1\r\nhost: larder\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {BODY}\r\n\r\n",
        ann.token.as_deref().unwrap()
    );
    // One byte is missing.
    let part = [head.as_bytes(), b"{\"bio\": \"", "a".repeat(BODY - 11).as_bytes()].concat();
    let before = resident_kib(&app);
    let are_sent = Barrier::new(CLIENTS + 1);
    let answers: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = connect(app.address);
                    let _ = stream.write_all(&part);
                    are_sent.wait();
                    status(&mut stream, b"")
                })
            })
            .collect();
        are_sent.wait();
        let grown = resident_kib(&app).saturating_sub(before);
        assert!(grown < 24 * 1024, "{grown} KiB for {CLIENTS} bodies of 1 MiB");
        assert_eq!(app.again("ann").validate(), 200, "what is small is answered, from the same address");
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let (late, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(status, _)| *status == 408);
    assert!((1..=2).contains(&late.len()), "{} were taken", late.len());
    for (status, answer) in &refused {
        assert_eq!(*status, 503, "{answer}");
        assert!(answer.contains("bodies_full") && answer.contains("retry-after: 1"), "{answer}");
    }
    // The memory is given back.
    for _ in 0..3 {
        let long = json!({ "bio": "a", "full_name": " ".repeat(BODY / 2) });
        assert_ne!(ann.patch("/api/v1/users/me", &long).status, 503);
    }
}
