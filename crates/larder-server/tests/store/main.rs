//! The contract of the store, checked on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod access;
mod achievements;
mod audit;
mod bed;
mod changes;
mod counters;
mod foreign;
mod held;
mod lists;
mod odd;
mod pinned;
mod points;
mod races;
mod replicated;
mod restored;
mod roles;
mod search;
mod sessions;
mod shown;
mod users;
