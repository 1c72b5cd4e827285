//! Who uses a namespace, beyond the prefixes under which they keep their keys.
//!
//! Databases with a journal name themselves and keep apart by their keys. What has no journal goes by a name that the
//! application gives, so a namespace is claimed by the first such name: a second one is a mistake of a configuration more often
//! than not. And a journal and none do not go together: instances that follow the journal tell Redis, and nobody tells those
//! that keep their keys elsewhere.
//!
//! The claim guards against mistakes, the prefix against wrong values: no race for the claim shows anybody another's rows.

/// Instances with a journal use the namespace. No installation can have this name.
pub(crate) const JOURNALS: &str = "*journal*";

/// Why a namespace is not this installation's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimed<'a> {
    /// By another installation.
    By(&'a str),
    /// By databases with a journal.
    ByJournals,
}

/// Whether the claim that stands is another's.
pub(crate) fn claimed<'a>(standing: Option<&'a str>, installation: &str) -> Option<Claimed<'a>> {
    match standing? {
        JOURNALS => Some(Claimed::ByJournals),
        standing if standing == installation => None,
        standing => Some(Claimed::By(standing)),
    }
}
