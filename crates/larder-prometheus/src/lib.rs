//! The counts of a larder cache in the text format of Prometheus, for the `/metrics` of any application.
//!
//! [`text`] does no I/O; [`text_with_redis`] also asks the Redis server for its figures. Both return complete families
//! and end with a line end, so an application appends them to any other text of the format. `docs/metrics.md` lists the
//! metrics.
//!
//! # Examples
//!
//! An application that has no metrics yet answers with the text and its [`CONTENT_TYPE`]. An application that already
//! has metrics appends the text to its own:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let cache = larder::Cache::builder("hotel").build().await?;
//! // The crate `metrics`, with `metrics-exporter-prometheus`:
//! let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
//! let answer = recorder.handle().render() + &larder_prometheus::text(&cache);
//! # assert!(answer.contains("larder_cache_health"));
//!
//! // The crate `prometheus`:
//! let registry = prometheus::Registry::new();
//! let families = registry.gather();
//! let answer = prometheus::TextEncoder::new().encode_to_string(&families)? + &larder_prometheus::text(&cache);
//! # assert!(answer.contains("larder_cache_health"));
//!
//! // The crate `prometheus-client`, which writes OpenMetrics:
//! use prometheus_client::encoding::text::{encode_eof, encode_registry};
//! let registry = prometheus_client::registry::Registry::default();
//! let mut answer = String::new();
//! encode_registry(&mut answer, &registry)?;
//! answer += &larder_prometheus::Exporter::new(&cache).openmetrics().text();
//! encode_eof(&mut answer)?;
//! # assert!(answer.contains("larder_cache_health") && answer.ends_with("# EOF\n"));
//! # Ok(())
//! # }
//! ```

#![warn(missing_debug_implementations)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod auditors;
mod exporter;
mod exposition;
pub mod family;
mod figures;

use larder::Cache;

pub use crate::exporter::Exporter;

/// The `Content-Type` of the text: version 0.0.4 of the format, which every Prometheus reads.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4";

/// The counts of `cache` and its classes at this instant, without I/O.
///
/// For several caches of one process use [`Exporter::named`]: two of these texts in one answer would have each series
/// twice, which the format does not allow.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::Error> {
/// let cache = larder::Cache::builder("hotel").build().await?;
/// let _rooms = cache.class::<u32, String>("rooms").open()?;
/// assert!(larder_prometheus::text(&cache).contains("larder_cache_loads_total{class=\"rooms\"} 0\n"));
/// # Ok(())
/// # }
/// ```
pub fn text(cache: &Cache) -> String {
    Exporter::new(cache).text()
}

/// [`text`], and the figures of the cache's Redis server. See [`Exporter::text_with_redis`].
pub async fn text_with_redis(cache: &Cache) -> String {
    Exporter::new(cache).text_with_redis().await
}
