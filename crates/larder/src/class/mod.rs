//! A named kind of value: its key type, its value type, its policy, and the verbs.

mod handle;
mod opening;

pub use crate::class::handle::{Answer, Class, Read};
pub use crate::class::opening::ClassBuilder;
