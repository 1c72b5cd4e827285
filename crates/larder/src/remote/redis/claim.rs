//! Who uses a namespace, beyond the prefixes under which they keep their keys.
//!
//! Databases with a journal name themselves. Without a journal the application names its database. The first such id claims the
//! namespace; a second one is usually a configuration mistake and is refused. Caches with and without a journal cannot share a
//! namespace: the relay invalidates only keys under its own database's prefix.
//!
//! The prefix, not the claim, prevents wrong values: no race for the claim shows anybody another's rows.

/// Instances with a journal use the namespace. No installation can have this name.
pub(crate) const JOURNALS: &str = "*journal*";

/// Why a namespace is not this installation's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimConflict<'a> {
    /// By another installation.
    By(&'a str),
    /// By databases with a journal.
    ByJournals,
}

/// Whether the claim that stands is another's.
pub(crate) fn find_conflict<'a>(existing: Option<&'a str>, installation: &str) -> Option<ClaimConflict<'a>> {
    match existing? {
        JOURNALS => Some(ClaimConflict::ByJournals),
        existing if existing == installation => None,
        existing => Some(ClaimConflict::By(existing)),
    }
}
