//! What the samples have shown: of a key, and of a class.

use std::time::Duration;

use crate::clock::Tick;

/// The sizes of a curve, in eighths of the budget.
pub(crate) const SIZES: [u64; 10] = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16];
/// Which of them is the budget itself.
pub(crate) const PRESENT: usize = 6;
/// What a count is worth after one more round.
pub(crate) const FADE: f64 = 0.9;

/// A row of a map from `u32` to [`Known`], with its share of free places.
pub(crate) const KNOWN_BYTES: usize = 56;
/// A copy that is removed at most so long before its TTL ends counts as ended by it: Redis reports the end of a TTL as it
/// reports an invalidation, and its clock and ours differ a little.
const SLACK: Duration = Duration::from_millis(100);

/// What is known of a sampled key that has been read.
pub(crate) struct Known {
    pub(crate) class: u16,
    /// When the TTL of its copy ends; `None`: the copy was there before the sampling began.
    pub(crate) until: Option<Tick>,
}

impl Known {
    /// Why a copy that was removed at about `now` has ended.
    pub(crate) fn removed_at(&self, now: Tick) -> End {
        match self.until {
            None => End::Unknown,
            Some(until) if until <= now.plus(SLACK) => End::Expired,
            Some(_) => End::Invalidated,
        }
    }
}

/// By what a copy has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its TTL.
    Expired,
    /// An invalidation of its key or of a tag.
    Invalidated,
    /// Memory was cleared, or its TTL is not known.
    Unknown,
}

impl End {
    /// A TTL ends only what memory holds: what it has evicted, or never admitted, would have been loaded with any TTL.
    pub(crate) fn if_held(self, is_held: bool) -> End {
        match self {
            End::Expired if !is_held => End::Unknown,
            end => end,
        }
    }
}

/// What the samples of one class have shown. The counts are sums that fade.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ClassWindow {
    /// Sampled reads.
    pub(crate) reads: f64,
    /// Of those: the real memory did not answer. The misses of a simulation are compared with these, and not with the
    /// number of sampled reads: whether the most used key is in the sample changes the reads a lot and the misses little
    /// (as SHARDS-adj, which corrects the expected number of reads).
    pub(crate) fills: f64,
    /// Of those: no memory could have answered, because the key was new, or its copy had ended.
    pub(crate) unavoidable: f64,
    /// Of the unavoidable: the TTL had ended.
    pub(crate) expired: f64,
    /// Of the unavoidable: the copy was invalidated.
    pub(crate) invalidated: f64,
    /// The misses of each size.
    pub(crate) misses: [f64; SIZES.len()],
}

impl ClassWindow {
    pub(crate) fn fade(&mut self) {
        let ClassWindow { reads, fills, unavoidable, expired, invalidated, misses } = self;
        let counts = [reads, fills, unavoidable, expired, invalidated];
        counts.into_iter().chain(misses).for_each(|count| *count *= FADE);
    }
}
