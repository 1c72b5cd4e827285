//! What a viewer costs the service: its processor time for each request, with and without one.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::admin_page::Stream;
use crate::support::app::Stack;
use crate::support::client::{Client, Request};

/// The parts with and without a viewer follow each other, so that what else the machine does meets both.
const ROUNDS: usize = 12;
const PART: Duration = Duration::from_secs(5);
/// The time between two requests of one client.
const PACE: Duration = Duration::from_millis(4);

/// The processor time of a process so far, in ticks of 10 ms.
fn ticks(id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // The name of the program may hold spaces; the fields after it are counted.
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

const CLIENTS: usize = 4;

/// Reads at a pace, and writes with each fiftieth request, until the end.
fn read_and_write(client: &Client, asked: &AtomicU64, stopping: &AtomicBool) {
    for round in 0_usize.. {
        // Relaxed: the flag and the count guard no data.
        if stopping.load(Ordering::Relaxed) {
            return;
        }
        let next = Instant::now() + PACE;
        let me = "/api/v1/users/me";
        client.raw(match round % 50 {
            0 => Request::new("PATCH", me).json(&json!({ "bio": format!("round {round}") })),
            nth if nth % 2 == 0 => Request::new("GET", "/api/v1/users?limit=9"),
            _ => Request::new("GET", me),
        });
        asked.fetch_add(1, Ordering::Relaxed);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// Run it alone, on the program as it ships:
/// `cargo nextest run --release -p larder-server --test service --run-ignored only --no-capture -E 'test(a_viewer_costs)'`.
#[test]
#[ignore = "a measurement of two minutes"]
fn a_viewer_costs_at_most_a_hundredth_of_the_service() {
    let app = Stack::sqlite_redis().start();
    let (asked, stopping) = (AtomicU64::new(0), AtomicBool::new(false));
    let (ann, admin) = (app.user("ann"), app.admin());
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| read_and_write(&ann, &asked, &stopping));
        }
        // Processor time and requests, without a viewer and with one.
        let mut spent = [(0, 0); 2];
        for round in 0..2 * ROUNDS {
            let has_viewer = round % 2 == 1;
            let (ticks_before, asked_before) = (ticks(app.larder.id()), asked.load(Ordering::Relaxed));
            let end = Instant::now() + PART;
            let mut viewer = has_viewer.then(|| Stream::open(&admin));
            if round % 6 == 1 {
                // The page reads the history each 15 s.
                admin.raw(Request::new("GET", "/admin/cache/history?since=3600")).expect(200);
            }
            while Instant::now() < end {
                match &mut viewer {
                    Some(viewer) => assert!(viewer.has_next("event: sample")),
                    None => thread::sleep(end.saturating_duration_since(Instant::now())),
                }
            }
            let (ticks, asked) = (ticks(app.larder.id()), asked.load(Ordering::Relaxed));
            let (sum_ticks, sum_asked) = &mut spent[usize::from(has_viewer)];
            *sum_ticks += ticks - ticks_before;
            *sum_asked += asked - asked_before;
        }
        stopping.store(true, Ordering::Relaxed);
        let each = spent.map(|(ticks, asked)| ticks as f64 / asked as f64);
        let share = 100.0 * (each[1] / each[0] - 1.0);
        println!(
            "ticks and requests without a viewer {:?}, with one {:?}: {share:+.2} %",
            spent[0], spent[1]
        );
        assert!(share <= 1.0, "{share:+.2} %");
    });
}
