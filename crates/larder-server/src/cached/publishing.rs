//! Implements [`Publisher`] for the cache: a write is published when the entries that it touched are invalidated.

use larder::cache::Cache;
use larder::receipt::Receipt;

use crate::cached::journal::touches_of_write;
use crate::store::writing::{Publisher, Recorded};

impl Publisher for Cache {
    type Receipt = Receipt;

    /// Invalidates the touched entries on every instance.
    async fn publish(self, recorded: Recorded) -> Receipt {
        self.committed(&touches_of_write(&recorded), &recorded.changes).send().await
    }
}
