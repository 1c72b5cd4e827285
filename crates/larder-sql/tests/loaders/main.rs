//! What loaders may read: a value that was read inside an open transaction, or on a standby that lags, is never kept.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

mod replicas;
mod rooms;
mod transactions;
