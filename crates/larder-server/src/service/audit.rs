//! Reading the audit log.

use crate::domain::audit_query::{AuditCursor, AuditQuery};
use crate::domain::permission::Right;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::store::audit::Entry;

/// A part of the log.
pub struct AuditPage {
    /// The lines, newest first.
    pub entries: Vec<Entry>,
    /// Where the log goes on; `None` at its end.
    pub next: Option<AuditCursor>,
}

impl Service {
    /// A part of the log, for admins and with `audit.read`. Read from the database: nobody asks often, and whoever asks wants the last word.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`], and those of the database.
    pub async fn audit(&self, caller: Caller, query: &AuditQuery) -> Result<AuditPage, ServiceError> {
        self.present(caller).await?.check_permission(Right::ReadAudit)?;
        let asked = query.limit.get();
        // One more than asked for tells whether the log goes on.
        let mut entries = self.store.audit(query, asked + 1).await?;
        let more = entries.len() > asked as usize;
        entries.truncate(asked as usize);
        let next = entries.last().filter(|_| more).map(|entry| AuditCursor(entry.id));
        Ok(AuditPage { entries, next })
    }
}
