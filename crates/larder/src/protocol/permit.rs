//! Permits to put a value that is still being computed or loaded: which permits are valid, and what voids them.
//!
//! Invariant, checked by the test of the same name:
//! - `a_void_permit_puts_nothing`: a value is put only if, since its permit was drawn, no invalidation of its key or
//!   tags arrived and no other value was put or inserted under its key.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::protocol::tag::TagKey;

/// Names one permit of this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PermitId(pub u64);

/// The permits of one shard that were drawn and are not void. A key may have several permits: the first put voids the
/// others. The shard's lock guards the permits, so that "is it valid?" and "put the value" are one step.
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

    /// Whether the permit was drawn and is neither void nor given up.
    pub fn is_valid(&self, key: &[u8], id: PermitId) -> bool {
        self.0.get(key).is_some_and(|permits| permits.iter().any(|permit| permit.id == id))
    }

    /// Removes a permit that is not used. A void permit has been removed already.
    pub fn give_up(&mut self, key: &[u8], id: PermitId) {
        let Some(permits) = self.0.get_mut(key) else { return };
        permits.retain(|permit| permit.id != id);
        if permits.is_empty() {
            self.0.remove(key);
        }
    }

    /// Voids the permits of `key`.
    pub fn void(&mut self, key: &[u8]) {
        self.0.remove(key);
    }

    /// Voids each permit whose key and tags satisfy `is_match`.
    pub fn void_if(&mut self, is_match: impl Fn(&[u8], &[TagKey]) -> bool) {
        self.0.retain(|key, permits| {
            permits.retain(|permit| !is_match(key, &permit.tags));
            !permits.is_empty()
        });
    }

    /// Voids all permits of the shard.
    pub fn void_all(&mut self) {
        self.0.clear();
    }

    /// The number of valid permits.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}
