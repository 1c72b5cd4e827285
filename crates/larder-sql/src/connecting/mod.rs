//! Connections: opening them, running statements on them, and the pool that lends them.

pub mod connection;
pub(crate) mod connector;
mod executor;
mod opening;
pub mod pool;
pub(crate) mod succession;
