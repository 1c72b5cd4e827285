//! Models of the protocol: the production's own decisions, driven through every order of events within small bounds.
//!
//! - [`coherence`]: one key, with or without a tag, two instances over one Redis: the read path and the token tags.
//! - [`failover`]: several Redis nodes, relays, positions and certificates.
//! - [`journal`]: no model, but what three of them share: a journal that may go silent.
//! - [`memory`]: a process that follows the journal for its memory alone.
//! - [`timed`]: ticks, watermarks and the staleness bound in a split brain.

pub mod coherence;
pub mod coverage;
pub mod failover;
pub mod journal;
pub mod memory;
pub mod redis;
pub mod timed;
