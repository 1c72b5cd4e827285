//! Reads the audit log.

use crate::domain::audit_query::{AuditCursor, AuditQuery};
use crate::domain::permission::Right;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::store::audit::Entry;

/// One page of the log.
pub struct AuditPage {
    /// The entries, newest first.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<AuditCursor>,
}

impl Service {
    /// One page of the log, for admins and callers with `audit.read`. It is read from the database and not cached:
    /// reads are rare, and each has to show the newest entries.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], and errors of the database.
    pub async fn audit(&self, caller: Caller, query: &AuditQuery) -> Result<AuditPage, ServiceError> {
        self.present(caller).await?.check_permission(Right::ReadAudit)?;
        let asked = query.limit.get();
        // One entry more than asked for shows whether there is a next page.
        let mut entries = self.store.audit(query, asked + 1).await?;
        let more = entries.len() > asked as usize;
        entries.truncate(asked as usize);
        let next = entries.last().filter(|_| more).map(|entry| AuditCursor(entry.id));
        Ok(AuditPage { entries, next })
    }
}
