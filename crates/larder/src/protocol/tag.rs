//! Tags and their tokens. An invalidation of a tag unlinks its token, and the next load sets a new random one.
//! Invariant: an entry is valid only while each of its tags has the token that it had before the entry's load.

use std::borrow::Borrow;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::protocol::slots::hash_tag_of_slot_range;
use crate::protocol::token::Token;

/// The key under which a tag's token is stored, in Redis and in memory. Clones share one allocation, so all copies with
/// a tag hold its name once.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Deserialize)]
#[serde(from = "Box<[u8]>")]
pub struct TagKey(Arc<[u8]>);

impl From<Bytes> for TagKey {
    fn from(key: Bytes) -> Self {
        TagKey(Arc::from(&key[..]))
    }
}

impl From<Box<[u8]>> for TagKey {
    fn from(key: Box<[u8]>) -> Self {
        TagKey(Arc::from(key))
    }
}

impl Serialize for TagKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0[..].serialize(serializer)
    }
}

/// Lets a map find a tag by its bytes. The derived `Hash` and `Eq` are those of the bytes.
impl Borrow<[u8]> for TagKey {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl TagKey {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }

    /// This tag's key in a slot range of a Redis Cluster; see [`SLOT_RANGES`](crate::protocol::slots::SLOT_RANGES). No part of a key
    /// contains a brace.
    #[must_use]
    pub fn in_slot_range(&self, slot_range: u16) -> TagKey {
        let hash_tag = hash_tag_of_slot_range(slot_range).as_bytes();
        TagKey::from(Bytes::from([&self.0[..], b"{", hash_tag, b"}"].concat()))
    }

    /// The tag without a slot range.
    #[must_use]
    pub fn without_slot_range(&self) -> TagKey {
        TagKey(Arc::from(without_slot_range(&self.0)))
    }
}

/// The key of an entry or a tag without its slot range.
pub fn without_slot_range(key: &[u8]) -> &[u8] {
    key.iter().position(|byte| *byte == b'{').map_or(key, |brace| &key[..brace])
}

/// A tag and the token that it had before a load.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct TagToken {
    pub tag: TagKey,
    pub token: Token,
}

/// Whether every tag has the token that it had before the entry's load. If a token is missing, the entry is invalid:
/// the token may have been unlinked because of a write, which cannot be distinguished from an eviction or a flush.
pub fn are_current(taken: &[TagToken], present: impl Fn(&TagKey) -> Option<Token>) -> bool {
    taken.iter().all(|taken| present(&taken.tag) == Some(taken.token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_valid_only_while_every_tag_has_the_token_it_had_before_the_load() {
        let (users, teams) = (TagKey::from(Bytes::from("users")), TagKey::from(Bytes::from("teams")));
        let (a, b, later) = (Token::random(), Token::random(), Token::random());
        let taken = [TagToken { tag: users.clone(), token: a }, TagToken { tag: teams.clone(), token: b }];
        let world = |of_users, of_teams| move |tag: &TagKey| if *tag == users { of_users } else { of_teams };

        assert!(are_current(&taken, world.clone()(Some(a), Some(b))));
        assert!(!are_current(&taken, world.clone()(Some(a), Some(later))), "one tag was invalidated");
        assert!(!are_current(&taken, world.clone()(None, Some(b))), "a missing token means invalid");
        assert!(are_current(&[], world(None, None)), "an entry without tags is always valid");
    }
}
