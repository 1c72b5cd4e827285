//! Checks whether the journal is complete: what completeness depends on, the defects, and their remedies.
//!
//! *Silence*: a change of a declared table adds no row to the outbox, for example because the table's triggers are
//! switched off.
//!
//! If there is silence, an outbox without new rows does not prove that nothing changed. So each poll computes an
//! *attestation* in the statement that reads new rows. On PostgreSQL it is a digest of the catalog's rows about the
//! outbox, the triggers and their functions. The digest includes the numbers of the transactions that wrote these
//! catalog rows, so it also changes if a trigger was switched off and on again between two polls. On SQLite the
//! attestation is the version of the schema.
//!
//! A position contains its attestation. If the attestation has changed, the changes since the position are unknown.
//! After a new attestation the journal runs an *inspection*, which finds defects. While there are defects, each poll
//! fails and the relay certifies nothing.
//!
//! Invariant `silence_is_attested`: if an answer is [`Changes::Known`](larder::journal::Changes::Known), the
//! attestation in the answer's snapshot equals the attestation in the position.

mod columns;
pub(super) mod facts;
pub(super) mod postgres;
pub(super) mod sqlite;

pub use crate::inspected::Defect;
pub(super) use crate::inspected::Inspection;
pub(super) use columns::missing_column;

use crate::journal::table::Table;

/// The defect of a declared table that the search path does not find.
fn absent_table(table: &Table) -> Defect {
    Defect::new(format!(
        "the table {:?} is not there: allowed is a name as the database stores it, without its schema (letter case counts, and \
         PostgreSQL stores an unquoted name in lower case)",
        table.name()
    ))
}

/// The attestation of one poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attestation {
    /// The digest that positions contain. It is the same for every role that asks.
    pub(super) digest: String,
    /// The part that depends on the role and its search path. It begins with `t` if row security is active on the
    /// outbox, else with `f`. The rest says which tables the declared names mean. Empty on SQLite.
    pub(super) role_view: String,
}

impl Attestation {
    /// Whether row security is active on a table of the outbox.
    pub(super) fn is_hidden(&self) -> bool {
        self.role_view.starts_with('t')
    }
}
