//! What a pass asks the database for, and what one statement answers.

use std::time::Duration;

use larder::journal::{DatabaseId, Position};

use crate::journal::position;

/// What a pass asks for.
#[derive(Clone, Copy)]
pub(super) struct JournalQuery<'a> {
    pub(super) position: Option<&'a Position>,
    /// More rows than this are not brought.
    pub(super) limit: usize,
    pub(super) trusts_silence: bool,
}

impl JournalQuery<'_> {
    /// Whether the journal can go on from a position of this database that was taken under `attestation`.
    pub(super) fn is_attested(&self, then: &position::Parts<'_>, attestation: &str) -> bool {
        self.trusts_silence || then.attestation == attestation
    }
}

/// What one statement said, all of one snapshot.
pub(super) struct JournalAnswer {
    pub(super) database: DatabaseId,
    /// For how long the database has been called so, where it was called something else before.
    pub(super) age: Option<Duration>,
    pub(super) position: Position,
    /// `None`: the changes since the position cannot be determined, so everything counts as touched.
    pub(super) rows: Option<Vec<OutboxRow>>,
    /// Row security was not active in the statement's snapshot, and it saw at least one row of the outbox, which is never empty.
    pub(super) shows_outbox: bool,
}

/// One row of the outbox.
pub(super) struct OutboxRow {
    /// Names the change that it belongs to.
    pub(super) change: String,
    /// As bytes, for SQLite does not keep text from being no text.
    pub(super) touched: Vec<u8>,
}
