//! The tags' tokens in memory, in a space of their own: entries that enter evict no token.
//!
//! A token is *in use* while a copy or a running load holds its [`TagCell`]. This set has shards of its own.
//! An insertion prunes its shard (removes the tokens that are not in use) once the shard has more tokens than 1.25 ×
//! the number in use at the last prune + [`SPARE`]. So the cost of a prune is constant per insertion on average. Each
//! entry is charged for its share of its tags' tokens (see [`Tokens::share_bytes`]), so tokens in use are within the
//! budget of entries.
//!
//! A token that is not in use can be removed safely: no copy depends on it, and a later load draws a new one.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::Arc;

use quick_cache::DefaultHashBuilder;

use crate::allocation::arc_bytes;
use crate::local::tag_cell::{TagCell, TagRow};
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
    tags: HashSet<TagRow, DefaultHashBuilder>,
    /// At this number of tokens, the next insertion first removes those that are not in use.
    prune_at: usize,
}

/// The tokens, by tag. Each row is guarded by the lock of its shard: a cell that leaves the set is ended under the lock.
/// These locks are leaves: a thread that holds one takes no other lock. A thread that inserts or removes the token of one
/// tag also holds the lock of the tag's shard of the tier; see `local`.
pub(crate) struct Tokens {
    shards: Box<[RwLock<Rows>]>,
    hash_builder: DefaultHashBuilder,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        let hash_builder = DefaultHashBuilder::default();
        let rows = || Rows { tags: HashSet::with_hasher(hash_builder.clone()), prune_at: SPARE };
        let shards = (0..TOKEN_SHARDS).map(|_| RwLock::new(rows())).collect();
        Tokens { shards, hash_builder }
    }

    /// The cell of `tag`. Its token is in use while the clone is held.
    pub(crate) fn get(&self, tag: &[u8]) -> Option<Arc<TagCell>> {
        // The cell is cloned under the lock. A prune takes the same lock, so it has either removed the row before, or
        // finds afterwards that the token is in use.
        self.read(tag).tags.get(tag).map(|row| row.0.clone())
    }

    /// Inserts a cell. A cell that its tag has already is ended.
    pub(crate) fn insert(&self, cell: Arc<TagCell>) {
        let mut rows = self.write(cell.name().as_bytes());
        if rows.tags.len() >= rows.prune_at {
            rows.prune();
        }
        if let Some(TagRow(old)) = rows.tags.replace(TagRow(cell)) {
            old.end();
        }
    }

    /// Removes the token of `tag`. Returns whether there was one.
    pub(crate) fn remove(&self, tag: &[u8]) -> bool {
        let mut rows = self.write(tag);
        let removed = rows.tags.take(tag);
        removed.inspect(|row| row.0.end()).is_some()
    }

    /// Removes every token for which `keeps` is false. Returns how many it removed.
    pub(crate) fn retain(&self, keeps: impl Fn(&TagCell) -> bool) -> usize {
        let mut removed = 0;
        for shard in &self.shards {
            let mut rows = shard.write().unwrap_or_else(PoisonError::into_inner);
            for row in rows.tags.extract_if(|row| !keeps(&row.0)) {
                row.0.end();
                removed += 1;
            }
        }
        removed
    }

    /// The tags for which `is_match` is true.
    pub(crate) fn matching(&self, is_match: impl Fn(&[u8]) -> bool) -> Vec<TagKey> {
        let mut meant = Vec::new();
        for shard in &self.shards {
            let rows = shard.read().unwrap_or_else(PoisonError::into_inner);
            let names = rows.tags.iter().map(|row| row.0.name());
            meant.extend(names.filter(|name| is_match(name.as_bytes())).cloned());
        }
        meant
    }

    /// How many tokens there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let rows = |shard: &RwLock<Rows>| shard.read().unwrap_or_else(PoisonError::into_inner).tags.len();
        self.shards.iter().map(rows).sum()
    }

    /// What an entry that holds `cell` pays for the tag's token: the token's memory, divided by the number of its
    /// holders. The first entry of a tag pays all, the hundredth a hundredth; while entries come and go, the sum is about
    /// what the token takes.
    pub(crate) fn share_bytes(cell: &Arc<TagCell>) -> u64 {
        const UNUSED: u64 = UNUSED_SHARE as u64;
        // A row, with the part of the table that is free on average. `bytes` adds the share of the tokens that are not
        // in use.
        const ROW_BYTES: u64 = (size_of::<TagRow>() as u64 + 1) * 3 / 2 + arc_bytes(size_of::<TagCell>());
        let bytes = (ROW_BYTES + arc_bytes(cell.name().as_bytes().len())) * (UNUSED + 1) / UNUSED;
        bytes / TagRow::holders(cell).max(1) as u64
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
        // The cells that go have no holder, so they need not be ended.
        self.tags.retain(|row| TagRow::holders(&row.0) > 0);
        let in_use = self.tags.len();
        self.prune_at = in_use + in_use / UNUSED_SHARE + SPARE;
        if self.tags.capacity() > 4 * self.prune_at {
            self.tags.shrink_to(self.prune_at);
        }
    }
}
