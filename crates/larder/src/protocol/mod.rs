//! The protocol's decisions as pure code: no I/O, no clock, no lock. Production, the model and the schedules call the
//! same functions, so a proof runs the code that ships.

pub mod aging;
pub mod certificate;
pub mod flight;
pub mod frame;
pub mod lease;
pub mod permit;
pub mod relay;
pub mod rules;
pub mod shard;
pub mod slots;
pub mod tag;
pub mod token;
