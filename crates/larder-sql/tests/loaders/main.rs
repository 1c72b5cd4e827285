//! Loaders: a value that was read inside an open transaction, or on a standby that lags, is never stored; loaders with
//! a transaction of their own.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

mod replicas;
mod rooms;
mod tenants;
mod transactions;
