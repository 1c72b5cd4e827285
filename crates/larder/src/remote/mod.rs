//! The shared tier as the engine needs it: a port, what it reports back, and when it may be used.

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

/// Why the shared tier did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It answered, with a refusal: out of memory, read-only, loading. The tier itself is there.
    Refused,
    /// No answer in time, or no connection.
    Away,
}

/// What LEASE brought, or the planting of another frame.
pub(crate) struct FrameReply {
    /// What stands under the key now: the frame that was asked for, or what was there before.
    pub(crate) existing: Bytes,
    /// The standing frame of each tag that was to be minted, in the order asked.
    pub(crate) minted: Vec<Bytes>,
}

/// The shared tier. What an implementation MUST hold:
///
/// - `read` is one tracked read: from its reply on, every change of a key it named is reported through
///   [`Listener::pushed`], in the order in which the server made it relative to replies.
/// - `read_anchor` is the same, and tells how long the first key may still stand: at least so long from its sending on.
/// - `lease`, `set_frame`, `permit`, `put`, `fill` and `release` are each atomic on their key.
/// - When reports may have been lost, [`Listener::clear_guarded`] is called before the tier is usable again.
///
/// What the caller guarantees: keys are spelled by `key`, tokens are used once.
#[async_trait]
pub(crate) trait Remote: Send + Sync {
    /// `key` as the tier has it: an entry is bound to that.
    fn redis_key(&self, key: &Bytes) -> Bytes;

    /// The values of `keys`, read together; refused by a server that is no longer the master.
    async fn read(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Fault>;

    /// As `read`, and how long the first of `keys` may still stand; `None` when it is not there.
    async fn read_anchor(&self, keys: &[Bytes]) -> Result<(Vec<Option<Bytes>>, Option<Duration>), Fault>;

    /// Sets `token`'s lease under `key` if nothing stands there, or only what `replace` fingerprints, and mints
    /// the tags that are missing.
    async fn lease(
        &self,
        key: &Bytes,
        token: Token,
        replace: Option<&Bytes>,
        mint: &[(TagKey, Token)],
    ) -> Result<FrameReply, Fault>;

    /// Sets `frame` under `key` for `life` as `lease` does its own.
    async fn set_frame(
        &self,
        key: &Bytes,
        frame: Bytes,
        life: Duration,
        replace: Option<&Bytes>,
        mint: &[(TagKey, Token)],
    ) -> Result<FrameReply, Fault>;

    /// As `set_frame` with a permit of id `token`; one that stands there already is shared, and stands for `life` at least.
    async fn permit(
        &self,
        key: &Bytes,
        token: Token,
        life: Duration,
        replace: Option<&Bytes>,
        mint: &[(TagKey, Token)],
    ) -> Result<FrameReply, Fault>;

    /// Puts `frame` for `ttl` in place of what `existing` fingerprints, if that and every one of `tags`' tokens stand.
    async fn put(
        &self,
        key: &Bytes,
        existing: &Bytes,
        tags: &[TagToken],
        frame: Bytes,
        ttl: Duration,
    ) -> Result<bool, Fault>;

    /// Puts `frame` in place of `token`'s lease for `ttl`; `false` when the lease is gone.
    async fn fill(&self, key: &Bytes, token: Token, frame: Bytes, ttl: Duration) -> Result<bool, Fault>;

    /// Gives `token`'s lease up, if it still stands.
    async fn release(&self, key: &Bytes, token: Token) -> Result<(), Fault>;

    /// Deletes `keys`, and says how many there were. On success, every later read by anyone finds them gone or newer.
    async fn unlink(&self, keys: &[Bytes]) -> Result<u64, Fault>;

    /// As `unlink`; in the same step `changes` are left there as told, for whoever follows the journal, or not at all.
    async fn unlink_and_record(&self, keys: &[Bytes], changes: &[ChangeId]) -> Result<u64, Fault>;

    /// Finds and deletes whatever was there when it began, leases too, and says how much that was.
    async fn sweep(&self, what: Sweep<'_>) -> Result<u64, Fault>;

    /// Whether changes of read keys are reported. Where not, nothing it read may be kept in memory.
    fn is_tracking(&self) -> bool;

    /// An operation got no answer: check now rather than at the next heartbeat.
    fn suspect(&self);
}

/// Looking at the shared tier from outside: untracked, on connections of its own, certified by nobody. Nothing it tells
/// may be served.
#[async_trait]
pub(crate) trait Inspect: Send + Sync {
    /// What the server says of itself, and how long it took to answer a PING.
    async fn about(&self) -> Result<(String, Duration), Fault>;

    /// One step of the search for keys that match `pattern`, from `cursor` on, 0 for the beginning: where the next step
    /// begins, 0 for the end, and what was found.
    async fn scan(&self, pattern: &str, cursor: u64, count: usize) -> Result<(u64, Vec<Bytes>), Fault>;

    /// Which of `keys` there are.
    async fn exist(&self, keys: &[Bytes]) -> Result<Vec<bool>, Fault>;

    /// What stands under each of `keys`, and how long it may still stand.
    async fn look(&self, keys: &[Bytes]) -> Result<Vec<Option<InspectedFrame>>, Fault>;
}

/// What [`Inspect::look`] found under a key.
pub(crate) struct InspectedFrame {
    pub(crate) frame: Bytes,
    /// `None` when it stands until somebody deletes it.
    pub(crate) left: Option<Duration>,
}

/// Whoever keeps copies of what was read.
pub(crate) trait Listener: Send + Sync {
    /// `key` changed. Called inline in the connection's reader: an await here would lose the wire's order.
    fn apply_push(&self, key: &[u8]);

    /// Changes may have gone unreported: forget everything that lives by the reports.
    fn clear_guarded(&self);
}
