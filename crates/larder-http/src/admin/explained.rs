//! The explanation of an entry, as the page reads it. All times are in milliseconds since 1970.

use larder::introspection::RedisAnswer;
use larder::introspection::explain::{Explanation, RedisState, TagStatus, TierEntry};
use larder::journal::Touch;
use serde::Serialize;

use crate::admin::times::millis;

#[derive(Serialize)]
pub(super) struct Explained {
    text: String,
    memory: Option<Copy>,
    redis_state: &'static str,
    redis: Option<Copy>,
    /// When the lease, the anchor or the permit in Redis ends.
    redis_until: Option<u64>,
    is_loading: bool,
    last_invalidation: Option<Invalidated>,
}

#[derive(Serialize)]
struct Copy {
    is_absent: bool,
    payload_bytes: usize,
    loaded_at: u64,
    until: u64,
    is_served: bool,
    tags: Vec<Tag>,
}

#[derive(Serialize)]
struct Tag {
    name: String,
    is_current: bool,
}

#[derive(Serialize)]
struct Invalidated {
    cause: String,
    named: String,
    at: u64,
}

impl From<TierEntry> for Copy {
    fn from(entry: TierEntry) -> Self {
        let tags = entry.tags.into_iter().map(|TagStatus { tag: name, is_current }| Tag { name, is_current });
        Self {
            is_absent: entry.is_absent,
            payload_bytes: entry.payload_bytes,
            loaded_at: millis(entry.loaded_at),
            until: millis(entry.until),
            is_served: entry.is_served,
            tags: tags.collect(),
        }
    }
}

impl From<Explanation> for Explained {
    fn from(explanation: Explanation) -> Self {
        let mut redis = None;
        let (redis_state, redis_until) = match explanation.redis {
            RedisAnswer::NotConfigured => ("not configured", None),
            RedisAnswer::Value(RedisState::Nothing) => ("nothing", None),
            RedisAnswer::Value(RedisState::Lease { until }) => ("lease", Some(millis(until))),
            RedisAnswer::Value(RedisState::Anchor { until }) => ("anchor", Some(millis(until))),
            RedisAnswer::Value(RedisState::Permit { until }) => ("permit", Some(millis(until))),
            RedisAnswer::Value(RedisState::Entry(entry)) => {
                redis = Some(Copy::from(entry));
                ("entry", None)
            }
            RedisAnswer::Value(_) => ("unreadable", None),
            _ => ("away", None),
        };
        let last_invalidation = explanation.last_invalidation.map(|last| Invalidated {
            cause: last.cause.to_string(),
            named: match last.named {
                Touch::Entry { .. } => "the entry".to_owned(),
                Touch::Tag(tag) => format!("tag {tag}"),
                Touch::Matching(pattern) => format!("pattern {pattern}"),
                // A kind that this release does not know may be as wide as everything.
                _ => "everything".to_owned(),
            },
            at: millis(last.at),
        });
        Self {
            text: explanation.text,
            memory: explanation.memory.map(Copy::from),
            redis_state,
            redis,
            redis_until,
            is_loading: explanation.is_loading,
            last_invalidation,
        }
    }
}
