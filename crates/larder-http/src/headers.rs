//! `Cache-Status` (RFC 9211) for reads, `Cache-Invalidation` for writes.

use http::{HeaderName, HeaderValue};
use larder::class::Answer;
use larder::receipt::{Delivery, Receipt};
use larder::source::Source;

/// `Cache-Status`, as RFC 9211 names it.
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// `Cache-Invalidation: sent` or `queued`: see [`Delivery`].
pub const CACHE_INVALIDATION: HeaderName = HeaderName::from_static("cache-invalidation");

/// The value of [`CACHE_STATUS`] for an answer of the cache: a hit names the tier as its `detail`.
///
/// # Examples
///
/// ```
/// use larder::class::Answer;
/// use larder::source::Source;
/// use larder_http::headers::cache_status;
///
/// let hit = Answer { value: Some(std::sync::Arc::new(7)), source: Source::Memory, joined: false };
/// assert_eq!(cache_status(&hit), "larder; hit; detail=memory");
///
/// let joined = Answer { source: Source::Load { stored: true }, joined: true, ..hit };
/// assert_eq!(cache_status(&joined), "larder; fwd=miss; stored; collapsed");
/// ```
pub fn cache_status<V>(answer: &Answer<V>) -> HeaderValue {
    HeaderValue::from_static(match (answer.source, answer.joined) {
        (Source::Memory, _) => "larder; hit; detail=memory",
        (Source::Redis, false) => "larder; hit; detail=redis",
        (Source::Redis, true) => "larder; hit; detail=redis; collapsed",
        (Source::Load { stored: true }, false) => "larder; fwd=miss; stored",
        (Source::Load { stored: true }, true) => "larder; fwd=miss; stored; collapsed",
        (Source::Load { stored: false }, false) => "larder; fwd=miss",
        (Source::Load { stored: false }, true) => "larder; fwd=miss; collapsed",
        (Source::Bypass, _) => "larder; fwd=bypass",
    })
}

/// The value of [`CACHE_INVALIDATION`] for a write's receipt.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::error::Error> {
/// use larder::cache::Cache;
/// use larder_http::headers::cache_invalidation;
///
/// let receipt = Cache::builder("docs").build().await?.invalidation().send().await;
/// assert_eq!(cache_invalidation(receipt), "sent");
/// # Ok(())
/// # }
/// ```
pub fn cache_invalidation(receipt: Receipt) -> HeaderValue {
    HeaderValue::from_static(match receipt.delivery() {
        Delivery::Sent => "sent",
        Delivery::Queued => "queued",
    })
}
