//! What every test stands on: a running `larder`, a database and a Redis of its own, and a client.

pub(crate) mod app;
pub(crate) mod client;
mod contract;
pub(crate) mod exposition;
pub(crate) mod larder;
pub(crate) mod postgres_tools;

use std::thread;
use std::time::{Duration, Instant};

/// Long before this a healthy service has answered, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until `condition` holds, and fails the test when it takes longer than `limit`.
pub(crate) fn within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Polls until `condition` holds.
pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    within(PATIENCE, what, condition);
}
