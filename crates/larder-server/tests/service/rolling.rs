//! A rolling update of two instances behind nginx, under load. nginx does not repeat a POST that it has sent, so each
//! request that reaches an instance has to be answered.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use larder_testbed::{Nginx, free_port};
use rustix::process::Signal;
use serde_json::json;

use crate::support::app::{Stack, TestApp};
use crate::support::client::{Client, Request};
use crate::support::eventually;

/// The clients that read, and as many that write.
const CLIENTS: usize = 4;

/// The pause of a client between two requests: the load is steady, and leaves the machine time for the instances.
const PAUSE: Duration = Duration::from_millis(10);

/// The outcomes that a client saw.
#[derive(Default)]
struct Seen {
    answered: usize,
    created: BTreeSet<String>,
    /// The statuses that no request should have got.
    failed: Vec<u16>,
}

/// Reads, or creates users whose names begin with `name`, until `is_over`. Each request has a connection of its own to
/// nginx, which keeps its connections to the instances.
fn press(client: &Client, name: &str, is_writer: bool, is_over: &AtomicBool, going: &AtomicUsize) -> Seen {
    let mut seen = Seen::default();
    // Relaxed: both only steer the load; joining the threads publishes what they saw.
    while !is_over.load(Ordering::Relaxed) {
        let username = format!("{name}-{}", seen.answered + seen.failed.len());
        let body = json!({ "email": format!("{username}@example.com"), "username": username });
        let (request, wanted) = match is_writer {
            true => (Request::new("POST", "/api/v1/users").json(&body), 201),
            false => (Request::new("GET", "/api/v1/users/me"), 200),
        };
        let answer = client.raw(request);
        match answer.status == wanted {
            false => seen.failed.push(answer.status),
            true => {
                seen.answered += 1;
                going.fetch_add(1, Ordering::Relaxed);
                if is_writer {
                    seen.created.insert(username);
                }
            }
        }
        thread::sleep(PAUSE);
    }
    seen
}

/// Ends the load, also if the test fails: else the clients would go on for ever.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether the instance has answered a request.
fn serves(app: &TestApp) -> bool {
    app.larder.printed().contains("finished processing request")
}

fn a_rolling_update_behind_nginx_loses_no_request(stack: Stack) {
    let ports = [free_port().unwrap(), free_port().unwrap()];
    let listen = ports.map(|port| format!("127.0.0.1:{port}"));
    let first = stack
        .with_setting("LARDER_LISTEN", &listen[0])
        .with_setting("LARDER_TRUSTED_PROXIES", "127.0.0.1")
        // Shorter than the default, to save time.
        .with_setting("LARDER_STOP_DELAY", "2")
        .start();
    let second = first.instance_with("LARDER_LISTEN", &listen[1]);
    let nginx = Nginx::start(&ports).unwrap();
    let admin = Client { address: nginx.address(), ..first.admin() };
    let database = first.stack.clone();
    let (is_over, going) = (AtomicBool::new(false), AtomicUsize::new(0));
    let goes_on = |what: &str| {
        let before = going.load(Ordering::Relaxed);
        eventually(what, || going.load(Ordering::Relaxed) > before + 100);
    };
    let seen = thread::scope(|scope| {
        let ending = Ending(&is_over);
        let clients: Vec<_> = (0..2 * CLIENTS)
            .map(|number| {
                let (admin, is_over, going) = (&admin, &is_over, &going);
                let name = format!("client-{number}");
                scope.spawn(move || press(admin, &name, number % 2 == 0, is_over, going))
            })
            .collect();
        let mut instances = [first, second];
        eventually("both serve", || instances.iter().all(serves));
        for (instance, listen) in instances.iter_mut().zip(&listen) {
            goes_on("a load before the stop");
            let status = instance.larder.stop(Signal::TERM);
            assert_eq!(status.code(), Some(0), "{}", instance.larder.printed());
            goes_on("the other instance has the load");
            let successor = instance.instance_with("LARDER_LISTEN", listen);
            // nginx asks an instance whose port was closed again after 10 s.
            eventually("the successor serves", || serves(&successor));
            *instance = successor;
        }
        goes_on("both successors have the load");
        drop(ending);
        clients.into_iter().map(|client| client.join().unwrap()).fold(Seen::default(), |mut all, one| {
            all.answered += one.answered;
            all.created.extend(one.created);
            all.failed.extend(one.failed);
            all
        })
    });
    assert_eq!(seen.failed, [0; 0], "of {} requests; {}", seen.answered, nginx.log());
    let names = database.sql("SELECT username FROM users WHERE username LIKE 'client-%'");
    let names: BTreeSet<_> = names.lines().map(str::to_owned).collect();
    assert_eq!(names, seen.created, "each user whose creation was answered, and no other");
}

#[test]
fn sqlite_memory() {
    a_rolling_update_behind_nginx_loses_no_request(Stack::sqlite_memory());
}

#[test]
fn postgres_redis() {
    a_rolling_update_behind_nginx_loses_no_request(Stack::postgres_redis());
}
