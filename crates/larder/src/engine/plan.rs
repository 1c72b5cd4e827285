//! What a flight has decided before its load begins: where the value may be stored, and what can void that.

use std::sync::Arc;

use bytes::Bytes;

use crate::clock::Tick;
use crate::engine::EntryRef;
use crate::local::outcome::{FlightReceiver, LoadOutcome};
use crate::local::permit::LocalPermit;
use crate::protocol::flight::FlightId;
use crate::protocol::tag::TagToken;
use crate::protocol::token::Token;
use crate::remote::Remote;

/// How a flight continues after it has asked the tiers.
pub(super) enum FlightStep {
    /// Redis has the entry.
    Served(LoadOutcome),
    Load(LoadPlan),
}

/// Where the value of a load may be stored. Everything that an invalidation during the load must be able to void is set
/// before the load begins.
pub(super) enum LoadPlan {
    /// In Redis, if this lease is still there.
    Fill(LeaseHold, Vec<TagToken>),
    /// In memory, unless Redis reports a change; `None`: nowhere, because the anchor kept changing.
    Anchored(Option<AnchoredRight>),
    /// In memory, unless the flight is detached.
    Memory(Vec<TagToken>),
    /// Nowhere: another instance's load took longer than the load time-out.
    Beside,
}

/// A load that begins now.
pub(super) struct LoadBegin {
    pub(super) entry_ref: EntryRef,
    pub(super) flight: FlightId,
    pub(super) receiver: Arc<FlightReceiver>,
    pub(super) started: Tick,
    pub(super) started_at_millis: u64,
}

/// The right to keep a value whose load begins now.
pub(super) struct AnchoredRight {
    pub(super) permit: LocalPermit,
    /// The tags, each with the life of its token in memory: a random value that ends when the token leaves memory.
    pub(super) tags: Vec<TagToken>,
    /// The earliest instant at which the anchor can expire.
    pub(super) until: Tick,
}

/// A requested lease. If it is dropped before its fill, the lease is released, so that other instances need not wait
/// until it expires. The hold is created before LEASE is sent, because a read that is dropped before the reply may
/// already have the lease.
pub(super) struct LeaseHold {
    held: Option<(Arc<dyn Remote>, Bytes)>,
    pub(super) token: Token,
}

impl LeaseHold {
    pub(super) fn new(remote: Arc<dyn Remote>, key: Bytes) -> Self {
        LeaseHold { held: Some((remote, key)), token: Token::random() }
    }

    /// Drops the hold without a release. Call it if another read holds the lease, or if Redis has answered the fill.
    pub(super) fn settle(mut self) {
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
