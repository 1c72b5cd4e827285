//! Until when the caches may be served, judged from one heartbeat; and the certificate that a Redis carries.
//!
//! A heartbeat travels on the tracked connection, so every push that Redis sent before its reply has been
//! handled when the reply is judged: what memory still holds was right when the heartbeat was SENT, for all that
//! Redis had been told by then. The watermark says what it had been told: every commit before it.

use std::time::Duration;

use bytes::Bytes;

use crate::clock::Tick;
use crate::journal::DatabaseId;
use crate::protocol::rules::{ProtocolRule, ProtocolRules};

/// An instant of Redis's own clock, in microseconds since 1970. Compared with nothing but its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedisTime(pub u64);

impl RedisTime {
    /// Time from `earlier` until `self`, or `None` when `earlier` is later.
    pub fn since(self, earlier: RedisTime) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_micros)
    }
}

/// What a Redis carries to say for which Redis and which database its contents were checked, and by which figures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Certificate {
    /// `run_id:master_replid`: the process and the history it carries. Both are needed: a master that was demoted and
    /// promoted again keeps its `run_id`, a restarted one that loaded a snapshot may keep its replid.
    pub redis: String,
    /// The database whose journal was replayed; `None` where there is no journal.
    pub database: Option<DatabaseId>,
    /// The staleness bound, in milliseconds: all who share a Redis must agree on it.
    pub bound_ms: u64,
    /// The longest residence of an entry, in milliseconds: likewise.
    pub ttl_max_ms: u64,
}

impl Certificate {
    /// As it stands in Redis.
    pub fn to_bytes(&self) -> Bytes {
        let database = match &self.database {
            None => "- -".to_owned(),
            Some(database) => format!("{} {}", database.system, database.timeline),
        };
        let Certificate { redis, bound_ms, ttl_max_ms, .. } = self;
        Bytes::from(format!("{redis} {database} bound_ms={bound_ms} ttl_max_ms={ttl_max_ms}"))
    }

    /// Reads a certificate; `None` for anything else.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let words: Vec<&str> = std::str::from_utf8(bytes).ok()?.split(' ').collect();
        let [redis, system, timeline, bound, ttl_max] = words[..] else { return None };
        let database = match (system, timeline) {
            ("-", "-") => None,
            _ => Some(DatabaseId { system: system.to_owned(), timeline: timeline.parse().ok()? }),
        };
        Some(Certificate {
            redis: redis.to_owned(),
            database,
            bound_ms: bound.strip_prefix("bound_ms=")?.parse().ok()?,
            ttl_max_ms: ttl_max.strip_prefix("ttl_max_ms=")?.parse().ok()?,
        })
    }

    /// Whether `standing` certifies this very Redis by other figures, or for no journal where we have one: then
    /// somebody else is right to use it, and this instance is not.
    pub fn disagrees(&self, standing: &Certificate) -> bool {
        standing.redis == self.redis
            && ((standing.bound_ms, standing.ttl_max_ms) != (self.bound_ms, self.ttl_max_ms)
                || standing.database.is_some() != self.database.is_some())
    }
}

/// What one heartbeat said.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    /// The clock when the heartbeat was sent; never when its reply came.
    pub sent: Tick,
    /// Redis calls itself a master.
    pub is_master: bool,
    /// The certificate kept in this Redis names this Redis, as this instance sees it, and its database.
    pub is_live: bool,
    /// How far Redis has been told of the database's commits.
    pub publisher: Publisher,
}

/// How far Redis has been told of what was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publisher {
    /// There is no journal: whoever writes, tells.
    Writers,
    /// The relay tells, and everything before the watermark has been told.
    Relay {
        /// Redis's clock when it answered.
        now: RedisTime,
        /// The watermark; missing until the relay has set one.
        watermark: Option<RedisTime>,
    },
}

impl Heartbeat {
    /// The instant up to which reads may be served on its word, or `None` when it certifies nothing.
    pub fn fresh_until(self, bound: Duration, resolution: Duration, rules: ProtocolRules) -> Option<Tick> {
        if !rules.keeps(ProtocolRule::UsesOnlyCertified) {
            return Some(self.sent.plus(bound));
        }
        let lag = match self.publisher {
            Publisher::Writers => Duration::ZERO,
            // A watermark ahead of the clock comes from a faster clock: worth nothing.
            Publisher::Relay { now, watermark } => now.since(watermark?)?,
        };
        let left = bound.checked_sub(lag)?;
        (self.is_master && self.is_live).then(|| self.sent.plus(left).minus(resolution))
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

    fn beat(told: Publisher) -> Heartbeat {
        Heartbeat { sent: SENT, is_master: true, is_live: true, publisher: told }
    }

    #[test]
    fn freshness_counts_from_the_sending_and_gives_the_clocks_grain_away() {
        assert_eq!(until(beat(Publisher::Writers)), Some(SENT.plus(Duration::from_millis(1_996))));
    }

    #[test]
    fn the_watermarks_age_is_given_away_too() {
        let told = |now, watermark| Publisher::Relay { now: RedisTime(now), watermark };
        let marked = Some(RedisTime(1_000_000));
        assert_eq!(until(beat(told(1_300_000, marked))), Some(SENT.plus(Duration::from_millis(1_696))));
        assert_eq!(until(beat(told(3_000_001, marked))), None, "older than the bound");
        assert_eq!(until(beat(told(999_999, marked))), None, "ahead of the clock");
        assert_eq!(until(beat(told(1_000_000, None))), None, "never marked");
    }

    #[test]
    fn a_replica_or_an_uncertified_redis_certifies_nothing() {
        for (is_master, is_live) in [(false, true), (true, false), (false, false)] {
            assert_eq!(until(Heartbeat { is_master, is_live, ..beat(Publisher::Writers) }), None);
        }
    }

    #[test]
    fn a_certificate_comes_back_as_it_was_written() {
        let database = DatabaseId { system: "7300:16384".to_owned(), timeline: 3 };
        for database in [None, Some(database)] {
            let redis = "abc:def".to_owned();
            let certificate = Certificate { redis, database, bound_ms: 2_000, ttl_max_ms: 3_600_000 };
            assert_eq!(Certificate::parse(&certificate.to_bytes()), Some(certificate.clone()));
            assert!(!certificate.disagrees(&certificate));
            let other_bound = Certificate { bound_ms: 5_000, ..certificate.clone() };
            assert!(certificate.disagrees(&other_bound));
            let other_redis = Certificate { redis: "abc:fed".to_owned(), ..other_bound };
            assert!(!certificate.disagrees(&other_redis), "of another Redis anything may be said");
        }
        assert_eq!(Certificate::parse(b"junk"), None);
        assert_eq!(Certificate::parse(b"abc:def - - bound_ms=x ttl_max_ms=1"), None);
    }
}
