//! The progress of a read, and that of a permit.

use bytes::Bytes;
use larder::policy::Consistency;
use larder::protocol::flight::FlightId;
use larder::protocol::shard::Seq;
use larder::protocol::tag::TagToken;
use larder::protocol::token::Token;

use crate::model::coherence::{Coherence, Reader};

/// A version of the database's one row.
pub type Version = u8;

/// One read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Read {
    pub(super) instance: usize,
    pub(super) consistency: Consistency,
    pub(super) phase: Phase,
    /// The id that the instance's next flight had when the read began: flights with smaller ids began earlier.
    pub(super) arrival: FlightId,
    /// The oldest version that the answer may have under the promise for fresh reads.
    pub(super) must_fresh: Version,
    /// The oldest version that the answer may have under the promise for own writes.
    pub(super) must_own: Version,
    /// The database's version when the read began. Only a loader that breaks `LoadsThePresent` returns it.
    pub(super) snapshot: Version,
    /// Whether Redis was lost since the flight began. Then replies of Redis do not count.
    pub(super) is_cut: bool,
    /// Whether the read has found an aged entry and does not yet have the right to replace it.
    pub(super) is_aged: bool,
    /// Whether the read's load failed. Then the read looks for the last known entry.
    pub(super) has_failed: bool,
    /// Whether the read was dropped while its load goes on. Noted only in a model without `left_loads_compare`.
    pub(super) has_left: bool,
    /// The copy in memory when the read began. Only a read that breaks `ServesStaleOnlyValid` notes it.
    pub(super) before: Option<Version>,
    /// Counts the tokens that this read has drawn, so that each token differs from the earlier ones.
    pub(super) tokens: u8,
}

/// The progress of a read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Before,
    /// The next step decides whether the read joins a flight, waits for one or leads one.
    Arrived,
    /// The read gets the result of this flight.
    Joined(FlightId),
    /// The read waits until this flight has ended, and then decides again.
    After(FlightId),
    /// The tracked read is on its way. The sequences are from before it was sent.
    Asked(FlightId, Vec<Seq>),
    Replied(FlightId, Vec<Seq>, Vec<Option<Bytes>>),
    /// Another load holds the lease.
    Waiting(FlightId),
    /// The next step is LEASE.
    Leasing {
        id: FlightId,
        replace: Option<Bytes>,
        token: Option<Token>,
    },
    /// LEASE has answered; the next step mints the missing tag.
    Minting {
        id: FlightId,
        existing: Bytes,
        mine: Token,
    },
    /// The reader holds the lease and loads.
    Held {
        id: FlightId,
        lease: Token,
        tags: Vec<TagToken>,
    },
    /// The reader has loaded; the next step is FILL.
    Loaded {
        id: FlightId,
        lease: Token,
        tags: Vec<TagToken>,
        version: Version,
    },
    /// The reader loads the value that is to replace an aged entry.
    Replacing(FlightId, Replacement),
    /// The reader has loaded this version, which is to replace an aged entry.
    Replaced(FlightId, Replacement, Version),
    /// The load failed; the next step looks for the last known entry.
    Failed,
    /// The next step sets an anchor, which may replace the frame with the fingerprint `replace`.
    SettingAnchor {
        id: FlightId,
        replace: Option<Bytes>,
    },
    /// The reader loads under an anchor. If the anchor changes, Redis sends this instance a push.
    Watched {
        id: FlightId,
        tags: Vec<TagToken>,
    },
    WatchedLoaded {
        id: FlightId,
        tags: Vec<TagToken>,
        version: Version,
    },
    /// The reader loads without Redis.
    Direct {
        id: FlightId,
    },
    DirectHeld {
        id: FlightId,
        tags: Vec<TagToken>,
    },
    DirectLoaded {
        id: FlightId,
        tags: Vec<TagToken>,
        version: Version,
    },
    Done,
}

/// The right to replace an aged entry in Redis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Replacement {
    /// The fingerprint of the entry.
    pub(super) existing: Bytes,
    pub(super) tags: Vec<TagToken>,
    /// The lease under the refresh key.
    pub(super) lease: Token,
}

impl Read {
    pub(super) fn new(reader: &Reader) -> Self {
        Read {
            instance: reader.instance,
            consistency: reader.consistency,
            phase: Phase::Before,
            arrival: FlightId(0),
            must_fresh: 0,
            must_own: 0,
            snapshot: 0,
            is_cut: false,
            is_aged: false,
            has_failed: false,
            has_left: false,
            before: None,
            tokens: 0,
        }
    }
}

/// The flight that a reader leads or follows.
pub(super) fn flight(phase: &Phase) -> FlightId {
    match phase {
        Phase::Joined(id) | Phase::After(id) | Phase::Asked(id, _) | Phase::Replied(id, ..) => *id,
        Phase::Waiting(id) | Phase::Leasing { id, .. } | Phase::Minting { id, .. } => *id,
        Phase::Held { id, .. } | Phase::Loaded { id, .. } | Phase::Direct { id } => *id,
        Phase::Replacing(id, _) | Phase::Replaced(id, ..) => *id,
        Phase::SettingAnchor { id, .. } | Phase::Watched { id, .. } | Phase::WatchedLoaded { id, .. } => *id,
        Phase::DirectHeld { id, .. } | Phase::DirectLoaded { id, .. } => *id,
        Phase::Before | Phase::Arrived | Phase::Failed | Phase::Done => FlightId(0),
    }
}

/// One permit: its instance and its progress.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Permit {
    pub(super) instance: usize,
    /// Whether it belongs to a refresh. A refresh does not check its epoch before PUT.
    pub(super) is_refresh: bool,
    pub(super) phase: PermitPhase,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum PermitPhase {
    Before,
    Drawn(PermitRight),
    Computed(PermitRight, Version),
    Done,
}

/// What must be unchanged at the put.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum PermitRight {
    /// Redis was lost since the draw, so the put is refused.
    Void,
    Redis {
        existing: Bytes,
        tags: Vec<TagToken>,
    },
    Memory {
        tags: Vec<TagToken>,
    },
}

impl Permit {
    /// The permits of the scenario, then those of its refreshes.
    pub(super) fn all(model: &Coherence) -> Vec<Permit> {
        let of =
            |is_refresh| move |&instance: &usize| Permit { instance, is_refresh, phase: PermitPhase::Before };
        model.permits.iter().map(of(false)).chain(model.refreshes.iter().map(of(true))).collect()
    }
}
