//! What one request has dropped, and the line in the log that says so.

use std::fmt;

use larder::cache::Cache;
use larder::receipt::Receipt;

use crate::invalidation::rules::Meant;

/// Why all was dropped that the rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The request was answered: it has written.
    Written,
    /// It failed: it may have written.
    Failed,
    /// Its client is gone: it may have written, or still write.
    Abandoned,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Written => "written",
            Reason::Failed => "failed",
            Reason::Abandoned => "abandoned",
        })
    }
}

/// An invalidation still to be sent, once or twice.
#[derive(Clone)]
pub(super) struct Work {
    cache: Cache,
    meant: Meant,
}

impl Work {
    pub(super) fn new(cache: Cache, meant: Meant) -> Self {
        Work { cache, meant }
    }

    pub(super) async fn run(self, reason: Reason) -> Receipt {
        let Meant { method, patterns, tags } = &self.meant;
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
