//! The reply to one tracked read of a key and its tags.

use std::time::Duration;

use bytes::Bytes;

use crate::clock::Tick;
use crate::engine::budget::spend;
use crate::engine::{ClassCore, Engine, EntryRef, SharedTier, Tags};
use crate::key::KeyBuf;
use crate::local::ShardSeqs;
use crate::protocol::frame::Frame;
use crate::protocol::tag::{TagKey, TagToken};
use crate::protocol::token::Token;
use crate::remote::{Fault, Mint};

/// The shortest life of a tag's token. It is long, because every entry with the tag depends on the token, and entries
/// of another class with the same tag may live longer than those of this class.
const TAG_TTL_MIN: Duration = Duration::from_hours(2);

pub(super) struct Reply {
    pub(super) seqs: ShardSeqs,
    /// Until when the tier was valid, noted before the read was sent.
    pub(super) valid_until: Tick,
    pub(super) value: Option<Bytes>,
    pub(super) tags: Vec<(TagKey, Option<Token>)>,
    /// Tags whose key holds a frame that is no token.
    broken_tags: Vec<Bytes>,
}

impl Reply {
    /// `values` are the values under the tags' keys, in the order of the tags.
    pub(super) fn new(
        entry_ref: &EntryRef,
        seqs: ShardSeqs,
        valid_until: Tick,
        value: Option<Bytes>,
        values: Vec<Option<Bytes>>,
    ) -> Self {
        let mut broken_tags = Vec::new();
        let tags = entry_ref.tags.iter().zip(values).map(|(tag, value)| {
            let is_there = value.is_some();
            let token = token_of(value);
            if is_there && token.is_none() {
                broken_tags.push(tag.to_bytes());
            }
            (tag.clone(), token)
        });
        let tags = tags.collect();
        Reply { seqs, valid_until, value, tags, broken_tags }
    }

    pub(super) fn token(&self, tag: &TagKey) -> Option<Token> {
        self.tags.iter().find(|(key, _)| key == tag).and_then(|(_, token)| *token)
    }

    /// The tag's token from the reply, otherwise from `minted`.
    pub(super) fn token_with(&self, minted: &[(TagKey, Option<Token>)], tag: &TagKey) -> Option<Token> {
        let fresh = || minted.iter().find(|(key, _)| key == tag).and_then(|(_, token)| *token);
        self.token(tag).or_else(fresh)
    }

    /// The tags without a token, each with a new token for it.
    pub(super) fn missing_tags(&self, class: &ClassCore) -> Mint {
        let missing = self.tags.iter().filter(|(_, token)| token.is_none());
        let tags = missing.map(|(tag, _)| (tag.clone(), Token::random())).collect();
        Mint { tags, ttl: TAG_TTL_MIN.max(2 * class.policy().longest()) }
    }
}

impl EntryRef {
    pub(crate) fn new(key: &KeyBuf, tags: Tags) -> Self {
        EntryRef { key: Bytes::copy_from_slice(key), tags }
    }

    /// The key, then the keys of its tags, as a tracked read names them.
    pub(super) fn keys(&self) -> Vec<Bytes> {
        [self.key.clone()].into_iter().chain(self.tags.iter().map(TagKey::to_bytes)).collect()
    }

    /// Every tag with its token; `None` if a tag has none.
    pub(super) fn tag_tokens(&self, token: impl Fn(&TagKey) -> Option<Token>) -> Option<Vec<TagToken>> {
        self.tags.iter().map(|tag| Some(TagToken { tag: tag.clone(), token: token(tag)? })).collect()
    }
}

impl Engine {
    /// Unlinks the keys of tags that hold something else than a token, so that a new token can be set.
    pub(super) async fn unlink_broken_tags(
        &self,
        class: &ClassCore,
        shared: &SharedTier,
        reply: &Reply,
    ) -> Result<(), Fault> {
        if !reply.broken_tags.is_empty() {
            class.note_broken_frame(&"a tag's key holds no token");
            spend(shared.remote.unlink(&reply.broken_tags)).await?;
        }
        Ok(())
    }
}

/// The tags for which a new token was requested, each with the token that Redis has now.
pub(super) fn minted(missing: &Mint, existing: Vec<Bytes>) -> Vec<(TagKey, Option<Token>)> {
    let tags = missing.tags.iter().map(|(tag, _)| tag.clone());
    tags.zip(existing.into_iter().map(|frame| token_of(Some(frame)))).collect()
}

fn token_of(frame: Option<Bytes>) -> Option<Token> {
    match Frame::parse(&frame?) {
        Ok(Frame::Tag(token)) => Some(token),
        _ => None,
    }
}
