//! larder over HTTP for any tower application: a layer that invalidates after writes, and headers and parameters for
//! clients.

#![warn(missing_debug_implementations)]

pub mod consistency;
pub mod headers;
pub mod invalidation;
pub mod stats;
