//! The shared tier as a port: what the engine needs of Redis, what Redis reports back, and when it may be used.

#[cfg(feature = "redis")]
pub(crate) mod cluster;
#[cfg(feature = "redis")]
pub(crate) mod redis;
pub(crate) mod validity;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::batch::Sweep;
use crate::journal::ChangeId;
use crate::protocol::tag::{TagKey, TagToken};
use crate::protocol::token::Token;

/// Why an operation on the shared tier failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The tier answered with a refusal, such as out of memory, read-only or loading.
    Refused,
    /// There was no answer in time, or there is no connection.
    Away,
    /// The request has spent its budget. No implementation of [`Remote`] returns it.
    Spent,
}

/// The reply to an operation that sets a frame under a key if the key is free.
pub(crate) struct FrameReply {
    /// The frame under the key now: the requested one, or the one that was there before.
    pub(crate) existing: Bytes,
    /// The present frame of each tag in the request's `mint`, in the same order.
    pub(crate) minted: Vec<Bytes>,
}

/// Tags that have no token in the tier, each with a new token for it.
pub(crate) struct Mint {
    pub(crate) tags: Vec<(TagKey, Token)>,
    /// How long the new tokens live. If a token expires before an entry with its tag, the entry is loaded again.
    pub(crate) ttl: Duration,
}

impl Mint {
    /// Sets no token.
    pub(crate) fn none() -> Self {
        Mint { tags: Vec::new(), ttl: Duration::ZERO }
    }
}

/// What a load needs unchanged in the tier besides its lease. If one of these frames is gone or differs, the loaded value
/// is refused, or is invalid at once.
#[derive(Clone, Copy)]
pub(crate) struct Unchanged<'a> {
    /// A key, and the fingerprint of the frame under it.
    pub(crate) entry: Option<(&'a Bytes, &'a Bytes)>,
    pub(crate) tags: &'a [TagToken],
}

/// The shared tier. Every implementation MUST hold these invariants:
///
/// - `read` is one tracked read: the tier reports every later change of its keys through [`Listener::apply_push`],
///   before it delivers any reply that the server sent after the change.
/// - `read_anchor` is a `read` that also returns the remaining time of the first key; if no client changes the key, it
///   exists at least that long after the read was sent.
/// - `lease`, `renew`, `set_frame`, `permit`, `put`, `fill` and `release` are each atomic on their key.
/// - If reports may have been lost, the tier calls [`Listener::clear_guarded`] before it is usable again.
///
/// The caller spells keys as the module `key` does, and uses each token once.
#[async_trait]
pub(crate) trait Remote: Send + Sync {
    /// The name of `key` in the tier. The seal of an entry covers this name.
    fn redis_key(&self, key: &Bytes) -> Bytes;

    /// Reads the values of `keys` in one step. Fails if the server is not the master now.
    async fn read(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Fault>;

    /// Does as `read`. A key that cannot be read has a fault of its own, if others can be.
    async fn read_each(&self, keys: &[Bytes]) -> Vec<Result<Option<Bytes>, Fault>> {
        each(self.read(keys).await, keys.len())
    }

    /// Does as `read`, and returns the remaining time of the first of `keys`; `None` if that key does not exist.
    async fn read_anchor(&self, keys: &[Bytes]) -> Result<(Vec<Option<Bytes>>, Option<Duration>), Fault>;

    /// Sets `token`'s lease under `key` if the key is free or holds the frame with the fingerprint `replace`, and sets
    /// the tokens in `mint` whose tags have none.
    async fn lease(
        &self,
        key: &Bytes,
        token: Token,
        replace: Option<&Bytes>,
        mint: &Mint,
    ) -> Result<FrameReply, Fault>;

    /// Gives `token`'s lease its full life again, if it is still under the key and everything in `unchanged` is still
    /// there. Otherwise returns `false`, and the lease is gone. It never sets a lease.
    async fn renew(&self, key: &Bytes, token: Token, unchanged: Unchanged<'_>) -> Result<bool, Fault>;

    /// Sets `frame` under `key` for `life`, on the same conditions as `lease`.
    async fn set_frame(
        &self,
        key: &Bytes,
        frame: Bytes,
        life: Duration,
        replace: Option<&Bytes>,
        mint: &Mint,
    ) -> Result<FrameReply, Fault>;

    /// Does as `set_frame` with a permit of id `token`. If there is a permit already, the caller shares it, and it
    /// lasts at least `life` from now.
    async fn permit(
        &self,
        key: &Bytes,
        token: Token,
        life: Duration,
        replace: Option<&Bytes>,
        mint: &Mint,
    ) -> Result<FrameReply, Fault>;

    /// Replaces the frame with the fingerprint `existing` by `frame` for `ttl`, if that frame is under the key and
    /// every tag has its token from `tags`. Returns whether it did.
    async fn put(
        &self,
        key: &Bytes,
        existing: &Bytes,
        tags: &[TagToken],
        frame: Bytes,
        ttl: Duration,
    ) -> Result<bool, Fault>;

    /// Replaces `token`'s lease by `frame` for `ttl`; `false` if that lease is no longer under the key.
    async fn fill(&self, key: &Bytes, token: Token, frame: Bytes, ttl: Duration) -> Result<bool, Fault>;

    /// Removes `token`'s lease, if it is still under the key.
    async fn release(&self, key: &Bytes, token: Token) -> Result<(), Fault>;

    /// Deletes `keys`, and returns how many existed. After success, no read by any instance finds their former values.
    async fn unlink(&self, keys: &[Bytes]) -> Result<u64, Fault>;

    /// Does as `unlink`, and records `changes` as propagated, for the relays. An implementation records in the same
    /// step or not at all.
    async fn unlink_and_record(&self, keys: &[Bytes], changes: &[ChangeId]) -> Result<u64, Fault>;

    /// Does as `unlink_and_record`. The error has those of `keys` that may still exist.
    async fn deliver(&self, keys: &[Bytes], changes: &[ChangeId]) -> Result<u64, Vec<Bytes>> {
        self.unlink_and_record(keys, changes).await.map_err(|_| keys.to_vec())
    }

    /// Deletes all matching keys that existed when it began, leases included, and returns how many it deleted.
    async fn sweep(&self, what: Sweep<'_>) -> Result<u64, Fault>;

    /// Lets `read` return entries whose values have up to `bytes` bytes. It returns only the beginning of a longer one, which
    /// is no frame.
    fn allow_value_bytes(&self, bytes: usize);

    /// The slot range in which `key` is, if tags have a token in each slot range; see `protocol::slots`. An entry whose tag is in
    /// another slot range is a miss, and no worse.
    fn slot_range(&self, _key: &Bytes) -> Option<u16> {
        None
    }

    /// Whether the server reports changes of read keys. If not, no reply may be kept in memory.
    fn is_tracking(&self) -> bool;

    /// Whether an UNLINK that succeeded holds. If not, a failure of the server can undo it without a sign: then the relay
    /// repeats it within the staleness bound.
    fn is_delivery_certain(&self) -> bool {
        true
    }

    /// Waits until the tier knows which watermarks are later than this instance's invalidations of `keys`. It has to, if a
    /// delivery is not certain.
    async fn wait_for_clock(&self, _keys: &[Bytes]) {}

    /// Waits until reads of `keys` count again after this instance's invalidations of them: until a grant after a poll of
    /// the journal, by any instance, that began after the clock was read for `wait_for_clock`.
    async fn wait_until_settled(&self, _keys: &[Bytes]) {}

    /// Queues the invalidation of `keys`, or of everything, which could not be sent: until it has been sent, no read of
    /// this instance uses what it invalidates. Requests a heartbeat now.
    fn queue(&self, keys: &[Bytes], everything: bool);

    /// Waits until all invalidations that were queued before have been sent to a tier that may be used, at most `limit`;
    /// returns whether that is so.
    async fn wait_until_sent(&self, limit: Duration) -> bool;

    /// How many invalidations of keys are queued.
    fn unsent_count(&self) -> usize;

    /// Revokes the validity and requests a heartbeat now. Call it if an operation got no answer.
    fn revoke_and_check(&self);

    /// Requests a heartbeat now. Call it if an operation is slow: if the heartbeat gets no answer either, it revokes the
    /// validity.
    fn check(&self);
}

/// The answer to a read of `count` keys, for each of them.
pub(crate) fn each(
    answer: Result<Vec<Option<Bytes>>, Fault>,
    count: usize,
) -> Vec<Result<Option<Bytes>, Fault>> {
    match answer {
        Ok(values) => values.into_iter().map(Ok).collect(),
        Err(fault) => vec![Err(fault); count],
    }
}

/// Inspection of the shared tier: untracked, on its own connections, without a certificate check. No result of it may
/// be served or kept in memory.
#[async_trait]
pub(crate) trait Inspect: Send + Sync {
    /// The server's INFO, and how long it took to answer a PING.
    async fn about(&self) -> Result<(String, Duration), Fault>;

    /// One step of the search for keys that match `pattern`, from `cursor` on; 0 is the beginning. Returns the cursor
    /// of the next step, 0 at the end, and the keys that this step found.
    async fn scan(&self, pattern: &str, cursor: u64, count: usize) -> Result<(u64, Vec<Bytes>), Fault>;

    /// Whether each of `keys` exists.
    async fn exist(&self, keys: &[Bytes]) -> Result<Vec<bool>, Fault>;

    /// The frame under each of `keys`, and its remaining time.
    async fn look(&self, keys: &[Bytes]) -> Result<Vec<Option<InspectedFrame>>, Fault>;
}

/// What [`Inspect::look`] found under a key.
pub(crate) struct InspectedFrame {
    pub(crate) frame: Bytes,
    /// The remaining time; `None` if the key does not expire.
    pub(crate) left: Option<Duration>,
}

/// Receives the tier's reports about keys that were read, to remove their copies from memory.
pub(crate) trait Listener: Send + Sync {
    /// Removes the copy of `key`, which changed. The connection's reader calls this inline and it does not await: so a
    /// push is applied before the reader delivers a later reply.
    fn apply_push(&self, key: &[u8]);

    /// Removes every copy that depends on reports, because reports may have been lost.
    fn clear_guarded(&self);

    /// Does so for the copies that depend on the report of a key which `is_meant` names.
    fn clear_guarded_of(&self, is_meant: &dyn Fn(&[u8]) -> bool);
}
