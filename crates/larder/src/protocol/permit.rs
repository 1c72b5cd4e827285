//! Permits to keep a value that is still being computed or loaded: who has one, and what voids it.
//!
//! Invariant, borne by a test of its name:
//! - `a_void_permit_puts_nothing`: a value is kept only if no invalidation of its key or tags, and no other value, came
//!   since its permit was drawn.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::protocol::tag::TagKey;

/// Names one permit among all that this process ever drew.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PermitId(pub u64);

/// The permits of one shard that are out and not void. A key may have several: the first put voids the others.
/// Guarded by the shard's lock.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Permits(BTreeMap<Bytes, Vec<OpenPermit>>);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct OpenPermit {
    id: PermitId,
    tags: Arc<[TagKey]>,
}

impl Permits {
    /// Draws a permit for `key`, whose entry depends on `tags`.
    pub fn draw(&mut self, key: Bytes, id: PermitId, tags: Arc<[TagKey]>) {
        self.0.entry(key).or_default().push(OpenPermit { id, tags });
    }

    /// Whether nothing voided it.
    pub fn is_valid(&self, key: &[u8], id: PermitId) -> bool {
        self.0.get(key).is_some_and(|permits| permits.iter().any(|permit| permit.id == id))
    }

    /// Takes one off the table, used or given up. One that is void is not there.
    pub fn give_up(&mut self, key: &[u8], id: PermitId) {
        let Some(permits) = self.0.get_mut(key) else { return };
        permits.retain(|permit| permit.id != id);
        if permits.is_empty() {
            self.0.remove(key);
        }
    }

    /// Voids those of `key`.
    pub fn void(&mut self, key: &[u8]) {
        self.0.remove(key);
    }

    /// Voids those that are meant by their key or tags.
    pub fn void_if(&mut self, is_match: impl Fn(&[u8], &[TagKey]) -> bool) {
        self.0.retain(|key, permits| {
            permits.retain(|permit| !is_match(key, &permit.tags));
            !permits.is_empty()
        });
    }

    /// Voids all.
    pub fn void_all(&mut self) {
        self.0.clear();
    }

    /// How many are out and not void.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}
