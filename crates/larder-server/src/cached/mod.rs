//! The classes of the cache and how each is loaded. Triggers of the database record which entries a write touches
//! (makes invalid). They are generated from the rows in `classes.rs`.
//!
//! A secret cannot be the value of a class: this does not compile.
//!
//! ```compile_fail,E0277
//! # use larder_server::store::passwords::Login;
//! # fn open(cache: larder::cache::Cache) {
//! let stolen = cache.class::<String, Login>("stolen");
//! # }
//! ```
//!
//! The same code with a cacheable value compiles.
//!
//! ```
//! # use larder_server::domain::user::User;
//! # fn open(cache: larder::cache::Cache) {
//! let details = cache.class::<String, User>("details");
//! # }
//! ```

pub mod class_row;
pub mod classes;
mod declaring;
pub mod journal;
mod keys;
pub mod lists;
pub mod policies;
pub mod profiles;
mod publishing;
pub(crate) mod rendered;
mod statistics;
mod users;
