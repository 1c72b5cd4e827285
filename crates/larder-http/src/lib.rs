//! larder over HTTP for any tower application: a layer that invalidates after writes, and headers and parameters for
//! clients.

#![warn(missing_debug_implementations)]

#[cfg(feature = "admin")]
pub mod admin;
pub mod consistency;
pub mod headers;
pub mod invalidation;
pub mod stats;

pub use crate::invalidation::layer::InvalidationLayer;
pub use crate::invalidation::rules::{Rule, Rules};

/// Compiles the example of the page about the layer.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/invalidation-layer.md")]
struct Page;

/// Compiles the example of the page about the admin page.
#[cfg(all(doctest, feature = "admin"))]
#[doc = include_str!("../../../docs/admin.md")]
struct AdminPageDocs;
