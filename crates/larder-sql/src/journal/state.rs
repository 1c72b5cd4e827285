//! What a journal keeps between its polls.

use std::time::{Duration, Instant};

use larder::journal::{DatabaseId, Position};

use crate::connecting::connection::SqlConnection;
use crate::journal::completeness::{Attestation, Inspection};

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
    pub(super) seen: Option<LastAnswer>,
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

/// The last answer on the journal's connection, on SQLite. Polls return it again until another connection commits.
pub(super) struct LastAnswer {
    /// The result of `PRAGMA data_version`, which every commit of another connection changes.
    pub(super) version: i64,
    pub(super) database: DatabaseId,
    pub(super) position: Position,
    pub(super) attested: Attestation,
}
