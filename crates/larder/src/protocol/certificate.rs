//! Computes from one heartbeat the instant up to which reads may be served, and defines the certificate that a Redis
//! carries.
//!
//! The keeper sends heartbeats on the tracked connection. There, Redis's pushes and replies arrive in the order in
//! which Redis sent them. So when the keeper has the reply, memory has applied every push that Redis sent before it.
//! Each copy that is still in memory therefore contains every change that had been propagated to Redis when the
//! heartbeat was SENT. These changes include all commits before the watermark.

use std::time::Duration;

use bytes::Bytes;

use crate::clock::Tick;
use crate::journal::DatabaseId;
use crate::protocol::rules::{ProtocolRule, ProtocolRules};
use crate::protocol::slots::SlotSet;

/// An instant of Redis's own clock, in microseconds since 1970. It is compared only with instants of the same clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedisTime(pub u64);

impl RedisTime {
    /// Time from `earlier` until `self`, or `None` when `earlier` is later.
    pub fn since(self, earlier: RedisTime) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_micros)
    }
}

/// A value in Redis that says for which Redis, which database and which settings the contents were checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Certificate {
    /// `run_id:master_replid`: the server process and the replication history of its data. Both are needed: a master
    /// that was demoted and promoted again keeps its `run_id`; a master that was restarted with a snapshot may keep its
    /// `master_replid`.
    pub redis: String,
    /// The database whose journal was replayed; `None` without a journal.
    pub database: Option<DatabaseId>,
    /// The staleness bound, in milliseconds. All instances that share a Redis must have the same bound.
    pub bound_ms: u64,
    /// The longest TTL that this release allows, in milliseconds. It is a constant, so it differs only between releases.
    pub ttl_max_ms: u64,
    /// The slots whose entries were checked, of a master of a Redis Cluster; `None` for a Redis that is not part of one.
    pub slots: Option<SlotSet>,
}

impl Certificate {
    /// The certificate's text in Redis.
    pub fn to_bytes(&self) -> Bytes {
        let database = match &self.database {
            None => "- -".to_owned(),
            Some(database) => format!("{} {}", database.system, database.timeline),
        };
        let Certificate { redis, bound_ms, ttl_max_ms, .. } = self;
        let slots = self.slots.as_ref().map(|slots| format!(" slots={slots}")).unwrap_or_default();
        Bytes::from(format!("{redis} {database} bound_ms={bound_ms} ttl_max_ms={ttl_max_ms}{slots}"))
    }

    /// Reads a certificate; `None` for anything else.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let words: Vec<&str> = std::str::from_utf8(bytes).ok()?.split(' ').collect();
        let (words, slots) = match words.split_last()? {
            (last, first) if first.len() == 5 => (first, Some(SlotSet::parse(last.strip_prefix("slots=")?)?)),
            _ => (&words[..], None),
        };
        let [redis, system, timeline, bound, ttl_max] = *words else { return None };
        let database = match (system, timeline) {
            ("-", "-") => None,
            _ => Some(DatabaseId { system: system.to_owned(), timeline: timeline.parse().ok()? }),
        };
        Some(Certificate {
            redis: redis.to_owned(),
            database,
            bound_ms: bound.strip_prefix("bound_ms=")?.parse().ok()?,
            ttl_max_ms: ttl_max.strip_prefix("ttl_max_ms=")?.parse().ok()?,
            slots,
        })
    }

    /// The slots of this master of a Redis Cluster, which are `self.slots`, that `existing` certifies; `None` if it certifies
    /// another Redis, or for other settings, or this is no master of a cluster.
    pub fn certified_slots(&self, existing: &Certificate) -> Option<SlotSet> {
        let (mine, theirs) = (self.slots.as_ref()?, existing.slots.as_ref()?);
        let is_same =
            Certificate { slots: None, ..self.clone() } == Certificate { slots: None, ..existing.clone() };
        is_same.then(|| mine.and(theirs))
    }

    /// The slots of this master of a Redis Cluster that `existing` does not list, if there are any.
    pub fn arrived_slots(&self, existing: Option<&Certificate>) -> Option<SlotSet> {
        let listed = existing.and_then(|existing| existing.slots.clone()).unwrap_or_else(SlotSet::empty);
        self.slots.as_ref().map(|mine| mine.minus(&listed)).filter(|arrived| !arrived.is_empty())
    }

    /// Whether `existing` certifies this same Redis under other settings: another bound, another maximum TTL, or a
    /// journal in only one of the two certificates. If so, instances with those other settings may use this Redis, and
    /// this one may not.
    pub fn disagrees(&self, existing: &Certificate) -> bool {
        existing.redis == self.redis
            && ((existing.bound_ms, existing.ttl_max_ms) != (self.bound_ms, self.ttl_max_ms)
                || existing.database.is_some() != self.database.is_some())
    }
}

/// The result of one heartbeat.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    /// The instant at which the heartbeat was sent. The instant of the reply is not used, because a late reply can
    /// describe Redis as it was soon after the sending.
    pub sent: Tick,
    /// Whether Redis's role is master.
    pub is_master: bool,
    /// Whether this Redis has the certificate that this instance would write for it. Without a journal, the namespace
    /// must also be claimed.
    pub carries_my_certificate: bool,
    /// Who propagates commits to this Redis.
    pub propagation: Propagation,
}

/// Whether the writers or the relay propagate committed changes to Redis, and how far the relay came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// There is no journal: each writer propagates its own changes.
    Writers,
    /// The relay propagates. Every commit before the watermark has been propagated.
    Relay {
        /// Redis's clock when it answered.
        now: RedisTime,
        /// The watermark; `None` until the relay has set one.
        watermark: Option<RedisTime>,
    },
}

impl Heartbeat {
    /// The instant up to which this heartbeat allows reads to be served; `None` if it certifies nothing.
    ///
    /// That instant is `sent` plus the bound, less the watermark's age, less the clock's resolution.
    pub fn fresh_until(self, bound: Duration, resolution: Duration, rules: ProtocolRules) -> Option<Tick> {
        if !rules.keeps(ProtocolRule::UsesOnlyCertified) {
            return Some(self.sent.plus(bound));
        }
        let lag = match self.propagation {
            Propagation::Writers => Duration::ZERO,
            // A watermark ahead of the clock comes from a faster clock, so its age is unknown: no grant.
            Propagation::Relay { now, watermark } => now.since(watermark?)?,
        };
        let left = bound.checked_sub(lag)?;
        (self.is_master && self.carries_my_certificate).then(|| self.sent.plus(left).minus(resolution))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(2);
    const GRAIN: Duration = Duration::from_millis(4);
    const SENT: Tick = Tick::from_nanos(10_000_000_000);

    fn until(beat: Heartbeat) -> Option<Tick> {
        beat.fresh_until(BOUND, GRAIN, ProtocolRules::default())
    }

    fn beat(propagation: Propagation) -> Heartbeat {
        Heartbeat { sent: SENT, is_master: true, carries_my_certificate: true, propagation }
    }

    #[test]
    fn a_grant_counts_from_the_sending_and_is_shorter_by_the_clocks_resolution() {
        assert_eq!(until(beat(Propagation::Writers)), Some(SENT.plus(Duration::from_millis(1_996))));
    }

    #[test]
    fn a_grant_is_shorter_by_the_watermarks_age() {
        let relay = |now, watermark| Propagation::Relay { now: RedisTime(now), watermark };
        let marked = Some(RedisTime(1_000_000));
        assert_eq!(until(beat(relay(1_300_000, marked))), Some(SENT.plus(Duration::from_millis(1_696))));
        assert_eq!(until(beat(relay(3_000_001, marked))), None, "older than the bound");
        assert_eq!(until(beat(relay(999_999, marked))), None, "ahead of the clock");
        assert_eq!(until(beat(relay(1_000_000, None))), None, "never marked");
    }

    #[test]
    fn a_replica_or_an_uncertified_redis_certifies_nothing() {
        for (is_master, carries_my_certificate) in [(false, true), (true, false), (false, false)] {
            assert_eq!(
                until(Heartbeat { is_master, carries_my_certificate, ..beat(Propagation::Writers) }),
                None
            );
        }
    }

    #[test]
    fn a_written_certificate_parses_to_an_equal_one() {
        let database = DatabaseId { system: "7300:16384".to_owned(), timeline: 3 };
        let slots = || SlotSet::parse("0-5460,5462");
        for (database, slots) in [(None, None), (Some(database.clone()), None), (Some(database), slots())] {
            let redis = "abc:def".to_owned();
            let certificate = Certificate { redis, database, bound_ms: 2_000, ttl_max_ms: 3_600_000, slots };
            assert_eq!(Certificate::parse(&certificate.to_bytes()), Some(certificate.clone()));
            assert!(!certificate.disagrees(&certificate));
            let other_bound = Certificate { bound_ms: 5_000, ..certificate.clone() };
            assert!(certificate.disagrees(&other_bound));
            let other_redis = Certificate { redis: "abc:fed".to_owned(), ..other_bound };
            assert!(!certificate.disagrees(&other_redis), "a certificate of another Redis never disagrees");
        }
        assert_eq!(Certificate::parse(b"junk"), None);
        assert_eq!(Certificate::parse(b"abc:def - - bound_ms=x ttl_max_ms=1"), None);
        assert_eq!(Certificate::parse(b"abc:def - - bound_ms=1 ttl_max_ms=1 slots=x"), None);
    }
}
