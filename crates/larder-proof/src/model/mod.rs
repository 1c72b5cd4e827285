//! Models of the protocol. Each runs the decision functions of the product through every order of events within small
//! bounds.
//!
//! - [`coherence`]: the read path and the tags: one key, with or without a tag, two instances, one Redis.
//! - [`failover`]: two Redis nodes, relays, positions and certificates.
//! - [`journal`]: a part of three of these models: a journal that may miss commits, because its triggers are off or its
//!   rows are hidden.
//! - [`memory`]: a process without Redis that applies the journal to its memory.
//! - [`slots`]: a slot of a Redis Cluster that moves between two masters.
//! - [`timed`]: ticks, watermarks and the staleness bound, also in a split brain.

pub mod coherence;
pub mod coverage;
pub mod failover;
pub mod journal;
pub mod memory;
pub mod redis;
pub mod slots;
pub mod timed;
