//! What the journal records and how it is read, on PostgreSQL and SQLite, through writers that know nothing of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

mod bed;
mod columns;
mod positions;
mod postgres;
mod pruning;
mod silence;
mod sqlite;
mod writes;
