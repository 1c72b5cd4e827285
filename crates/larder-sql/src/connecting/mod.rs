//! Connections: how they are made, what runs on them, and the pool that lends them.

pub mod connection;
mod executor;
pub mod pool;
pub(crate) mod refusal;
pub(crate) mod source;
