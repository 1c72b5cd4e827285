//! The state of one exploration, and what must be true of it.

use bytes::Bytes;
use larder::journal::DatabaseId;
use larder::protocol::certificate::{Certificate, RedisTime};
use larder::protocol::frame::{Entry, Frame};
use larder::protocol::tag::{TagKey, TagToken, are_current};
use larder::protocol::token::Token;

use crate::model::failover::{Branch, Failover};
use crate::model::journal::{Catalog, Process, Touched, View};
use crate::model::redis::Redis;

/// A set of transactions, one bit each: what a snapshot of the database sees.
pub(super) type Seen = u8;

pub(super) static KEY: Bytes = Bytes::from_static(b"k");
pub(super) static TAG: Bytes = Bytes::from_static(b"t");
pub(super) static LIVE: Bytes = Bytes::from_static(b"@live");
pub(super) static WATERMARK: Bytes = Bytes::from_static(b"@wm");
pub(super) static POSITION: Bytes = Bytes::from_static(b"@pos");
/// By transaction: it has been told here. Holds the history in which that was, which nobody but the model asks for.
pub(super) static PROPAGATED: [Bytes; 2] = [Bytes::from_static(b"@told=0"), Bytes::from_static(b"@told=1")];

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The committed transactions in the order of their commits.
    pub(super) order: Vec<u8>,
    /// What the outbox has forgotten.
    pub(super) pruned: Seen,
    pub(super) catalog: Catalog,
    /// What never came into the outbox.
    pub(super) silent: Seen,
    /// What each committed write has learned of itself.
    pub(super) touched: [Touched; 2],
    /// Of each instance or relay, whichever are more.
    pub(super) processes: Vec<Process>,
    /// Whose writers have told a node, once each.
    pub(super) propagated: Seen,
    /// Which writes were acknowledged `sent`.
    pub(super) acknowledged: Seen,
    /// Only where a name comes later than its UNLINK: the process that was told.
    pub(super) unnamed: [Option<u8>; 2],
    pub(super) nodes: [Node; 2],
    pub(super) saved: Option<Redis>,
    pub(super) grants: Vec<Option<Grant>>,
    pub(super) fillers: Vec<Filler>,
    pub(super) relays: Vec<Relay>,
    pub(super) names: u8,
    pub(super) left: Left,
    /// Two masters stood at once: fresh reads are promised the bound alone.
    pub(super) was_split: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub(super) promotions: u8,
    pub(super) demotions: u8,
    pub(super) flushes: u8,
    pub(super) restores: u8,
    pub(super) prunings: u8,
    pub(super) expiries: u8,
    pub(super) silences: u8,
    pub(super) hidings: u8,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) redis: Redis,
    pub(super) is_master: bool,
    /// The process.
    pub(super) run: u8,
    /// The history it carries.
    pub(super) history: u8,
    /// It has not copied anything from its master since it was demoted.
    pub(super) is_apart: bool,
}

/// An instance's word that it may use a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    pub(super) node: usize,
    pub(super) run: u8,
    /// What was committed before the watermark when it was given.
    pub(super) reach: Seen,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Filler {
    Before,
    Held { lease: Token, tags: Vec<TagToken>, by: usize },
    Loaded { lease: Token, tags: Vec<TagToken>, by: usize, seen: Seen },
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Relay {
    pub(super) passes: u8,
    pub(super) pass: Option<Pass>,
    /// Only where the position is not kept in Redis.
    pub(super) own_position: Option<Position>,
    /// Only where a pass goes by names that an earlier one has read.
    pub(super) own_names: Seen,
}

/// A pass under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pass {
    pub(super) node: usize,
    pub(super) run: u8,
    pub(super) history: u8,
    pub(super) began: u64,
    pub(super) position: Option<Position>,
    /// What its snapshot attested.
    pub(super) attested: View,
    /// Nothing is told: only in a proof.
    pub(super) only_certifies: bool,
    pub(super) stage: Stage,
}

/// What a position has seen, and what it carries of the attestation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Position {
    pub(super) seen: Seen,
    pub(super) attestation: u8,
}

/// How far a pass is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// The snapshot comes next.
    Asked,
    /// The journal has answered, and is inspected next; then comes the other.
    Answered(Box<Stage>),
    /// Of `rows`, which the journal told, it is being read which have been told.
    Reading { snapshot: Seen, rows: Seen, unread: Seen, propagated: Seen },
    /// What is still to be unlinked; MARK when nothing is.
    Telling { snapshot: Seen, todo: Vec<Bytes> },
}

impl State {
    pub(super) fn new(model: &Failover) -> Self {
        let node = |nth: u8| Node {
            redis: Redis::new(0),
            is_master: nth == 0,
            run: nth,
            history: 0,
            is_apart: false,
        };
        let own_position = Some(Position { seen: 0, attestation: 0 });
        let mut state = State {
            order: Vec::new(),
            pruned: 0,
            catalog: Catalog::default(),
            silent: 0,
            touched: [Touched::default(); 2],
            processes: (0..model.instances.max(model.passes.len()))
                .map(|nth| if nth < model.instances { Process::opened() } else { Process::default() })
                .collect(),
            propagated: 0,
            acknowledged: 0,
            unnamed: [None; 2],
            nodes: [node(0), node(1)],
            saved: None,
            grants: vec![None; model.instances],
            fillers: vec![Filler::Before; model.fillers.len()],
            relays: model
                .passes
                .iter()
                .map(|&passes| Relay { passes, pass: None, own_position, own_names: 0 })
                .collect(),
            names: 1,
            left: Left {
                promotions: model.promotions,
                demotions: model.demotions,
                flushes: model.flushes,
                restores: model.restores,
                prunings: model.prunings,
                expiries: model.expiries,
                silences: model.silences,
                hidings: model.subject.map_or(0, |_| 1),
            },
            was_split: false,
        };
        // The first node has been certified, and the second has copied it: the other beginnings are reached by
        // flushing and restoring.
        let live = state.certificate(0).to_bytes();
        for node in &mut state.nodes {
            node.redis.set(&LIVE, live.clone());
            node.redis.set(&WATERMARK, Bytes::from_static(&[0]));
            node.redis.set(&POSITION, Bytes::from_static(&[0, 0]));
        }
        state
    }

    /// The certificate that this node would be given.
    pub(super) fn certificate(&self, node: usize) -> Certificate {
        let node = &self.nodes[node];
        let database = Some(DatabaseId { system: "db".to_owned(), timeline: 1 });
        Certificate { redis: format!("{}:{}", node.run, node.history), database, bound_ms: 1, ttl_max_ms: 1 }
    }

    pub(super) fn committed(&self) -> Seen {
        self.order.iter().fold(0, |seen, transaction| seen | 1 << transaction)
    }

    /// What was committed before `time`.
    pub(super) fn before(&self, time: RedisTime) -> Seen {
        let count = usize::try_from(time.0).unwrap_or(usize::MAX);
        self.order.iter().take(count).fold(0, |seen, transaction| seen | 1 << transaction)
    }

    /// The clock, of every node.
    pub(super) fn now(&self) -> RedisTime {
        RedisTime(self.order.len() as u64)
    }

    pub(super) fn position_is_true(&self) -> bool {
        self.nodes.iter().all(|node| {
            let position = node.position().map_or(0, |position| position.seen);
            node.entry().is_none_or(|seen| seen & position == position)
        })
    }

    pub(super) fn watermark_is_true(&self) -> bool {
        self.nodes.iter().all(|node| {
            let Some(watermark) = node.byte(&WATERMARK) else { return true };
            let propagated = self.before(RedisTime(u64::from(watermark)));
            node.entry().is_none_or(|seen| seen & propagated == propagated)
        })
    }

    /// Whoever may use a node finds nothing there that was committed before the watermark it went by.
    pub(super) fn reads_reach_the_watermark(&self) -> bool {
        self.grants.iter().flatten().all(|grant| {
            let node = &self.nodes[grant.node];
            let can_read = node.run == grant.run;
            !can_read || node.entry().is_none_or(|seen| seen & grant.reach == grant.reach)
        })
    }

    /// Whoever may use a node finds everything there that was acknowledged as sent, unless two masters stood.
    pub(super) fn fresh_after_acknowledgement(&self, model: &Failover) -> bool {
        self.was_split
            || self.grants.iter().flatten().all(|grant| {
                let node = &self.nodes[grant.node];
                let can_read = node.run == grant.run && (node.is_master || !model.care.fresh_asks_role);
                if node.run == grant.run && !node.is_master {
                    model.take(Branch::ReadsReplica);
                }
                !can_read || node.entry().is_none_or(|seen| seen & self.acknowledged == self.acknowledged)
            })
    }
}

impl Node {
    /// What the valid entry's load saw, if one stands.
    pub(super) fn entry(&self) -> Option<Seen> {
        match Frame::parse(self.redis.peek(&KEY)?) {
            Ok(Frame::Entry(Entry { header, payload: Some(payload), .. })) => {
                let present = |tag: &TagKey| token_of(self.redis.peek(tag.as_bytes()));
                are_current(&header.tags, present).then_some(payload[0])
            }
            _ => None,
        }
    }

    pub(super) fn position(&self) -> Option<Position> {
        self.redis.peek(&POSITION).map(|value| Position { seen: value[0], attestation: value[1] })
    }

    pub(super) fn byte(&self, key: &Bytes) -> Option<u8> {
        self.redis.peek(key).map(|value| value[0])
    }
}

pub(super) fn token_of(frame: Option<&Bytes>) -> Option<Token> {
    match Frame::parse(frame?) {
        Ok(Frame::Tag(token)) => Some(token),
        _ => None,
    }
}
