//! The Redis tier: one tracked RESP3 connection for everything that is coherent.

mod claim;
mod commands;
mod connection;
mod inspect;
mod keeper;
mod prefix;
mod redis_id;
mod relay;
mod scripts;
mod status;
mod trouble;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult, Value};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::batch::Sweep;
use crate::cause::Causes;
use crate::clock::Clock;
use crate::condition::Condition;
use crate::error::Error;
use crate::journal::{ChangeId, Journal};
use crate::key::Namespace;
use crate::polls::PollRequests;
use crate::protocol::rules::{ProtocolRule, ProtocolRules};
use crate::protocol::tag::{TagKey, TagToken};
use crate::protocol::token::Token;
use crate::remote::redis::commands::{mget, minted, set_if_absent};
use crate::remote::redis::connection::{ConnectionSlot, Dialler, UNLINK_BATCH};
use crate::remote::redis::inspect::UntrackedPool;
use crate::remote::redis::keeper::Keeper;
use crate::remote::redis::prefix::{DatabaseIdentity, Prefix, Prefixes};
use crate::remote::redis::relay::Relay;
use crate::remote::redis::scripts::Scripts;
use crate::remote::validity::Validity;
use crate::remote::{Fault, FrameReply, Listener, Remote};

/// How long a lease stands: longer than a load may take, so that a fill within time is never refused for age.
const LEASE: Duration = Duration::from_secs(3);
/// How long a tag's token stands. Longer than any entry; if it went earlier, entries would only be reloaded.
const TAG_TTL: Duration = Duration::from_secs(2 * 3600);

/// Whether a tier could be built with this URL.
pub(crate) fn check_url(url: &str) -> Result<(), Error> {
    Dialler::parse(url, Duration::ZERO).map(drop)
}

/// What is behind a Redis, and names the keys in it.
pub(crate) enum IdentitySource {
    /// Replayed into Redis before it is used.
    Journal(Arc<dyn Journal>),
    /// Without a journal its own entries there are dropped instead. What the application calls its database.
    Installation(String),
}

/// What the tier is built from.
pub(crate) struct Settings {
    pub(crate) url: String,
    pub(crate) namespace: Namespace,
    /// How old an answer may be; see `Builder::staleness_bound`.
    pub(crate) bound: Duration,
    /// How long one operation may take before the tier counts as away.
    pub(crate) timeout: Duration,
    /// How many untracked connections there may be.
    pub(crate) pool_size: u32,
    /// How long a question waits for one of them.
    pub(crate) pool_timeout: Duration,
    /// What is behind Redis.
    pub(crate) source: IdentitySource,
    /// The protocol's; a proof may break one.
    pub(crate) rules: ProtocolRules,
    /// Told of what the relay tells Redis.
    pub(crate) causes: Arc<Causes>,
    /// Whoever wants the relay to pass now.
    pub(crate) polls: Arc<PollRequests>,
    /// Where the keeper says why the tier is not used as it should be.
    pub(crate) condition: Arc<Condition>,
}

pub(crate) struct RedisTier {
    connection_slot: Arc<ConnectionSlot>,
    scripts: Scripts,
    prefixes: Arc<Prefixes>,
    /// For how long a change that was told is known to be: the relay passes more often, or nobody uses this Redis.
    bound: Duration,
    validity: Arc<Validity>,
    nudge: Arc<Notify>,
    rules: ProtocolRules,
    keeper: AbortHandle,
    untracked_pool: UntrackedPool,
}

impl RedisTier {
    /// Starts to keep a connection. Returns at once: until a heartbeat is ok the tier is not usable, at
    /// start-up and after every loss alike.
    pub(crate) fn start(
        settings: Settings,
        clock: Clock,
        listener: Arc<dyn Listener>,
        validity: Arc<Validity>,
    ) -> Result<Self, Error> {
        let connection_slot = Arc::new(ConnectionSlot::default());
        let nudge = Arc::new(Notify::new());
        let dialler = Dialler::parse(&settings.url, settings.timeout)?;
        let untracked_pool = UntrackedPool::new(dialler.clone(), settings.pool_size, settings.pool_timeout)?;
        let (journal, installation, identity) = match settings.source {
            IdentitySource::Journal(journal) => (Some(journal), None, DatabaseIdentity::Unknown),
            IdentitySource::Installation(id) => (None, Some(id.clone()), DatabaseIdentity::Installation(id)),
        };
        let (namespace, rules) = (settings.namespace, settings.rules);
        let prefixes =
            Arc::new(Prefixes::new(namespace, identity, rules, validity.clone(), listener.clone()));
        let relay = journal.map(|journal| Relay {
            journal,
            prefixes: prefixes.clone(),
            bound: settings.bound,
            scripts: Scripts::new(),
            rules: settings.rules,
            causes: settings.causes,
            polls: settings.polls,
            marked: nudge.clone(),
            last_check: Mutex::default(),
            last_error: Mutex::new(None),
        });
        let keeper = Keeper {
            dialler,
            prefixes: prefixes.clone(),
            installation,
            bound: settings.bound,
            clock,
            listener,
            connection_slot: connection_slot.clone(),
            validity: validity.clone(),
            nudge: nudge.clone(),
            relay,
            rules: settings.rules,
            condition: settings.condition,
            scripts: Scripts::new(),
            may_hold_guarded: AtomicBool::new(false),
        };
        let keeper = tokio::spawn(keeper.keep()).abort_handle();
        Ok(RedisTier {
            connection_slot,
            scripts: Scripts::new(),
            prefixes,
            bound: settings.bound,
            validity,
            nudge,
            rules,
            keeper,
            untracked_pool,
        })
    }

    fn connection(&self) -> Result<MultiplexedConnection, Fault> {
        self.connection_slot.get().ok_or(Fault::Away)
    }

    fn prefix(&self) -> Arc<Prefix> {
        self.prefixes.present()
    }

    /// A master that was replaced since the last heartbeat keeps its connections and answers with what it has, while writes
    /// are acknowledged elsewhere. Asked after the values: a server that is a master now was one when it read them.
    fn check_master(
        &self,
        keys: &[Bytes],
        values: Vec<Option<Bytes>>,
        role: &[Value],
    ) -> Result<Vec<Option<Bytes>>, Fault> {
        if !matches!(role.first(), Some(Value::BulkString(role)) if role == b"master") {
            self.suspect();
            return Err(Fault::Refused);
        }
        // One value a key is what MGET promises; a proxy that does otherwise is not a tier to trust.
        if values.len() == keys.len() { Ok(values) } else { Err(Fault::Refused) }
    }

    /// Only for a proof that breaks a rule: a blind SET of a key as Redis has it.
    async fn set(&self, key: &Bytes, frame: Bytes, ttl: Duration) -> Result<(), Fault> {
        let mut set = redis::cmd("SET");
        set.arg(&key[..]).arg(&frame[..]).arg("PX").arg(millis(ttl));
        set.query_async(&mut self.connection()?).await.map_err(fault)
    }

    /// Sends what sets a frame, and mints beside it: both are sent before either is awaited, in one round trip, and both
    /// are done before the load begins. `mint` has keys as Redis has them.
    async fn set_and_mint(
        &self,
        set: impl Future<Output = RedisResult<Bytes>>,
        mint: &[(Bytes, Bytes)],
    ) -> Result<FrameReply, Fault> {
        let leased = tokio::try_join!(set, set_if_absent(self.connection()?, mint, TAG_TTL));
        if leased.as_ref().is_err_and(|error| trouble::code(error).as_deref() == Some("WRONGTYPE")) {
            // Something that is no token stands under a tag's key, where MGET saw nothing: out of the way, for the next.
            let tags: Vec<Bytes> = mint.iter().map(|(tag, _)| tag.clone()).collect();
            connection::unlink(&mut self.connection()?, &tags).await.map_err(fault)?;
        }
        let (existing, minted) = leased.map_err(fault)?;
        Ok(FrameReply { existing, minted })
    }
}

impl Drop for RedisTier {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

#[async_trait]
impl Remote for RedisTier {
    async fn read(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Fault> {
        let mut pipe = redis::pipe();
        mget(&mut pipe, &self.prefix().add_to_all(keys));
        pipe.cmd("ROLE");
        let answers = pipe.query_async(&mut self.connection()?).await;
        let (values, role): (Vec<Option<Bytes>>, Vec<Value>) = answers.map_err(fault)?;
        self.check_master(keys, values, &role)
    }

    async fn read_anchor(&self, keys: &[Bytes]) -> Result<(Vec<Option<Bytes>>, Option<Duration>), Fault> {
        let keys = self.prefix().add_to_all(keys);
        let mut pipe = redis::pipe();
        mget(&mut pipe, &keys);
        // After MGET, which has the key tracked: whatever is done to it from then on is reported.
        pipe.cmd("PTTL").arg(keys.first().map(|key| &key[..]));
        pipe.cmd("ROLE");
        let answers = pipe.query_async(&mut self.connection()?).await;
        let (values, left, role): (Vec<Option<Bytes>>, i64, Vec<Value>) = answers.map_err(fault)?;
        let left = match left {
            // It stands until it is deleted.
            -1 => Some(Duration::MAX),
            left => u64::try_from(left).ok().map(Duration::from_millis),
        };
        Ok((self.check_master(&keys, values, &role)?, left))
    }

    async fn lease(
        &self,
        key: &Bytes,
        token: Token,
        replace: Option<&Bytes>,
        mint: &[(TagKey, Token)],
    ) -> Result<FrameReply, Fault> {
        let prefix = self.prefix();
        let (key, mint) = (&prefix.add_to(key), &minted(&prefix, mint));
        let connection = self.connection()?;
        if replace.is_none() && !self.rules.keeps(ProtocolRule::InsertsOnlyTracked) {
            // What is read like this is not tracked, unlike what a script reads.
            let lease = [(key.clone(), token.lease_frame())];
            let existing = set_if_absent(connection.clone(), &lease, LEASE);
            let (existing, minted) =
                tokio::try_join!(existing, set_if_absent(connection, mint, TAG_TTL)).map_err(fault)?;
            let existing = existing.into_iter().next().ok_or(Fault::Refused)?;
            return Ok(FrameReply { existing, minted });
        }
        self.set_and_mint(self.scripts.set_frame(connection, key, token.lease_frame(), replace, LEASE), mint)
            .await
    }

    async fn set_frame(
        &self,
        key: &Bytes,
        frame: Bytes,
        life: Duration,
        replace: Option<&Bytes>,
        mint: &[(TagKey, Token)],
    ) -> Result<FrameReply, Fault> {
        let prefix = self.prefix();
        let (key, mint) = (&prefix.add_to(key), &minted(&prefix, mint));
        self.set_and_mint(self.scripts.set_frame(self.connection()?, key, frame, replace, life), mint).await
    }

    async fn permit(
        &self,
        key: &Bytes,
        token: Token,
        life: Duration,
        replace: Option<&Bytes>,
        mint: &[(TagKey, Token)],
    ) -> Result<FrameReply, Fault> {
        let prefix = self.prefix();
        let (key, mint) = (&prefix.add_to(key), &minted(&prefix, mint));
        let frame = token.permit_frame();
        self.set_and_mint(self.scripts.permit(self.connection()?, key, frame, replace, life), mint).await
    }

    async fn put(
        &self,
        key: &Bytes,
        existing: &Bytes,
        tags: &[TagToken],
        frame: Bytes,
        ttl: Duration,
    ) -> Result<bool, Fault> {
        // Had the prefix changed since the permit was drawn, no such frame stands there.
        let prefix = self.prefix();
        let key = &prefix.add_to(key);
        if !self.rules.keeps(ProtocolRule::PutsUnderPermit) {
            return self.set(key, frame, ttl).await.map(|()| true);
        }
        let tags: Vec<_> =
            tags.iter().map(|taken| (prefix.add_to(taken.tag.as_bytes()), taken.token.tag_frame())).collect();
        self.scripts.put(self.connection()?, key, existing, &tags, frame, ttl).await.map_err(fault)
    }

    async fn fill(&self, key: &Bytes, token: Token, frame: Bytes, ttl: Duration) -> Result<bool, Fault> {
        // Had the prefix changed since the lease was taken, no such lease stands there.
        let key = &self.prefix().add_to(key);
        if !self.rules.keeps(ProtocolRule::FillComparesLease) {
            return self.set(key, frame, ttl).await.map(|()| true);
        }
        self.scripts.fill(self.connection()?, key, token, frame, ttl).await.map_err(fault)
    }

    async fn release(&self, key: &Bytes, token: Token) -> Result<(), Fault> {
        self.scripts.release(self.connection()?, &self.prefix().add_to(key), token).await.map_err(fault)
    }

    async fn unlink(&self, keys: &[Bytes]) -> Result<u64, Fault> {
        let keys = self.prefix().add_to_all(keys);
        connection::unlink(&mut self.connection()?, &keys).await.map_err(fault)
    }

    async fn unlink_and_record(&self, keys: &[Bytes], changes: &[ChangeId]) -> Result<u64, Fault> {
        let prefix = self.prefix();
        let told: Vec<Bytes> = changes.iter().map(|change| prefix.propagated_key(change)).collect();
        // What is more than one command should hold Redis up for is told once more by the relay.
        if told.is_empty() || keys.is_empty() || keys.len() + told.len() > UNLINK_BATCH {
            return self.unlink(keys).await;
        }
        match self
            .scripts
            .unlink_and_record(self.connection()?, &prefix.add_to_all(keys), &told, self.bound)
            .await
        {
            // Such as by an ACL that does not know of names: without them it is told once more by the relay.
            Err(error) if error.code().is_some() => self.unlink(keys).await,
            told => told.map_err(fault),
        }
    }

    async fn sweep(&self, what: Sweep<'_>) -> Result<u64, Fault> {
        connection::sweep(&mut self.connection()?, &self.prefix(), what).await.map_err(fault)
    }

    fn redis_key(&self, key: &Bytes) -> Bytes {
        self.prefix().add_to(key)
    }

    fn is_tracking(&self) -> bool {
        self.connection_slot.is_tracking()
    }

    fn suspect(&self) {
        self.validity.revoke();
        self.nudge.notify_one();
    }
}

/// Redis counts in whole milliseconds and refuses zero.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn fault(error: RedisError) -> Fault {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => Fault::Refused,
        _ => Fault::Away,
    }
}

#[cfg(test)]
mod mark_tests;
#[cfg(test)]
mod tests;
