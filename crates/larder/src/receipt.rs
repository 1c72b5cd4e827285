//! What an invalidation did, for the acknowledgement of its write.

use std::fmt;

/// Whether an invalidation has reached every tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// From now on, every `fresh` read on any instance and every read on this instance sees the write.
    Sent,
    /// Redis was away, the journal is incomplete, or the journal did not accept an invalidation by hand. This instance
    /// sees the write from now on, and uses Redis again only after it has sent the invalidation.
    Queued,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Delivery::Sent => "sent",
            Delivery::Queued => "queued",
        })
    }
}

/// How many copies an invalidation found and removed. Entries that are invalidated by a tag are not counted: they stay
/// until the next read of each finds it invalid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// In this process's memory.
    pub memory: usize,
    /// In Redis: entries, leases and tags' tokens.
    pub redis: u64,
}

/// What an invalidation named and removed, and whether it reached every tier. The acknowledgement of the write should
/// say `sent` or `queued`.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::error::Error> {
/// use larder::cache::Cache;
/// use larder::receipt::Delivery;
///
/// let cache = Cache::builder("docs").build().await?;
/// let rooms = cache.class::<u32, String>("rooms").open()?;
/// let receipt = rooms.invalidate(&7).await;
///
/// assert_eq!(receipt.delivery(), Delivery::Sent);
/// assert_eq!((receipt.keys(), receipt.tags()), (1, 0));
/// assert_eq!(receipt.dropped().memory, 0);
/// # Ok(())
/// # }
/// ```
#[must_use = "a write is acknowledged with its receipt: `sent` and `queued` promise different things"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub(crate) delivery: Delivery,
    pub(crate) keys: usize,
    pub(crate) tags: usize,
    pub(crate) patterns: usize,
    pub(crate) dropped: Dropped,
    pub(crate) is_journalled: bool,
}

impl Receipt {
    /// Whether the invalidation has reached every tier.
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// How many keys were named.
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// How many tags and classes were named.
    pub fn tags(&self) -> usize {
        self.tags
    }

    /// How many patterns were named; clearing everything counts as one.
    pub fn patterns(&self) -> usize {
        self.patterns
    }

    /// How many copies were found and removed, and where.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Whether the database's journal contains the invalidation, so that no crash and no failover can lose it. Always
    /// `true` for [`Cache::committed`](crate::cache::Cache::committed), whose touches the database has journalled.
    /// Always `false` for a permit's put, which invalidates nothing, and for an invalidation by hand without a journal.
    /// If an invalidation by hand could not be written into the journal, it is also `false`: the delivery is then
    /// [`Delivery::Queued`], and the application has to repeat the invalidation.
    pub fn is_journalled(&self) -> bool {
        self.is_journalled
    }
}
