//! larder over HTTP, for any application: what a read and a write tell their client.

pub mod consistency;
pub mod headers;
