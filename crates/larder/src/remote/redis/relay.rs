//! The relay polls the journal, unlinks in Redis what changed, and records there how far it has read. Every instance
//! runs it.
//!
//! The relay and the keeper share the database's identity, which is that of the present prefix. The identity may be out
//! of date. That is safe: the keeper compares the certificate with it, and if they differ, this instance does not use
//! Redis.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::batch::{Batch, Sweep};
use crate::cause::{Cause, Causes};
use crate::health::Trouble;
use crate::journal::{Change, ChangeId, Changes, ChangesSince, DatabaseId, Journal, Position, within};
use crate::policy::Policy;
use crate::polls::Poller;
use crate::protocol::certificate::{Certificate, RedisTime};
use crate::protocol::relay::{MarkDecision, Plan, PlanInput, plan, unpropagated_touches};
use crate::protocol::rules::ProtocolRules;
use crate::protocol::slots::{SlotSet, slot_of};
use crate::remote::redis::connection::{UNLINK_BATCH, sweep, sweep_slots, unlink};
use crate::remote::redis::leader::{self, PollChain};
use crate::remote::redis::link::Connection;
use crate::remote::redis::prefix::{DatabaseIdentity, Prefix, Prefixes};
use crate::remote::redis::redis_id::RedisId;
use crate::remote::redis::relay_error::RelayError;
use crate::remote::redis::scripts::{MarkArguments, Scripts};
use crate::remote::redis::status::{RedisStatus, fetch_leader_status, fetch_status};

/// A poll does nothing if any instance finished one that began less than this ago. So the instances share the work
/// without a leader and without a lock.
const POLL_MIN_AGE: Duration = Duration::from_millis(150);

pub(crate) struct Relay {
    /// A name that no other relay has.
    pub(crate) id: String,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) prefixes: Arc<Prefixes>,
    pub(crate) bound: Duration,
    pub(crate) scripts: Scripts,
    pub(crate) rules: ProtocolRules,
    pub(crate) causes: Arc<Causes>,
    pub(crate) polls: Poller,
    /// Notified after MARK: a heartbeat may succeed now.
    pub(crate) heartbeat_at_once: Arc<Notify>,
    /// When this instance last asked the journal; it skips polls while the watermark of another instance is young. Only the relay's task uses it; the lock makes it `Sync`.
    pub(crate) last_check: Mutex<Option<Instant>>,
    /// Why the last poll failed; `None` if it succeeded. The relay's task writes it. The keeper reads it, to report why
    /// Redis may not be used.
    pub(crate) last_error: Mutex<Option<(Trouble, String)>>,
}

impl Relay {
    /// Polls until the future is dropped.
    pub(crate) async fn run(&self, mut connection: Connection, process: &RedisId) -> Infallible {
        let mut last_reason = String::new();
        loop {
            let last = self.polls.last_request();
            // A request waits for what is in the journal now, so a poll that another instance finished lately is not
            // enough.
            let min_age = if self.polls.has_waiters(last) { Duration::ZERO } else { POLL_MIN_AGE };
            match self.poll(&mut connection, process, min_age).await {
                Ok(()) => {
                    last_reason.clear();
                    self.set_last_error(None);
                    self.polls.complete(last);
                }
                Err(error) => {
                    self.polls.leave();
                    let reason = error.to_string();
                    self.set_last_error(Some((error.trouble(), reason.clone())));
                    // Errors of Redis are not logged here, because the keeper reports them.
                    if reason != last_reason && !matches!(error, RelayError::Redis(_)) {
                        tracing::warn!(%reason, "committed changes are not propagated to Redis");
                        last_reason = reason;
                    }
                }
            }
            self.polls.wait_until_due(last).await;
        }
    }

    /// One poll; see `protocol::relay`.
    pub(crate) async fn poll(
        &self,
        connection: &mut Connection,
        process: &RedisId,
        min_age: Duration,
    ) -> Result<(), RelayError> {
        let database = self.find_database().await?;
        // Only this task changes the prefix, so the prefix stays the same until the poll ends or finds another
        // database.
        let prefix = self.prefixes.present();
        let mut chain = connection.is_rest().then(|| PollChain::new(&prefix, &self.id));
        let status = match &chain {
            None => fetch_status(connection, &prefix, process).await?,
            chain => fetch_leader_status(connection, &prefix, chain.as_ref()).await?,
        };
        let redis_id = status.redis_id.as_ref().ok_or(RelayError::Nameless)?;
        let existing = status.certificate.as_deref().and_then(Certificate::parse);
        if existing.as_ref().is_some_and(|existing| existing.database.as_ref() != Some(&database)) {
            // Either the Redis carries a certificate of another database, or another database answers now.
            self.verify_database(&database).await?;
        }
        let mine = self.certificate(redis_id, database.clone(), status.owned.clone());
        let continues = existing.as_ref().is_some_and(|existing| redis_id.continues(&existing.redis));
        let seen = PlanInput {
            is_master: redis_id.is_master,
            now: status.now,
            certificate: existing.as_ref(),
            watermark: status.watermark,
        };
        let position = match plan(&seen, &mine, min_age, self.rules) {
            Plan::Skip => return self.check_if_due(&database).await,
            Plan::Replica => return Err(RelayError::Replica),
            Plan::Superseded => return Err(RelayError::Superseded),
            Plan::Disagreement => {
                let existing =
                    existing.map(|existing| String::from_utf8_lossy(&existing.to_bytes()).into_owned());
                return Err(RelayError::Disagreement(existing.unwrap_or_default()));
            }
            // In a Redis Cluster, a position may have come from another master with its slot. It says nothing of the
            // other slots here.
            Plan::Replay if status.owned.is_some() && !continues => None,
            Plan::Replay => status.position.clone(),
            Plan::DropNamespace => None,
            Plan::Certify => {
                return self.certify_without_replay(connection, &prefix, redis_id, &status).await;
            }
        };
        let since = self.changes_since(position.as_ref()).await?;
        if since.database != database {
            // The plan was made for another database. The next poll makes one for this database.
            return Err(RelayError::AnotherDatabase);
        }
        if existing.as_ref().is_none_or(|existing| existing.database.as_ref() != Some(&database)) {
            self.check_former_identity(prefix.since, status.claim.is_some())?;
        }
        let ChangesSince { database, position, changes } = since;
        let is_known = matches!(changes, Changes::Known(_));
        self.propagate(connection, &prefix, changes, &mut chain, status.owned.as_ref()).await?;
        let certificate = self.certificate(redis_id, database, status.owned);
        if let Some(arrived) = certificate.arrived_slots(existing.as_ref()).filter(|_| is_known) {
            let entries = sweep_slots(connection, &prefix, &arrived).await?;
            tracing::info!(slots = %arrived, entries, "slots arrived at a master: the entries that came with them dropped");
        }
        let found = status.certificate.unwrap_or_default();
        self.mark(connection, &prefix, (redis_id, chain), (status.now, found), &certificate, &position).await
    }

    /// Why the last poll failed, if it did.
    pub(crate) fn last_error(&self) -> Option<(Trouble, String)> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_last_error(&self, last_error: Option<(Trouble, String)>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = last_error;
    }

    /// The certificate that this instance would write; `None` before the journal has identified its database.
    pub(crate) fn expected_certificate(&self, redis_id: &RedisId) -> Option<Certificate> {
        Some(self.certificate(redis_id, self.known_database()?, None))
    }

    /// The database that answered last. If none has, asks the journal.
    async fn find_database(&self) -> Result<DatabaseId, RelayError> {
        match self.known_database() {
            Some(database) => Ok(database),
            None => {
                let database = self
                    .polls
                    .noted(within(self.bound, self.journal.database()).await)
                    .map_err(RelayError::Journal)?;
                self.adopt_database(&database);
                Ok(database)
            }
        }
    }

    /// `None` if this process has met its successor: then no heartbeat grants under its identity, and the next poll asks.
    fn known_database(&self) -> Option<DatabaseId> {
        match &self.prefixes.usable().ok()?.identity {
            DatabaseIdentity::Database(database) => Some(database.clone()),
            _ => None,
        }
    }

    fn adopt_database(&self, database: &DatabaseId) {
        self.prefixes.set_identity(DatabaseIdentity::Database(database.clone()));
    }

    /// Asks the journal whether `expected` is the database that answers now.
    async fn verify_database(&self, expected: &DatabaseId) -> Result<(), RelayError> {
        let database = self
            .polls
            .noted(within(self.bound, self.journal.database()).await)
            .map_err(RelayError::Journal)?;
        self.note_check();
        if database == *expected {
            return Ok(());
        }
        self.adopt_database(&database);
        Err(RelayError::AnotherDatabase)
    }

    /// Refuses to certify until the database has had its present identity for longer than the staleness bound. Before
    /// that, other instances may still use Redis under the former identity, because the watermark there is younger than
    /// the bound. Their readers would not see a write that is acknowledged under the present identity.
    ///
    /// The caller skips this check if this Redis, or the Redis whose data it copied, was certified for the present
    /// identity before: the instance that certified it has waited. If the namespace `is_claimed`, instances with a
    /// journal have used it. The wait then begins when this process notices the identity (`noticed`), so it depends on
    /// no clock of the database's host. Otherwise the wait begins with the identity: if the database has run for longer
    /// than the bound, a new Redis can be used at once.
    fn check_former_identity(&self, noticed: Instant, is_claimed: bool) -> Result<(), RelayError> {
        let Some(began) = self.journal.identity_since() else { return Ok(()) };
        let since = if is_claimed { noticed } else { began };
        if since.elapsed() <= self.bound { Err(RelayError::Renamed) } else { Ok(()) }
    }

    /// Asks the journal if this instance has not done so for half the staleness bound, or if the journal was incomplete
    /// at the last answer. Other instances may poll as database roles with other rights, so this instance must ask for
    /// itself whether the journal is complete for its role.
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
        // The time-out is the bound: the poll's watermark is from before this call, and after the bound it would be too
        // old for a grant.
        let since = within(self.bound, self.journal.changes_since(position)).await;
        let since = self.polls.noted(since).map_err(RelayError::Journal)?;
        self.note_check();
        self.adopt_database(&since.database);
        Ok(since)
    }

    async fn propagate(
        &self,
        connection: &mut Connection,
        prefix: &Prefix,
        changes: Changes,
        chain: &mut Option<PollChain>,
        owned: Option<&SlotSet>,
    ) -> Result<(), RelayError> {
        let Changes::Known(changes) = changes else {
            self.causes.note_everything(Cause::Journal);
            let entries = sweep_in(connection, prefix, Sweep::Everything, chain).await?;
            tracing::info!(
                entries,
                "the changes that this Redis missed are unknown: this database's entries there dropped"
            );
            return Ok(());
        };
        let propagated = self.find_propagated(connection, prefix, &changes, chain).await?;
        let touches = unpropagated_touches(changes, |change| propagated.contains(change), self.rules);
        let batch = Batch::of(prefix.namespace(), &touches);
        // Noted before the unlinks, so that their pushes count as echoes of this cause.
        self.causes.note(&batch, Cause::Journal);
        // In batches: each has its own time-out, and heartbeats get their replies in between.
        for part in batch.unlinks(prefix.namespace()).chunks(UNLINK_BATCH) {
            let mut keys = prefix.add_to_all(part);
            if let Some(owned) = owned {
                keys.retain(|key| owned.contains(slot_of(key)));
            }
            match chain {
                None => unlink(connection, &keys).await?,
                Some(chain) => chain.unlink(connection, &keys).await?.ok_or(RelayError::ChangedHands)?,
            };
        }
        for what in batch.sweeps() {
            sweep_in(connection, prefix, what, chain).await?;
        }
        Ok(())
    }

    /// The ids of those `changes` that their writers have propagated to this Redis; none, if Redis refuses the command,
    /// for example by an ACL. The command is GETEX and not GET: after a GET, Redis would track the records and push
    /// their expiry.
    async fn find_propagated(
        &self,
        connection: &mut Connection,
        prefix: &Prefix,
        changes: &[Change],
        chain: &mut Option<PollChain>,
    ) -> Result<HashSet<ChangeId>, RelayError> {
        let mut propagated = HashSet::new();
        if prefix.is_in_cluster() {
            // A writer's step reaches one master, and its change may concern several: so there are no records.
            return Ok(propagated);
        }
        for part in changes.chunks(UNLINK_BATCH) {
            if let Some(chain) = chain {
                let keys: Vec<Bytes> = part.iter().map(|change| prefix.propagated_key(&change.id)).collect();
                let found = chain.find(connection, &keys).await?.ok_or(RelayError::ChangedHands)?;
                let found = part.iter().zip(found).filter(|(_, is_found)| *is_found);
                propagated.extend(found.map(|(change, _)| change.id.clone()));
                continue;
            }
            let mut pipe = redis::pipe();
            for change in part {
                pipe.cmd("GETEX").arg(&prefix.propagated_key(&change.id)[..]);
            }
            let records: Vec<Option<Bytes>> = match pipe.query_async(connection).await {
                Err(error) if error.code().is_some() => return Ok(HashSet::new()),
                records => records?,
            };
            let is_propagated = part.iter().zip(records).filter(|(_, record)| record.is_some());
            propagated.extend(is_propagated.map(|(change, _)| change.id.clone()));
        }
        Ok(propagated)
    }

    /// Runs MARK. Call it only after every touch has been unlinked, because the watermark and the position certify
    /// this.
    async fn mark(
        &self,
        connection: &mut Connection,
        prefix: &Prefix,
        (redis_id, chain): (&RedisId, Option<PollChain>),
        (began, found): (RedisTime, Bytes),
        certificate: &Certificate,
        position: &Position,
    ) -> Result<(), RelayError> {
        let mark = MarkArguments { began, certificate: certificate.to_bytes(), position, found };
        let done = match chain {
            None => self.scripts.mark(connection, prefix, &redis_id.replid, &mark).await?,
            Some(chain) => chain.mark(connection, prefix, &mark).await?,
        };
        match done {
            MarkDecision::Set => self.heartbeat_at_once.notify_one(),
            MarkDecision::Keep => {}
            MarkDecision::Refuse => return Err(RelayError::ChangedHands),
        }
        Ok(())
    }

    /// Certifies without propagating anything. Only a proof that breaks `CertifiesAfterReplay` uses it.
    async fn certify_without_replay(
        &self,
        connection: &mut Connection,
        prefix: &Prefix,
        redis_id: &RedisId,
        status: &RedisStatus,
    ) -> Result<(), RelayError> {
        let ChangesSince { database, position, .. } = self.changes_since(status.position.as_ref()).await?;
        let certificate = self.certificate(redis_id, database, status.owned.clone());
        let began = (status.now, status.certificate.clone().unwrap_or_default());
        self.mark(connection, prefix, (redis_id, None), began, &certificate, &position).await
    }

    fn certificate(&self, redis_id: &RedisId, database: DatabaseId, slots: Option<SlotSet>) -> Certificate {
        Certificate { slots, ..certificate(redis_id, Some(database), self.bound) }
    }
}

/// Sweeps, over REST as a step of the poll's chain.
async fn sweep_in(
    connection: &mut Connection,
    prefix: &Prefix,
    what: Sweep<'_>,
    chain: &mut Option<PollChain>,
) -> Result<u64, RelayError> {
    match chain {
        None => Ok(sweep(connection, prefix, what).await?),
        Some(chain) => {
            leader::sweep(connection, prefix, what, Some(chain)).await?.ok_or(RelayError::ChangedHands)
        }
    }
}

/// The certificate that the Redis `redis_id` must carry before this instance uses it.
pub(crate) fn certificate(redis_id: &RedisId, database: Option<DatabaseId>, bound: Duration) -> Certificate {
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Certificate {
        redis: redis_id.name(),
        database,
        bound_ms: millis(bound),
        ttl_max_ms: millis(Policy::TTL_MAX),
        slots: None,
    }
}
