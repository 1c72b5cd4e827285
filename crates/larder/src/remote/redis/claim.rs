//! The claim of a namespace: which installation uses it, or that instances with a journal do.
//!
//! A journal names its database. Without a journal, the application names the database, and the first cache stores this
//! name as the claim. A cache with a second name is refused, because that is usually a configuration mistake. Caches
//! with and without a journal cannot share a namespace: the relay invalidates only keys under its own database's
//! prefix.
//!
//! The prefix, not the claim, prevents wrong values: even if two installations race for the claim, neither reads the
//! other's entries.

/// The claim's value if instances with a journal use the namespace. No installation can have this name.
pub(crate) const JOURNALS: &str = "*journal*";

/// Why this installation may not use a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimConflict<'a> {
    /// Another installation has claimed the namespace.
    By(&'a str),
    /// Instances with a journal use the namespace.
    ByJournals,
}

/// The conflict of the `existing` claim with `installation`, if there is one.
pub(crate) fn find_conflict<'a>(existing: Option<&'a str>, installation: &str) -> Option<ClaimConflict<'a>> {
    match existing? {
        JOURNALS => Some(ClaimConflict::ByJournals),
        existing if existing == installation => None,
        existing => Some(ClaimConflict::By(existing)),
    }
}
