//! `Cache-Status` (RFC 9211) for reads, `Cache-Invalidation` for writes.

use http::{HeaderName, HeaderValue};
use larder::class::Answer;
use larder::receipt::{Delivery, Receipt};
use larder::source::{Placement, Source};

/// `Cache-Status`, as RFC 9211 names it.
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// `Cache-Invalidation: sent` or `queued`: see [`Delivery`].
pub const CACHE_INVALIDATION: HeaderName = HeaderName::from_static("cache-invalidation");

/// The value of [`CACHE_STATUS`] for an answer of the cache. The `detail` of a hit is the tier; the `detail` of a load
/// whose answer is stored nowhere is the reason. A hit whose TTL has ended has a negative `ttl`, in seconds.
///
/// # Examples
///
/// ```
/// use larder::class::Answer;
/// use larder::source::{Placement, Source, NotStoredReason};
/// use larder_http::headers::cache_status;
///
/// let hit = Answer { value: Some(std::sync::Arc::new(7)), source: Source::Memory, is_shared: false, stale_by: None };
/// assert_eq!(cache_status(&hit), "larder; hit; detail=memory");
///
/// let stale = Answer { stale_by: Some(std::time::Duration::from_millis(29_100)), ..hit.clone() };
/// assert_eq!(cache_status(&stale), "larder; hit; detail=memory; ttl=-30");
///
/// let joined = Answer { source: Source::Load { placement: Placement::Redis }, is_shared: true, ..hit };
/// assert_eq!(cache_status(&joined), "larder; fwd=miss; stored; collapsed");
///
/// let large = Answer { source: Source::Load { placement: Placement::Nowhere(NotStoredReason::TooLarge) }, is_shared:
/// false, ..joined };
/// assert_eq!(cache_status(&large), "larder; fwd=miss; detail=too-large");
/// ```
pub fn cache_status<V>(answer: &Answer<V>) -> HeaderValue {
    let fresh = fresh_status(answer);
    let Some(stale_by) = answer.stale_by else { return fresh };
    // RFC 9211: `ttl` is the remaining freshness in seconds, negative if the answer is stale. The number is rounded up,
    // so that it is never zero.
    let seconds = stale_by.as_millis().div_ceil(1_000).max(1);
    let text = fresh.to_str().map(|fresh| format!("{fresh}; ttl=-{seconds}"));
    text.ok().and_then(|text| HeaderValue::from_str(&text).ok()).unwrap_or(fresh)
}

fn fresh_status<V>(answer: &Answer<V>) -> HeaderValue {
    HeaderValue::from_static(match (answer.source, answer.is_shared) {
        (Source::Memory, _) => "larder; hit; detail=memory",
        (Source::Redis, false) => "larder; hit; detail=redis",
        (Source::Redis, true) => "larder; hit; detail=redis; collapsed",
        (Source::Load { placement: Placement::Memory | Placement::Redis }, false) => {
            "larder; fwd=miss; stored"
        }
        (Source::Load { placement: Placement::Memory | Placement::Redis }, true) => {
            "larder; fwd=miss; stored; collapsed"
        }
        (Source::Load { placement: Placement::Nowhere(why) }, joined) => {
            let collapsed = if joined { "; collapsed" } else { "" };
            let value = format!("larder; fwd=miss{collapsed}; detail={}", why.as_str());
            // The reason has only letters and hyphens, so the value is always valid.
            return HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("larder; fwd=miss"));
        }
        (Source::Bypass, _) => "larder; fwd=bypass",
        // A later release may have another source. Then the header names the cache and has no parameter.
        _ => "larder",
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
