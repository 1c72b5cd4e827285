//! The state of one exploration: database, Redis, two instances, readers and writers.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use larder::protocol::frame::{Entry, Frame, Header, Seal};
use larder::protocol::lease::ReadableFormat;
use larder::protocol::shard::Shard;
use larder::protocol::tag::{TagKey, TagToken, are_current};
use larder::protocol::token::Token;

use crate::model::coherence::Coherence;
use crate::model::coherence::phase::{Permit, Phase, Read, Version};
use crate::model::redis::{Redis, Sent};

pub(super) const INSTANCES: usize = 2;

pub(super) fn expected(is_tagged: bool) -> ReadableFormat {
    ReadableFormat { codecs: &[0], class_version: 1, tags: usize::from(is_tagged) }
}

pub(super) fn key() -> Bytes {
    Bytes::from_static(b"k")
}

/// The key of the lease of a refresh. No tracked read names this key, so Redis pushes no change of it.
pub(super) fn refresh_key() -> Bytes {
    Bytes::from_static(b"k@refresh")
}

pub(super) fn tag() -> TagKey {
    TagKey::from(Bytes::from_static(b"t"))
}

/// The state of the model: one database, one Redis, the instances and their reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The last committed version.
    pub(super) database: Version,
    /// The version that was last propagated to Redis: Redis must hold no valid older entry.
    pub(super) propagated: Version,
    /// The version that every fresh read must see.
    pub(super) acknowledged: Version,
    pub(super) redis: Redis,
    pub(super) instances: Vec<Instance>,
    pub(super) readers: Vec<Read>,
    pub(super) writers: Vec<Write>,
    pub(super) permits: Vec<Permit>,
    /// The relay's snapshot, until the relay has propagated it.
    pub(super) relay: Option<Version>,
    /// The snapshot of the relay's previous poll.
    pub(super) position: Version,
    pub(super) left: Left,
    pub(super) missed: Missed,
}

/// How often each limited event may still happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub(super) foreign: u8,
    pub(super) evictions: u8,
    pub(super) losses: u8,
    pub(super) failures: u8,
    pub(super) crashes: u8,
    /// Renewals of leases.
    pub(super) renewals: u8,
    /// Reads that find an aged entry.
    pub(super) reloads: u8,
    pub(super) load_failures: u8,
    pub(super) departures: u8,
}

/// Whether each promise was broken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Missed {
    pub(super) fresh: bool,
    pub(super) own: bool,
}

/// What memory has under a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    Copy { version: Version, tags: Vec<TagToken>, is_tracked: bool },
    Token { token: Token, is_tracked: bool },
}

/// One process: its memory, the shards of the key and of the tag, and whether it may use Redis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Instance {
    pub(super) memory: BTreeMap<Bytes, Slot>,
    /// The shards of the key and of the tag. The handle of a flight is the index of the read that leads it.
    pub(super) shards: [Shard<usize>; 2],
    pub(super) next_flight: u64,
    pub(super) is_usable: bool,
    /// Whether an invalidation of this instance has still to be sent to Redis.
    pub(super) has_unsent: bool,
    /// The version that this instance's own reads must see.
    pub(super) own: Version,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Write {
    Before,
    Committed(Version),
    /// The copies are dropped; the next step is UNLINK.
    Dropped(Version),
    /// Redis has run UNLINK; the reply is on the wire.
    Unlinked(Version),
    /// The reply has come (`true`), or will never come (`false`).
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
            has_unsent: false,
            own: 0,
        };
        State {
            database: 0,
            propagated: 0,
            acknowledged: 0,
            redis: Redis::new(INSTANCES),
            instances: vec![instance; INSTANCES],
            readers: model.readers.iter().map(Read::new).collect(),
            writers: vec![Write::Before; model.writers.len()],
            permits: Permit::all(model),
            relay: None,
            position: 0,
            left: Left {
                foreign: model.foreign,
                evictions: model.evictions,
                losses: model.losses,
                failures: model.failures,
                crashes: model.crashes,
                renewals: model.renewals,
                reloads: model.reloads,
                load_failures: model.load_failures,
                departures: model.departures,
            },
            missed: Missed::default(),
        }
    }

    /// Renumbers sequences, so that states that differ only in these numbers are equal.
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

    /// Redis holds no valid entry that is older than the version last propagated to it.
    pub(super) fn redis_is_not_behind(&self) -> bool {
        let Some(Ok(Frame::Entry(entry))) = self.redis.peek(&key()).map(Frame::parse) else { return true };
        let present = |tag: &TagKey| token_of(self.redis.peek(tag.as_bytes()));
        !are_current(&entry.header.tags, present) || version_of(&entry) >= self.propagated
    }

    /// If an instance has no push on the wire, it serves no tracked copy that is older than the version last propagated
    /// to Redis.
    pub(super) fn memory_is_not_behind(&self) -> bool {
        self.instances.iter().zip(&self.redis.wires).all(|(instance, wire)| {
            let has_every_push = instance.is_usable && !wire.iter().any(|sent| matches!(sent, Sent::Push(_)));
            let found = instance.memory.get(&key()[..]);
            let is_tracked = matches!(found, Some(Slot::Copy { is_tracked: true, .. }));
            !has_every_push || !is_tracked || instance.get().is_none_or(|version| version >= self.propagated)
        })
    }
}

impl Instance {
    /// Models `LocalTier::get`.
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

    /// Models `LocalTier::apply_push`.
    pub(super) fn apply_push(&mut self, changed: &Bytes) {
        self.shards[place(changed)].apply_push(changed);
        self.memory.remove(changed);
    }

    /// Models `LocalTier::clear`. Detaches all flights before it empties memory, so that no flight inserts an old value
    /// later.
    pub(super) fn clear(&mut self) {
        self.shards.iter_mut().for_each(|shard| drop(shard.detach_all()));
        self.memory.clear();
    }

    /// Models `engine::invalidate::drop_batch`. Returns the keys of the overtaken flights.
    pub(super) fn drop_touched(&mut self, tagged: bool) -> Vec<Bytes> {
        let touched = if tagged { tag().to_bytes() } else { key() };
        self.shards[place(&touched)].detach(&touched);
        self.memory.remove(&touched);
        if !tagged {
            return Vec::new();
        }
        let overtaken = self.shards.iter_mut().flat_map(|shard| shard.detach_tagged(&[tag()]));
        overtaken.map(|(key, _)| key).collect()
    }
}

/// The shard of a key. The tag has another shard, which is the harder case.
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

/// The version of an entry, which is its only payload byte.
pub(super) fn version_of(entry: &Entry) -> Version {
    entry.payload.as_ref().map_or(Version::MAX, |payload| payload[0])
}

/// The keys that a tracked read names.
pub(super) fn keys(tagged: bool) -> Vec<Bytes> {
    [key()].into_iter().chain(tags_of(tagged).iter().map(TagKey::to_bytes)).collect()
}

pub(super) fn copy_of(entry: &Entry) -> Slot {
    Slot::Copy { version: version_of(entry), tags: entry.header.tags.clone(), is_tracked: true }
}

pub(super) fn entry_of(version: Version, tags: Vec<TagToken>, fill: Token) -> Entry {
    let header = Header {
        codec: 0,
        class_version: 1,
        digest: 0,
        loaded_at_millis: 0,
        ttl_millis: 1,
        stale_millis: 0,
        load_millis: 0,
        loader_version: None,
        tags,
    };
    let payload = Some(Bytes::copy_from_slice(&[version]));
    let entry = Entry { fill, header, payload, seal: Seal::default() };
    debug_assert_eq!(Frame::parse(&entry.encode()), Ok(Frame::Entry(entry.clone())));
    entry
}
