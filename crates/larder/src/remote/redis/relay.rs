//! The relay: tells Redis what the journal tells, and marks how far it has been told. Any instance runs it.
//!
//! State shared with the keeper: the database's identity, which is the owner of the present prefix.
//! It is a belief: the keeper compares the certificate with it, and a wrong belief only makes this instance wait.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::RedisError;
use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;

use crate::batch::{Batch, Sweep};
use crate::cause::{Cause, Causes};
use crate::health::Trouble;
use crate::journal::{
    Change, ChangeId, Changes, ChangesSince, DatabaseId, Failure, Journal, Position, within,
};
use crate::policy::Policy;
use crate::polls::PollRequests;
use crate::protocol::certificate::{Certificate, RedisTime};
use crate::protocol::relay::{MarkDecision, Plan, PlanInput, plan, unpropagated_touches};
use crate::protocol::rules::ProtocolRules;

use crate::remote::redis::connection::{UNLINK_BATCH, sweep, unlink};
use crate::remote::redis::prefix::{DatabaseIdentity, Prefix, Prefixes};
use crate::remote::redis::redis_id::RedisId;
use crate::remote::redis::scripts::{MarkArguments, Scripts};
use crate::remote::redis::status::{RedisStatus, fetch_status};
use crate::remote::redis::trouble;

/// A Redis that was told longer ago than this is told again. With several instances whoever comes first after it does
/// so, and the others rest: no leader, no lock.
const POLL_MIN_AGE: Duration = Duration::from_millis(150);

pub(crate) struct Relay {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) prefixes: Arc<Prefixes>,
    pub(crate) bound: Duration,
    pub(crate) scripts: Scripts,
    pub(crate) rules: ProtocolRules,
    pub(crate) causes: Arc<Causes>,
    pub(crate) polls: Arc<PollRequests>,
    /// Told when a pass has marked: a heartbeat would be ok now.
    pub(crate) marked: Arc<Notify>,
    /// When this instance has last asked the journal itself. Written and read by the relay's own task.
    pub(crate) last_check: Mutex<Option<Instant>>,
    /// Why the last pass came to nothing; `None` when it came to its end. Written by the relay's own task, read by the
    /// keeper, which names it if Redis may not be used for it.
    pub(crate) last_error: Mutex<Option<(Trouble, String)>>,
}

/// Why a pass came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("the journal cannot be asked: {0}")]
    Journal(Failure),
    #[error("INFO did not name this Redis")]
    Nameless,
    #[error("this Redis is a replica")]
    Replica,
    #[error(
        "the instances that use this namespace keep another staleness bound or longest TTL, or no journal ({0}): \
         give all the same, or this one a namespace of its own"
    )]
    Disagreement(String),
    #[error("a later life of this database has been promoted: the one that is asked here is of the past")]
    Superseded,
    #[error("another database answers than before, or the same one after a promotion")]
    AnotherDatabase,
    #[error("this Redis changed hands during the pass")]
    ChangedHands,
    #[error(
        "the database has been itself for less than the staleness bound: another name of it may still be in use"
    )]
    Renamed,
}

impl RelayError {
    fn trouble(&self) -> Trouble {
        match self {
            RelayError::Redis(error) => trouble::of(error),
            RelayError::Nameless => Trouble::Nameless,
            RelayError::Replica => Trouble::Replica,
            RelayError::Disagreement(_) => Trouble::Disagreement,
            // It passes with the bound.
            RelayError::Renamed => Trouble::Asking,
            RelayError::Journal(_)
            | RelayError::Superseded
            | RelayError::AnotherDatabase
            | RelayError::ChangedHands => Trouble::Untold,
        }
    }
}

impl Relay {
    /// Passes, again and again, until it is dropped.
    pub(crate) async fn run(&self, mut connection: MultiplexedConnection, process: &RedisId) -> Infallible {
        let mut last_reason = String::new();
        loop {
            let requests = self.polls.requests();
            // Whoever asks waits for what is in the journal now: that somebody told Redis lately is not enough.
            let due = if self.polls.has_waiters(requests) { Duration::ZERO } else { POLL_MIN_AGE };
            match self.poll(&mut connection, process, due).await {
                Ok(()) => {
                    last_reason.clear();
                    self.set_last_error(None);
                    self.polls.complete(requests);
                }
                Err(last_error) => {
                    let reason = last_error.to_string();
                    self.set_last_error(Some((last_error.trouble(), reason.clone())));
                    // What Redis refuses its keeper names.
                    if reason != last_reason && !matches!(last_error, RelayError::Redis(_)) {
                        tracing::warn!(%reason, "Redis is not told what was committed");
                        last_reason = reason;
                    }
                }
            }
            self.polls.wait_until_due().await;
        }
    }

    /// One pass; see `protocol::relay`.
    pub(crate) async fn poll(
        &self,
        connection: &mut MultiplexedConnection,
        process: &RedisId,
        due: Duration,
    ) -> Result<(), RelayError> {
        let database = self.find_database().await?;
        // Only this task changes it: until the end of the pass, or until it finds another database.
        let prefix = self.prefixes.present();
        let status = fetch_status(connection, &prefix, process).await?;
        let redis_id = status.redis_id.as_ref().ok_or(RelayError::Nameless)?;
        let live = status.live.as_deref().and_then(Certificate::parse);
        if live.as_ref().is_some_and(|live| live.database.as_ref() != Some(&database)) {
            // It was another before, or is another now.
            self.verify_database(&database).await?;
        }
        let mine = self.certificate(redis_id, database.clone());
        let seen = PlanInput {
            is_master: redis_id.is_master,
            now: status.now,
            live: live.as_ref(),
            watermark: status.watermark,
        };
        let position = match plan(&seen, &mine, due, self.rules) {
            Plan::Skip => return self.check_if_due(&database).await,
            Plan::Replica => return Err(RelayError::Replica),
            Plan::Superseded => return Err(RelayError::Superseded),
            Plan::Disagreement => {
                let live = live.map(|live| String::from_utf8_lossy(&live.to_bytes()).into_owned());
                return Err(RelayError::Disagreement(live.unwrap_or_default()));
            }
            Plan::Replay => status.position.clone(),
            Plan::DropNamespace => None,
            Plan::Certify => {
                return self.certify_without_replay(connection, &prefix, redis_id, &status).await;
            }
        };
        let since = self.changes_since(position.as_ref()).await?;
        if since.database != database {
            // What was decided was decided about another one. The next pass knows this one.
            return Err(RelayError::AnotherDatabase);
        }
        if live.as_ref() != Some(&mine) && status.claim.is_some() {
            self.check_former_identity()?;
        }
        let ChangesSince { database, position, changes } = since;
        self.propagate(connection, &prefix, changes).await?;
        let live = self.certificate(redis_id, database);
        self.mark(connection, &prefix, redis_id, status.now, &live, &position).await
    }

    /// Why the last pass came to nothing.
    pub(crate) fn last_error(&self) -> Option<(Trouble, String)> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_last_error(&self, last_error: Option<(Trouble, String)>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = last_error;
    }

    /// The certificate as this instance would write it, if it knows its database already.
    pub(crate) fn expected_certificate(&self, redis_id: &RedisId) -> Option<Certificate> {
        Some(self.certificate(redis_id, self.known_database()?))
    }

    /// Which database answers: as last heard.
    async fn find_database(&self) -> Result<DatabaseId, RelayError> {
        match self.known_database() {
            Some(find_database) => Ok(find_database),
            None => {
                let database =
                    within(self.bound, self.journal.database()).await.map_err(RelayError::Journal)?;
                self.adopt_database(&database);
                Ok(database)
            }
        }
    }

    fn known_database(&self) -> Option<DatabaseId> {
        match &self.prefixes.present().identity {
            DatabaseIdentity::Database(database) => Some(database.clone()),
            _ => None,
        }
    }

    fn adopt_database(&self, database: &DatabaseId) {
        self.prefixes.set_identity(DatabaseIdentity::Database(database.clone()));
    }

    /// Asks the journal whether `find_database` answers now.
    async fn verify_database(&self, find_database: &DatabaseId) -> Result<(), RelayError> {
        let database = within(self.bound, self.journal.database()).await.map_err(RelayError::Journal)?;
        self.note_check();
        if database == *find_database {
            return Ok(());
        }
        self.adopt_database(&database);
        Err(RelayError::AnotherDatabase)
    }

    /// A database that has just got another name had another one, under which instances may still be granted their Redis: until
    /// their watermark, which is from before, is older than the bound. Nothing is certified under the new name before, or a write
    /// that is acknowledged under one name would not be seen by those who still read under the other.
    ///
    /// There is no such instance if this Redis says that it was certified under the new name already; or if the namespace carries no
    /// claim, which every MARK renews: then nobody has certified it under any name, or all that it held is gone.
    fn check_former_identity(&self) -> Result<(), RelayError> {
        match self.journal.identity_since() {
            Some(since) if since.elapsed() <= self.bound => Err(RelayError::Renamed),
            _ => Ok(()),
        }
    }

    /// Other instances tell Redis, perhaps as roles with other rights: whether the journal is complete for this one shows only
    /// to itself. Once within the bound is soon enough to know, and at once to know that it is complete again.
    async fn check_if_due(&self, database: &DatabaseId) -> Result<(), RelayError> {
        let last_check = *self.last_check.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last_check.is_none_or(|last_check| last_check.elapsed() > self.bound / 2);
        if is_due || self.journal.incompleteness().is_some() {
            return self.verify_database(database).await;
        }
        Ok(())
    }

    fn note_check(&self) {
        *self.last_check.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    async fn changes_since(&self, position: Option<&Position>) -> Result<ChangesSince, RelayError> {
        let since =
            within(self.bound, self.journal.changes_since(position)).await.map_err(RelayError::Journal)?;
        self.note_check();
        self.adopt_database(&since.database);
        Ok(since)
    }

    async fn propagate(
        &self,
        connection: &mut MultiplexedConnection,
        prefix: &Prefix,
        changes: Changes,
    ) -> Result<(), RelayError> {
        let Changes::Known(changes) = changes else {
            self.causes.note_everything(Cause::Journal);
            let entries = sweep(connection, prefix, Sweep::Everything).await?;
            tracing::info!(
                entries,
                "nobody can say what this Redis missed: this database's entries there dropped"
            );
            return Ok(());
        };
        let propagated = self.find_propagated(connection, prefix, &changes).await?;
        let touches = unpropagated_touches(changes, |change| propagated.contains(change), self.rules);
        let batch = Batch::of(prefix.namespace(), &touches);
        // Before the reports of it arrive: they are its echo.
        self.causes.note(&batch, Cause::Journal);
        // In parts, each with a time-out of its own, and heartbeats in between.
        for part in batch.unlinks().chunks(UNLINK_BATCH) {
            unlink(connection, &prefix.add_to_all(part)).await?;
        }
        for what in batch.sweeps() {
            sweep(connection, prefix, what).await?;
        }
        Ok(())
    }

    /// Which of `changes` their writers have told here; none, where an ACL forbids to ask. Not by a GET, for then Redis would
    /// track the names and report their end.
    async fn find_propagated(
        &self,
        connection: &mut MultiplexedConnection,
        prefix: &Prefix,
        changes: &[Change],
    ) -> Result<HashSet<ChangeId>, RelayError> {
        let mut propagated = HashSet::new();
        for part in changes.chunks(UNLINK_BATCH) {
            let mut pipe = redis::pipe();
            for change in part {
                pipe.cmd("GETEX").arg(&prefix.propagated_key(&change.id)[..]);
            }
            let names: Vec<Option<Bytes>> = match pipe.query_async(connection).await {
                Err(error) if error.code().is_some() => return Ok(HashSet::new()),
                names => names?,
            };
            let is_propagated = part.iter().zip(names).filter(|(_, name)| name.is_some());
            propagated.extend(is_propagated.map(|(change, _)| change.id.clone()));
        }
        Ok(propagated)
    }

    /// Only now, when all has been told.
    async fn mark(
        &self,
        connection: &mut MultiplexedConnection,
        prefix: &Prefix,
        redis_id: &RedisId,
        began: RedisTime,
        live: &Certificate,
        position: &Position,
    ) -> Result<(), RelayError> {
        let mark = MarkArguments { began, live: live.to_bytes(), position };
        match self.scripts.mark(connection, prefix, &redis_id.replid, &mark).await? {
            MarkDecision::Set => self.marked.notify_one(),
            MarkDecision::Keep => {}
            MarkDecision::Refuse => return Err(RelayError::ChangedHands),
        }
        Ok(())
    }

    /// Only for a proof that breaks the rule: a certificate, and nothing told.
    async fn certify_without_replay(
        &self,
        connection: &mut MultiplexedConnection,
        prefix: &Prefix,
        redis_id: &RedisId,
        status: &RedisStatus,
    ) -> Result<(), RelayError> {
        let ChangesSince { database, position, .. } = self.changes_since(status.position.as_ref()).await?;
        let live = self.certificate(redis_id, database);
        self.mark(connection, prefix, redis_id, status.now, &live, &position).await
    }

    fn certificate(&self, redis_id: &RedisId, database: DatabaseId) -> Certificate {
        certificate(redis_id, Some(database), self.bound)
    }
}

/// What a Redis of this identity carries when it may be used.
pub(crate) fn certificate(redis_id: &RedisId, database: Option<DatabaseId>, bound: Duration) -> Certificate {
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Certificate {
        redis: redis_id.name(),
        database,
        bound_ms: millis(bound),
        ttl_max_ms: millis(Policy::TTL_MAX),
    }
}
