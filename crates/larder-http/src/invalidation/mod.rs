//! A tower layer that drops classes of entries when a request has written: URL pattern × method → classes.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::Router;
//! use axum::routing::post;
//! use larder::cache::Cache;
//! use larder_http::invalidation::layer::InvalidationLayer;
//! use larder_http::invalidation::rules::Rules;
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
//! What it drops when is told in `docs/invalidation-layer.md`.

pub mod future;
pub mod layer;
pub mod rules;
pub mod service;

mod file;
mod pending;
