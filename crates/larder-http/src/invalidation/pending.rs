//! The invalidation that one request causes, and its log line.

use std::fmt;

use larder::cache::Cache;
use larder::receipt::Receipt;

use crate::invalidation::rules::RuleMatch;

/// Why a request's entries were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidationReason {
    /// The request succeeded: it has written.
    Written,
    /// The request failed: it may have written.
    Failed,
    /// The client disconnected: the request may have written, or may still write.
    Abandoned,
}

impl fmt::Display for InvalidationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidationReason::Written => "written",
            InvalidationReason::Failed => "failed",
            InvalidationReason::Abandoned => "abandoned",
        })
    }
}

/// The invalidation of one request. [`run_to_end`](super::future::run_to_end) sends it once, or twice if the client
/// disconnects.
#[derive(Clone)]
pub(super) struct PendingInvalidation {
    cache: Cache,
    matched: RuleMatch,
}

impl PendingInvalidation {
    pub(super) fn new(cache: Cache, matched: RuleMatch) -> Self {
        PendingInvalidation { cache, matched }
    }

    pub(super) async fn run(self, reason: InvalidationReason) -> Receipt {
        let RuleMatch { method, patterns, tags } = &self.matched;
        let mut invalidation = self.cache.invalidation();
        for tag in tags {
            invalidation = invalidation.tag(tag);
        }
        let receipt = invalidation.send().await;
        // Log the rules and not the path, because a path may contain personal data.
        tracing::info!(
            action = "cache_invalidation",
            cause = %reason,
            %method,
            rules = patterns.join(" "),
            dropped = tags.join(" "),
            delivery = %receipt.delivery(),
            journalled = receipt.is_journalled(),
            "entries dropped"
        );
        receipt
    }
}
