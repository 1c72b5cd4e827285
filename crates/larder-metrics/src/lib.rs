//! The counts of a larder cache in the facade `metrics`, for any of its exporters.
//!
//! larder counts by itself, so that a hit costs one relaxed addition. An [`Adapter`] copies the counts to the recorder
//! that the application has installed: when it is asked to, or each few seconds. The names, labels and help texts are
//! those of `larder-prometheus`; `docs/metrics.md` lists them.
//!
//! # Examples
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), larder::Error> {
//! let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
//! let handle = recorder.handle();
//! metrics::set_global_recorder(recorder).expect("there is no other recorder");
//!
//! let cache = larder::Cache::builder("hotel").build().await?;
//! let rooms = cache.class::<u32, String>("rooms").open()?;
//! rooms.get_or_load(&7, || async { Ok::<_, std::io::Error>("sea view".to_owned()) }).await?;
//!
//! larder_metrics::Adapter::new(&cache).record();
//! assert!(handle.render().contains("larder_cache_misses_total{class=\"rooms\"} 1\n"));
//! # Ok(())
//! # }
//! ```

#![warn(missing_debug_implementations)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod adapter;

pub use crate::adapter::Adapter;
