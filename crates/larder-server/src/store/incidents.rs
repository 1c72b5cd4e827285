//! Entries of the audit log that belong to no change.

use crate::domain::audit::{Actor, Event};
use crate::store::audit;
use crate::store::error::StoreError;
use crate::store::writing::Writer;

impl Writer {
    /// Writes events that belong to no change, such as refusals, each with its own actor.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn record_events(&self, events: &[(Actor, Event)]) -> Result<(), StoreError> {
        let mut write = self.begin().await?;
        for (actor, event) in events {
            audit::record(&mut write, *actor, std::slice::from_ref(event)).await?;
        }
        // The loop above has written the events, so `commit` gets none.
        self.commit(write, &[]).await
    }
}
