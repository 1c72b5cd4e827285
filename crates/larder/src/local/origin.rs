//! How something entered memory.

/// How a copy entered memory. It decides what ends the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The guard reports the copy's changes. The guard is Redis on the tracked connection, or without Redis the journal
    /// consumer. The copy may be served only while the guard's validity lasts.
    Guarded,
    /// As `Guarded`, and loaded by this process for a memory-only class. Its tags' tokens are guarded too.
    Anchored,
    /// No guard reports the copy's changes: only its deadline and invalidations in this process end it.
    Timed,
}
