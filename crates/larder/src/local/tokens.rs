//! The tags' tokens in memory, in a space of their own: entries that enter evict no token.
//!
//! A token is *in use* while a copy or a running load holds a clone of its [`TagKey`]. This map has shards of its own.
//! An insertion prunes its shard (removes the tokens that are not in use) once the shard has more tokens than 1.25 ×
//! the number in use at the last prune + [`SPARE`]. So the cost of a prune is constant per insertion on average. Each
//! entry is charged for its share of its tags' tokens (see [`Tokens::share_bytes`]), so tokens in use are within the
//! budget of entries.
//!
//! A token that is not in use can be removed safely: no copy has noted it, and a later load draws a new one.

use std::collections::HashMap;
use std::hash::BuildHasher;

use quick_cache::DefaultHashBuilder;

use crate::allocation::{arc_bytes, heap_bytes};
use crate::local::copy::TagCopy;
use crate::protocol::tag::TagKey;
use crate::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// So many that two cores rarely contend for one lock. It is a constant of its own beside `local::SHARDS`, because the
/// two numbers need not agree: a tag's token is in another shard than the entries with the tag.
const TOKEN_SHARDS: usize = 64;
/// A shard has at most `in use / UNUSED_SHARE + SPARE` tokens that are not in use.
const UNUSED_SHARE: usize = 4;
/// A shard has this many tokens before its first prune. Later, so many may be unused beside the share above.
const SPARE: usize = 16;

/// The rows of one shard.
struct Rows {
    /// The key of a row is the name that copies share.
    tags: HashMap<TagKey, TagCopy, DefaultHashBuilder>,
    /// At this number of tokens, the next insertion first removes those that are not in use.
    prune_at: usize,
}

/// The tokens, by tag. Each row is guarded by the lock of its shard. These locks are leaves: a thread that holds one
/// takes no other lock. A thread that inserts or removes the token of one tag also holds the lock of the tag's shard of
/// the tier; see `local`.
pub(crate) struct Tokens {
    shards: Box<[RwLock<Rows>]>,
    hash_builder: DefaultHashBuilder,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        let hash_builder = DefaultHashBuilder::default();
        let rows = || Rows { tags: HashMap::with_hasher(hash_builder.clone()), prune_at: SPARE };
        let shards = (0..TOKEN_SHARDS).map(|_| RwLock::new(rows())).collect();
        Tokens { shards, hash_builder }
    }

    /// The token of `tag`.
    pub(crate) fn get(&self, tag: &[u8]) -> Option<TagCopy> {
        self.read(tag).tags.get(tag).copied()
    }

    /// The token of `tag`, and a clone of its row's name. The token is in use while the clone is held.
    pub(crate) fn hold(&self, tag: &[u8]) -> Option<(TagKey, TagCopy)> {
        // The name is cloned under the lock. A prune takes the same lock, so it has either removed the row before, or
        // finds afterwards that the token is in use.
        self.read(tag).tags.get_key_value(tag).map(|(name, copy)| (name.clone(), *copy))
    }

    /// Sets the token of `tag`. If the tag has a row already, the row keeps its name, which copies share.
    pub(crate) fn insert(&self, tag: TagKey, copy: TagCopy) {
        let mut rows = self.write(tag.as_bytes());
        if let Some(row) = rows.tags.get_mut(tag.as_bytes()) {
            *row = copy;
            return;
        }
        if rows.tags.len() >= rows.prune_at {
            rows.prune();
        }
        rows.tags.insert(tag, copy);
    }

    /// Removes the token of `tag`. Returns whether there was one.
    pub(crate) fn remove(&self, tag: &[u8]) -> bool {
        self.write(tag).tags.remove(tag).is_some()
    }

    /// Removes every token for which `keeps` is false. Returns how many it removed.
    pub(crate) fn retain(&self, keeps: impl Fn(&[u8], &TagCopy) -> bool) -> usize {
        let mut removed = 0;
        for shard in &self.shards {
            let mut rows = shard.write().unwrap_or_else(PoisonError::into_inner);
            let before = rows.tags.len();
            rows.tags.retain(|tag, copy| keeps(tag.as_bytes(), copy));
            removed += before - rows.tags.len();
        }
        removed
    }

    /// The tags for which `is_match` is true.
    pub(crate) fn matching(&self, is_match: impl Fn(&[u8]) -> bool) -> Vec<TagKey> {
        let mut meant = Vec::new();
        for shard in &self.shards {
            let rows = shard.read().unwrap_or_else(PoisonError::into_inner);
            meant.extend(rows.tags.keys().filter(|tag| is_match(tag.as_bytes())).cloned());
        }
        meant
    }

    /// How many tokens there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let rows = |shard: &RwLock<Rows>| shard.read().unwrap_or_else(PoisonError::into_inner).tags.len();
        self.shards.iter().map(rows).sum()
    }

    /// What an entry that holds `tag` pays for the tag's token: the token's memory, divided by the number of its
    /// holders. The first entry of a tag pays all, the hundredth a hundredth; while entries come and go, the sum is about
    /// what the token takes.
    pub(crate) fn share_bytes(tag: &TagKey) -> u64 {
        const UNUSED: u64 = UNUSED_SHARE as u64;
        // A row, with the part of the table that is free on average. `bytes` adds the share of the tokens that are not
        // in use.
        const ROW_BYTES: u64 = (size_of::<(TagKey, TagCopy)>() as u64 + 1) * 3 / 2;
        let bytes = (ROW_BYTES + arc_bytes(tag.as_bytes().len())) * (UNUSED + 1) / UNUSED;
        // One holder is the row itself.
        bytes / tag.holders().saturating_sub(1).max(1) as u64
    }

    fn shard(&self, tag: &[u8]) -> &RwLock<Rows> {
        // The high bits of the hash choose the shard, because the hash table in the shard uses the low bits.
        &self.shards[(self.hash_builder.hash_one(tag) >> 48) as usize % TOKEN_SHARDS]
    }

    fn read(&self, tag: &[u8]) -> RwLockReadGuard<'_, Rows> {
        // A row is complete between any two statements, so a panic leaves the rows consistent.
        self.shard(tag).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, tag: &[u8]) -> RwLockWriteGuard<'_, Rows> {
        self.shard(tag).write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn prune(&mut self) {
        self.tags.retain(|tag, _| tag.holders() > 1);
        let in_use = self.tags.len();
        self.prune_at = in_use + in_use / UNUSED_SHARE + SPARE;
        if self.tags.capacity() > 4 * self.prune_at {
            self.tags.shrink_to(self.prune_at);
        }
    }
}

/// The memory that the tags of an entry take besides the tokens: the array in the copy.
pub(crate) fn array_bytes(capacity: usize) -> u64 {
    heap_bytes(capacity * size_of::<crate::protocol::tag::TagToken>())
}
