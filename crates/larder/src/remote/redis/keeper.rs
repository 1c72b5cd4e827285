//! The keeper dials, sends heartbeats, and dials again after each loss. Start-up, failover, restart, FLUSHALL and the
//! end of an outage are one case here: the keeper waits until a heartbeat grants the tier. The relay certifies the
//! Redis before that; without a journal, the keeper does.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use redis::RedisError;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::batch::Sweep;
use crate::clock::Clock;
use crate::condition::Condition;
use crate::health::Trouble;
use crate::policy::BOUND_MIN;
use crate::protocol::certificate::{Certificate, Heartbeat, Propagation, RedisTime};
use crate::protocol::relay::ABANDONED_AFTER;
use crate::protocol::rules::ProtocolRules;
use crate::protocol::slots::{SlotSet, slot_of};
use crate::remote::Listener as _;
use crate::remote::redis::claim::{ClaimConflict, find_conflict};
use crate::remote::redis::connection::{ConnectionSlot, UNLINK_BATCH, sweep, unlink};
use crate::remote::redis::link::Connection;
use crate::remote::redis::loss::{LossReason, refusal_of};
use crate::remote::redis::membership::Membership;
use crate::remote::redis::prefix::{DatabaseIdentity, Prefix, Prefixes};
use crate::remote::redis::redis_id::RedisId;
use crate::remote::redis::relay::{Relay, certificate};
use crate::remote::redis::scripts::Scripts;
use crate::remote::redis::status::{RedisStatus, fetch_status, identify};
use crate::remote::redis::transport::Transport;
use crate::remote::validity::{UnsentInvalidations, Validity};

const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(200);
const _: () = assert!(
    2 * HEARTBEAT_INTERVAL.as_millis() < BOUND_MIN.as_millis(),
    "a grant of the shortest staleness bound ends before two heartbeats could have renewed it"
);
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// The longest back-off for a trouble that can end by itself: the keeper notices its end within 1 s.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// The longest back-off for a trouble that needs an operator: a repaired Redis is used within 5 s, while the operator
/// still watches.
const BACKOFF_OPERATOR_MAX: Duration = Duration::from_secs(5);

pub(crate) struct Keeper {
    pub(crate) transport: Transport,
    pub(crate) prefixes: Arc<Prefixes>,
    /// The application's name for its database, without a journal.
    pub(crate) installation: Option<String>,
    pub(crate) bound: Duration,
    pub(crate) clock: Clock,
    pub(crate) connection_slot: Arc<ConnectionSlot>,
    pub(crate) validity: Arc<Validity>,
    pub(crate) heartbeat_at_once: Arc<Notify>,
    pub(crate) relay: Option<Relay>,
    pub(crate) rules: ProtocolRules,
    pub(crate) condition: Arc<Condition>,
    pub(crate) scripts: Scripts,
    /// In a Redis Cluster: which slots of this master may be read.
    pub(crate) membership: Option<Arc<Membership>>,
    /// Whether the tier has been granted since memory was last cleared of what Redis guards. Only the keeper's task
    /// reads and writes it, so `Relaxed` suffices.
    pub(crate) may_hold_guarded: AtomicBool,
}

impl Keeper {
    /// Runs until it is aborted.
    pub(crate) async fn keep(self) {
        let mut backoff = BACKOFF_MIN;
        let mut is_new = true;
        loop {
            let lost = match self.hold(&mut is_new, &mut backoff).await {
                Ok(never) => match never {},
                Err(lost) => lost,
            };
            self.connection_slot.set(None);
            self.validity.revoke();
            if let Some(relay) = &self.relay {
                relay.polls.leave();
            }
            self.forget_guarded();
            let trouble = match (lost.trouble(), &self.membership) {
                // A slot with keys of the protocol is being moved: that passes.
                (Trouble::Cluster, Some(_)) => Trouble::Asking,
                (trouble, _) => trouble,
            };
            self.condition.note(trouble, lost.detail());
            // With jitter, so that the instances do not all dial at once after an outage.
            sleep(backoff.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
            let longest = if trouble.needs_operator() { BACKOFF_OPERATOR_MAX } else { BACKOFF_MAX };
            backoff = (backoff * 2).min(longest);
        }
    }

    /// Dials, then sends heartbeats and runs the relay until the connection is lost.
    async fn hold(&self, is_new: &mut bool, backoff: &mut Duration) -> Result<Infallible, LossReason> {
        let tracked = self
            .transport
            .dial(self.prefixes.clone(), self.validity.clone(), self.heartbeat_at_once.clone())
            .await?;
        let (mut connection, is_tracking) = (tracked.connection.clone(), tracked.is_tracking);
        let master = tracked.master.clone();
        let for_relay = connection.clone();
        let process = identify(&mut connection).await?.map_err(LossReason::Unfit)?;
        // The connection is set only after its server was accepted. Reads use it only after the next grant, and memory
        // was cleared when the former connection was lost.
        self.connection_slot.set(Some(tracked));
        let polls = async {
            match &self.relay {
                Some(relay) => relay.run(for_relay, &process).await,
                None => std::future::pending().await,
            }
        };
        let heartbeats = async {
            loop {
                if self.send_heartbeat(&mut connection, &process).await? {
                    *backoff = BACKOFF_MIN;
                    if std::mem::take(is_new) {
                        tracing::info!(tracks = is_tracking, "Redis tier usable");
                    }
                }
                // A notification asks for a heartbeat at once: an operation got no answer or was slow, data may have been
                // lost, or the relay has marked.
                let _ = tokio::time::timeout(HEARTBEAT_INTERVAL, self.heartbeat_at_once.notified()).await;
            }
        };
        tokio::select! {
            lost = heartbeats => lost,
            moved = self.transport.wait_for_another_master(master.as_ref()) => Err(moved.into()),
            never = polls => match never {},
        }
    }

    /// Asks for the status of this Redis, and why it refuses to take a write, if it does. Fails if it cannot be used.
    async fn ask(
        &self,
        connection: &Connection,
        prefix: &Prefix,
        process: &RedisId,
    ) -> Result<(RedisStatus, RedisId, Option<(Trouble, String)>), LossReason> {
        self.connection_slot.own_writes.begin_heartbeat();
        let mut asking = connection.clone();
        let probe = self.scripts.probe(connection.clone(), prefix);
        // Both are sent before the first reply is awaited, so that they take one round trip.
        let (status, taken) = tokio::join!(fetch_status(&mut asking, prefix, process), probe);
        let status = status?;
        self.connection_slot.own_writes.note_clock(status.now, status.watermark);
        if connection.is_rest() && status.marks().has_resp_instances(status.now) {
            let others = "no REST: they use this Redis over its own protocol";
            return Err(LossReason::Disagreement(others.to_owned()));
        }
        let redis_id = status.redis_id.clone().ok_or(LossReason::Unfit(Trouble::Nameless))?;
        if !redis_id.is_master {
            return Err(LossReason::Unfit(Trouble::Replica));
        }
        Ok((status, redis_id, refusal_of(taken)?))
    }

    /// Sends one heartbeat, which asks whether this Redis may be used. Unsent invalidations are sent before a heartbeat
    /// can grant. Returns whether this heartbeat granted.
    async fn send_heartbeat(
        &self,
        connection: &mut Connection,
        process: &RedisId,
    ) -> Result<bool, LossReason> {
        let epoch = self.validity.epoch();
        // Read after the epoch: if the prefix changes from here on, that ends the epoch, and this heartbeat grants
        // nothing.
        let prefix = self.prefixes.present();
        let sent = self.clock.now();
        let (status, redis_id, refusal) = self.ask(connection, &prefix, process).await?;
        self.refuse_claimed(&prefix, status.claim.as_deref())?;
        self.sweep_importing(connection, &prefix, &status).await?;
        if self.send_unsent(connection, &prefix, status.owned.as_ref()).await? {
            // The next heartbeat follows at once and finds nothing unsent.
            self.heartbeat_at_once.notify_one();
            return Ok(false);
        }
        let mine = match &self.relay {
            Some(relay) => relay.expected_certificate(&redis_id),
            None => Some(certificate(&redis_id, None, self.bound)),
        };
        // Without a journal, a grant also needs the claim: after a FLUSHALL, another installation may have claimed the
        // namespace.
        let is_claimed = self.installation.is_none() || status.claim.is_some();
        let mine = mine.map(|mine| Certificate { slots: status.owned.clone(), ..mine });
        let existing = status.certificate.as_deref().and_then(Certificate::parse);
        // Of a master of a Redis Cluster, what is certified may be read, also if a slot has come or gone since.
        let usable = existing.as_ref().and_then(|existing| mine.as_ref()?.certified_slots(existing));
        let carries_my_certificate = is_claimed
            && (usable.is_some()
                || mine
                    .as_ref()
                    .is_some_and(|mine| status.certificate.as_deref() == Some(&*mine.to_bytes())));
        let heartbeat = Heartbeat {
            sent,
            is_master: redis_id.is_master,
            carries_my_certificate,
            propagation: self.propagation(&status),
        };
        match heartbeat.fresh_until(self.bound, self.clock.resolution(), self.rules) {
            Some(until) => {
                // Noted before the grant, so that a task that waits for the grant then sees the matching health.
                match refusal {
                    // Redis refuses writes. Its entries may still be read, and memory still gets its pushes.
                    Some((trouble, detail)) => self.condition.note(trouble, Some(detail)),
                    None => self.condition.note_recovery(),
                }
                self.may_hold_guarded.store(true, Ordering::Relaxed);
                self.use_slots(usable);
                let granted = status.granted(connection.is_rest(), until);
                self.connection_slot.note_granted(granted, &self.validity);
                let is_granted = self.validity.grant(epoch, until);
                if let (None, Some(mine)) = (&self.relay, &mine) {
                    note_use(connection, &prefix, &status).await;
                    self.certify_arrived(connection, &prefix, mine, existing.as_ref()).await?;
                }
                Ok(is_granted)
            }
            None => {
                self.validity.revoke();
                self.forget_guarded();
                self.note_uncertified(refusal);
                if let (None, Some(mine)) = (&self.relay, &mine) {
                    self.certify(connection, &prefix, mine, &status).await?;
                }
                Ok(false)
            }
        }
    }

    /// Removes from memory what Redis guards, once after each period of grants. Call it after a revocation. Until the
    /// next grant no read then inserts its reply: the read's epoch has ended, or this removal has advanced the sequence
    /// of its shard. So there is nothing to remove again, even if many heartbeats certify nothing.
    ///
    /// Values that this process loads in the meantime stay in memory (see `LocalTier::clear_guarded`), and no second
    /// clear detaches their flights. So a Redis that answers and is not used costs no more copies than a Redis that is
    /// away.
    fn forget_guarded(&self) {
        if self.may_hold_guarded.swap(false, Ordering::Relaxed) {
            self.prefixes.clear_guarded();
        }
    }

    /// Notes why a Redis that answers may not be used: it refuses writes; or the relay's last poll failed; or the first
    /// poll has not ended.
    fn note_uncertified(&self, refusal: Option<(Trouble, String)>) {
        let last_error = || self.relay.as_ref().and_then(Relay::last_error);
        match refusal.or_else(last_error) {
            Some((trouble, detail)) => self.condition.note(trouble, Some(detail)),
            None => self.condition.note(Trouble::Asking, None),
        }
    }

    fn propagation(&self, status: &RedisStatus) -> Propagation {
        match &self.relay {
            Some(_) => Propagation::Relay { now: status.now, watermark: status.watermark },
            None => Propagation::Writers,
        }
    }

    /// Certifies a Redis for a cache that has no journal: drops this installation's entries, then writes the
    /// certificate. It is called if a heartbeat certified nothing, because the certificate or the claim is missing or
    /// names another Redis. In that case the entries may come from a snapshot, from a replica, or from a time when
    /// invalidations did not reach this Redis, and there is no journal from which the missed changes could be
    /// propagated. A certificate with other settings is replaced once its watermark has expired, see `note_use`; before
    /// that, this returns `Disagreement`.
    async fn certify(
        &self,
        connection: &mut Connection,
        prefix: &Prefix,
        mine: &Certificate,
        status: &RedisStatus,
    ) -> Result<(), LossReason> {
        let existing = status.certificate.as_deref().and_then(Certificate::parse);
        let is_used = status.watermark.is_some();
        if let Some(existing) = existing.filter(|existing| is_used && mine.disagrees(existing)) {
            return Err(LossReason::Disagreement(String::from_utf8_lossy(&existing.to_bytes()).into_owned()));
        }
        let certificate_key = prefix.certificate_key();
        // The certificate is deleted first and written last: if this process takes the claim and dies in between, the
        // Redis stays uncertified.
        unlink(connection, std::slice::from_ref(&certificate_key)).await?;
        if let Some(installation) = &self.installation {
            let claim = self.scripts.claim(connection, prefix, installation).await?;
            self.refuse_claimed(prefix, Some(&claim))?;
        }
        sweep(connection, prefix, Sweep::Everything).await?;
        // Written before the certificate, so that no instance with other settings finds it unused.
        mark_used(connection, prefix, status.now).await?;
        // The certificate has no TTL, so that the entries outlive a time in which no instance runs. A namespace has one
        // claim, so it has at most one such certificate.
        // It was deleted above: if there is one again, another instance has written it, perhaps of later slots.
        let mut set = redis::cmd("SET");
        set.arg(&certificate_key[..]).arg(&mine.to_bytes()[..]).arg("NX").exec_async(connection).await?;
        tracing::info!("new Redis certified, this installation's earlier entries in it dropped");
        // The next heartbeat follows at once and finds this certificate.
        self.heartbeat_at_once.notify_one();
        Ok(())
    }

    /// Refuses a namespace that another installation has claimed; see `claim`. Each heartbeat checks the claim, which
    /// its reply contains.
    fn refuse_claimed(&self, prefix: &Prefix, existing: Option<&str>) -> Result<(), LossReason> {
        let Some(mine) = &self.installation else { return Ok(()) };
        match find_conflict(existing, mine) {
            None => Ok(()),
            Some(ClaimConflict::ByJournals) => Err(LossReason::Disagreement("a journal".to_owned())),
            Some(ClaimConflict::By(other)) => Err(LossReason::AnotherInstallation(format!(
                "it is claimed by installation {other:?}, and this is {mine:?}; the claim is the key {}",
                String::from_utf8_lossy(&prefix.claim_key())
            ))),
        }
    }

    /// Whether `prefix` is still the present prefix. The relay's task replaces the prefix when the database's identity
    /// changes.
    fn is_present(&self, prefix: &Prefix) -> bool {
        std::ptr::eq(prefix, &*self.prefixes.present())
    }

    /// Sends the unsent invalidations. Returns whether there were any. Of keys that are not in the slots `owned`, another
    /// master of the Redis Cluster gets them.
    async fn send_unsent(
        &self,
        connection: &mut Connection,
        prefix: &Prefix,
        owned: Option<&SlotSet>,
    ) -> Result<bool, LossReason> {
        if prefix.identity == DatabaseIdentity::Unknown {
            // There are no entries under this prefix. The keys stay unsent until the prefix has the database's
            // identity.
            return Ok(false);
        }
        match self.validity.unsent() {
            UnsentInvalidations::Nothing => return Ok(false),
            UnsentInvalidations::Keys(keys) => {
                // In batches: each has its own time-out and is confirmed at once, so a failure repeats only the rest.
                for part in keys.chunks(UNLINK_BATCH) {
                    let names = prefix.add_to_all(part);
                    let is_here = |name: &Bytes| owned.is_none_or(|owned| owned.contains(slot_of(name)));
                    let here: Vec<Bytes> = names.iter().filter(|name| is_here(name)).cloned().collect();
                    unlink(connection, &here).await?;
                    if let Some(membership) = &self.membership {
                        // Before they are confirmed: a wait for them finds them in one of the two places.
                        let strays = part.iter().zip(&names).filter(|(_, name)| !is_here(name));
                        membership.add_strays(strays.map(|(key, _)| key.clone()));
                    }
                    if !self.is_present(prefix) {
                        // The keys were sent under the former prefix, so they stay unsent.
                        return Ok(true);
                    }
                    self.validity.confirm_sent(part.len());
                }
                tracing::info!(keys = keys.len(), "queued invalidations sent");
            }
            UnsentInvalidations::Everything => {
                self.validity.begin_clear();
                if let Err(error) = sweep(connection, prefix, Sweep::Everything).await {
                    self.validity.queue_everything();
                    return Err(error.into());
                }
                if !self.is_present(prefix) {
                    self.validity.queue_everything();
                    return Ok(true);
                }
                self.validity.finish_clear();
            }
        }
        Ok(true)
    }
}

/// Without a journal, the watermark only says that an instance uses this Redis under the present settings. It expires
/// [`ABANDONED_AFTER`] after an instance last set it; then instances with other settings may certify this Redis.
async fn mark_used(connection: &mut Connection, prefix: &Prefix, now: RedisTime) -> Result<(), RedisError> {
    // A full Redis executes the script too: otherwise it would look unused while its entries are read.
    const USED: &str = "#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])";
    let mut mark = redis::cmd("EVAL");
    mark.arg(USED).arg(1).arg(&prefix.watermark_key()[..]);
    mark.arg(now.0).arg(ABANDONED_AFTER.as_millis() as u64).exec_async(connection).await
}

/// Sets the watermark again, a few times within [`ABANDONED_AFTER`], so that this Redis does not look unused. A Redis
/// that refuses the write may still be read. If the connection is lost, the next heartbeat finds that.
async fn note_use(connection: &mut Connection, prefix: &Prefix, status: &RedisStatus) {
    let age = status.watermark.and_then(|watermark| status.now.since(watermark));
    if age.is_none_or(|age| age > ABANDONED_AFTER / 4)
        && let Err(error) = mark_used(connection, prefix, status.now).await
    {
        tracing::debug!(%error, "Redis could not be marked as used");
    }
}
