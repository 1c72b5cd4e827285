//! Whether the journal is complete: what that rests on, what is wrong with it, and what mends it.
//!
//! Silence says "nothing changed" only while triggers stand on every declared table and their rows reach the outbox. So
//! each pass *attests* that, in the statement that asks for new rows: a digest of the catalog's rows about the outbox, the
//! triggers and their functions, with the numbers of the transactions that wrote them, so that off and on again between two
//! passes shows too. A position carries its attestation; under another one it is unknown. A new attestation is followed by an
//! *inspection*, which finds defects; while there are any, nothing is certified.
//!
//! Invariant `silence_is_attested`: no answer says [`Changes::Known`](larder::journal::Changes::Known) unless what the
//! journal's completeness rests on is, in the answer's snapshot, what it was in the position's.

pub(super) mod postgres;
pub(super) mod sqlite;

pub use crate::completeness::Defect;
pub(super) use crate::completeness::Inspection;

/// What a pass attests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attestation {
    /// The digest that positions carry: the same for every role that asks.
    pub(super) digest: String,
    /// What it looks like to this role and its search path: `t` or `f`, whether row security is active on the outbox; then which
    /// tables the declared names mean. Empty on SQLite.
    pub(super) role_view: String,
}

impl Attestation {
    /// Row security is active on a table of the outbox.
    pub(super) fn is_hidden(&self) -> bool {
        self.role_view.starts_with('t')
    }
}
