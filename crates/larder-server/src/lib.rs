//! User management served at the speed of memory and never stale: the service that shows larder at full strength.

pub mod api;
pub mod app;
pub mod cached;
pub mod cli;
pub mod dialects;
pub mod domain;
pub mod opening;
pub mod router;
pub mod service;
mod serving;
pub mod settings;
pub mod store;
