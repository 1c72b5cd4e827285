//! Commands on several keys. They get keys as Redis stores them, with the prefix.

use std::time::Duration;

use bytes::Bytes;
use redis::{Pipeline, RedisResult};

use crate::protocol::tag::{TagKey, TagToken};
use crate::protocol::token::Token;
use crate::remote::Unchanged;
use crate::remote::redis::link::Connection;
use crate::remote::redis::prefix::Prefix;

/// A TTL as Redis takes it: an integer number of milliseconds, at least 1, because Redis refuses 0.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}

pub(super) fn mget(pipe: &mut Pipeline, keys: &[Bytes]) {
    pipe.cmd("MGET");
    keys.iter().for_each(|key| {
        pipe.arg(&key[..]);
    });
}

/// The keys of tags to mint, as Redis has them, with the frames to set.
pub(super) fn minted(prefix: &Prefix, mint: &[(TagKey, Token)]) -> Vec<(Bytes, Bytes)> {
    mint.iter().map(|(tag, token)| (prefix.add_to(tag.as_bytes()), token.tag_frame())).collect()
}

/// Sets each key that is missing, and returns the frame that is under each key after that. `SET … NX GET` replies with
/// the former value, or with nil if it has set the new one.
pub(super) async fn set_if_absent(
    mut connection: Connection,
    frames: &[(Bytes, Bytes)],
    ttl: Duration,
) -> RedisResult<Vec<Bytes>> {
    if frames.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipe = redis::pipe();
    for (key, frame) in frames {
        let set = pipe.cmd("SET").arg(&key[..]).arg(&frame[..]);
        set.arg("NX").arg("GET").arg("PX").arg(millis(ttl));
    }
    let before: Vec<Option<Bytes>> = pipe.query_async(&mut connection).await?;
    Ok(before
        .into_iter()
        .zip(frames)
        .map(|(before, (_, ours))| before.unwrap_or_else(|| ours.clone()))
        .collect())
}

/// The key and the frame of each tag, as Redis has them.
pub(super) fn frames(prefix: &Prefix, tags: &[TagToken]) -> Vec<(Bytes, Bytes)> {
    tags.iter().map(|taken| (prefix.add_to(taken.tag.as_bytes()), taken.token.tag_frame())).collect()
}

/// The keys that a renewal compares, each with its fingerprint.
pub(super) fn unchanged_frames(prefix: &Prefix, unchanged: Unchanged<'_>) -> Vec<(Bytes, Bytes)> {
    let mut others = frames(prefix, unchanged.tags);
    others.extend(unchanged.entry.map(|(key, frame)| (prefix.add_to(key), frame.clone())));
    others
}
