//! A hybrid cache, in-process and Redis, in front of a database.
//!
//! With a journal, no answer is behind the database by more than the staleness bound (2 s by default), under every
//! failure that the project's tests produce. The limits are in `docs/staleness.md`.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), larder::Error> {
//! use std::time::Duration;
//! use larder::Cache;
//!
//! let cache = Cache::builder("hotel").build().await?; // .redis("redis://…") shares it between instances
//! let rooms = cache
//!     .class::<u32, String>("rooms")
//!     .ttl(Duration::from_secs(180))
//!     .absent_for(Duration::from_secs(30))
//!     .open()?;
//!
//! let room = rooms.get_or_load(&7, || async { Ok::<_, std::io::Error>("sea view".to_owned()) }).await?;
//! assert_eq!(room.as_deref().map(String::as_str), Some("sea view"));
//!
//! // A write: commit to the database, then invalidate, then acknowledge.
//! let receipt = rooms.invalidate(&7).await;
//! assert_eq!(receipt.delivery().to_string(), "sent");
//! # Ok(())
//! # }
//! ```
//!
//! In the repository, `docs/staleness.md` says on which conditions the bound depends; `ARCHITECTURE.md` says how the
//! code keeps it.

#![warn(missing_debug_implementations)]
#![cfg_attr(
    not(feature = "redis"),
    allow(dead_code, reason = "without Redis no code calls the shared tier's half of the engine")
)]

mod aging;
mod allocation;
pub mod audit;
mod batch;
mod breaker;
mod builder;
pub mod cache;
pub mod cause;
pub mod class;
#[cfg(not(feature = "proof"))]
mod clock;
#[cfg(feature = "proof")]
#[doc(hidden)]
pub mod clock;
pub mod codec;
mod compression;
mod condition;
mod deep_size;
mod digest;
mod engine;
pub mod error;
mod event_sender;
pub mod events;
pub mod health;
pub mod introspection;
pub mod invalidation;
pub mod journal;
pub mod key;
mod key_parts;
mod key_text;
mod key_types;
mod loaded;
pub mod loading;
mod local;
mod pattern;
pub mod permit;
pub mod policy;
mod polls;
pub mod protection;
#[cfg(not(feature = "proof"))]
mod protocol;
#[cfg(feature = "proof")]
#[doc(hidden)]
pub mod protocol;
pub mod receipt;
#[cfg(feature = "redis")]
pub mod redis_options;
mod remote;
pub mod source;
pub mod stats;
mod sync;
mod tag;
#[cfg(feature = "testing")]
pub mod testing;
pub mod times;
pub mod tuning;
pub mod uncached;
pub mod values;

pub use crate::builder::Builder;
pub use crate::cache::Cache;
pub use crate::class::{Answer, Class, LoadingClass, Lookup};
pub use crate::codec::Codec;
pub use crate::error::Error;
pub use crate::events::{Event, Events};
pub use crate::journal::{Journal, Touch};
pub use crate::key::Key;
pub use crate::loaded::{IntoLoaded, Loaded, Previous};
pub use crate::policy::{Consistency, Policy};
pub use crate::receipt::{Delivery, Receipt};
pub use crate::tag::{Tag, tag};
// The examples are here and not in `larder-macros`: they need this crate, and a macro's crate that needs it makes Cargo
// compile this crate and its dependencies twice.
/// # Examples
///
/// ```
/// #[derive(larder::Key)]
/// struct Page { category: i64, page: u32 }
///
/// assert_eq!(<Page as larder::Key>::columns(), Some(&["category", "page"] as &[&str]));
/// ```
///
/// ```
/// #[derive(larder::Key)]
/// #[key(rename_all = "snake_case")]
/// enum State { Free, CheckedOut }
///
/// assert_eq!(larder::tag("state", State::CheckedOut), larder::tag("state", "checked_out"));
/// ```
///
/// ```compile_fail
/// #[derive(larder::Key)]
/// struct Page<'a> { name: &'a str }
/// ```
///
/// ```compile_fail
/// #[derive(larder::Key)]
/// struct Page { price: f64 }
/// ```
#[cfg(feature = "macros")]
pub use larder_macros::Key;

/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> anyhow::Result<()> {
/// use std::sync::Arc;
/// use larder::{Cache, Class, cached};
///
/// #[derive(Clone)]
/// struct Products { by_id: Class<i64, String> } // and the pool
///
/// impl Products {
///     #[cached(class = self.by_id)]
///     async fn find(&self, id: i64) -> anyhow::Result<Option<Arc<String>>> {
///         println!("SELECT name FROM products WHERE id = {id}");
///         Ok((id == 7).then(|| Arc::new("lamp".to_owned())))
///     }
/// }
///
/// let cache = Cache::builder("docs").build().await?;
/// let products = Products { by_id: cache.class("product").open()? };
/// for _ in 0..2 {
///     assert_eq!(products.find(7).await?.as_deref().map(String::as_str), Some("lamp")); // one query
/// }
/// let _receipt = products.by_id.invalidate(&7).await;
/// # Ok(())
/// # }
/// ```
///
/// The load gets a clone of `self`, so this does not compile without `Clone`:
///
/// ```compile_fail,E0277
/// struct Products { by_id: larder::Class<i64, String> }
///
/// impl Products {
///     #[larder::cached(class = self.by_id)]
///     async fn find(&self, id: i64) -> anyhow::Result<String> {
///         Ok(format!("product {id}"))
///     }
/// }
/// ```
///
/// This does not compile, because the returned value is not a value of the class:
///
/// ```compile_fail,E0277
/// #[larder::cached(class = numbers, skip(numbers))]
/// async fn name(numbers: &larder::Class<i64, u64>, id: i64) -> anyhow::Result<String> {
///     Ok(format!("product {id}"))
/// }
/// ```
///
/// This does not compile, because the error cannot be made from an error of the read, such as a time-out:
///
/// ```compile_fail,E0277
/// #[larder::cached(class = names, skip(names))]
/// async fn name(names: &larder::Class<i64, String>, id: i64) -> Result<String, std::io::Error> {
///     Ok(format!("product {id}"))
/// }
/// ```
///
/// In the repository, `docs/cached.md` has the rules.
#[cfg(feature = "macros")]
pub use larder_macros::cached;

/// Compiles the example of the crate's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
