//! What the keeper does about the slots of a master of a Redis Cluster; see `membership`.

use std::sync::LazyLock;

use bytes::Bytes;
use redis::{RedisResult, Script};

use crate::protocol::certificate::Certificate;
use crate::protocol::slots::{SlotSet, slot_of};
use crate::remote::redis::connection::sweep_slots;
use crate::remote::redis::keeper::Keeper;
use crate::remote::redis::link::Connection;
use crate::remote::redis::loss::LossReason;
use crate::remote::redis::prefix::Prefix;
use crate::remote::redis::status::RedisStatus;
use crate::remote::redis::trouble;

/// Lists other slots in a certificate, if it is still the one that was found; see MARK_UNCHANGED in `scripts`. `allow-oom`: a
/// full Redis is read, too.
static LIST: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
",
    )
});

/// Replaces the certificate `found` by `certificate`, if it is still there.
async fn list(
    connection: &mut Connection,
    prefix: &Prefix,
    found: &[u8],
    certificate: &[u8],
) -> RedisResult<bool> {
    let mut call = LIST.key(&prefix.certificate_key()[..]);
    call.arg(found).arg(certificate).invoke_async(connection).await
}

impl Keeper {
    /// In a Redis Cluster: deletes what arrives with slots that are on their way here, and takes back the invalidations of keys
    /// in slots that came back.
    pub(super) async fn sweep_importing(
        &self,
        connection: &mut Connection,
        prefix: &Prefix,
        status: &RedisStatus,
    ) -> Result<(), LossReason> {
        let (Some(membership), Some(owned)) = (&self.membership, &status.owned) else { return Ok(()) };
        if !status.importing.is_empty() {
            // Entries that are being imported are never served here; if the move is cancelled, they could return to the old master.
            sweep_slots(connection, prefix, &status.importing).await?;
        }
        let mut overflows = false;
        let is_back = |key: &Bytes| owned.contains(slot_of(&prefix.add_to(key)));
        membership.hand_over(is_back, |back| {
            if self.validity.queue(back) {
                overflows = true;
            }
        });
        if overflows {
            membership.note_overflow();
        }
        Ok(())
    }

    /// From here on these slots may be read, and no other. What memory has of those that were lost leaves it.
    pub(super) fn use_slots(&self, usable: Option<SlotSet>) {
        if let (Some(membership), Some(usable)) = (&self.membership, usable)
            && let Some(lost) = membership.set_usable(usable)
        {
            self.prefixes.clear_slots(&lost);
            membership.moved.notify_one();
        }
    }

    /// Without a journal: if this master of a Redis Cluster has other slots than `existing` lists, deletes what arrived with
    /// them, and then lists what it has.
    pub(super) async fn certify_arrived(
        &self,
        connection: &mut Connection,
        prefix: &Prefix,
        mine: &Certificate,
        existing: Option<&Certificate>,
    ) -> Result<(), LossReason> {
        let existing = existing.filter(|existing| mine.slots.is_some() && *existing != mine);
        let Some(existing) = existing else { return Ok(()) };
        if let Some(arrived) = mine.arrived_slots(Some(existing)) {
            sweep_slots(connection, prefix, &arrived).await?;
        }
        let listed = list(connection, prefix, &existing.to_bytes(), &mine.to_bytes()).await;
        match listed {
            Ok(true) => self.heartbeat_at_once.notify_one(),
            // Another instance has listed other slots meanwhile; the next heartbeat finds them.
            Ok(false) => {}
            // A Redis that refuses writes may be read: in the slots that it lists.
            Err(error) if trouble::code(&error).is_some() => {
                tracing::debug!(%error, "the slots of a master could not be listed");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
