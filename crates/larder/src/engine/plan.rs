//! What a flight has decided before its load begins: where the value may be stored, and what can take that right away.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::clock::Tick;
use crate::engine::{EntryRef, SharedTier};
use crate::loaded::AnyPrevious;
use crate::local::copy::{LocalCopy, TagCells};
use crate::local::outcome::{FlightReceiver, LoadOutcome};
use crate::local::permit::LocalPermit;
use crate::policy::Residence;
use crate::protocol::aging::Life;
use crate::protocol::flight::FlightId;
use crate::protocol::tag::TagToken;
use crate::protocol::token::Token;
use crate::remote::Remote;
use crate::remote::validity::Epoch;

/// How a flight continues after it has asked the tiers.
pub(super) enum FlightStep {
    /// Redis has the entry. If there is a copy, the read also begins its refresh.
    Served(LoadOutcome, Option<Arc<LocalCopy>>),
    /// A load has to run. If it replaces an aged entry, its loader gets the previous value.
    Load(LoadPlan, Option<AnyPrevious>),
}

/// Where the value of a load may be stored. The lease, permit or tokens that an invalidation during the load voids are
/// set before the load begins.
pub(super) enum LoadPlan {
    /// In Redis, if this lease is still there.
    Fill(LeaseHold, Vec<TagToken>),
    /// In Redis, in place of an aged entry, if that entry is still there and valid.
    Replace(Replacement),
    /// In memory, unless Redis reports a change; `None`: nowhere, because the anchor kept changing.
    Anchored(Option<AnchoredRight>),
    /// In memory, unless an invalidation has ended the right.
    Memory(MemoryRight, TagCells),
    /// Nowhere: another instance's load took longer than the load time-out.
    Parallel,
}

/// The right to keep a value in memory, without Redis.
pub(super) enum MemoryRight {
    /// While no invalidation has detached the load's own flight.
    Flight,
    /// While the permit is valid. A refresh has this right, because it has no flight.
    Permit(LocalPermit),
}

/// The right to replace an aged entry in Redis. The entry itself is the fence, as for a permit: an invalidation of its
/// key removes it, and an invalidation of a tag replaces that tag's token.
pub(super) struct Replacement {
    /// The lease under the entry's refresh key. It only keeps other instances from loading the same value; the put does
    /// not depend on it.
    pub(super) hold: LeaseHold,
    pub(super) epoch: Epoch,
    /// The fingerprint of the entry.
    pub(super) existing: Bytes,
    pub(super) tags: Vec<TagToken>,
}

/// What a load has when it begins.
pub(super) struct LoadBegin {
    pub(super) entry_ref: EntryRef,
    pub(super) flight: FlightId,
    pub(super) receiver: Arc<FlightReceiver>,
    pub(super) start: LoadStart,
    /// The value of the aged entry that the load is to replace.
    pub(super) previous: Option<AnyPrevious>,
}

/// When a load or the computation of a value began. Every age counts from here.
#[derive(Clone, Copy)]
pub(crate) struct LoadStart {
    pub(super) at: Tick,
    /// Wall time, in milliseconds since 1970.
    pub(super) at_millis: u64,
}

impl LoadStart {
    /// The life of an entry that stays for `total` and whose load took `took`.
    pub(super) fn life(self, residence: Residence, total: Duration, took: Duration) -> Life {
        let ends = self.at.plus(total);
        let fresh_until = self.at.plus(residence.ttl).min(ends);
        Life { began: self.at, fresh_until, ends, load_time: took }
    }
}

/// The right to keep the value of a load of a memory-only class in memory. It is taken before the load begins; see
/// `anchor`.
pub(super) struct AnchoredRight {
    pub(super) permit: LocalPermit,
    /// The cells of the tags.
    pub(super) tags: TagCells,
    /// The earliest instant at which the anchor can expire.
    pub(super) until: Tick,
}

/// A requested lease. If it is dropped before its fill, the lease is released, so that other instances need not wait
/// until it expires. The hold is created before LEASE is sent, because a read that is dropped before the reply may
/// already have the lease.
pub(super) struct LeaseHold {
    held: Option<(Arc<dyn Remote>, Bytes)>,
    releasing: Arc<Semaphore>,
    pub(super) token: Token,
}

impl LeaseHold {
    pub(super) fn new(shared: &SharedTier, key: Bytes) -> Self {
        let held = Some((shared.remote.clone(), key));
        LeaseHold { held, releasing: shared.releasing.clone(), token: Token::random() }
    }

    /// The key of the lease; `None` once the hold is settled.
    pub(super) fn key(&self) -> Option<&Bytes> {
        self.held.as_ref().map(|(_, key)| key)
    }

    /// Drops the hold without a release. Call it if another read holds the lease, or if Redis has answered the fill.
    pub(super) fn settle(mut self) {
        self.held = None;
    }
}

impl Drop for LeaseHold {
    fn drop(&mut self) {
        let Some((remote, key)) = self.held.take() else { return };
        let (token, releasing) = (self.token, self.releasing.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // If the release fails, the lease expires after 3 s.
            runtime.spawn(async move {
                let _place = releasing.acquire().await;
                remote.release(&key, token).await
            });
        }
    }
}
