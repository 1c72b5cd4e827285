//! larder over HTTP, for any application: what a write drops, and what a read and a write tell their client.

pub mod consistency;
pub mod headers;
pub mod invalidation;
pub mod stats;
