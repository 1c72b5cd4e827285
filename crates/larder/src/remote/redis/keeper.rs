//! Keeps the connection: dials, beats, and starts over. Start-up, failover, restart, FLUSHALL and the end of an outage
//! are all the same thing here: wait until a heartbeat is ok. Who makes it ok is the relay, or without a journal this
//! keeper itself.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::RedisError;
use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::batch::Sweep;
use crate::clock::Clock;
use crate::key::Namespace;
use crate::protocol::certificate::{Certificate, Heartbeat, Told};
use crate::protocol::rules::Rules;
use crate::remote::Listener;
use crate::remote::redis::asking::{Asked, ask, identify};
use crate::remote::redis::connection::{Current, Dialler, UNLINK_BATCH, sweep, unlink};
use crate::remote::redis::identity::Identity;
use crate::remote::redis::relay::{Relay, certificate};
use crate::remote::usable::{Unsent, Usable};

const BEAT: Duration = Duration::from_millis(200);
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

pub(crate) struct Keeper {
    pub(crate) dialler: Dialler,
    pub(crate) namespace: Namespace,
    pub(crate) bound: Duration,
    pub(crate) clock: Clock,
    pub(crate) listener: Arc<dyn Listener>,
    pub(crate) current: Arc<Current>,
    pub(crate) usable: Arc<Usable>,
    pub(crate) nudge: Arc<Notify>,
    pub(crate) relay: Option<Relay>,
    pub(crate) rules: Rules,
}

/// Why a connection is given up.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("INFO did not name this Redis")]
    Nameless,
    #[error("this Redis is a replica")]
    Replica,
    #[error(
        "the instances that use this namespace keep another staleness bound or longest TTL, or a journal ({0}): \
         give this one the same, or a namespace of its own"
    )]
    Disagreement(String),
}

impl Keeper {
    /// Runs until it is aborted.
    pub(crate) async fn keep(self) {
        let mut backoff = BACKOFF_MIN;
        let mut was_up = false;
        loop {
            let lost = match self.hold(&mut was_up, &mut backoff).await {
                Ok(never) => match never {},
                Err(lost) => lost,
            };
            self.current.set(None);
            self.usable.revoke();
            self.listener.cleared();
            if std::mem::take(&mut was_up) || backoff == BACKOFF_MIN {
                tracing::warn!(error = %lost, "Redis tier not usable, answering from memory and database");
            }
            sleep(backoff.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Dials, beats and relays until the connection is lost.
    async fn hold(&self, was_up: &mut bool, backoff: &mut Duration) -> Result<Infallible, Lost> {
        let tracked =
            self.dialler.dial(self.listener.clone(), self.usable.clone(), self.nudge.clone()).await?;
        let (mut connection, tracks) = (tracked.connection.clone(), tracked.tracks);
        let for_relay = connection.clone();
        let process = identify(&mut connection).await?.ok_or(Lost::Nameless)?;
        // Published before the clear: a reader that marked its shards before the clear is refused, one that
        // marks after it finds this connection.
        self.current.set(Some(tracked));
        self.listener.cleared();
        let relaying = async {
            match &self.relay {
                Some(relay) => relay.run(for_relay, &process).await,
                None => std::future::pending().await,
            }
        };
        let beating = async {
            loop {
                let granted = self.beat(&mut connection, &process).await?;
                if granted && !std::mem::replace(was_up, true) {
                    *backoff = BACKOFF_MIN;
                    tracing::info!(tracks, "Redis tier usable");
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
        let sent = self.clock.now();
        let asked = ask(connection, &self.namespace, process).await?;
        let identity = asked.identity.as_ref().ok_or(Lost::Nameless)?;
        if !identity.is_master {
            return Err(Lost::Replica);
        }
        if self.send_unsent(connection).await? {
            // The next beat, at once, finds nothing owed.
            self.nudge.notify_one();
            return Ok(false);
        }
        let mine = match &self.relay {
            Some(relay) => relay.expected(identity),
            None => Some(certificate(identity, None, self.bound)),
        };
        let is_live = mine.as_ref().is_some_and(|mine| asked.live.as_deref() == Some(&*mine.to_bytes()));
        let heartbeat = Heartbeat { sent, is_master: identity.is_master, is_live, told: self.told(&asked) };
        match heartbeat.fresh_until(self.bound, self.clock.resolution(), self.rules) {
            Some(until) => Ok(self.usable.grant(stretch, until)),
            None => {
                self.usable.revoke();
                self.listener.cleared();
                if let (None, Some(mine)) = (&self.relay, &mine) {
                    self.certify(connection, mine, asked.live).await?;
                }
                Ok(false)
            }
        }
    }

    fn told(&self, asked: &Asked) -> Told {
        match &self.relay {
            Some(_) => Told::ByRelay { now: asked.now, watermark: asked.watermark },
            None => Told::ByWriters,
        }
    }

    /// This Redis carries no certificate of ours, or one of another Redis: what it holds may come from a
    /// snapshot, a replica or a time when nobody watched. Without a journal to replay, all of it goes.
    async fn certify(
        &self,
        connection: &mut MultiplexedConnection,
        mine: &Certificate,
        standing: Option<Bytes>,
    ) -> Result<(), Lost> {
        let standing = standing.as_deref().and_then(Certificate::parse);
        if let Some(standing) = standing.filter(|standing| mine.disagrees(standing)) {
            return Err(Lost::Disagreement(String::from_utf8_lossy(&standing.to_bytes()).into_owned()));
        }
        sweep(connection, &self.namespace, Sweep::Everything).await?;
        let live = self.namespace.certificate_key();
        redis::cmd("SET").arg(&live[..]).arg(&mine.to_bytes()[..]).exec_async(connection).await?;
        tracing::info!("new Redis certified, its old contents of this namespace dropped");
        // The next beat, at once, finds its own certificate.
        self.nudge.notify_one();
        Ok(())
    }

    /// Says whether there was anything to send.
    async fn send_unsent(&self, connection: &mut MultiplexedConnection) -> Result<bool, Lost> {
        match self.usable.unsent() {
            Unsent::Nothing => return Ok(false),
            Unsent::Keys(keys) => {
                // In parts, each with a time-out of its own: what has been sent stays sent.
                for part in keys.chunks(UNLINK_BATCH) {
                    unlink(connection, part).await?;
                    self.usable.sent(part.len());
                }
                tracing::info!(keys = keys.len(), "queued invalidations sent");
            }
            Unsent::Everything => {
                self.usable.dropping_everything();
                if let Err(error) = sweep(connection, &self.namespace, Sweep::Everything).await {
                    self.usable.everything_is_unsent();
                    return Err(error.into());
                }
                self.usable.dropped_everything();
            }
        }
        Ok(true)
    }
}
