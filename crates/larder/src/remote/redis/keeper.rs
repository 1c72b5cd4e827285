//! Keeps the connection: dials, certifies, beats, and starts over. Start-up, failover, restart, FLUSHALL and
//! the end of an outage are all the same thing here: wait until a heartbeat is ok.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::key::Namespace;
use crate::policy::Policy;
use crate::protocol::certificate::{Certificate, Heartbeat, Told};
use crate::protocol::rules::Rules;
use crate::remote::Listener;
use crate::remote::redis::connection::{Current, Dialler, UNLINK_BATCH, unlink};
use crate::remote::redis::identity::Identity;
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
        "the instances that use this namespace keep another staleness bound or longest TTL ({0}): \
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

    /// Dials and beats until the connection is lost.
    async fn hold(
        &self,
        was_up: &mut bool,
        backoff: &mut Duration,
    ) -> Result<std::convert::Infallible, Lost> {
        let tracked =
            self.dialler.dial(self.listener.clone(), self.usable.clone(), self.nudge.clone()).await?;
        let mut connection = tracked.connection.clone();
        let identity = identify(&mut connection).await?;
        // Published before the clear: a reader that marked its shards before the clear is refused, one that
        // marks after it finds this connection.
        let tracks = tracked.tracks;
        self.current.set(Some(tracked));
        self.listener.cleared();
        loop {
            let granted = self.beat(&mut connection, &identity).await?;
            if granted && !std::mem::replace(was_up, true) {
                *backoff = BACKOFF_MIN;
                tracing::info!(tracks, "Redis tier usable");
            }
            // A nudge means that somebody doubts the tier: look at once.
            let _ = tokio::time::timeout(BEAT, self.nudge.notified()).await;
        }
    }

    /// One heartbeat: first whatever is owed to Redis, then the question whether it may be used.
    async fn beat(&self, connection: &mut MultiplexedConnection, identity: &Identity) -> Result<bool, Lost> {
        self.send_unsent(connection).await?;
        let stretch = self.usable.stretch();
        let sent = self.clock.now();
        let (certificate, now) = self.ask(connection, identity).await?;
        if !now.is_master {
            return Err(Lost::Replica);
        }
        let mine = self.certificate(&now);
        let is_live = certificate.as_deref() == Some(&*mine.to_bytes());
        let heartbeat = Heartbeat { sent, is_master: now.is_master, is_live, told: Told::ByWriters };
        match heartbeat.fresh_until(self.bound, self.clock.resolution(), self.rules) {
            Some(until) => Ok(self.usable.grant(stretch, until)),
            None => {
                self.usable.revoke();
                self.listener.cleared();
                self.certify(connection, &mine, certificate).await?;
                // The next beat, at once, finds its own certificate.
                self.nudge.notify_one();
                Ok(false)
            }
        }
    }

    fn certificate(&self, identity: &Identity) -> Certificate {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Certificate {
            redis: identity.name(),
            database: None,
            bound_ms: millis(self.bound),
            ttl_max_ms: millis(Policy::TTL_MAX),
        }
    }

    async fn ask(
        &self,
        connection: &mut MultiplexedConnection,
        identity: &Identity,
    ) -> Result<(Option<Bytes>, Identity), Lost> {
        let live = self.namespace.certificate_key();
        let mut pipe = redis::pipe();
        pipe.cmd("GET").arg(&live[..]).cmd("INFO").arg("replication");
        let (certificate, replication): (Option<Bytes>, String) = pipe.query_async(connection).await?;
        Ok((certificate, identity.now(&replication).ok_or(Lost::Nameless)?))
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
        self.drop_namespace(connection).await?;
        let live = self.namespace.certificate_key();
        redis::cmd("SET").arg(&live[..]).arg(&mine.to_bytes()[..]).exec_async(connection).await?;
        tracing::info!("new Redis certified, its old contents of this namespace dropped");
        Ok(())
    }

    async fn send_unsent(&self, connection: &mut MultiplexedConnection) -> Result<(), Lost> {
        match self.usable.unsent() {
            Unsent::Nothing => {}
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
                if let Err(error) = self.drop_namespace(connection).await {
                    self.usable.everything_is_unsent();
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// Deletes every key of the namespace but the certificate. Others may fill meanwhile; what they fill was
    /// loaded after this began or is dropped with the rest.
    async fn drop_namespace(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let live = self.namespace.certificate_key();
        let pattern = self.namespace.pattern();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1000);
            let (next, mut keys): (u64, Vec<Bytes>) = scan.query_async(connection).await?;
            keys.retain(|key| *key != live);
            unlink(connection, &keys).await?;
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }
}

async fn identify(connection: &mut MultiplexedConnection) -> Result<Identity, Lost> {
    let mut pipe = redis::pipe();
    pipe.cmd("INFO").arg("server").cmd("INFO").arg("replication");
    let (server, replication): (String, String) = pipe.query_async(connection).await?;
    Identity::parse(&server, &replication).ok_or(Lost::Nameless)
}
