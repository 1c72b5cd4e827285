//! A class: a named kind of value with its key type, value type, policy and operations.

mod builder;
mod cached;
mod handle;
mod hot;
mod loading;
mod lookup;
mod many;
mod opening;
mod warming;

pub use crate::class::builder::ClassBuilder;
pub use crate::class::cached::{CachedReturn, LoadArgument};
#[doc(hidden)]
pub use crate::class::cached::{load_argument, read_cached};
pub use crate::class::handle::{Answer, Class, ReadBuilder};
pub use crate::class::loading::{LoadingClass, LoadingClassBuilder, LoadingRead};
pub use crate::class::lookup::Lookup;
pub use crate::class::many::ReadManyBuilder;
pub use crate::class::warming::WarmReport;
