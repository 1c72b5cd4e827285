//! A class: a named kind of value with its key type, value type, policy and operations.

mod builder;
mod handle;

pub use crate::class::builder::ClassBuilder;
pub use crate::class::handle::{Answer, Class, Lookup, ReadBuilder};
