//! A tower layer that drops classes of entries after a request has written. A table maps URL pattern and method to
//! classes.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::Router;
//! use axum::routing::post;
//! use larder::cache::Cache;
//! use larder_http::{InvalidationLayer, Rules};
//!
//! let cache = Cache::builder("hotel").build().await?;
//! let rules = Rules::parse(
//!     r#"
//!     [[rule]]
//!     path = '/rooms/\d+/book'
//!     classes = ["rooms", "room_lists"]
//!     "#,
//! )?;
//! let app: Router =
//!     Router::new().route("/rooms/{id}/book", post(|| async {})).layer(InvalidationLayer::new(&cache, rules));
//! # Ok(())
//! # }
//! ```
//!
//! `docs/invalidation-layer.md` says which answers cause an invalidation.

pub mod future;
pub mod layer;
pub mod rules;
pub mod service;

mod file;
mod pending;
