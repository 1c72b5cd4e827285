//! The base of every test: a running `larder` with its own database and Redis, and a client.

pub(crate) mod app;
pub(crate) mod browser;
pub(crate) mod client;
mod contract;
pub(crate) mod exposition;
pub(crate) mod larder;
pub(crate) mod postgres_tools;
pub(crate) mod repository;

use std::thread;
use std::time::{Duration, Instant};

/// A time-out far above the time in which a healthy service answers on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Polls until `condition` holds, and fails the test if that takes longer than `limit`.
pub(crate) fn within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Polls until `condition` holds, and fails the test if that takes longer than [`TIMEOUT`].
pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    within(TIMEOUT, what, condition);
}
