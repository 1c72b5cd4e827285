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
use crate::protocol::certificate::{Certificate, Heartbeat, Told};
use crate::protocol::rules::Rules;
use crate::remote::Listener;
use crate::remote::redis::asking::{Asked, ask, identify};
use crate::remote::redis::claim::{Claimed, claimed};
use crate::remote::redis::connection::{Current, Dialler, UNLINK_BATCH, sweep, unlink};
use crate::remote::redis::identity::Identity;
use crate::remote::redis::prefix::{Owner, Prefix, Prefixes};
use crate::remote::redis::relay::{Relay, certificate};
use crate::remote::redis::scripts::Scripts;
use crate::remote::redis::trouble;
use crate::remote::usable::{Unsent, Usable};

const BEAT: Duration = Duration::from_millis(200);
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
    pub(crate) current: Arc<Current>,
    pub(crate) usable: Arc<Usable>,
    pub(crate) nudge: Arc<Notify>,
    pub(crate) relay: Option<Relay>,
    pub(crate) rules: Rules,
    pub(crate) condition: Arc<Condition>,
    pub(crate) scripts: Scripts,
    /// The tier has been granted since memory was last cleared of what Redis guards. Only the keeper's own task reads and
    /// writes it, so any order does.
    pub(crate) may_hold_guarded: AtomicBool,
}

/// Why a connection is given up.
enum Lost {
    Redis(RedisError),
    /// This server cannot serve.
    Unfit(Trouble),
    /// What they say who use this Redis.
    Disagreement(String),
    /// The name of another installation.
    Claimed(String),
}

impl From<RedisError> for Lost {
    fn from(error: RedisError) -> Self {
        Lost::Redis(error)
    }
}

impl Lost {
    fn trouble(&self) -> Trouble {
        match self {
            Lost::Redis(error) => trouble::of(error),
            Lost::Unfit(trouble) => *trouble,
            Lost::Disagreement(_) => Trouble::Disagreement,
            Lost::Claimed(_) => Trouble::AnotherInstallation,
        }
    }

    /// What is not in the trouble's own words.
    fn detail(&self) -> Option<String> {
        match self {
            Lost::Redis(error) => Some(trouble::words(error)),
            Lost::Unfit(_) => None,
            Lost::Disagreement(standing) => Some(format!("they say {standing}")),
            Lost::Claimed(claim) => Some(claim.clone()),
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
            self.current.set(None);
            self.usable.revoke();
            self.forget_guarded();
            let trouble = lost.trouble();
            self.condition.note(trouble, lost.detail());
            sleep(backoff.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
            let longest = if trouble.needs_operator() { BACKOFF_OPERATOR_MAX } else { BACKOFF_MAX };
            backoff = (backoff * 2).min(longest);
        }
    }

    /// Dials, beats and relays until the connection is lost.
    async fn hold(&self, is_new: &mut bool, backoff: &mut Duration) -> Result<Infallible, Lost> {
        let tracked =
            self.dialler.dial(self.prefixes.clone(), self.usable.clone(), self.nudge.clone()).await?;
        let (mut connection, tracks) = (tracked.connection.clone(), tracked.tracks);
        let for_relay = connection.clone();
        let process = identify(&mut connection).await?.map_err(Lost::Unfit)?;
        // A read through it was granted the tier after the last revocation, and so after memory was cleared.
        self.current.set(Some(tracked));
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
                        tracing::info!(tracks, "Redis tier usable");
                    }
                }
                // A nudge means that somebody doubts the tier, or has marked it: look at once.
                let _ = tokio::time::timeout(BEAT, self.nudge.notified()).await;
            }
        };
        tokio::select! {
            lost = beating => lost,
            never = relaying => match never {},
        }
    }

    /// One heartbeat: the question whether this Redis may be used. What is owed to it goes first.
    async fn beat(&self, connection: &mut MultiplexedConnection, process: &Identity) -> Result<bool, Lost> {
        let stretch = self.usable.stretch();
        // After the stretch was noted: a change of prefix from here on ends it, and this heartbeat grants nothing.
        let prefix = self.prefixes.present();
        let sent = self.clock.now();
        let mut asking = connection.clone();
        let probe = self.scripts.probe(connection.clone(), &prefix);
        // Both are sent before either is awaited: one round trip.
        let (asked, taken) = tokio::join!(ask(&mut asking, &prefix, process), probe);
        let asked = asked?;
        let identity = asked.identity.as_ref().ok_or(Lost::Unfit(Trouble::Nameless))?;
        if !identity.is_master {
            return Err(Lost::Unfit(Trouble::Replica));
        }
        let refusal = match taken {
            Ok(()) => None,
            Err(error) if trouble::code(&error).is_some() => {
                Some((trouble::of(&error), trouble::words(&error)))
            }
            Err(error) => return Err(error.into()),
        };
        self.refuse_claimed(&prefix, asked.claim.as_deref())?;
        if self.send_unsent(connection, &prefix).await? {
            // The next beat, at once, finds nothing owed.
            self.nudge.notify_one();
            return Ok(false);
        }
        let mine = match &self.relay {
            Some(relay) => relay.expected(identity),
            None => Some(certificate(identity, None, self.bound)),
        };
        // Without a journal the claim is half of the certificate: after a FLUSHALL the first to come has it.
        let is_claimed = self.installation.is_none() || asked.claim.is_some();
        let is_live =
            is_claimed && mine.as_ref().is_some_and(|mine| asked.live.as_deref() == Some(&*mine.to_bytes()));
        let heartbeat = Heartbeat { sent, is_master: identity.is_master, is_live, told: self.told(&asked) };
        match heartbeat.fresh_until(self.bound, self.clock.resolution(), self.rules) {
            Some(until) => {
                // Before the grant: a task that waits for it finds the health as it then is.
                match refusal {
                    // What it has may still be read, and what memory keeps of it stays right.
                    Some((trouble, detail)) => self.condition.note(trouble, Some(detail)),
                    None => self.condition.well(),
                }
                self.may_hold_guarded.store(true, Ordering::Relaxed);
                Ok(self.usable.grant(stretch, until))
            }
            None => {
                self.usable.revoke();
                self.forget_guarded();
                self.note_uncertified(refusal);
                if let (None, Some(mine)) = (&self.relay, &mine) {
                    self.certify(connection, &prefix, mine, asked.live).await?;
                }
                Ok(false)
            }
        }
    }

    /// Clears memory of what Redis guards, once after each time that the tier was granted. Called after a revocation: from
    /// then on no read may insert what it brings until the next grant, for its stretch has ended, and what is under way
    /// the clear itself refuses. So until then there is nothing to clear, however often a heartbeat certifies nothing.
    ///
    /// What loads of this process brought meanwhile stays: see `Local::clear_guarded`. And no later clear detaches their
    /// flights. So a Redis that answers and is not used costs memory no more than one that is gone.
    fn forget_guarded(&self) {
        if self.may_hold_guarded.swap(false, Ordering::Relaxed) {
            self.listener.cleared();
        }
    }

    /// Redis answers and may not be used. Why: it refuses what the relay would write, or the relay says, or it has only
    /// been found and the first pass is under way.
    fn note_uncertified(&self, refusal: Option<(Trouble, String)>) {
        let stopped = || self.relay.as_ref().and_then(Relay::stopped);
        match refusal.or_else(stopped) {
            Some((trouble, detail)) => self.condition.note(trouble, Some(detail)),
            None => self.condition.note(Trouble::Asking, None),
        }
    }

    fn told(&self, asked: &Asked) -> Told {
        match &self.relay {
            Some(_) => Told::ByRelay { now: asked.now, watermark: asked.watermark },
            None => Told::ByWriters,
        }
    }

    /// This Redis carries no certificate of ours, or one of another Redis: what it holds may come from a
    /// snapshot, a replica or a time when nobody watched. Without a journal to replay, all of this installation's goes.
    async fn certify(
        &self,
        connection: &mut MultiplexedConnection,
        prefix: &Prefix,
        mine: &Certificate,
        standing: Option<Bytes>,
    ) -> Result<(), Lost> {
        let standing = standing.as_deref().and_then(Certificate::parse);
        if let Some(standing) = standing.filter(|standing| mine.disagrees(standing)) {
            return Err(Lost::Disagreement(String::from_utf8_lossy(&standing.to_bytes()).into_owned()));
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
    fn refuse_claimed(&self, prefix: &Prefix, standing: Option<&str>) -> Result<(), Lost> {
        let Some(mine) = &self.installation else { return Ok(()) };
        match claimed(standing, mine) {
            None => Ok(()),
            Some(Claimed::ByJournals) => Err(Lost::Disagreement("that they have a journal".to_owned())),
            Some(Claimed::By(other)) => Err(Lost::Claimed(format!(
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
    ) -> Result<bool, Lost> {
        if prefix.owner == Owner::Unknown {
            // Nothing stands under this prefix: what is owed is owed under the one that the database will have.
            return Ok(false);
        }
        match self.usable.unsent() {
            Unsent::Nothing => return Ok(false),
            Unsent::Keys(keys) => {
                // In parts, each with a time-out of its own: what has been sent stays sent.
                for part in keys.chunks(UNLINK_BATCH) {
                    unlink(connection, &prefix.spell_all(part)).await?;
                    if !self.is_present(prefix) {
                        // It was sent under keys that are no more. It stays owed.
                        return Ok(true);
                    }
                    self.usable.sent(part.len());
                }
                tracing::info!(keys = keys.len(), "queued invalidations sent");
            }
            Unsent::Everything => {
                self.usable.dropping_everything();
                if let Err(error) = sweep(connection, prefix, Sweep::Everything).await {
                    self.usable.everything_is_unsent();
                    return Err(error.into());
                }
                if !self.is_present(prefix) {
                    self.usable.everything_is_unsent();
                    return Ok(true);
                }
                self.usable.dropped_everything();
            }
        }
        Ok(true)
    }
}
