//! A permit of this process's own: kept while a value is computed or loaded, then exchanged for its copy.

use std::sync::Arc;

use bytes::Bytes;

use crate::local::LocalTier;
use crate::local::copy::LocalCopy;
use crate::protocol::permit::PermitId;
use crate::protocol::rules::ProtocolRule;
use crate::protocol::tag::TagKey;
use crate::source::NotStoredReason;
use crate::sync::Ordering;

/// The computation or the load holds it. Dropped, it leaves the table.
pub(crate) struct LocalPermit {
    local: Arc<LocalTier>,
    key: Bytes,
    id: PermitId,
}

impl LocalPermit {
    /// Draws one: any invalidation of `key` or `tags` from now on voids it.
    pub(crate) fn draw(local: &Arc<LocalTier>, key: &Bytes, tags: &Arc<[TagKey]>) -> Self {
        // A name and nothing else: no order with other memory is needed.
        let id = PermitId(local.next_permit.fetch_add(1, Ordering::Relaxed));
        local.shard(key).draw(key.clone(), id, tags.clone());
        LocalPermit { local: local.clone(), key: key.clone(), id }
    }

    /// Inserts `copy`, unless the permit is void. `rule` is what a proof may break.
    pub(crate) fn redeem(self, copy: LocalCopy, rule: ProtocolRule) -> Result<(), NotStoredReason> {
        let mut shard = self.local.shard(&self.key);
        let inserted = match shard.redeem(&self.key, self.id, rule) {
            true => self.local.insert_copy(&self.key, copy),
            false => Err(NotStoredReason::Overtaken),
        };
        // Before `self`, whose drop takes the lock.
        drop(shard);
        inserted
    }
}

impl Drop for LocalPermit {
    fn drop(&mut self) {
        self.local.shard(&self.key).give_up(&self.key, self.id);
    }
}
