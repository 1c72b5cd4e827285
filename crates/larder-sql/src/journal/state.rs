//! What a journal keeps between its polls.

use std::time::{Duration, Instant};

use crate::connecting::connection::SqlConnection;
use crate::journal::completeness::{Attestation, Inspection};
use crate::journal::sqlite;

/// While there are defects, the journal inspects again after this time, even if the attestation is the same.
const INSPECTION_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct State {
    pub(super) own: Option<JournalConnection>,
    pub(super) inspected: Option<LastInspection>,
}

/// The journal's own connection, and on SQLite its last answer.
pub(super) struct JournalConnection {
    pub(super) connection: SqlConnection,
    /// On SQLite the identity of the file; see [`file::identity`].
    pub(super) file: String,
    pub(super) seen: Option<sqlite::LastAnswer>,
}

/// The last inspection.
pub(super) struct LastInspection {
    /// The attestation under which the inspection ran.
    pub(super) attested: Attestation,
    pub(super) inspection: Inspection,
    pub(super) at: Instant,
}

impl LastInspection {
    /// Whether a poll with this attestation can use the inspection again.
    pub(super) fn is_good_for(&self, attested: &Attestation) -> bool {
        let is_due = !self.inspection.defects.is_empty() && self.at.elapsed() > INSPECTION_INTERVAL;
        self.attested == *attested && !is_due
    }
}
