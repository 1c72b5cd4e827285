//! The settings of the audit.

use std::sync::Arc;
use std::time::Duration;

use crate::builder::Builder;
use crate::builder::checks::check_range;
use crate::clock::Clock;
use crate::engine::AbortOnDrop;
use crate::engine::audit::{AuditSettings, Auditor};
use crate::error::Error;
use crate::journal::Journal;

impl Builder {
    /// Measures staleness: the auditor draws this share of the hits in memory and in Redis by lot, 0 to 1, loads their
    /// values again after the read, and compares. [`Cache::audit`](crate::Cache::audit) returns what it has found.
    /// Default: 0; nothing is audited, and a hit costs one branch more.
    ///
    /// A hit is checked by the load that its read would have run on a miss, so the closure of a read and the loader may be
    /// called although the tiers have answered; [`is_auditing`](crate::loading::is_auditing) says so. Such a load reads
    /// and stores nothing in a tier, and no statistics of the class count it. What has no loader is not audited:
    /// [`Class::get`](crate::Class::get). A class whose loader's answer depends on more than the database must be
    /// [`unaudited`](crate::class::ClassBuilder::unaudited).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// let cache = larder::Cache::builder("docs").audit_rate(0.01).build().await?;
    /// assert_eq!(cache.audit().map(|audit| audit.stale), Some(0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn audit_rate(mut self, rate: f64) -> Self {
        self.audit.rate = rate;
        self
    }

    /// The most loads that the auditor begins in a second, 0.01 to 10,000. They run one after the other, so they never use
    /// more than one connection to the database. Drawn hits for which there is no room are not checked. Default: 10.
    pub fn audit_loads_per_second(mut self, loads: f64) -> Self {
        self.audit.loads_per_second = loads;
        self
    }
}

impl AuditSettings {
    /// Starts the auditor, if auditing is on.
    pub(super) fn start(
        self,
        (clock, bound): (&Clock, Duration),
        journal: Option<Arc<dyn Journal>>,
        tasks: &mut Vec<AbortOnDrop>,
    ) -> Result<Option<Arc<Auditor>>, Error> {
        check_range("audit_rate", self.rate, 0.0, 1.0)?;
        check_range("audit_loads_per_second", self.loads_per_second, 0.01, 10_000.0)?;
        if self.rate == 0.0 {
            return Ok(None);
        }
        let (auditor, task) = Auditor::start(self, (clock.clone(), bound), journal);
        tasks.push(task);
        Ok(Some(auditor))
    }
}
