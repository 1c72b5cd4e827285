//! User management served at the speed of memory and never stale: the service that shows larder at full strength.

pub mod domain;
pub mod store;
