//! Tests of the journal on PostgreSQL and SQLite: what it records of writers that do not use larder, and how it is
//! read.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

mod bed;
mod bulk;
mod columns;
mod grouped;
mod hidden;
mod joined;
mod migrating;
mod missed;
mod pools;
mod positions;
mod postgres;
mod pruning;
mod renamed;
mod second_time;
mod silence;
mod silence_sqlite;
mod spelling;
mod sqlite;
mod transactions;
mod verifying;
mod writes;
