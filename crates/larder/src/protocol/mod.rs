//! The protocol's decisions as pure code: no I/O, no clock of its own, no lock. Production and every proof drive this.

pub mod certificate;
pub mod flight;
pub mod frame;
pub mod lease;
pub mod permit;
pub mod relay;
pub mod rules;
pub mod shard;
pub mod tag;
pub mod token;
