//! A Redis Cluster as one tier: each master is a tier of its own (`remote::redis`), and this one chooses the master of each
//! key.
//!
//! Nothing is agreed upon between masters: each has its own tracked connection, certificate, watermark and position, and the
//! relay of each instance deletes in each. So a master that is lost takes only its own slots with it.
//!
//! Invariants:
//! - The cluster is valid only while each master in use is valid (`supervisor`), so a copy in memory whose key and tags are
//!   at several masters is guarded by all of them.
//! - A master comes into use only when the cluster's validity depends on its own, and goes out of use only together with the
//!   copies that it guards.
//! - No command names keys of two slots. What plain Redis decides in one step for several keys is decided here in an order
//!   that cannot answer wrongly: see `operations`.

mod combining;
mod inspect;
mod map;
mod operations;
mod queues;
mod supervisor;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::remote::Listener;
use crate::remote::cluster::supervisor::Supervisor;
use crate::remote::redis::{Dialler, Settings};
use crate::remote::validity::Validity;

/// The tier of a Redis Cluster.
pub(crate) struct ClusterTier {
    supervisor: Arc<Supervisor>,
    tasks: [AbortHandle; 3],
}

impl ClusterTier {
    /// Starts the tasks that find the masters and watch their validity. Returns at once: the tier is not usable until a
    /// master has been granted.
    pub(crate) fn start(
        dialler: Dialler,
        settings: Settings,
        clock: Clock,
        listener: Arc<dyn Listener>,
        validity: Arc<Validity>,
    ) -> Self {
        let supervisor = Arc::new(Supervisor::new(dialler, settings, clock, listener, validity));
        let tasks = [
            tokio::spawn(supervisor.clone().follow_topology()).abort_handle(),
            tokio::spawn(supervisor.clone().watch_validity()).abort_handle(),
            tokio::spawn(supervisor.clone().sweep_idle()).abort_handle(),
        ];
        ClusterTier { supervisor, tasks }
    }

    /// Waits until all masters are in use, at most `limit`.
    pub(crate) async fn wait_until_ready(&self, limit: Duration) {
        let _ = timeout(limit, self.supervisor.wait_until_all_are_used()).await;
    }
}

impl Drop for ClusterTier {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
