//! Asking whoever follows the journal to do so now, and not when it is next due.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::journal::POLL_INTERVAL;

/// The passes of one follower, counted by who asked for them. Guards nothing: whoever waits in vain goes on.
pub(crate) struct PollRequests {
    asked: AtomicU64,
    nudge: Notify,
    /// Up to which request there has been a pass that began after it.
    served: watch::Sender<u64>,
}

impl PollRequests {
    pub(crate) fn new() -> Self {
        PollRequests { asked: AtomicU64::new(0), nudge: Notify::new(), served: watch::Sender::new(0) }
    }

    /// Asks for a pass that begins after now, and waits until it is done, no longer than `limit`. Says whether it came
    /// about.
    pub(crate) async fn poll_within(&self, limit: Duration) -> bool {
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
    pub(crate) fn has_waiters(&self, requests: u64) -> bool {
        *self.served.borrow() < requests
    }

    /// The follower: a pass is done that began after `requests`.
    pub(crate) fn complete(&self, requests: u64) {
        self.served.send_replace(requests);
    }

    /// The follower: waits until the next pass is due, or asked for.
    pub(crate) async fn wait_until_due(&self) {
        // Asked for during the last pass, it is due at once: the permit is kept.
        let _ = timeout(POLL_INTERVAL, self.nudge.notified()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_pass_that_began_before_serves_nobody() {
        let polls = Arc::new(PollRequests::new());
        let began = polls.requests();
        let waiting = {
            let polls = polls.clone();
            tokio::spawn(async move { polls.poll_within(Duration::from_secs(20)).await })
        };
        polls.wait_until_due().await;
        polls.complete(began);
        assert!(polls.has_waiters(polls.requests()) && !waiting.is_finished());
        polls.complete(polls.requests());
        assert!(waiting.await.unwrap());
        assert!(!polls.poll_within(Duration::ZERO).await, "nobody passes");
    }
}
