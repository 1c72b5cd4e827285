//! Keeps the connection: dials, beats, and starts over. Start-up, failover, restart, FLUSHALL and the end of an outage
//! are all the same thing here: wait until a heartbeat is ok. Who makes it ok is the relay, or without a journal this
//! keeper itself.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use redis::RedisError;
use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::batch::Sweep;
use crate::clock::Clock;
use crate::condition::Condition;
use crate::health::Trouble;
use crate::protocol::certificate::{Certificate, Heartbeat, Publisher};
use crate::protocol::rules::ProtocolRules;
use crate::remote::Listener;
use crate::remote::redis::claim::{ClaimConflict, find_conflict};
use crate::remote::redis::connection::{ConnectionSlot, Dialler, UNLINK_BATCH, sweep, unlink};
use crate::remote::redis::prefix::{DatabaseIdentity, Prefix, Prefixes};
use crate::remote::redis::redis_id::RedisId;
use crate::remote::redis::relay::{Relay, certificate};
use crate::remote::redis::scripts::Scripts;
use crate::remote::redis::status::{RedisStatus, fetch_status, identify};
use crate::remote::redis::trouble;
use crate::remote::validity::{UnsentInvalidations, Validity};

const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(200);
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// What passes by itself is to be noticed soon.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// A trouble that needs an operator: often enough that a mended Redis is used while the operator still watches.
const BACKOFF_OPERATOR_MAX: Duration = Duration::from_secs(5);

pub(crate) struct Keeper {
    pub(crate) dialler: Dialler,
    pub(crate) prefixes: Arc<Prefixes>,
    /// What the application calls its database, where there is no journal.
    pub(crate) installation: Option<String>,
    pub(crate) bound: Duration,
    pub(crate) clock: Clock,
    pub(crate) listener: Arc<dyn Listener>,
    pub(crate) connection_slot: Arc<ConnectionSlot>,
    pub(crate) validity: Arc<Validity>,
    pub(crate) nudge: Arc<Notify>,
    pub(crate) relay: Option<Relay>,
    pub(crate) rules: ProtocolRules,
    pub(crate) condition: Arc<Condition>,
    pub(crate) scripts: Scripts,
    /// The tier has been granted since memory was last cleared of what Redis guards. Only the keeper's own task reads and
    /// writes it, so any order does.
    pub(crate) may_hold_guarded: AtomicBool,
}

/// Why a connection is given up.
enum LossReason {
    Redis(RedisError),
    /// This server cannot serve.
    Unfit(Trouble),
    /// What they say who use this Redis.
    Disagreement(String),
    /// The name of another installation.
    AnotherInstallation(String),
}

impl From<RedisError> for LossReason {
    fn from(error: RedisError) -> Self {
        LossReason::Redis(error)
    }
}

impl LossReason {
    fn trouble(&self) -> Trouble {
        match self {
            LossReason::Redis(error) => trouble::of(error),
            LossReason::Unfit(trouble) => *trouble,
            LossReason::Disagreement(_) => Trouble::Disagreement,
            LossReason::AnotherInstallation(_) => Trouble::AnotherInstallation,
        }
    }

    /// What is not in the trouble's own words.
    fn detail(&self) -> Option<String> {
        match self {
            LossReason::Redis(error) => Some(trouble::words(error)),
            LossReason::Unfit(_) => None,
            LossReason::Disagreement(existing) => Some(format!("they say {existing}")),
            LossReason::AnotherInstallation(claim) => Some(claim.clone()),
        }
    }
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
            self.forget_guarded();
            let trouble = lost.trouble();
            self.condition.note(trouble, lost.detail());
            sleep(backoff.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
            let longest = if trouble.needs_operator() { BACKOFF_OPERATOR_MAX } else { BACKOFF_MAX };
            backoff = (backoff * 2).min(longest);
        }
    }

    /// Dials, beats and relays until the connection is lost.
    async fn hold(&self, is_new: &mut bool, backoff: &mut Duration) -> Result<Infallible, LossReason> {
        let tracked =
            self.dialler.dial(self.prefixes.clone(), self.validity.clone(), self.nudge.clone()).await?;
        let (mut connection, is_tracking) = (tracked.connection.clone(), tracked.is_tracking);
        let for_relay = connection.clone();
        let process = identify(&mut connection).await?.map_err(LossReason::Unfit)?;
        // A read through it was granted the tier after the last revocation, and so after memory was cleared.
        self.connection_slot.set(Some(tracked));
        let relaying = async {
            match &self.relay {
                Some(relay) => relay.run(for_relay, &process).await,
                None => std::future::pending().await,
            }
        };
        let beating = async {
            loop {
                if self.beat(&mut connection, &process).await? {
                    *backoff = BACKOFF_MIN;
                    if std::mem::take(is_new) {
                        tracing::info!(tracks = is_tracking, "Redis tier usable");
                    }
                }
                // A nudge means that somebody doubts the tier, or has marked it: look at once.
                let _ = tokio::time::timeout(HEARTBEAT_INTERVAL, self.nudge.notified()).await;
            }
        };
        tokio::select! {
            lost = beating => lost,
            never = relaying => match never {},
        }
    }

    /// One heartbeat: the question whether this Redis may be used. What is owed to it goes first.
    async fn beat(
        &self,
        connection: &mut MultiplexedConnection,
        process: &RedisId,
    ) -> Result<bool, LossReason> {
        let epoch = self.validity.epoch();
        // After the stretch was noted: a change of prefix from here on ends it, and this heartbeat grants nothing.
        let prefix = self.prefixes.present();
        let sent = self.clock.now();
        let mut asking = connection.clone();
        let probe = self.scripts.probe(connection.clone(), &prefix);
        // Both are sent before either is awaited: one round trip.
        let (status, taken) = tokio::join!(fetch_status(&mut asking, &prefix, process), probe);
        let status = status?;
        let redis_id = status.redis_id.as_ref().ok_or(LossReason::Unfit(Trouble::Nameless))?;
        if !redis_id.is_master {
            return Err(LossReason::Unfit(Trouble::Replica));
        }
        let refusal = match taken {
            Ok(()) => None,
            Err(error) if trouble::code(&error).is_some() => {
                Some((trouble::of(&error), trouble::words(&error)))
            }
            Err(error) => return Err(error.into()),
        };
        self.refuse_claimed(&prefix, status.claim.as_deref())?;
        if self.send_unsent(connection, &prefix).await? {
            // The next beat, at once, finds nothing owed.
            self.nudge.notify_one();
            return Ok(false);
        }
        let mine = match &self.relay {
            Some(relay) => relay.expected_certificate(redis_id),
            None => Some(certificate(redis_id, None, self.bound)),
        };
        // Without a journal the claim is half of the certificate: after a FLUSHALL the first to come has it.
        let is_claimed = self.installation.is_none() || status.claim.is_some();
        let is_live =
            is_claimed && mine.as_ref().is_some_and(|mine| status.live.as_deref() == Some(&*mine.to_bytes()));
        let heartbeat =
            Heartbeat { sent, is_master: redis_id.is_master, is_live, publisher: self.publisher(&status) };
        match heartbeat.fresh_until(self.bound, self.clock.resolution(), self.rules) {
            Some(until) => {
                // Before the grant: a task that waits for it finds the health as it then is.
                match refusal {
                    // What it has may still be read, and what memory keeps of it stays right.
                    Some((trouble, detail)) => self.condition.note(trouble, Some(detail)),
                    None => self.condition.note_recovery(),
                }
                self.may_hold_guarded.store(true, Ordering::Relaxed);
                Ok(self.validity.grant(epoch, until))
            }
            None => {
                self.validity.revoke();
                self.forget_guarded();
                self.note_uncertified(refusal);
                if let (None, Some(mine)) = (&self.relay, &mine) {
                    self.certify(connection, &prefix, mine, status.live).await?;
                }
                Ok(false)
            }
        }
    }

    /// Clears memory of what Redis guards, once after each time that the tier was granted. Called after a revocation: from
    /// then on no read may insert what it brings until the next grant, for its stretch has ended, and what is under way
    /// the clear itself refuses. So until then there is nothing to clear, however often a heartbeat certifies nothing.
    ///
    /// What loads of this process brought meanwhile stays: see `LocalTier::clear_guarded`. And no later clear detaches their
    /// flights. So a Redis that answers and is not used costs memory no more than one that is gone.
    fn forget_guarded(&self) {
        if self.may_hold_guarded.swap(false, Ordering::Relaxed) {
            self.listener.clear_guarded();
        }
    }

    /// Redis answers and may not be used. Why: it refuses what the relay would write, or the relay says, or it has only
    /// been found and the first pass is under way.
    fn note_uncertified(&self, refusal: Option<(Trouble, String)>) {
        let last_error = || self.relay.as_ref().and_then(Relay::last_error);
        match refusal.or_else(last_error) {
            Some((trouble, detail)) => self.condition.note(trouble, Some(detail)),
            None => self.condition.note(Trouble::Asking, None),
        }
    }

    fn publisher(&self, status: &RedisStatus) -> Publisher {
        match &self.relay {
            Some(_) => Publisher::Relay { now: status.now, watermark: status.watermark },
            None => Publisher::Writers,
        }
    }

    /// This Redis carries no certificate of ours, or one of another Redis: what it holds may come from a
    /// snapshot, a replica or a time when nobody watched. Without a journal to replay, all of this installation's goes.
    async fn certify(
        &self,
        connection: &mut MultiplexedConnection,
        prefix: &Prefix,
        mine: &Certificate,
        existing: Option<Bytes>,
    ) -> Result<(), LossReason> {
        let existing = existing.as_deref().and_then(Certificate::parse);
        if let Some(existing) = existing.filter(|existing| mine.disagrees(existing)) {
            return Err(LossReason::Disagreement(String::from_utf8_lossy(&existing.to_bytes()).into_owned()));
        }
        let live = prefix.certificate_key();
        // First, and the certificate last: a process that takes the claim and dies in between leaves nothing certified.
        unlink(connection, std::slice::from_ref(&live)).await?;
        if let Some(installation) = &self.installation {
            let claim = self.scripts.claim(connection, prefix, installation).await?;
            self.refuse_claimed(prefix, Some(&claim))?;
        }
        sweep(connection, prefix, Sweep::Everything).await?;
        // Without an end: there is one claim, so there is one such certificate, which nothing renews.
        redis::cmd("SET").arg(&live[..]).arg(&mine.to_bytes()[..]).exec_async(connection).await?;
        tracing::info!("new Redis certified, this installation's former entries there dropped");
        // The next beat, at once, finds its own certificate.
        self.nudge.notify_one();
        Ok(())
    }

    /// Another's namespace is not used; see `claim`. At every heartbeat, for one reply says it all.
    fn refuse_claimed(&self, prefix: &Prefix, existing: Option<&str>) -> Result<(), LossReason> {
        let Some(mine) = &self.installation else { return Ok(()) };
        match find_conflict(existing, mine) {
            None => Ok(()),
            Some(ClaimConflict::ByJournals) => {
                Err(LossReason::Disagreement("that they have a journal".to_owned()))
            }
            Some(ClaimConflict::By(other)) => Err(LossReason::AnotherInstallation(format!(
                "it is claimed by installation {other:?}, and this is {mine:?}; the claim is the key {}",
                String::from_utf8_lossy(&prefix.claim_key())
            ))),
        }
    }

    /// Whether keys still begin with `prefix`. It changes with the database's identity, in another task.
    fn is_present(&self, prefix: &Prefix) -> bool {
        std::ptr::eq(prefix, &*self.prefixes.present())
    }

    /// Says whether there was anything to send.
    async fn send_unsent(
        &self,
        connection: &mut MultiplexedConnection,
        prefix: &Prefix,
    ) -> Result<bool, LossReason> {
        if prefix.identity == DatabaseIdentity::Unknown {
            // Nothing stands under this prefix: what is owed is owed under the one that the database will have.
            return Ok(false);
        }
        match self.validity.unsent() {
            UnsentInvalidations::Nothing => return Ok(false),
            UnsentInvalidations::Keys(keys) => {
                // In parts, each with a time-out of its own: what has been sent stays sent.
                for part in keys.chunks(UNLINK_BATCH) {
                    unlink(connection, &prefix.add_to_all(part)).await?;
                    if !self.is_present(prefix) {
                        // It was sent under keys that are no more. It stays owed.
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
