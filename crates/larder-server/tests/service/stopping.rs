//! SIGTERM under load. A request is in flight from its first byte that the service reads to the last byte of its
//! answer. The service answers each request in flight completely, begins no other except the first one of a connection that
//! was just opened, and accepts no new connection.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::app::{PASSWORD, Stack, TestApp};
use crate::support::{eventually, within};

/// The time that the service gives requests in flight; a stop that takes as long has cut requests off.
const GRACE: Duration = Duration::from_secs(10);

/// After this time the service has read the bytes that were sent to it, also on a busy machine.
const READ: Duration = Duration::from_millis(500);

/// The size of a body that fills every buffer on its way: white space, then the JSON object.
const BODY_BYTES: usize = 900_000;

/// The outcome of a request.
#[derive(PartialEq, Eq, Debug)]
enum Outcome {
    Answered(u16),
    /// The connection ended before the first byte of an answer.
    Unanswered,
}

/// A connection to the service for several requests.
struct Line(TcpStream);

impl Line {
    /// `None`: the service accepts no connection.
    fn open(address: SocketAddr) -> Option<Self> {
        let stream = match TcpStream::connect(address) {
            Ok(stream) => stream,
            Err(error)
                if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset) =>
            {
                return None;
            }
            Err(error) => panic!("connecting: {error}"),
        };
        stream.set_read_timeout(Some(Duration::from_secs(25))).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(Self(stream))
    }

    /// Ignores errors of the write: `answer` finds them.
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// Reads one answer; an incomplete one fails the test.
    fn answer(&mut self) -> Outcome {
        let (mut received, mut some) = (Vec::new(), [0; 4096]);
        loop {
            if let Some(status) = complete(&received) {
                return Outcome::Answered(status);
            }
            match self.0.read(&mut some) {
                Ok(length) if length > 0 => received.extend_from_slice(&some[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("no answer in time: {}", String::from_utf8_lossy(&received))
                }
                _ if received.is_empty() => return Outcome::Unanswered,
                end => panic!("cut off ({end:?}): {}", String::from_utf8_lossy(&received)),
            }
        }
    }
}

/// Returns the status once head and body are complete.
fn complete(received: &[u8]) -> Option<u16> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&received[..end]).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.unwrap_or_else(|| panic!("no length: {head}")).parse().unwrap();
    (received.len() == end + length).then(|| head[9..12].parse().unwrap())
}

fn head(method: &str, path: &str, token: &str, length: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: larder\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// The outcomes that a client saw.
#[derive(Default)]
struct Seen {
    registered: BTreeSet<String>,
    answered: usize,
    unanswered: usize,
}

/// Sends requests one after the other until the service accepts no connection: reads, or registrations of users whose
/// names begin with `name`.
fn press(address: SocketAddr, token: &str, name: &str, is_kept: bool, going: &AtomicUsize) -> Seen {
    let (mut seen, mut line, mut number) = (Seen::default(), None, 0);
    let is_writer = name.starts_with("writer");
    loop {
        let Some(mut used) = line.take().or_else(|| Line::open(address)) else { return seen };
        let username = format!("{name}-{number}");
        number += 1;
        let body =
            json!({ "email": format!("{username}@example.com"), "username": username, "password": PASSWORD });
        let request = match is_writer {
            true => head("POST", "/api/v1/auth/register", "", body.to_string().len()) + &body.to_string(),
            false => head("GET", "/api/v1/users/me", token, 0),
        };
        let request = if is_writer { request.replace("authorization: Bearer \r\n", "") } else { request };
        used.send(request.as_bytes());
        match used.answer() {
            Outcome::Answered(status) => {
                assert_eq!(status, if is_writer { 201 } else { 200 });
                seen.answered += 1;
                // Relaxed: the counter only shows that there is load; joining the threads publishes the rest.
                going.fetch_add(1, Ordering::Relaxed);
                if is_writer {
                    seen.registered.insert(username);
                }
                line = is_kept.then_some(used);
            }
            Outcome::Unanswered => seen.unanswered += 1,
        }
    }
}

/// Three requests that have begun before the stop and are completed long after it.
struct Begun {
    body: Line,
    fresh: Line,
    kept: Line,
    rest: String,
}

impl Begun {
    fn new(address: SocketAddr, token: &str) -> Self {
        let open = || Line::open(address).unwrap();
        let (mut body, mut fresh, mut kept) = (open(), open(), open());
        body.send(head("PATCH", "/api/v1/users/me", token, BODY_BYTES).as_bytes());
        body.send(&vec![b' '; BODY_BYTES / 3]);
        let read = head("GET", "/api/v1/users/me", token, 0);
        let (first, rest) = read.split_at(20);
        kept.send(read.as_bytes());
        assert_eq!(kept.answer(), Outcome::Answered(200));
        kept.send(first.as_bytes());
        fresh.send(first.as_bytes());
        thread::sleep(READ);
        Self { body, fresh, kept, rest: rest.to_owned() }
    }

    /// Completes the three requests slowly, checks their answers, and returns the number of requests with an answer.
    fn finish(mut self) -> usize {
        let object = json!({ "bio": "slowly" }).to_string();
        for part in vec![b' '; BODY_BYTES - BODY_BYTES / 3 - object.len()].chunks(BODY_BYTES / 10) {
            self.body.send(part);
            thread::sleep(Duration::from_millis(100));
        }
        self.body.send(object.as_bytes());
        assert_eq!(self.body.answer(), Outcome::Answered(200), "a body that was being sent");
        for (what, line) in
            [("a new connection", &mut self.fresh), ("a connection that was kept", &mut self.kept)]
        {
            line.send(self.rest.as_bytes());
            assert_eq!(line.answer(), Outcome::Answered(200), "half a head on {what}");
            line.send(head("GET", "/livez", "", 0).as_bytes());
            assert_eq!(line.answer(), Outcome::Unanswered, "the next request on {what}");
        }
        // The fourth is the first request on the kept connection.
        4
    }
}

fn requests_in_flight_are_answered_and_no_others_begun(stack: Stack) {
    let mut app = stack.with_setting("LARDER_FAILURES_PER_ADDRESS", "100000").start();
    let ann = app.user("ann");
    let (address, token, going) = (app.address, ann.token.clone().unwrap(), AtomicUsize::new(0));
    // Another thread reads the log in order, so the line of this last request shows that all earlier lines are read.
    app.stranger().get("/livez").expect(200);
    let is_last = |line: &str| line.contains("/livez") && line.contains("finished processing request");
    eventually("the log has a line for each request so far", || app.larder.printed().lines().any(is_last));
    let before = (begun(&app), names(&app));
    let seen = thread::scope(|scope| {
        let clients: Vec<_> = ["reader", "writer"]
            .into_iter()
            .flat_map(|kind| (0..6).map(move |number| (format!("{kind}-{number}"), number % 2 == 0)))
            .map(|(name, is_kept)| {
                let (token, going) = (&token, &going);
                scope.spawn(move || press(address, token, &name, is_kept, going))
            })
            .collect();
        let slow = Begun::new(address, &token);
        within(GRACE, "a load", || going.load(Ordering::Relaxed) > 100);
        let signalled = Instant::now();
        app.larder.signal(Signal::TERM);
        // The service closes its listener at the signal, so this is far below the time for requests in flight.
        within(Duration::from_secs(2), "the service accepts no connection", || Line::open(address).is_none());
        let slowly = slow.finish();
        let status = app.larder.wait();
        assert_eq!(status.code(), Some(0), "{}", app.larder.printed());
        assert!(signalled.elapsed() < GRACE, "it took {:?}", signalled.elapsed());
        clients.into_iter().map(|client| client.join().unwrap()).fold(
            Seen { answered: slowly, ..Seen::default() },
            |mut all, one| {
                all.registered.extend(one.registered);
                all.answered += one.answered;
                all.unanswered += one.unanswered;
                all
            },
        )
    });
    let now: BTreeSet<_> = names(&app).difference(&before.1).cloned().collect();
    assert_eq!(now, seen.registered, "the database has exactly the users whose registration was answered");
    assert!(!seen.registered.is_empty());
    assert_eq!(app.stack.sql("SELECT bio FROM users WHERE username = 'ann'"), "slowly");
    // With one request that was begun and not answered, the two counts would never be equal.
    let begun_and_answered = format!("{} answered, {} not begun", seen.answered, seen.unanswered);
    eventually(&begun_and_answered, || begun(&app) - before.0 == seen.answered);
    let printed = app.larder.printed();
    assert!(app.larder.stdout().ends_with("Stopped.\n"), "{}", app.larder.stdout());
    for trouble in ["panicked", "in flight", "could not be warmed", "ERROR"] {
        assert!(!printed.contains(trouble), "{trouble}: {printed}");
    }
}

/// A client sends its request as soon as the kernel has accepted its connection, even if the service has not. The service
/// does not run while the clients connect, so it finds all of them in the kernel's queue, beside the signal.
#[test]
fn a_connection_that_the_kernel_has_accepted_is_served_at_a_stop() {
    let mut app = Stack::sqlite_memory().start();
    app.larder.signal(Signal::STOP);
    let request = head("GET", "/livez", "", 0);
    let mut clients: Vec<_> = (0..100).map(|_| Line::open(app.address).unwrap()).collect();
    clients.iter_mut().for_each(|client| client.send(request.as_bytes()));
    app.larder.signal(Signal::TERM);
    app.larder.signal(Signal::CONT);
    let outcomes: Vec<_> = clients.iter_mut().map(Line::answer).collect();
    let lost = outcomes.iter().filter(|outcome| **outcome != Outcome::Answered(200)).count();
    assert_eq!(lost, 0, "of {} requests", outcomes.len());
    assert_eq!(app.larder.wait().code(), Some(0), "{}", app.larder.printed());
}

/// The client has connected and its request is on its way when the service stops.
#[test]
fn a_connection_that_was_just_opened_may_send_its_first_request() {
    // On a busy machine this can take longer than the second that such a connection has.
    let is_in_time = || {
        let mut app = Stack::sqlite_memory().start();
        app.stranger().get("/livez").expect(200);
        let (opened, mut client) = (Instant::now(), Line::open(app.address).unwrap());
        app.larder.signal(Signal::TERM);
        within(Duration::from_secs(5), "the port is closed", || Line::open(app.address).is_none());
        client.send(head("GET", "/livez", "", 0).as_bytes());
        let is_in_time = opened.elapsed() < Duration::from_millis(900);
        let outcome = client.answer();
        assert!(!is_in_time || outcome == Outcome::Answered(200), "{outcome:?}");
        assert_eq!(app.larder.wait().code(), Some(0), "{}", app.larder.printed());
        is_in_time
    };
    eventually("a request in time", is_in_time);
}

/// Counts the requests that the service began, by its log.
fn begun(app: &TestApp) -> usize {
    app.larder.printed().matches("started processing request").count()
}

fn names(app: &TestApp) -> BTreeSet<String> {
    app.stack.sql("SELECT username FROM users").lines().map(str::to_owned).collect()
}

#[test]
fn sqlite_memory() {
    requests_in_flight_are_answered_and_no_others_begun(Stack::sqlite_memory());
}

#[test]
fn postgres_redis() {
    requests_in_flight_are_answered_and_no_others_begun(Stack::postgres_redis());
}
