//! A permit of this process: held while a value is computed or loaded, then exchanged for the right to insert its copy.

use std::sync::Arc;

use bytes::Bytes;

use crate::local::LocalTier;
use crate::local::admissions::Offer;
use crate::local::copy::LocalCopy;
use crate::protocol::permit::PermitId;
use crate::protocol::rules::ProtocolRule;
use crate::protocol::tag::TagKey;
use crate::source::NotStoredReason;
use crate::sync::Ordering;

/// A drawn permit. Its drop removes it from the shard.
pub(crate) struct LocalPermit {
    local: Arc<LocalTier>,
    key: Bytes,
    id: PermitId,
}

impl LocalPermit {
    /// Draws a permit. Any invalidation of `key` or `tags` from now on voids it.
    pub(crate) fn draw(local: &Arc<LocalTier>, key: &Bytes, tags: &Arc<[TagKey]>) -> Self {
        // `Relaxed`: the id only has to be unique, and the shard's lock orders everything else.
        let id = PermitId(local.next_permit.fetch_add(1, Ordering::Relaxed));
        local.shard(key).draw(key.clone(), id, tags.clone());
        LocalPermit { local: local.clone(), key: key.clone(), id }
    }

    /// Inserts `copy` if the permit is valid. `rule` is the rule that a proof breaks here.
    pub(crate) fn redeem(self, copy: LocalCopy, rule: ProtocolRule) -> Result<(), NotStoredReason> {
        let mut shard = self.local.shard(&self.key);
        let flight = shard.flight(&self.key);
        let is_redeemed = shard.redeem(&self.key, self.id, rule);
        let inserted = match is_redeemed {
            true => self.local.insert_copy(copy.settled(&self.key), Offer::Put),
            false => Err(NotStoredReason::Overtaken),
        };
        // Released before `self` drops, because that drop takes the same lock.
        drop(shard);
        if let (true, Some(flight)) = (is_redeemed, flight) {
            flight.detach();
        }
        inserted
    }

    /// Whether no invalidation has voided the permit.
    pub(crate) fn is_valid(&self) -> bool {
        self.local.shard(&self.key).is_permitted(&self.key, self.id)
    }
}

impl Drop for LocalPermit {
    fn drop(&mut self) {
        self.local.shard(&self.key).give_up(&self.key, self.id);
    }
}
