//! What one request has dropped, and the line in the log that says so.

use std::fmt;

use larder::cache::Cache;
use larder::receipt::Receipt;

use crate::invalidation::rules::RuleMatch;

/// Why all was dropped that the rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidationReason {
    /// The request was answered: it has written.
    Written,
    /// It failed: it may have written.
    Failed,
    /// Its client is gone: it may have written, or still write.
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

/// An invalidation still to be sent, once or twice.
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
        // The rules, not the path: that may name a person.
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
