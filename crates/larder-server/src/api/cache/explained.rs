//! The answer of `cache/explain`: in which tiers an entry is, and why or why not.

use larder::introspection::RedisAnswer;
use larder::introspection::explain::{Explanation, InvalidationRecord, RedisState, TierEntry};
use larder::journal::Touch;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::timestamp::Timestamp;

/// One tag of an entry.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tag {
    name: String,
    /// Whether the tag still has the token that it had before the entry's load. If not, the entry is invalid.
    stands: bool,
}

/// An entry in a tier.
#[derive(Serialize, ToSchema)]
pub(crate) struct Copy {
    /// Whether the entry says that the database has no such value.
    absent: bool,
    payload_bytes: usize,
    /// When the load of the entry began.
    since: Timestamp,
    until: Timestamp,
    tags: Vec<Tag>,
    /// Whether a bounded read would be answered with this entry now.
    served: bool,
}

impl From<TierEntry> for Copy {
    fn from(held: TierEntry) -> Self {
        Self {
            absent: held.is_absent,
            payload_bytes: held.payload_bytes,
            since: Timestamp::from(held.loaded_at),
            until: Timestamp::from(held.until),
            tags: held.tags.into_iter().map(|tag| Tag { name: tag.tag, stands: tag.is_current }).collect(),
            served: held.is_served,
        }
    }
}

/// Why and when an entry was last invalidated, as far as this instance knows and remembers.
#[derive(Serialize, ToSchema)]
pub(crate) struct LastInvalidation {
    /// `committed`, `by hand`, `push`, `journal` or `loss`.
    cause: String,
    /// What the invalidation named: the entry, a tag, a pattern, or everything.
    named: String,
    at: Timestamp,
}

impl From<InvalidationRecord> for LastInvalidation {
    fn from(invalidated: InvalidationRecord) -> Self {
        let named = match invalidated.named {
            Touch::Entry { .. } => "the entry".to_owned(),
            Touch::Tag(tag) => format!("tag {tag}"),
            Touch::Matching(pattern) => format!("pattern {pattern}"),
            // `Touch::Everything`. A kind that this release does not know may be as wide.
            _ => "everything".to_owned(),
        };
        Self { cause: invalidated.cause.to_string(), named, at: Timestamp::from(invalidated.at) }
    }
}

/// In which tiers an entry is, and why or why not.
#[derive(Serialize, ToSchema)]
pub(crate) struct Explained {
    text: String,
    memory: Option<Copy>,
    /// `entry`, `leased`, `anchor` (of a memory-only class), `permit`, `nothing`, `unreadable`, `away`, or
    /// `not configured`.
    redis_state: &'static str,
    redis: Option<Copy>,
    /// When the lease ends that a load holds on this key in Redis.
    leased_until: Option<Timestamp>,
    /// Whether this process is loading the entry.
    loading: bool,
    last_invalidation: Option<LastInvalidation>,
}

impl From<Explanation> for Explained {
    fn from(explanation: Explanation) -> Self {
        let (redis_state, redis, leased_until) = match explanation.redis {
            RedisAnswer::NotConfigured => ("not configured", None, None),
            RedisAnswer::Value(found) => match found {
                RedisState::Nothing => ("nothing", None, None),
                RedisState::Lease { until } => ("leased", None, Some(Timestamp::from(until))),
                RedisState::Entry(held) => ("entry", Some(Copy::from(held)), None),
                RedisState::Anchor { .. } => ("anchor", None, None),
                RedisState::Permit { .. } => ("permit", None, None),
                _ => ("unreadable", None, None),
            },
            _ => ("away", None, None),
        };
        Self {
            text: explanation.text,
            memory: explanation.memory.map(Copy::from),
            redis_state,
            redis,
            leased_until,
            loading: explanation.is_loading,
            last_invalidation: explanation.last_invalidation.map(LastInvalidation::from),
        }
    }
}
