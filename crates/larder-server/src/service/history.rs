//! What the caches of all instances did in the last day.

use larder_sql::history::Summary;

use crate::domain::caches::HistoryQuery;
use crate::service::Service;
use crate::service::error::ServiceError;
use crate::store::error::StoreError;

impl Service {
    /// Records what this instance's cache does, under this name, until [`Service::warming`] is stopped.
    pub fn keep_history(&self, instance: String) {
        let (history, cache) = (self.store.history(), self.cache.clone());
        // It fails if the instance has a name already, and that stays.
        let _ = self.instance.set(instance.clone());
        self.warming.until_the_stop(|stop| async move { history.record(&cache, &instance, stop).await });
    }

    /// The name of this instance in the history; `None`: it keeps none.
    pub fn instance(&self) -> Option<&str> {
        self.instance.get().map(String::as_str)
    }

    /// What the instances did, summed. One sum is made at a time: that of a day reads all rows of all instances.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn history(&self, query: &HistoryQuery) -> Result<Summary, ServiceError> {
        let HistoryQuery { since, step, instance } = query;
        // An error means that the semaphore is closed, and nothing closes it.
        let _turn = self.summing.acquire().await;
        let summary = self.store.history().summary(*since, *step, instance.as_deref()).await;
        Ok(summary.map_err(StoreError::from)?)
    }
}
