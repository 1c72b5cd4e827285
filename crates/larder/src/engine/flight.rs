//! The leader's side of a flight: whatever becomes of the leader, no waiter is left hanging.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::Error;
use crate::local::LocalTier;
use crate::local::outcome::{FlightResult, FlightSender};
use crate::protocol::flight::FlightId;
use crate::protocol::token::Token;
use crate::remote::Remote;

/// Held by the read that leads. Dropped without landing, it takes the flight off the table and frees the
/// waiters: with an error if the loader panicked, to try for themselves if the leader was cancelled.
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
        // Off the table first: who comes later must not join what has ended.
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

/// A lease that was asked for. Dropped before its fill, it is given up, so that other instances need not wait
/// for it to expire. Made before LEASE is sent: a cancelled read may hold a lease it never heard of.
pub(crate) struct LeaseHold {
    held: Option<(Arc<dyn Remote>, Bytes)>,
    pub(crate) token: Token,
}

impl LeaseHold {
    pub(crate) fn new(remote: Arc<dyn Remote>, key: Bytes) -> Self {
        LeaseHold { held: Some((remote, key)), token: Token::random() }
    }

    /// The lease is not ours, or its fill has been decided.
    pub(crate) fn settle(mut self) {
        self.held = None;
    }
}

impl Drop for LeaseHold {
    fn drop(&mut self) {
        let Some((remote, key)) = self.held.take() else { return };
        let token = self.token;
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // A lease that cannot be given up expires by itself.
            runtime.spawn(async move { remote.release(&key, token).await });
        }
    }
}
