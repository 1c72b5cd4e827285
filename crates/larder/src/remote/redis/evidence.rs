//! What the reply to a read shows of the Redis that gave it, and whether that is the Redis that a heartbeat granted.

use std::sync::Arc;

use bytes::Bytes;

use crate::clock::Tick;
use crate::protocol::certificate::RedisTime;
use crate::protocol::relay::ABANDONED_AFTER;
use crate::remote::redis::redis_id::Replication;

/// What came with the values of a read.
pub(super) enum Evidence {
    /// The server's role and history, after the values.
    Replication(Replication),
    /// The marks of the database, in one step with the values.
    Marks(Marks),
}

/// What a read over REST finds beside its values.
#[derive(Clone)]
pub(super) struct Marks {
    pub(super) certificate: Option<Bytes>,
    pub(super) watermark: Option<RedisTime>,
    /// The watermark of instances that use the same Redis, without REST, for the same database.
    pub(super) resp_watermark: Option<RedisTime>,
}

impl Marks {
    /// The marks of two reads that count only together.
    pub(super) fn with(self, other: Marks) -> Marks {
        Marks {
            certificate: self.certificate.filter(|mine| other.certificate.as_ref() == Some(mine)),
            watermark: self.watermark.min(other.watermark),
            resp_watermark: self.resp_watermark.max(other.resp_watermark),
        }
    }

    /// Whether instances without REST use this Redis for the same database. They write under other keys, and what they
    /// invalidate there, this instance reaches by the journal alone: it would answer a fresh read with what they have
    /// acknowledged as invalidated. `at` is an instant of Redis's clock, as their watermark is.
    pub(super) fn has_resp_instances(&self, at: RedisTime) -> bool {
        let age = self.resp_watermark.map(|theirs| at.since(theirs));
        age.is_some_and(|age| age.is_none_or(|age| age <= ABANDONED_AFTER))
    }
}

/// What the last grant rests on. The keeper notes it just before the grant.
#[derive(Default, PartialEq, Eq)]
pub(super) enum Granted {
    /// There was no grant yet.
    #[default]
    Nothing,
    /// The replication history of the server at the other end of the connection (`master_replid`).
    History(String),
    /// The marks that the heartbeat found, and until when a Redis that carries them may be read.
    Marks { certificate: Bytes, watermark: RedisTime, until: Tick },
}

impl Granted {
    /// The watermark of the marks, over REST.
    pub(super) fn watermark(&self) -> Option<RedisTime> {
        match self {
            Granted::Marks { watermark, .. } => Some(*watermark),
            Granted::Nothing | Granted::History(_) => None,
        }
    }

    /// Whether the Redis that gave `evidence` is the one that was granted.
    ///
    /// A server that becomes a replica keeps its connections and answers with what it has. If it is promoted again, it has a
    /// new history, and a former history never returns. So it is enough to compare the history that was granted before the
    /// read with the one that the server reports after the values.
    ///
    /// Over REST there is no such server. But the values come in one step with the marks of their database: with this
    /// certificate and a watermark that is not older than the granted one, every commit before the granted watermark has
    /// been propagated to what was read, whichever server gave it, and whatever it had lost before. So the values may be
    /// served as long as the grant allows.
    pub(super) fn is_shown_by(&self, evidence: &Evidence, now: Tick) -> bool {
        match (self, evidence) {
            (Granted::History(history), Evidence::Replication(server)) => server.is_master_of(history),
            (Granted::Marks { certificate, watermark, until }, Evidence::Marks(found)) => {
                found.certificate.as_ref() == Some(certificate)
                    && found.watermark.is_some_and(|at| at >= *watermark && !found.has_resp_instances(at))
                    && now < *until
            }
            _ => false,
        }
    }
}

/// The values of a read's keys, and what came with them.
pub(super) type ReadReply = (Vec<Option<Bytes>>, Arc<Evidence>);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn marks(certificate: &'static str, watermark: u64, resp: Option<u64>) -> Marks {
        Marks {
            certificate: Some(Bytes::from_static(certificate.as_bytes())),
            watermark: Some(RedisTime(watermark)),
            resp_watermark: resp.map(RedisTime),
        }
    }

    #[test]
    fn a_read_over_rest_counts_only_with_the_granted_marks_or_newer_ones_while_the_grant_lasts() {
        let now = Tick::from_nanos(10);
        let until = Tick::from_nanos(11);
        let granted =
            Granted::Marks { certificate: Bytes::from("mine"), watermark: RedisTime(500 * SECOND), until };
        let counts = |marks: Marks, now| granted.is_shown_by(&Evidence::Marks(marks), now);
        assert!(counts(marks("mine", 500 * SECOND, None), now));
        assert!(counts(marks("mine", 501 * SECOND, None), now), "a later poll has marked");
        assert!(
            !counts(marks("mine", 500 * SECOND - 1, None), now),
            "a lagging replica, or an older snapshot"
        );
        assert!(!counts(marks("other", 501 * SECOND, None), now));
        assert!(!counts(marks("mine", 501 * SECOND, None), until));
        assert!(
            !counts(marks("mine", 500 * SECOND, Some(499 * SECOND)), now),
            "beside instances without REST"
        );
        assert!(!counts(marks("mine", 500 * SECOND, Some(501 * SECOND)), now));
        assert!(counts(marks("mine", 500 * SECOND, Some(300 * SECOND)), now), "they have gone");
        let nothing = Marks { certificate: None, watermark: None, resp_watermark: None };
        assert!(!counts(nothing.clone(), now), "after FLUSHALL");
        assert!(!counts(nothing.clone().with(marks("mine", 501 * SECOND, None)), now), "in one of two parts");
        assert!(!counts(marks("mine", 501 * SECOND, None).with(nothing), now));
        let older = marks("mine", 501 * SECOND, None).with(marks("mine", 499 * SECOND, None));
        assert!(!counts(older, now));
        assert!(!Granted::Nothing.is_shown_by(&Evidence::Marks(marks("mine", 501 * SECOND, None)), now));
    }

    #[test]
    fn a_server_counts_only_as_the_master_of_the_granted_history() {
        let counts = |granted: &Granted, info: &str| {
            granted.is_shown_by(&Evidence::Replication(Replication::parse(info)), Tick::PAST)
        };
        let granted = Granted::History("def".to_owned());
        assert!(counts(&granted, "role:master\r\nmaster_replid:def\r\n"));
        assert!(!counts(&granted, "role:slave\r\nmaster_replid:def\r\n"));
        assert!(!counts(&granted, "role:master\r\nmaster_replid:abc\r\n"));
        assert!(!counts(&Granted::Nothing, "role:master\r\nmaster_replid:\r\n"));
    }
}
