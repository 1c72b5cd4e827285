//! The state of one exploration, and its properties.

use std::collections::VecDeque;
use std::time::Duration;

use larder::clock::Tick;
use larder::journal::DatabaseId;
use larder::policy::Consistency;
use larder::protocol::certificate::{Certificate, RedisTime};
use larder::protocol::flight::{Flight, FlightId, JoinDecision, decide_join};

use crate::model::journal::{Catalog, Process};
use crate::model::timed::{Branch, Timed};

/// A version of the database's one row: the number of its commits.
pub(super) type Version = u8;

/// The state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) now: u8,
    /// The tick of each commit.
    pub(super) commits: Vec<u8>,
    pub(super) catalog: Catalog,
    pub(super) silences: u8,
    /// The commits that wrote no row into the outbox. Each commit has one bit.
    pub(super) silent: u8,
    pub(super) nodes: [Node; 2],
    /// One client at each node.
    pub(super) clients: Vec<Client>,
    /// The relay at each node.
    pub(super) relays: [Relay; 2],
    /// The writers may still propagate this many commits.
    pub(super) propagations: u8,
    pub(super) is_promoted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) entry: Option<Version>,
    /// The watermark, by the clock of the node that the certificate names.
    pub(super) watermark: Option<u64>,
    /// The node that the certificate names.
    pub(super) certified: usize,
    /// The version that the position has seen.
    pub(super) position: Version,
    /// The attestation of the position.
    pub(super) attestation: u8,
    /// The commits after the position that their writers have propagated to this node, one bit each.
    pub(super) propagated: u8,
    /// Whether the node tracks the entry for its client: the client has read the entry, and the node has sent no push
    /// since.
    pub(super) is_tracked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sent {
    Push,
    Beat { sent: u8, carries_my_certificate: bool, now: u64, watermark: Option<u64> },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Client {
    /// Heartbeats that may still be sent.
    pub(super) beats: u8,
    /// Redis may be used before this tick.
    pub(super) until: u8,
    pub(super) memory: Option<Version>,
    /// The heartbeat whose reply has not arrived: when it was sent, and whether Redis has answered it. If so, the reply
    /// is in `wire`.
    pub(super) sent: Option<(u8, bool)>,
    pub(super) wire: VecDeque<Sent>,
    pub(super) flight: Option<Flying>,
    /// A load without Redis: its start, and the version that it read with the tick of the read.
    pub(super) load: Option<(u8, Option<(Version, u8)>)>,
    /// The copy that a load without Redis stored in memory, and its deadline.
    pub(super) outage: Option<(Version, u8)>,
}

/// A flight through Redis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flying {
    /// The tick from which joining reads count the flight's age.
    pub(super) began: u64,
    pub(super) found: Option<Version>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Relay {
    pub(super) polls: u8,
    pub(super) poll: Option<Poll>,
    pub(super) process: Process,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Poll {
    pub(super) began: u64,
    pub(super) only_certifies: bool,
    pub(super) snapshot: Option<Version>,
    /// The attestation of the snapshot.
    pub(super) attestation: u8,
    /// Whether the changes since the position are unknown.
    pub(super) is_unknown: bool,
    pub(super) is_propagated: bool,
}

/// Keeps clocks and ticks above zero, whatever the offset is.
const ORIGIN: u64 = 100;

pub(super) fn tick(at: u8) -> Tick {
    Tick::from_nanos((ORIGIN + u64::from(at)) * 1_000)
}

pub(super) fn ticks(of: Tick) -> u64 {
    of.nanos() / 1_000
}

pub(super) fn span(of: u8) -> Duration {
    Duration::from_micros(u64::from(of))
}

impl State {
    pub(super) fn new(model: &Timed) -> Self {
        let node = Node {
            entry: None,
            watermark: Some(ORIGIN),
            certified: 0,
            position: 0,
            attestation: 0,
            propagated: 0,
            is_tracked: false,
        };
        State {
            now: 0,
            commits: Vec::new(),
            catalog: Catalog::default(),
            silences: model.silences,
            silent: 0,
            nodes: [node.clone(), node],
            clients: vec![Client { beats: model.beats, ..Client::default() }; 2],
            relays: model.polls.map(|polls| Relay { polls, poll: None, process: Process::opened() }),
            propagations: model.propagations,
            is_promoted: false,
        }
    }

    pub(super) fn database(&self) -> Version {
        u8::try_from(self.commits.len()).unwrap_or(u8::MAX)
    }

    /// The clock of a node.
    pub(super) fn clock(&self, model: &Timed, node: usize) -> RedisTime {
        let offset = if node == 1 { i64::from(model.offset) } else { 0 };
        RedisTime((ORIGIN + u64::from(self.now)).saturating_add_signed(offset))
    }

    pub(super) fn certificate(node: usize) -> Certificate {
        let database = Some(DatabaseId { system: "db".to_owned(), timeline: 1 });
        Certificate { redis: format!("{node}:{node}"), database, bound_ms: 1, ttl_max_ms: 1, slots: None }
    }

    /// Whether a bounded read that begins now may be answered with `version`: every later commit is younger than the
    /// bound.
    fn may_answer(&self, model: &Timed, version: Version) -> bool {
        let later = self.commits.get(usize::from(version));
        if later.is_some() {
            model.take(Branch::OldWithinBound);
            if self.silent & 1 << version != 0 {
                model.take(Branch::SilentWithinBound);
            }
        }
        later.is_none_or(|&committed| self.now - committed <= model.bound)
    }

    pub(super) fn reads_keep_the_bound(&self, model: &Timed) -> bool {
        if self.clients.iter().all(|client| self.now < client.until) {
            model.take(Branch::Split);
        }
        self.clients.iter().zip(&self.nodes).all(|(client, node)| {
            let by_outage = client.outage.filter(|(_, deadline)| self.now < *deadline);
            if by_outage.is_some() {
                model.take(Branch::OutageCopy);
            }
            let by_tier = if self.now < client.until { client.memory.or(node.entry) } else { None };
            by_outage.is_none_or(|(version, _)| self.may_answer(model, version))
                && by_tier.is_none_or(|version| self.may_answer(model, version))
        })
    }

    pub(super) fn joins_keep_the_bound(&self, model: &Timed) -> bool {
        self.clients.iter().filter_map(|client| client.flight.as_ref()).all(|flying| {
            let Some(found) = flying.found else { return true };
            let began = Tick::from_nanos(flying.began * 1_000);
            let flight = Flight { id: FlightId(1), began, tags: [].into(), handle: () };
            let (now, bound) = (tick(self.now), span(model.bound));
            let decision =
                decide_join(Some(&flight), Consistency::Bounded, FlightId(2), now, bound, model.rules);
            let is_joined = matches!(decision, JoinDecision::Join(()));
            if is_joined && usize::from(found) < self.commits.len() {
                model.take(Branch::OldFlight);
            }
            !is_joined || self.may_answer(model, found)
        })
    }

    /// The entry of a node contains every commit before the node's watermark. The watermark is a time of the node that
    /// the certificate names.
    pub(super) fn watermark_is_true(&self, model: &Timed) -> bool {
        self.nodes.iter().all(|node| {
            let (Some(watermark), Some(entry)) = (node.watermark, node.entry) else { return true };
            let offset = if node.certified == 1 { i64::from(model.offset) } else { 0 };
            let marked = watermark.saturating_add_signed(-offset);
            let propagated =
                self.commits.iter().filter(|&&committed| ORIGIN + u64::from(committed) < marked).count();
            usize::from(entry) >= propagated
        })
    }
}
