//! The cache as the publisher of what a write touched.

use larder::cache::Cache;
use larder::receipt::Receipt;

use crate::store::writing::{Publisher, Recorded};

impl Publisher for Cache {
    type Receipt = Receipt;

    /// Drops the touched entries on every instance.
    async fn publish(self, Recorded { touches, changes }: Recorded) -> Receipt {
        self.committed(&touches, &changes).send().await
    }
}
