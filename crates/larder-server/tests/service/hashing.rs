//! Many logins at once: the memory of password hashing is bounded and reused, and so is the queue for it.

use std::thread;

use serde_json::{Value, json};

use crate::support::app::{Stack, TestApp};

/// As many at once as killed a container of 512 MiB: each hash needs 19 MiB.
const AT_ONCE: usize = 28;

fn login(app: &TestApp, number: usize) -> crate::support::client::Answer {
    let body: Value = json!({ "username": format!("nobody{number}"), "password": "wrong horse battery" });
    app.anonymous().post("/api/v1/auth/login", &body)
}

/// The memory of the process that is resident, in KiB.
pub(crate) fn resident_kib(app: &TestApp) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", app.larder.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The growth of the process's memory in KiB over so many rounds of [`AT_ONCE`] logins. Every seventh login succeeds.
fn growth_of(rounds: usize) -> u64 {
    let app = Stack::sqlite_memory().with_setting("LARDER_FAILURES_PER_ADDRESS", "1000000").start();
    app.user("ann");
    app.anonymous().get("/readyz").expect(200);
    let before = resident_kib(&app);
    for round in 0..rounds {
        thread::scope(|scope| {
            let app = &app;
            for number in 0..AT_ONCE {
                scope.spawn(move || match number % 7 {
                    0 => drop(app.again("ann")),
                    // Another name each time, as each has a budget of failures.
                    _ => drop(login(app, round * AT_ONCE + number).expect(401)),
                });
            }
        });
    }
    resident_kib(&app).saturating_sub(before)
}

#[test]
fn logins_at_once_leave_no_memory_behind() {
    let grown = growth_of(2);
    assert!(grown <= 64 * 1024, "{grown} KiB after {} logins", 2 * AT_ONCE);
}

/// docs/security.md has the command and the figure.
#[test]
#[ignore = "takes a minute and more"]
fn a_thousand_logins_leave_no_memory_behind() {
    let grown = growth_of(36);
    println!("{grown} KiB after {} logins", 36 * AT_ONCE);
    assert!(grown <= 64 * 1024, "{grown} KiB after {} logins", 36 * AT_ONCE);
}

#[test]
fn a_full_queue_is_refused_at_once_and_costs_no_attempt() {
    let app = Stack::sqlite_memory()
        .with_setting("LARDER_PASSWORD_HASHERS", "1")
        .with_setting("LARDER_PASSWORD_QUEUE", "1")
        .with_setting("LARDER_PASSWORD_QUEUE_PER_ADDRESS", "2")
        .with_setting("LARDER_FAILURES_PER_ADDRESS", "16")
        .start();
    let answers: Vec<_> = thread::scope(|scope| {
        let app = &app;
        let all: Vec<_> = (0..16).map(|number| scope.spawn(move || login(app, number))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let (busy, compared): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 503);
    assert!(!busy.is_empty() && compared.len() >= 2, "{} busy, {} compared", busy.len(), compared.len());
    for answer in &busy {
        answer.refuses(503, "hashing_busy");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert!(compared.iter().all(|answer| answer.status == 401));
    // Those that were refused spent nothing of the address's 16 failures: as many are left.
    let left: Vec<_> = (0..=busy.len()).map(|number| login(&app, 100 + number).status).collect();
    assert_eq!(left, [vec![401; busy.len()], vec![429]].concat());
}
