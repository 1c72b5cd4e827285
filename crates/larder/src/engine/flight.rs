//! The leader's side of a flight. Invariant: however the leader ends, no follower waits forever.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::Error;
use crate::local::LocalTier;
use crate::local::outcome::{FlightResult, FlightSender};
use crate::protocol::flight::FlightId;
use crate::protocol::token::Token;
use crate::remote::Remote;

/// Held by the read that leads a flight. If it is dropped before `complete`, it removes the flight from the table and
/// wakes the followers: with an error if the loader panicked, or without an outcome if the leader was cancelled, so
/// that they try again.
pub(crate) struct Leader<'a> {
    local: &'a LocalTier,
    key: Bytes,
    id: FlightId,
    sender: Option<FlightSender>,
}

impl<'a> Leader<'a> {
    pub(crate) fn new(local: &'a LocalTier, key: Bytes, id: FlightId, sender: FlightSender) -> Self {
        Leader { local, key, id, sender: Some(sender) }
    }

    pub(crate) fn id(&self) -> FlightId {
        self.id
    }

    pub(crate) fn complete(mut self, outcome: FlightResult) {
        // Removed from the table first: a later read must not join a flight that has ended.
        self.local.end_flight(&self.key, self.id);
        if let Some(sender) = self.sender.take() {
            sender.send(outcome);
        }
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let Some(sender) = self.sender.take() else { return };
        self.local.end_flight(&self.key, self.id);
        if std::thread::panicking() {
            sender.send(Err(Error::load_panicked()));
        }
    }
}

/// A requested lease. If it is dropped before its fill, the lease is released, so that other instances need not wait
/// until it expires. The hold is created before LEASE is sent, because a read that is cancelled before the reply may
/// already have the lease.
pub(crate) struct LeaseHold {
    held: Option<(Arc<dyn Remote>, Bytes)>,
    pub(crate) token: Token,
}

impl LeaseHold {
    pub(crate) fn new(remote: Arc<dyn Remote>, key: Bytes) -> Self {
        LeaseHold { held: Some((remote, key)), token: Token::random() }
    }

    /// Drops the hold without a release. Call it if another read holds the lease, or if Redis has answered the fill.
    pub(crate) fn settle(mut self) {
        self.held = None;
    }
}

impl Drop for LeaseHold {
    fn drop(&mut self) {
        let Some((remote, key)) = self.held.take() else { return };
        let token = self.token;
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // If the release fails, the lease expires after 3 s.
            runtime.spawn(async move { remote.release(&key, token).await });
        }
    }
}
