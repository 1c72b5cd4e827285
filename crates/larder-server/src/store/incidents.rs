//! Entries of the audit log that belong to no change.

use crate::domain::audit::{Actor, Event};
use crate::store::audit;
use crate::store::error::StoreError;
use crate::store::writing::Writer;

impl Writer {
    /// Writes events that no transaction changed anything for, such as refusals, each with its own actor.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn record_events(&self, events: &[(Actor, Event)]) -> Result<(), StoreError> {
        let mut write = self.begin().await?;
        for (actor, event) in events {
            audit::record(&mut write, *actor, std::slice::from_ref(event)).await?;
        }
        // The events are written above.
        self.commit(write, &[]).await
    }
}
