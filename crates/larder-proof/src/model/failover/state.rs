//! The state of one exploration, and its properties.

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
pub(super) static CERTIFICATE: Bytes = Bytes::from_static(b"@live");
pub(super) static WATERMARK: Bytes = Bytes::from_static(b"@wm");
pub(super) static POSITION: Bytes = Bytes::from_static(b"@pos");
/// For each transaction the key that says that it was propagated to this node. The value is the history in which that
/// happened; only the model reads the value.
pub(super) static PROPAGATED: [Bytes; 2] =
    [Bytes::from_static(b"@propagated=0"), Bytes::from_static(b"@propagated=1")];

/// The state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The committed transactions in the order of their commits, lost ones included.
    pub(super) order: Vec<u8>,
    /// The commits that a fail-over of the database has lost.
    pub(super) lost: Seen,
    /// The database's timeline.
    pub(super) timeline: u8,
    /// The timeline that each process knows.
    pub(super) known_timelines: Vec<u8>,
    /// The commits whose rows have been pruned.
    pub(super) pruned: Seen,
    pub(super) catalog: Catalog,
    /// The commits that left no row in the outbox.
    pub(super) silent: Seen,
    /// For each committed write, the touches that it read before its commit.
    pub(super) touched: [Touched; 2],
    /// One process for each instance, or for each relay if there are more relays.
    pub(super) processes: Vec<Process>,
    /// The transactions whose writers have propagated to a node. Each does so once.
    pub(super) propagated: Seen,
    /// The writes that were acknowledged `sent`.
    pub(super) acknowledged: Seen,
    /// The writes that were propagated to a node that their instance could not use yet, and that wait for a grant.
    pub(super) waiting: Seen,
    /// Only for the mutant that sets a change's id after its UNLINK: the run id of the node to which the change was
    /// propagated.
    pub(super) unrecorded: [Option<u8>; 2],
    pub(super) nodes: [Node; 2],
    pub(super) saved: Option<Redis>,
    pub(super) grants: Vec<Option<Grant>>,
    pub(super) loaders: Vec<Loader>,
    pub(super) relays: Vec<Relay>,
    /// How many replication histories there have been. They are numbered from 0, so this is also the id of the next one.
    pub(super) histories: u8,
    pub(super) left: Left,
    /// Whether there were two masters at once: then larder promises fresh reads only the staleness bound.
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
    pub(super) successions: u8,
}

/// One Redis server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) redis: Redis,
    pub(super) is_master: bool,
    /// The run id of the process.
    pub(super) run: u8,
    /// The replication history.
    pub(super) history: u8,
    /// Whether the node was demoted and has not copied its master since.
    pub(super) is_apart: bool,
}

/// The grant by which an instance uses a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    pub(super) node: usize,
    pub(super) run: u8,
    pub(super) history: u8,
    /// The commits before the watermark at the time of the grant.
    pub(super) reach: Seen,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Loader {
    Before,
    Held { lease: Token, tags: Vec<TagToken>, by: usize },
    Loaded { lease: Token, tags: Vec<TagToken>, by: usize, seen: Seen },
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Relay {
    pub(super) polls: u8,
    pub(super) poll: Option<Poll>,
    /// Only for the mutant that does not store the position in Redis.
    pub(super) own_position: Option<Position>,
    /// Only for the mutant that uses ids which an earlier poll has read.
    pub(super) own_ids: Seen,
}

/// A running poll.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Poll {
    pub(super) node: usize,
    pub(super) run: u8,
    pub(super) history: u8,
    pub(super) began: u64,
    /// The timeline for which the poll was planned.
    pub(super) timeline: u8,
    pub(super) position: Option<Position>,
    /// The attestation of its snapshot.
    pub(super) attested: View,
    /// Only for a mutant: the poll propagates nothing.
    pub(super) only_certifies: bool,
    pub(super) progress: PollProgress,
}

/// A position: the transactions that it has seen, its attestation, and the timeline of its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Position {
    pub(super) seen: Seen,
    pub(super) attestation: u8,
    pub(super) timeline: u8,
}

/// The progress of a poll.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum PollProgress {
    /// The next step is the snapshot.
    Asked,
    /// The journal has answered. The next step is the inspection; after it the poll is at the inner stage.
    Answered(Box<PollProgress>),
    /// The relay reads which of `rows` their writers have propagated.
    Reading { snapshot: Seen, rows: Seen, unread: Seen, propagated: Seen },
    /// The keys that are still to be unlinked. If there are none, MARK follows.
    Propagating { snapshot: Seen, todo: Vec<Bytes> },
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
        let own_position = Some(Position { seen: 0, attestation: 0, timeline: 0 });
        let mut state = State {
            order: Vec::new(),
            lost: 0,
            timeline: 0,
            known_timelines: vec![0; model.instances.max(model.polls.len())],
            pruned: 0,
            catalog: Catalog::default(),
            silent: 0,
            touched: [Touched::default(); 2],
            processes: (0..model.instances.max(model.polls.len()))
                .map(|nth| if nth < model.instances { Process::opened() } else { Process::default() })
                .collect(),
            propagated: 0,
            acknowledged: 0,
            waiting: 0,
            unrecorded: [None; 2],
            nodes: [node(0), node(1)],
            saved: None,
            grants: vec![None; model.instances],
            loaders: vec![Loader::Before; model.loaders.len()],
            relays: model
                .polls
                .iter()
                .map(|&polls| Relay { polls, poll: None, own_position, own_ids: 0 })
                .collect(),
            histories: 1,
            left: Left {
                promotions: model.promotions,
                demotions: model.demotions,
                flushes: model.flushes,
                restores: model.restores,
                prunings: model.prunings,
                expiries: model.expiries,
                silences: model.silences,
                hidings: model.subject.map_or(0, |_| 1),
                successions: model.successions,
            },
            was_split: false,
        };
        // Both nodes begin certified, because the second is a copy of the first. FLUSHALL and a restore lead to nodes
        // without a certificate.
        let certificate = state.certificate(model, 0, 0).to_bytes();
        for node in &mut state.nodes {
            node.redis.set(&CERTIFICATE, certificate.clone());
            node.redis.set(&WATERMARK, Bytes::from_static(&[0]));
            node.redis.set(&POSITION, Bytes::from_static(&[0, 0, 0]));
        }
        state
    }

    /// The certificate that a process which knows `timeline` would set on this node.
    pub(super) fn certificate(&self, model: &Failover, node: usize, timeline: u8) -> Certificate {
        let node = &self.nodes[node];
        let timeline = if model.own_rules.certificate_names_timeline { timeline.into() } else { 0 };
        let database = Some(DatabaseId { system: "db".to_owned(), timeline });
        let redis = format!("{}:{}", node.run, node.history);
        Certificate { redis, database, bound_ms: 1, ttl_max_ms: 1, slots: None }
    }

    /// The transactions that the database has.
    pub(super) fn committed(&self) -> Seen {
        self.before(self.now())
    }

    /// The transactions that the database has and that were committed before `time`.
    pub(super) fn before(&self, time: RedisTime) -> Seen {
        let count = usize::try_from(time.0).unwrap_or(usize::MAX);
        self.order.iter().take(count).fold(0, |seen, transaction| seen | 1 << transaction) & !self.lost
    }

    /// The time, which is the same on every node.
    pub(super) fn now(&self) -> RedisTime {
        RedisTime(self.order.len() as u64)
    }

    pub(super) fn position_is_true(&self) -> bool {
        self.nodes.iter().all(|node| {
            let position = node.position().map_or(0, |position| position.seen) & !self.lost;
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

    /// The entry of a node that an instance may use contains every commit before the watermark of the instance's grant.
    pub(super) fn reads_reach_the_watermark(&self) -> bool {
        self.grants.iter().flatten().all(|grant| {
            let node = &self.nodes[grant.node];
            let can_read = node.run == grant.run;
            let reach = grant.reach & !self.lost;
            !can_read || node.entry().is_none_or(|seen| seen & reach == reach)
        })
    }

    /// The entry of a node that an instance may use contains every commit that was acknowledged as sent, unless there
    /// were two masters.
    pub(super) fn fresh_after_acknowledgement(&self, model: &Failover) -> bool {
        self.was_split
            || self.grants.iter().flatten().all(|grant| {
                let node = &self.nodes[grant.node];
                if node.run != grant.run {
                    return true;
                }
                let is_former = node.history != grant.history;
                if !node.is_master {
                    model.take(Branch::ReadsReplica);
                } else if is_former {
                    model.take(Branch::ReadsOtherHistory);
                }
                let can_read = (node.is_master || !model.own_rules.reads_ask_role)
                    && (!is_former || !model.own_rules.reads_ask_history);
                let acknowledged = self.acknowledged & !self.lost;
                !can_read || node.entry().is_none_or(|seen| seen & acknowledged == acknowledged)
            })
    }
}

impl Node {
    /// The transactions that the load of the valid entry saw; `None` if there is no valid entry.
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
        self.redis.peek(&POSITION).map(|value| Position {
            seen: value[0],
            attestation: value[1],
            timeline: value[2],
        })
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
