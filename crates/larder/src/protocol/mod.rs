//! The protocol's decisions as pure code: no I/O, no clock of its own, no lock. Production and every proof drive this.

pub(crate) mod certificate;
pub(crate) mod flight;
pub(crate) mod frame;
pub(crate) mod lease;
pub(crate) mod shard;
pub(crate) mod tag;
pub(crate) mod token;
