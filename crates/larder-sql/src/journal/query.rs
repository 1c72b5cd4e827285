//! The arguments and the answer of the one statement with which a poll reads the journal.

use std::time::Duration;

use larder::journal::{DatabaseId, Position};

use crate::journal::position;

/// The arguments of a poll.
#[derive(Clone, Copy)]
pub(super) struct JournalQuery<'a> {
    pub(super) position: Option<&'a Position>,
    /// If there are more rows than this, the poll returns none of them.
    pub(super) limit: usize,
    pub(super) trusts_silence: bool,
}

impl JournalQuery<'_> {
    /// Whether a consumer can continue from the position `then` if the attestation is now `attestation`.
    pub(super) fn is_attested(&self, then: &position::Parts<'_>, attestation: &str) -> bool {
        self.trusts_silence || then.attestation == attestation
    }
}

/// The statement's answer, all of one snapshot.
pub(super) struct JournalAnswer {
    pub(super) database: DatabaseId,
    /// For how long the database has had this identity; `None` if its identity never changes.
    pub(super) age: Option<Duration>,
    pub(super) position: Position,
    /// `None`: the changes since the position cannot be determined, so everything counts as touched.
    pub(super) rows: Option<Vec<OutboxRow>>,
    /// Whether the statement saw the outbox: row security was not active, and there was at least one row. An outbox is
    /// never empty.
    pub(super) shows_outbox: bool,
}

/// One row of the outbox.
pub(super) struct OutboxRow {
    /// The id of the change that the row belongs to.
    pub(super) change: String,
    /// The touches as JSON. Bytes, because SQLite also stores invalid UTF-8 as TEXT.
    pub(super) touched: Vec<u8>,
}

/// What a transaction has changed, before its commit.
pub(super) enum OwnRows {
    /// Its rows of the outbox.
    Known(Vec<OutboxRow>),
    /// It changed what rows a table has without firing a trigger. The journal stays complete.
    Everything,
    /// It changed rows that the journal may not have.
    Silent,
}
