//! The Redis tier: one tracked RESP3 connection carries every operation whose result may be served or kept in memory.

pub(crate) mod address;
mod claim;
mod commands;
mod connection;
pub(crate) mod dialler;
mod evidence;
mod in_cluster;
mod inspect;
mod joint_reads;
mod keeper;
mod keeper_slots;
mod leader;
mod link;
mod long_values;
mod loss;
pub(crate) mod membership;
mod own_writes;
mod prefix;
mod redis_id;
mod relay;
mod relay_error;
mod replies;
#[cfg(feature = "upstash")]
mod rest;
mod scripts;
mod sentinel;
mod settings;
mod starting;
mod status;
#[cfg(feature = "redis-tls")]
mod tls;
pub(crate) mod topology;
mod transport;
pub(crate) mod trouble;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::RedisResult;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::batch::Sweep;
use crate::clock::Clock;
use crate::journal::ChangeId;
use crate::protocol::rules::{ProtocolRule, ProtocolRules};
use crate::protocol::tag::TagToken;
use crate::protocol::token::Token;
use crate::remote::redis::commands::{frames, mget, millis, minted, set_if_absent, unchanged_frames};
use crate::remote::redis::connection::{ConnectionSlot, UNLINK_BATCH};
pub(crate) use crate::remote::redis::dialler::Dialler;
use crate::remote::redis::evidence::{Evidence, Granted};
use crate::remote::redis::inspect::UntrackedPool;
use crate::remote::redis::joint_reads::JointReads;
use crate::remote::redis::link::Connection;
use crate::remote::redis::long_values::LongValues;
use crate::remote::redis::membership::Membership;
use crate::remote::redis::prefix::{Prefix, Prefixes};
use crate::remote::redis::redis_id::Replication;
use crate::remote::redis::replies::ReplyLimit;
use crate::remote::redis::scripts::Scripts;
pub(crate) use crate::remote::redis::settings::{Endpoint, IdentitySource, Settings};
pub(crate) use crate::remote::redis::transport::Transport;
use crate::remote::redis::trouble::fault;
use crate::remote::validity::Validity;
use crate::remote::{Fault, FrameReply, Mint, Remote, Unchanged, each};

/// The TTL of a lease. The holder renews it every second; if the holder dies, another instance loads after this time.
const LEASE_TTL: Duration = Duration::from_secs(3);

pub(crate) struct RedisTier {
    connection_slot: Arc<ConnectionSlot>,
    is_rest: bool,
    clock: Clock,
    joint_reads: JointReads,
    scripts: Scripts,
    prefixes: Arc<Prefixes>,
    /// The staleness bound, and the TTL of the record that a change has been propagated. The record need not live
    /// longer: if no relay polls within the bound, no instance uses this Redis.
    bound: Duration,
    validity: Arc<Validity>,
    heartbeat_at_once: Arc<Notify>,
    rules: ProtocolRules,
    keeper: AbortHandle,
    untracked_pool: UntrackedPool,
    reply_limit: Arc<ReplyLimit>,
    long_values: LongValues,
    membership: Option<Arc<Membership>>,
}

impl RedisTier {
    fn connection(&self) -> Result<Connection, Fault> {
        self.connection_slot.get().ok_or(Fault::Away)
    }

    fn prefix(&self) -> Arc<Prefix> {
        self.prefixes.present()
    }

    /// Checks that a read reached the Redis that was granted: `granted` was noted before the read, and `evidence` came with
    /// its values.
    fn check_granted(&self, granted: &Granted, evidence: &Evidence) -> Result<(), Fault> {
        if granted.is_shown_by(evidence, self.clock.now()) {
            return Ok(());
        }
        // If another grant was noted meanwhile, that grant stays: this reply says nothing about it.
        if *self.connection_slot.granted() == *granted {
            self.revoke_and_check();
        }
        Err(Fault::Refused)
    }

    /// Sets `key`, as Redis has it, without a condition. Only a proof that breaks a rule uses it.
    async fn set(&self, key: &Bytes, frame: Bytes, ttl: Duration) -> Result<(), Fault> {
        let mut set = redis::cmd("SET");
        set.arg(&key[..]).arg(&frame[..]).arg("PX").arg(millis(ttl));
        set.query_async(&mut self.connection()?).await.map_err(fault)
    }

    /// Runs `set`, and sets the missing tag tokens of `mint` (with keys as Redis has them), in one round trip. Both
    /// have ended when this returns, so the load begins after them.
    async fn set_and_mint(
        &self,
        set: impl Future<Output = RedisResult<Bytes>>,
        (mint, ttl): (&[(Bytes, Bytes)], Duration),
    ) -> Result<FrameReply, Fault> {
        let leased = tokio::try_join!(set, set_if_absent(self.connection()?, mint, ttl));
        if leased.as_ref().is_err_and(|error| trouble::code(error).as_deref() == Some("WRONGTYPE")) {
            // The key of a tag holds a value of another type, for which MGET returned nil. Unlink it, so that the next
            // attempt can mint the tag.
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
        if keys.iter().any(|key| self.may_precede_own(key)) {
            return Err(Fault::Refused);
        }
        let granted = self.connection_slot.granted();
        let mut watch = self.long_values.watch(self.names(keys)?)?;
        let answer = self.joint_reads.read(&watch.keys).await;
        watch.note_answer(&answer);
        let (values, evidence) = answer?;
        self.check_granted(&granted, &evidence)?;
        Ok(values)
    }

    async fn read_each(&self, keys: &[Bytes]) -> Vec<Result<Option<Bytes>, Fault>> {
        if !self.is_rest {
            return each(self.read(keys).await, keys.len());
        }
        let is_own: Vec<bool> = keys.iter().map(|key| self.may_precede_own(key)).collect();
        let others = keys.iter().zip(&is_own).filter(|(_, is_own)| !**is_own).map(|(key, _)| key.clone());
        let mut values = self.read(&others.collect::<Vec<_>>()).await.map(Vec::into_iter);
        let mut next = || match &mut values {
            Ok(values) => Ok(values.next().flatten()),
            Err(fault) => Err(*fault),
        };
        is_own.into_iter().map(|is_own| if is_own { Err(Fault::Refused) } else { next() }).collect()
    }

    async fn read_anchor(&self, keys: &[Bytes]) -> Result<(Vec<Option<Bytes>>, Option<Duration>), Fault> {
        if self.is_rest {
            return Err(Fault::Refused); // Without tracking there are no anchors.
        }
        let (granted, mut pipe) = (self.connection_slot.granted(), redis::pipe());
        let mut watch = self.long_values.watch(self.names(keys)?)?;
        mget(&mut pipe, &watch.keys);
        // MGET makes Redis track the key. PTTL comes after it, so Redis also reports a change between the two.
        pipe.cmd("PTTL").arg(watch.keys.first().map(|key| &key[..]));
        pipe.cmd("INFO").arg("replication");
        let answers = pipe.query_async(&mut self.connection()?).await;
        let answers: Result<(Vec<Option<Bytes>>, i64, String), _> = answers.map_err(fault);
        watch.note_answer(&answers);
        let (values, left, replication) = answers?;
        self.check_granted(&granted, &Evidence::Replication(Replication::parse(&replication)))?;
        if values.len() != keys.len() {
            return Err(Fault::Refused);
        }
        // -1: the key does not expire.
        let expires = || u64::try_from(left).ok().map(Duration::from_millis);
        let left = if left == -1 { Some(Duration::MAX) } else { expires() };
        Ok((values, left))
    }

    async fn lease(
        &self,
        key: &Bytes,
        token: Token,
        replace: Option<&Bytes>,
        mint: &Mint,
    ) -> Result<FrameReply, Fault> {
        let prefix = self.prefix();
        let (key, mint) = (&self.name(key)?, (&minted(&prefix, &mint.tags)[..], mint.ttl));
        let connection = self.connection()?;
        if replace.is_none() && !self.rules.keeps(ProtocolRule::InsertsOnlyTracked) {
            // Only in a proof that breaks the rule: `SET … NX GET` does not make Redis track the key, and a GET in a
            // script does.
            let lease = [(key.clone(), token.lease_frame())];
            let existing = set_if_absent(connection.clone(), &lease, LEASE_TTL);
            let (existing, minted) =
                tokio::try_join!(existing, set_if_absent(connection, mint.0, mint.1)).map_err(fault)?;
            let existing = existing.into_iter().next().ok_or(Fault::Refused)?;
            return Ok(FrameReply { existing, minted });
        }
        let set = self.scripts.set_frame(connection, key, token.lease_frame(), replace, LEASE_TTL);
        self.set_and_mint(set, mint).await
    }

    async fn renew(&self, key: &Bytes, token: Token, unchanged: Unchanged<'_>) -> Result<bool, Fault> {
        let (prefix, lease) = (self.prefix(), token.lease_frame());
        let (key, others) = (&self.name(key)?, unchanged_frames(&prefix, unchanged));
        if !self.rules.keeps(ProtocolRule::RenewsOnlyItsLease) {
            return self.set(key, lease, LEASE_TTL).await.map(|()| true);
        }
        self.scripts.renew(self.connection()?, key, &lease, &others, LEASE_TTL).await.map_err(fault)
    }

    async fn set_frame(
        &self,
        key: &Bytes,
        frame: Bytes,
        life: Duration,
        replace: Option<&Bytes>,
        mint: &Mint,
    ) -> Result<FrameReply, Fault> {
        let prefix = self.prefix();
        let (key, mint) = (&self.name(key)?, (&minted(&prefix, &mint.tags)[..], mint.ttl));
        self.set_and_mint(self.scripts.set_frame(self.connection()?, key, frame, replace, life), mint).await
    }

    async fn permit(
        &self,
        key: &Bytes,
        token: Token,
        life: Duration,
        replace: Option<&Bytes>,
        mint: &Mint,
    ) -> Result<FrameReply, Fault> {
        let prefix = self.prefix();
        let (key, mint) = (&self.name(key)?, (&minted(&prefix, &mint.tags)[..], mint.ttl));
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
        // A draw waits until its key is not held: if it is held now, it was invalidated since.
        if self.may_precede_own(key) || tags.iter().any(|tag| self.may_precede_own(&tag.tag.to_bytes())) {
            return Ok(false);
        }
        // If the prefix has changed since the permit was drawn, there is no such frame under the new key, so Redis
        // refuses PUT.
        let prefix = self.prefix();
        let key = &self.name(key)?;
        if !self.rules.keeps(ProtocolRule::PutsUnderPermit) {
            return self.set(key, frame, ttl).await.map(|()| true);
        }
        let tags = frames(&prefix, tags);
        self.scripts.put(self.connection()?, key, existing, &tags, frame, ttl).await.map_err(fault)
    }

    async fn fill(&self, key: &Bytes, token: Token, frame: Bytes, ttl: Duration) -> Result<bool, Fault> {
        // A read takes no lease of what is held: if it is held now, it was invalidated since.
        if self.may_precede_own(key) {
            return Ok(false);
        }
        // If the prefix has changed since the lease was taken, there is no such lease under the new key, so Redis
        // refuses FILL.
        let key = &self.name(key)?;
        if !self.rules.keeps(ProtocolRule::FillComparesLease) {
            return self.set(key, frame, ttl).await.map(|()| true);
        }
        self.scripts.fill(self.connection()?, key, token, frame, ttl).await.map_err(fault)
    }

    async fn release(&self, key: &Bytes, token: Token) -> Result<(), Fault> {
        self.scripts.release(self.connection()?, &self.prefix().add_to(key), token).await.map_err(fault)
    }

    async fn unlink(&self, keys: &[Bytes]) -> Result<u64, Fault> {
        self.note_own_keys(keys);
        let (keys, mut connection) = (self.prefixes.usable()?.add_to_all(keys), self.connection()?);
        connection::unlink(&mut connection, &keys).await.map_err(fault)
    }

    async fn unlink_and_record(&self, keys: &[Bytes], changes: &[ChangeId]) -> Result<u64, Fault> {
        self.note_own_keys(keys);
        let prefix = self.prefixes.usable()?;
        let records: Vec<Bytes> = changes.iter().map(|change| prefix.propagated_key(change)).collect();
        // If there are too many keys for one command, no record is written, and the relay propagates the changes again.
        if records.is_empty() || keys.is_empty() || keys.len() + records.len() > UNLINK_BATCH {
            return self.unlink(keys).await;
        }
        match self
            .scripts
            .unlink_and_record(self.connection()?, &prefix.add_to_all(keys), &records, self.bound)
            .await
        {
            // If Redis refuses the script, for example by an ACL, the keys are unlinked without the records, and the
            // relay propagates these changes again.
            Err(error) if error.code().is_some() => self.unlink(keys).await,
            unlinked => unlinked.map_err(fault),
        }
    }

    async fn sweep(&self, what: Sweep<'_>) -> Result<u64, Fault> {
        self.note_own_sweep(what);
        connection::sweep(&mut self.connection()?, &*self.prefixes.usable()?, what).await.map_err(fault)
    }

    fn redis_key(&self, key: &Bytes) -> Bytes {
        self.prefix().add_to(key)
    }

    fn allow_value_bytes(&self, bytes: usize) {
        self.reply_limit.allow(bytes);
    }

    fn is_tracking(&self) -> bool {
        self.connection_slot.is_tracking()
    }

    fn is_delivery_certain(&self) -> bool {
        !self.is_rest
    }

    async fn wait_for_clock(&self, keys: &[Bytes]) {
        if let Some(own) = self.own_writes().filter(|own| own.awaits_clock(keys)) {
            self.check();
            own.wait_for_clock(keys).await;
        }
    }

    async fn wait_until_settled(&self, keys: &[Bytes]) {
        if let Some(own) = self.own_writes() {
            own.wait_until_settled(keys).await;
        }
    }

    fn queue(&self, keys: &[Bytes], everything: bool) {
        self.note_own_keys(keys);
        self.validity.queue(keys);
        if everything {
            self.note_own_sweep(Sweep::Everything);
            self.validity.queue_everything();
        }
        self.revoke_and_check();
    }

    async fn wait_until_sent(&self, limit: Duration) -> bool {
        self.validity.wait_for_grant(self.clock.now(), limit).await
    }

    fn unsent_count(&self) -> usize {
        self.validity.unsent_count()
    }

    fn revoke_and_check(&self) {
        self.validity.revoke();
        self.heartbeat_at_once.notify_one();
    }

    fn check(&self) {
        self.heartbeat_at_once.notify_one();
    }
}

#[cfg(test)]
mod mark_tests;
#[cfg(test)]
mod tests;
