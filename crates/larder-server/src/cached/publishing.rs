//! Implements the store's publisher with the cache.

use larder::cache::Cache;
use larder::receipt::Receipt;

use crate::store::writing::{Publisher, Recorded};

impl Publisher for Cache {
    type Receipt = Receipt;

    /// Invalidates the touched entries on every instance.
    async fn publish(self, Recorded { touches, changes }: Recorded) -> Receipt {
        self.committed(&touches, &changes).send().await
    }
}
