//! What a viewer costs the service: its processor time for each request, with and without one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::admin_page::Stream;
use crate::support::app::Stack;
use crate::support::client::{Client, Request};

/// The parts with and without a viewer follow each other, so that what else the machine does meets both.
const ROUNDS: usize = 60;
const PART: Duration = Duration::from_secs(2);
/// The time between two requests of one client.
const PACE: Duration = Duration::from_millis(4);

/// The processor time that each thread of a process has used so far, in nanoseconds, by its number.
fn used(id: u32) -> BTreeMap<String, u64> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).unwrap().map(|thread| thread.unwrap());
    // A thread may have ended since it was listed.
    let nanos =
        |folder: &Path| fs::read_to_string(folder.join("schedstat")).ok()?.split(' ').next()?.parse().ok();
    threads
        .filter_map(|thread| Some((thread.file_name().into_string().ok()?, nanos(&thread.path())?)))
        .collect()
}

/// The processor time since `before`, in nanoseconds, without that of threads that have ended.
fn used_since(id: u32, before: &BTreeMap<String, u64>) -> u64 {
    used(id).iter().map(|(thread, nanos)| nanos - before.get(thread).copied().unwrap_or(0)).sum()
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
#[ignore = "a measurement of four minutes"]
fn a_viewer_costs_at_most_a_hundredth_of_the_service() {
    let app = Stack::sqlite_redis().start();
    let (asked, stopping) = (AtomicU64::new(0), AtomicBool::new(false));
    let (ann, admin) = (app.user("ann"), app.admin());
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| read_and_write(&ann, &asked, &stopping));
        }
        // The nanoseconds for each request, without a viewer and with one, of each round.
        let mut parts = [Vec::new(), Vec::new()];
        for part in 0..2 * ROUNDS {
            let has_viewer = part % 2 == 1;
            let (used_before, asked_before) = (used(app.larder.id()), asked.load(Ordering::Relaxed));
            let end = Instant::now() + PART;
            let mut viewer = has_viewer.then(|| Stream::open(&admin));
            if part % 15 == 1 {
                // The page reads the history each 15 s.
                admin.raw(Request::new("GET", "/admin/cache/history?since=3600")).expect(200);
            }
            while Instant::now() < end {
                match &mut viewer {
                    Some(viewer) => assert!(viewer.has_next("event: sample")),
                    None => thread::sleep(end.saturating_duration_since(Instant::now())),
                }
            }
            let asked = asked.load(Ordering::Relaxed) - asked_before;
            parts[usize::from(has_viewer)]
                .push(used_since(app.larder.id(), &used_before) as f64 / asked as f64);
        }
        stopping.store(true, Ordering::Relaxed);
        let shares = parts[1].iter().zip(&parts[0]).map(|(with, without)| 100.0 * (with / without - 1.0));
        let share = median(shares.collect());
        let [without, with] = parts.map(median);
        println!(
            "{without:.0} ns a request without a viewer, {with:.0} with one; the median of the pairs: {share:+.2} %"
        );
        assert!(share <= 1.0, "{share:+.2} %");
    });
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
