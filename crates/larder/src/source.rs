//! Where an answer came from.

/// The tier or load that answered one read.
///
/// # Examples
///
/// ```
/// use larder::source::Source;
///
/// assert!(Source::Memory.is_hit());
/// assert!(!Source::Load { stored: true }.is_hit());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// This process's memory.
    Memory,
    /// Redis.
    Redis,
    /// The loader, because no tier could answer.
    Load {
        /// Whether the answer was stored for later reads. It is not when an invalidation overtook the load,
        /// when the policy keeps no absent answers, or when the tier could not be reached.
        stored: bool,
    },
    /// The loader, because the caches were passed by: switched off, a read inside a load, or a load that was
    /// [spoiled](crate::loading::spoil).
    Bypass,
}

impl Source {
    /// Whether a cache tier answered.
    pub fn is_hit(self) -> bool {
        matches!(self, Source::Memory | Source::Redis)
    }
}
