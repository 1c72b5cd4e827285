//! The settings of a class by which its entries age; see `protocol::aging`.

use std::time::Duration;

/// When the entries of a class are refreshed, and how long they are used after their TTL.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Aging {
    /// From this share of the TTL on, a read refreshes the entry.
    pub refresh_ahead: Option<f64>,
    /// The factor β of XFetch, which refreshes entries at random times before their TTL ends: the larger β is, the
    /// earlier.
    pub early_refresh: Option<f64>,
    /// How long after its TTL an entry is served while it is refreshed.
    pub stale_while_revalidate: Duration,
    /// How long after its TTL an entry is served if its load fails.
    pub stale_if_error: Duration,
}

impl Aging {
    /// How long after its TTL an entry can be used.
    pub fn stale_for(&self) -> Duration {
        self.stale_while_revalidate.max(self.stale_if_error)
    }

    /// Whether an entry is served if its load fails.
    pub fn is_stale_if_error(&self) -> bool {
        !self.stale_if_error.is_zero()
    }
}
