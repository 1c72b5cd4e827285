//! What the journal records and how it is read, on PostgreSQL and SQLite, through writers that know nothing of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

mod bed;
mod bulk;
mod columns;
mod hidden;
mod positions;
mod postgres;
mod pruning;
mod second_time;
mod silence;
mod silence_sqlite;
mod sqlite;
mod verifying;
mod writes;
