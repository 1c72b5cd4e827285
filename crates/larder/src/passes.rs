//! Asking whoever follows the journal to do so now, and not when it is next due.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::journal::PASS;

/// The passes of one follower, counted by who asked for them. Guards nothing: whoever waits in vain goes on.
pub(crate) struct Passes {
    asked: AtomicU64,
    nudge: Notify,
    /// Up to which request there has been a pass that began after it.
    served: watch::Sender<u64>,
}

impl Passes {
    pub(crate) fn new() -> Self {
        Passes { asked: AtomicU64::new(0), nudge: Notify::new(), served: watch::Sender::new(0) }
    }

    /// Asks for a pass that begins after now, and waits until it is done, no longer than `limit`. Says whether it came
    /// about.
    pub(crate) async fn pass_within(&self, limit: Duration) -> bool {
        let request = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.nudge.notify_one();
        let mut served = self.served.subscribe();
        matches!(timeout(limit, served.wait_for(|served| *served >= request)).await, Ok(Ok(_)))
    }

    /// The follower: how many requests there were, before a pass begins.
    pub(crate) fn requests(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// The follower: whether any of `requests` still waits for a pass.
    pub(crate) fn are_waiting(&self, requests: u64) -> bool {
        *self.served.borrow() < requests
    }

    /// The follower: a pass is done that began after `requests`.
    pub(crate) fn serve(&self, requests: u64) {
        self.served.send_replace(requests);
    }

    /// The follower: waits until the next pass is due, or asked for.
    pub(crate) async fn due(&self) {
        // Asked for during the last pass, it is due at once: the permit is kept.
        let _ = timeout(PASS, self.nudge.notified()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_pass_that_began_before_serves_nobody() {
        let passes = Arc::new(Passes::new());
        let began = passes.requests();
        let waiting = {
            let passes = passes.clone();
            tokio::spawn(async move { passes.pass_within(Duration::from_secs(20)).await })
        };
        passes.due().await;
        passes.serve(began);
        assert!(passes.are_waiting(passes.requests()) && !waiting.is_finished());
        passes.serve(passes.requests());
        assert!(waiting.await.unwrap());
        assert!(!passes.pass_within(Duration::ZERO).await, "nobody passes");
    }
}
