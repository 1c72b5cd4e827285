//! The state of one exploration: database, Redis, two instances, readers and writers.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use larder::policy::Consistency;
use larder::protocol::flight::FlightId;
use larder::protocol::frame::{Entry, Frame, Header, Seal};
use larder::protocol::lease::ReadableFormat;
use larder::protocol::shard::{Seq, Shard};
use larder::protocol::tag::{TagKey, TagToken, are_current};
use larder::protocol::token::Token;

use crate::model::coherence::Coherence;
use crate::model::redis::{Redis, Sent};

/// A version of the database's one row.
pub type Version = u8;

pub(super) const INSTANCES: usize = 2;

pub(super) fn expected(is_tagged: bool) -> ReadableFormat {
    ReadableFormat { codec: 0, class_version: 1, tags: usize::from(is_tagged) }
}

pub(super) fn key() -> Bytes {
    Bytes::from_static(b"k")
}

pub(super) fn tag() -> TagKey {
    TagKey::from(Bytes::from_static(b"t"))
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The last committed version.
    pub(super) database: Version,
    /// What was committed when Redis was last told: nothing older may stand there.
    pub(super) told: Version,
    /// What every fresh read has to see.
    pub(super) acknowledged: Version,
    pub(super) redis: Redis,
    pub(super) instances: Vec<Instance>,
    pub(super) readers: Vec<Read>,
    pub(super) writers: Vec<Write>,
    pub(super) permits: Vec<Permit>,
    /// The relay's snapshot, until it has told Redis.
    pub(super) relay: Option<Version>,
    /// The snapshot of its pass before.
    pub(super) position: Version,
    pub(super) left: Left,
    pub(super) missed: Missed,
}

/// How much of each misfortune may still happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub(super) foreign: u8,
    pub(super) evictions: u8,
    pub(super) losses: u8,
    pub(super) failures: u8,
    pub(super) crashes: u8,
}

/// Promises that were broken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Missed {
    pub(super) fresh: bool,
    pub(super) own: bool,
}

/// What memory holds under a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    Copy { version: Version, tags: Vec<TagToken>, is_tracked: bool },
    Token { token: Token, is_tracked: bool },
}

/// One process: its memory, the shards of the key and of the tag, and what it thinks of Redis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Instance {
    pub(super) memory: BTreeMap<Bytes, Slot>,
    /// The handle is the reader that leads.
    pub(super) shards: [Shard<usize>; 2],
    pub(super) next_flight: u64,
    pub(super) is_usable: bool,
    /// An UNLINK that has not reached Redis.
    pub(super) owes: bool,
    /// What this instance's own reads have to see.
    pub(super) own: Version,
}

/// One read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Read {
    pub(super) instance: usize,
    pub(super) consistency: Consistency,
    pub(super) phase: Phase,
    pub(super) arrival: FlightId,
    /// What the answer has to show, by either promise.
    pub(super) must_fresh: Version,
    pub(super) must_own: Version,
    /// What the database held when the read began: what a loader on an old snapshot sees.
    pub(super) snapshot: Version,
    /// The tier was lost since the flight began: its replies count no more.
    pub(super) is_cut: bool,
    /// Tells this read's tokens from each other.
    pub(super) tokens: u8,
}

/// How far a read is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Before,
    Arrived,
    Joined(FlightId),
    After(FlightId),
    /// On the wire, with the sequences marked before it was sent.
    Asked(FlightId, Vec<Seq>),
    Replied(FlightId, Vec<Seq>, Vec<Option<Bytes>>),
    /// Another holds the lease.
    Waiting(FlightId),
    /// LEASE comes next.
    Leasing {
        id: FlightId,
        replace: Option<Bytes>,
        token: Option<Token>,
    },
    /// LEASE answered; the missing tag is minted next.
    Minting {
        id: FlightId,
        standing: Bytes,
        mine: Token,
    },
    Held {
        id: FlightId,
        lease: Token,
        tags: Vec<TagToken>,
    },
    Loaded {
        id: FlightId,
        lease: Token,
        tags: Vec<TagToken>,
        version: Version,
    },
    /// An anchor is set next, over what `replace` fingerprints.
    Planting {
        id: FlightId,
        replace: Option<Bytes>,
    },
    /// Loads under an anchor, whose reports this instance hears.
    Watched {
        id: FlightId,
        tags: Vec<TagToken>,
    },
    WatchedLoaded {
        id: FlightId,
        tags: Vec<TagToken>,
        version: Version,
    },
    /// Loads without Redis.
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

/// One permit: its instance and its progress.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Permit {
    pub(super) instance: usize,
    pub(super) phase: PermitPhase,
}

/// How far a permit is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum PermitPhase {
    Before,
    Drawn(Right),
    Computed(Right, Version),
    Done,
}

/// What must be unchanged at the put.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Right {
    /// Redis was lost since the draw, so the put is refused.
    Void,
    Redis {
        standing: Bytes,
        tags: Vec<TagToken>,
    },
    Memory {
        tags: Vec<TagToken>,
    },
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Write {
    Before,
    Committed(Version),
    /// Gone from memory, UNLINK comes next.
    Dropped(Version),
    /// UNLINK is done in Redis, its reply on the wire.
    Unlinked(Version),
    /// The reply came (`true`) or will not.
    Replied(Version, bool),
    Done,
}

impl State {
    pub(super) fn new(model: &Coherence) -> Self {
        let instance = Instance {
            memory: BTreeMap::new(),
            shards: [Shard::new(model.rules), Shard::new(model.rules)],
            next_flight: 1,
            is_usable: true,
            owes: false,
            own: 0,
        };
        let read = |reader: &super::Reader| Read {
            instance: reader.instance,
            consistency: reader.consistency,
            phase: Phase::Before,
            arrival: FlightId(0),
            must_fresh: 0,
            must_own: 0,
            snapshot: 0,
            is_cut: false,
            tokens: 0,
        };
        State {
            database: 0,
            told: 0,
            acknowledged: 0,
            redis: Redis::new(INSTANCES),
            instances: vec![instance; INSTANCES],
            readers: model.readers.iter().map(read).collect(),
            writers: vec![Write::Before; model.writers.len()],
            permits: model
                .permits
                .iter()
                .map(|&instance| Permit { instance, phase: PermitPhase::Before })
                .collect(),
            relay: None,
            position: 0,
            left: Left {
                foreign: model.foreign,
                evictions: model.evictions,
                losses: model.losses,
                failures: model.failures,
                crashes: model.crashes,
            },
            missed: Missed::default(),
        }
    }

    /// Takes states for one that differ in numbers alone.
    pub(super) fn settle(&mut self) {
        for (nth, instance) in self.instances.iter_mut().enumerate() {
            for (place, shard) in instance.shards.iter_mut().enumerate() {
                let marks = self.readers.iter_mut().filter(|read| read.instance == nth);
                shard.renumber(marks.filter_map(|read| match &mut read.phase {
                    Phase::Asked(_, marks) | Phase::Replied(_, marks, _) => marks.get_mut(place),
                    _ => None,
                }));
            }
        }
    }

    /// Redis holds no valid entry older than what it has been told of.
    pub(super) fn redis_is_not_behind(&self) -> bool {
        let Some(Ok(Frame::Entry(entry))) = self.redis.peek(&key()).map(Frame::parse) else { return true };
        let present = |tag: &TagKey| token_of(self.redis.peek(tag.as_bytes()));
        !are_current(&entry.header.tags, present) || version_of(&entry) >= self.told
    }

    /// No instance would serve a tracked copy older than what Redis has been told of, but for pushes on their way.
    pub(super) fn memory_is_not_behind(&self) -> bool {
        self.instances.iter().zip(&self.redis.wires).all(|(instance, wire)| {
            let is_told = instance.is_usable && !wire.iter().any(|sent| matches!(sent, Sent::Push(_)));
            let found = instance.memory.get(&key()[..]);
            let is_tracked = matches!(found, Some(Slot::Copy { is_tracked: true, .. }));
            !is_told || !is_tracked || instance.get().is_none_or(|version| version >= self.told)
        })
    }
}

impl Instance {
    /// `Local::get`.
    pub(super) fn get(&self) -> Option<Version> {
        match self.memory.get(&key()[..]) {
            Some(Slot::Copy { version, tags, is_tracked }) if !is_tracked || self.is_usable => {
                are_current(tags, |tag| self.token(tag)).then_some(*version)
            }
            _ => None,
        }
    }

    pub(super) fn token(&self, tag: &TagKey) -> Option<Token> {
        match self.memory.get(tag.as_bytes()) {
            Some(Slot::Token { token, is_tracked }) if !is_tracked || self.is_usable => Some(*token),
            _ => None,
        }
    }

    /// `Local::pushed`.
    pub(super) fn apply_push(&mut self, changed: &Bytes) {
        self.shards[place(changed)].apply_push(changed);
        self.memory.remove(changed);
    }

    /// `Local::clear`: per shard, first fence, then empty.
    pub(super) fn clear(&mut self) {
        self.shards.iter_mut().for_each(|shard| drop(shard.detach_all()));
        self.memory.clear();
    }

    /// `Engine::drop_from_memory`, then the keys whose leases have become worthless.
    pub(super) fn drop_touched(&mut self, tagged: bool) -> Vec<Bytes> {
        let touched = if tagged { tag().to_bytes() } else { key() };
        self.shards[place(&touched)].detach(&touched);
        self.memory.remove(&touched);
        if !tagged {
            return Vec::new();
        }
        let overtaken = self.shards.iter_mut().flat_map(|shard| shard.detach_tagged(&tag()));
        overtaken.map(|(key, _)| key).collect()
    }
}

/// Which shard a key belongs to: the tag's is another, which is the weaker case.
pub(super) fn place(of: &[u8]) -> usize {
    usize::from(of == tag().as_bytes())
}

pub(super) fn tags_of(tagged: bool) -> Arc<[TagKey]> {
    if tagged { [tag()].into() } else { [].into() }
}

pub(super) fn token_of(frame: Option<&Bytes>) -> Option<Token> {
    match Frame::parse(frame?) {
        Ok(Frame::Tag(token)) => Some(token),
        _ => None,
    }
}

/// The model's entries hold one byte, the version.
pub(super) fn version_of(entry: &Entry) -> Version {
    entry.payload.as_ref().map_or(Version::MAX, |payload| payload[0])
}

/// What a tracked read names.
pub(super) fn keys(tagged: bool) -> Vec<Bytes> {
    [key()].into_iter().chain(tags_of(tagged).iter().map(TagKey::to_bytes)).collect()
}

pub(super) fn copy_of(entry: &Entry) -> Slot {
    Slot::Copy { version: version_of(entry), tags: entry.header.tags.clone(), is_tracked: true }
}

pub(super) fn entry_of(version: Version, tags: Vec<TagToken>, fill: Token) -> Entry {
    let header = Header { codec: 0, class_version: 1, digest: 0, loaded_at_millis: 0, ttl_millis: 1, tags };
    let payload = Some(Bytes::copy_from_slice(&[version]));
    let entry = Entry { fill, header, payload, seal: Seal::default() };
    debug_assert_eq!(Frame::parse(&entry.encode()), Ok(Frame::Entry(entry.clone())));
    entry
}
