//! Loads the entries that most callers read first, before they read them: at the start, on demand, and every five to
//! ten minutes.

use std::ops::Range;
use std::time::Duration;

use larder::policy::Consistency;

use crate::domain::paging::ListQuery;
use crate::domain::role::Role;
use crate::domain::statistics::Day;
use crate::service::Service;
use crate::service::error::ServiceError;

/// The pause between two runs. Each pause is drawn at random, so that instances do not load at the same time.
const PAUSE: Range<Duration> = Duration::from_secs(300)..Duration::from_secs(600);

impl Service {
    /// Loads the statistics, the dashboard and the first page of users for each role. The reads are ordinary reads: an
    /// entry in a tier stays as it is, and a read joins a load in progress. Returns the names of the classes.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn warm_essential(&self) -> Result<Vec<&'static str>, ServiceError> {
        let (day, consistency) = (Day::today(), Consistency::Bounded);
        self.cached.user_stats(&day, consistency).await?;
        self.cached.dashboard_stats(&day, consistency).await?;
        for audience in [Role::User, Role::Admin, Role::Superadmin] {
            self.cached.user_list(&ListQuery::first(audience), consistency).await?;
        }
        Ok(vec!["user_stats", "dashboard_stats", "user_list"])
    }

    /// Warms the essentials in the background now and every five to ten minutes, until [`Service::warming`] is stopped.
    pub fn keep_warm(&self) {
        let service = self.clone();
        self.warming.again_and_again(PAUSE, move || {
            let service = service.clone();
            async move {
                // A later read of the same entry returns the error to its caller, so a log line is enough.
                if let Err(error) = service.warm_essential().await {
                    tracing::warn!(%error, "the essential caches could not be warmed");
                }
            }
        });
    }
}
