//! A named kind of value: its key type, its value type, its policy, and the verbs.

mod builder;
mod handle;

pub use crate::class::builder::ClassBuilder;
pub use crate::class::handle::{Answer, Class, ReadBuilder};
