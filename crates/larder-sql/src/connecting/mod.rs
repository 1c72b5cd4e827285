//! Connections: how they are made, what runs on them, and the pool that lends them.

pub(crate) mod connection;
mod executor;
pub(crate) mod pool;
pub(crate) mod refusal;
pub(crate) mod source;
