//! A class: a named kind of value with its key type, value type, policy and operations.

mod auditing;
mod builder;
mod cached;
mod handle;
mod hot;
mod loaders;
mod loading;
mod lookup;
mod many;
mod memory;
mod opening;
mod warming;

pub use crate::class::builder::ClassBuilder;
#[doc(hidden)]
pub use crate::class::cached::{
    CachedFor, CachedForValue, CachedLoad, CachedTags, CachedTtl, cached_for, cached_tag, cached_tags,
    load_argument, read_cached,
};
pub use crate::class::cached::{CachedReturn, LoadArgument};
pub use crate::class::handle::{Answer, Class, ReadBuilder};
pub use crate::class::loading::{LoadingClass, LoadingClassBuilder, LoadingRead};
pub use crate::class::lookup::Lookup;
pub use crate::class::many::ReadManyBuilder;
pub use crate::class::warming::WarmReport;
