//! The tracked connection in use, its pushes, and the deletions on it.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use redis::{RedisResult, Value};
use tokio::task::AbortHandle;

use crate::batch::Sweep;
use crate::protocol::slots::SlotSet;
use crate::remote::Listener;
use crate::remote::redis::address::Host;
use crate::remote::redis::evidence::Granted;
use crate::remote::redis::leader;
use crate::remote::redis::link::Connection;
use crate::remote::redis::own_writes::OwnWrites;
use crate::remote::redis::prefix::{CLAIM, Prefix};
use crate::remote::redis::replies::CUT_BYTES;
use crate::remote::redis::trouble;
use crate::remote::validity::Validity;

/// The most keys in one UNLINK. A longer list is split, so that no single command blocks Redis for long.
pub(crate) const UNLINK_BATCH: usize = 500;

/// The tracked connection in use, if there is one, and what the last grant rests on, with which each tracked read compares
/// its reply. Only the keeper writes them; it notes the grant just before it grants.
/// Operations clone them. Each lock is held to clone or to replace a value, never across an await.
#[derive(Default)]
pub(crate) struct ConnectionSlot {
    tracked: RwLock<Option<TrackedConnection>>,
    granted: RwLock<Arc<Granted>>,
    /// What a grant has to show before it may be read. Empty unless the tier is used over REST.
    pub(super) own_writes: OwnWrites,
}

#[derive(Clone)]
pub(crate) struct TrackedConnection {
    pub(crate) connection: Connection,
    /// Its drop closes the connection. Over REST there is none.
    #[expect(dead_code, reason = "the connection ends when this is dropped")]
    pub(crate) driver: Option<Arc<Driver>>,
    /// Whether Redis agreed to report changes.
    pub(crate) is_tracking: bool,
    /// The master that the Sentinels named, if there are Sentinels.
    pub(crate) master: Option<Host>,
}

/// The task that reads and writes a connection. It ends when its owner is dropped: the connection closes then, even if a
/// reply is missing, and operations that still wait on a clone of it fail.
pub(crate) struct Driver(AbortHandle);

impl Driver {
    pub(super) fn start(driver: impl Future<Output = ()> + Send + 'static) -> Self {
        Driver(tokio::spawn(driver).abort_handle())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl ConnectionSlot {
    pub(crate) fn get(&self) -> Option<Connection> {
        self.tracked
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(|tracked| tracked.connection.clone())
    }

    pub(crate) fn is_tracking(&self) -> bool {
        self.tracked
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .is_some_and(|tracked| tracked.is_tracking)
    }

    /// What the last grant rests on.
    pub(super) fn granted(&self) -> Arc<Granted> {
        self.granted.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what the next grant rests on. Call it before the grant, so that a read under this grant compares its reply
    /// with it. If a failover has lost what the last grant showed, nothing that this instance has invalidated is sure. Then
    /// this ends the epoch of `validity`, so that the grant fails, and everything is held.
    pub(super) fn note_granted(&self, granted: Granted, validity: &Validity) {
        let watermark = granted.watermark();
        if watermark < self.granted().watermark() {
            // First the epoch ends: a read that was sent in it, and had found its keys not held, no longer counts.
            validity.revoke();
            self.own_writes.hold_everything();
        }
        if *self.granted() != granted {
            *self.granted.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(granted);
        }
        if let Some(watermark) = watermark {
            self.own_writes.settle(watermark);
        }
    }

    pub(crate) fn set(&self, tracked: Option<TrackedConnection>) {
        *self.tracked.write().unwrap_or_else(PoisonError::into_inner) = tracked;
    }
}

/// Applies a push of changed keys. Returns `false` if any key may have changed: the push names no keys, as after
/// FLUSHALL, or one of its names was cut while it arrived. A name of [`CUT_BYTES`] counts as cut, unless it is that of a
/// claim.
pub(super) fn apply_invalidation(listener: &dyn Listener, data: &[Value]) -> bool {
    let [Value::Array(keys)] = data else { return false };
    let is_claim = |key: &[u8]| key.windows(CLAIM.len()).any(|part| part == CLAIM.as_bytes());
    keys.iter().all(|key| match key {
        Value::BulkString(key) if key.len() != CUT_BYTES || is_claim(key) => {
            listener.apply_push(key);
            true
        }
        _ => false,
    })
}

/// Deletes `keys`, spelled as Redis has them, and returns how many existed. It sends all batches before it awaits the
/// first reply, so that this is one round trip.
pub(crate) async fn unlink(connection: &mut Connection, keys: &[Bytes]) -> RedisResult<u64> {
    if keys.is_empty() {
        return Ok(0);
    }
    let mut pipe = redis::pipe();
    for batch in keys.chunks(connection.keys_at_once(UNLINK_BATCH)) {
        let command = pipe.cmd("UNLINK");
        for key in batch {
            command.arg(&key[..]);
        }
    }
    let unlinked: Vec<u64> = pipe.query_async(connection).await?;
    Ok(unlinked.iter().sum())
}

/// Deletes what a search has found. A master of a Redis Cluster also finds keys in slots that it does not have, or that are
/// being moved, and refuses to delete those: no read reaches them here, and what arrives with a slot is deleted before the
/// slot is read.
async fn unlink_found(connection: &mut Connection, keys: &[Bytes]) -> RedisResult<u64> {
    if !connection.is_in_cluster() {
        return unlink(connection, keys).await;
    }
    unlink_each(connection, keys).await.map(|unlinked| unlinked.count)
}

/// What a master of a Redis Cluster deleted, and what it refused to delete.
#[derive(Debug, Default)]
pub(crate) struct Unlinked {
    /// How many keys existed.
    pub(crate) count: u64,
    /// The places of those that have another master, among the keys.
    pub(crate) moved: Vec<usize>,
    /// The places of those that do not exist here, and whose slot is being moved.
    pub(crate) asked: Vec<usize>,
}

/// Deletes each of `keys` by itself.
pub(super) async fn unlink_each(connection: &mut Connection, keys: &[Bytes]) -> RedisResult<Unlinked> {
    let mut unlinked = Unlinked::default();
    for (nth, part) in keys.chunks(UNLINK_BATCH).enumerate() {
        let mut pipe = redis::pipe();
        for key in part {
            pipe.cmd("UNLINK").arg(&key[..]);
        }
        let answers: Vec<RedisResult<u64>> = pipe.ignore_errors().query_async(connection).await?;
        for (place, answer) in (nth * UNLINK_BATCH..).zip(answers) {
            match answer.map_err(|error| (trouble::code(&error), error)) {
                Ok(count) => unlinked.count += count,
                Err((Some(code), _)) if code == "MOVED" => unlinked.moved.push(place),
                Err((Some(code), _)) if code == "ASK" || code == "TRYAGAIN" => unlinked.asked.push(place),
                Err((_, error)) => return Err(error),
            }
        }
    }
    Ok(unlinked)
}

/// Deletes the entries in `slots`, which have just arrived at this master of a Redis Cluster or are on their way to it, and
/// what belongs to them: tags and leases. It takes time for the keys in these slots only, not for all keys of the master. No instance reads or fills a
/// slot before it is listed, so none is added meanwhile.
pub(super) async fn sweep_slots(
    connection: &mut Connection,
    prefix: &Prefix,
    slots: &SlotSet,
) -> RedisResult<u64> {
    // The keys of the protocol that came with a slot are those of its former master.
    let is_foreign = |key: &Bytes| prefix.strip_from(key).is_some() && !prefix.is_own(key);
    let slots: Vec<u16> = slots.iter().collect();
    let mut unlinked = 0;
    for part in slots.chunks(UNLINK_BATCH) {
        let mut pipe = redis::pipe();
        for slot in part {
            pipe.cmd("CLUSTER").arg("COUNTKEYSINSLOT").arg(slot);
        }
        let counts: Vec<u64> = pipe.query_async(connection).await?;
        // One after the other: the names of many keys take long to arrive, and each part that is done need not be done again.
        for (slot, count) in part.iter().zip(counts).filter(|(_, count)| *count > 0) {
            let mut names = redis::cmd("CLUSTER");
            names.arg("GETKEYSINSLOT").arg(slot).arg(count);
            let names: Vec<Bytes> = names.query_async(connection).await?;
            let foreign: Vec<Bytes> = names.into_iter().filter(is_foreign).collect();
            for part in foreign.chunks(UNLINK_BATCH) {
                let mut pipe = redis::pipe();
                for key in part {
                    // ASKING lets a master delete in a slot that is being moved to it, and changes nothing in its own.
                    pipe.cmd("ASKING").ignore().cmd("UNLINK").arg(&key[..]);
                }
                unlinked += pipe.query_async::<Vec<u64>>(connection).await?.iter().sum::<u64>();
            }
        }
    }
    Ok(unlinked)
}

/// Deletes all matching keys, and returns how many it deleted. A SCAN returns every key that exists during the complete
/// search, so it finds each lease that was taken before. A lease that is taken during the sweep needs no deletion: its
/// load began after the change.
pub(crate) async fn sweep(connection: &mut Connection, prefix: &Prefix, what: Sweep<'_>) -> RedisResult<u64> {
    if connection.is_rest() {
        // Without a chain, none can be broken.
        return Ok(leader::sweep(connection, prefix, what, None).await?.unwrap_or(0));
    }
    let namespace = prefix.namespace();
    let pattern = match what {
        Sweep::Matching(pattern) => namespace.scan_pattern(pattern),
        Sweep::Everything => namespace.pattern(),
    };
    let pattern = prefix.add_to(pattern.as_bytes());
    let is_match = |key: &Bytes| match (what, prefix.strip_from(key)) {
        (_, None) => false,
        (Sweep::Matching(pattern), Some(key)) => namespace.matches_key(pattern, &key),
        // In a cluster also the certificate of a former home: it would count again if that slot became the home again.
        (Sweep::Everything, Some(own)) => {
            !namespace.reserves(&own) || (prefix.is_in_cluster() && !prefix.is_own(key))
        }
    };
    let (mut cursor, mut unlinked) = (0_u64, 0);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern[..]).arg("COUNT").arg(1000);
        let (next, mut keys): (u64, Vec<Bytes>) = scan.query_async(connection).await?;
        keys.retain(is_match);
        unlinked += unlink_found(connection, &keys).await?;
        cursor = next;
        if cursor == 0 {
            return Ok(unlinked);
        }
    }
}
