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
use crate::journal::{Change, ChangeId, Changes, DatabaseId, Failure, Journal, Position, Since, within};
use crate::passes::Passes;
use crate::policy::Policy;
use crate::protocol::certificate::{Certificate, RedisTime};
use crate::protocol::relay::{Marking, Plan, Seen, plan, untold};
use crate::protocol::rules::Rules;

use crate::remote::redis::asking::{Asked, ask};
use crate::remote::redis::connection::{UNLINK_BATCH, sweep, unlink};
use crate::remote::redis::identity::Identity;
use crate::remote::redis::prefix::{Owner, Prefix, Prefixes};
use crate::remote::redis::scripts::{Mark, Scripts};
use crate::remote::redis::trouble;

/// A Redis that was told longer ago than this is told again. With several instances whoever comes first after it does
/// so, and the others rest: no leader, no lock.
const DUE: Duration = Duration::from_millis(150);

pub(crate) struct Relay {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) prefixes: Arc<Prefixes>,
    pub(crate) bound: Duration,
    pub(crate) scripts: Scripts,
    pub(crate) rules: Rules,
    pub(crate) causes: Arc<Causes>,
    pub(crate) passes: Arc<Passes>,
    /// Told when a pass has marked: a heartbeat would be ok now.
    pub(crate) marked: Arc<Notify>,
    /// When this instance has last asked the journal itself. Written and read by the relay's own task.
    pub(crate) looked: Mutex<Option<Instant>>,
    /// Why the last pass came to nothing; `None` when it came to its end. Written by the relay's own task, read by the
    /// keeper, which names it if Redis may not be used for it.
    pub(crate) stopped: Mutex<Option<(Trouble, String)>>,
}

/// Why a pass came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
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

impl Stopped {
    fn trouble(&self) -> Trouble {
        match self {
            Stopped::Redis(error) => trouble::of(error),
            Stopped::Nameless => Trouble::Nameless,
            Stopped::Replica => Trouble::Replica,
            Stopped::Disagreement(_) => Trouble::Disagreement,
            // It passes with the bound.
            Stopped::Renamed => Trouble::Asking,
            Stopped::Journal(_) | Stopped::Superseded | Stopped::AnotherDatabase | Stopped::ChangedHands => {
                Trouble::Untold
            }
        }
    }
}

impl Relay {
    /// Passes, again and again, until it is dropped.
    pub(crate) async fn run(&self, mut connection: MultiplexedConnection, process: &Identity) -> Infallible {
        let mut last_reason = String::new();
        loop {
            let requests = self.passes.requests();
            // Whoever asks waits for what is in the journal now: that somebody told Redis lately is not enough.
            let due = if self.passes.are_waiting(requests) { Duration::ZERO } else { DUE };
            match self.pass(&mut connection, process, due).await {
                Ok(()) => {
                    last_reason.clear();
                    self.set_stopped(None);
                    self.passes.serve(requests);
                }
                Err(stopped) => {
                    let reason = stopped.to_string();
                    self.set_stopped(Some((stopped.trouble(), reason.clone())));
                    // What Redis refuses its keeper names.
                    if reason != last_reason && !matches!(stopped, Stopped::Redis(_)) {
                        tracing::warn!(%reason, "Redis is not told what was committed");
                        last_reason = reason;
                    }
                }
            }
            self.passes.due().await;
        }
    }

    /// One pass; see `protocol::relay`.
    pub(crate) async fn pass(
        &self,
        connection: &mut MultiplexedConnection,
        process: &Identity,
        due: Duration,
    ) -> Result<(), Stopped> {
        let database = self.believed().await?;
        // Only this task changes it: until the end of the pass, or until it finds another database.
        let prefix = self.prefixes.present();
        let asked = ask(connection, &prefix, process).await?;
        let identity = asked.identity.as_ref().ok_or(Stopped::Nameless)?;
        let live = asked.live.as_deref().and_then(Certificate::parse);
        if live.as_ref().is_some_and(|live| live.database.as_ref() != Some(&database)) {
            // It was another before, or is another now.
            self.is_still(&database).await?;
        }
        let mine = self.certificate(identity, database.clone());
        let seen = Seen {
            is_master: identity.is_master,
            now: asked.now,
            live: live.as_ref(),
            watermark: asked.watermark,
        };
        let position = match plan(&seen, &mine, due, self.rules) {
            Plan::Rest => return self.look_now_and_then(&database).await,
            Plan::Replica => return Err(Stopped::Replica),
            Plan::Superseded => return Err(Stopped::Superseded),
            Plan::Disagreement => {
                let live = live.map(|live| String::from_utf8_lossy(&live.to_bytes()).into_owned());
                return Err(Stopped::Disagreement(live.unwrap_or_default()));
            }
            Plan::Replay => asked.position.clone(),
            Plan::Drop => None,
            Plan::Certify => return self.certify_untold(connection, &prefix, identity, &asked).await,
        };
        let since = self.since(position.as_ref()).await?;
        if since.database != database {
            // What was decided was decided about another one. The next pass knows this one.
            return Err(Stopped::AnotherDatabase);
        }
        if live.as_ref() != Some(&mine) && asked.claim.is_some() {
            self.outlast_former_name()?;
        }
        let Since { database, position, changes } = since;
        self.tell(connection, &prefix, changes).await?;
        let live = self.certificate(identity, database);
        self.mark(connection, &prefix, identity, asked.now, &live, &position).await
    }

    /// Why the last pass came to nothing.
    pub(crate) fn stopped(&self) -> Option<(Trouble, String)> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_stopped(&self, stopped: Option<(Trouble, String)>) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = stopped;
    }

    /// The certificate as this instance would write it, if it knows its database already.
    pub(crate) fn expected(&self, identity: &Identity) -> Option<Certificate> {
        Some(self.certificate(identity, self.belief()?))
    }

    /// Which database answers: as last heard.
    async fn believed(&self) -> Result<DatabaseId, Stopped> {
        match self.belief() {
            Some(believed) => Ok(believed),
            None => {
                let database = within(self.bound, self.journal.database()).await.map_err(Stopped::Journal)?;
                self.believe(&database);
                Ok(database)
            }
        }
    }

    fn belief(&self) -> Option<DatabaseId> {
        match &self.prefixes.present().owner {
            Owner::Database(database) => Some(database.clone()),
            _ => None,
        }
    }

    fn believe(&self, database: &DatabaseId) {
        self.prefixes.own(Owner::Database(database.clone()));
    }

    /// Asks the journal whether `believed` answers now.
    async fn is_still(&self, believed: &DatabaseId) -> Result<(), Stopped> {
        let database = within(self.bound, self.journal.database()).await.map_err(Stopped::Journal)?;
        self.note_look();
        if database == *believed {
            return Ok(());
        }
        self.believe(&database);
        Err(Stopped::AnotherDatabase)
    }

    /// A database that has just got another name had another one, under which instances may still be granted their Redis: until
    /// their watermark, which is from before, is older than the bound. Nothing is certified under the new name before, or a write
    /// that is acknowledged under one name would not be seen by those who still read under the other.
    ///
    /// There is no such instance if this Redis says that it was certified under the new name already; or if the namespace carries no
    /// claim, which every MARK renews: then nobody has certified it under any name, or all that it held is gone.
    fn outlast_former_name(&self) -> Result<(), Stopped> {
        match self.journal.named_since() {
            Some(since) if since.elapsed() <= self.bound => Err(Stopped::Renamed),
            _ => Ok(()),
        }
    }

    /// Other instances tell Redis, perhaps as roles with other rights: whether the journal is complete for this one shows only
    /// to itself. Once within the bound is soon enough to know, and at once to know that it is complete again.
    async fn look_now_and_then(&self, database: &DatabaseId) -> Result<(), Stopped> {
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = looked.is_none_or(|looked| looked.elapsed() > self.bound / 2);
        if is_due || self.journal.incompleteness().is_some() {
            return self.is_still(database).await;
        }
        Ok(())
    }

    fn note_look(&self) {
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    async fn since(&self, position: Option<&Position>) -> Result<Since, Stopped> {
        let since = within(self.bound, self.journal.since(position)).await.map_err(Stopped::Journal)?;
        self.note_look();
        self.believe(&since.database);
        Ok(since)
    }

    async fn tell(
        &self,
        connection: &mut MultiplexedConnection,
        prefix: &Prefix,
        changes: Changes,
    ) -> Result<(), Stopped> {
        let Changes::Known(changes) = changes else {
            self.causes.everything(Cause::Journal);
            let entries = sweep(connection, prefix, Sweep::Everything).await?;
            tracing::info!(
                entries,
                "nobody can say what this Redis missed: this database's entries there dropped"
            );
            return Ok(());
        };
        let told = self.told(connection, prefix, &changes).await?;
        let touches = untold(changes, |change| told.contains(change), self.rules);
        let batch = Batch::of(prefix.namespace(), &touches);
        // Before the reports of it arrive: they are its echo.
        self.causes.note(&batch, Cause::Journal);
        // In parts, each with a time-out of its own, and heartbeats in between.
        for part in batch.unlinks().chunks(UNLINK_BATCH) {
            unlink(connection, &prefix.spell_all(part)).await?;
        }
        for what in batch.sweeps() {
            sweep(connection, prefix, what).await?;
        }
        Ok(())
    }

    /// Which of `changes` their writers have told here; none, where an ACL forbids to ask. Not by a GET, for then Redis would
    /// track the names and report their end.
    async fn told(
        &self,
        connection: &mut MultiplexedConnection,
        prefix: &Prefix,
        changes: &[Change],
    ) -> Result<HashSet<ChangeId>, Stopped> {
        let mut told = HashSet::new();
        for part in changes.chunks(UNLINK_BATCH) {
            let mut pipe = redis::pipe();
            for change in part {
                pipe.cmd("GETEX").arg(&prefix.told_key(&change.id)[..]);
            }
            let names: Vec<Option<Bytes>> = match pipe.query_async(connection).await {
                Err(error) if error.code().is_some() => return Ok(HashSet::new()),
                names => names?,
            };
            let is_told = part.iter().zip(names).filter(|(_, name)| name.is_some());
            told.extend(is_told.map(|(change, _)| change.id.clone()));
        }
        Ok(told)
    }

    /// Only now, when all has been told.
    async fn mark(
        &self,
        connection: &mut MultiplexedConnection,
        prefix: &Prefix,
        identity: &Identity,
        began: RedisTime,
        live: &Certificate,
        position: &Position,
    ) -> Result<(), Stopped> {
        let mark = Mark { began, live: live.to_bytes(), position };
        match self.scripts.mark(connection, prefix, &identity.replid, &mark).await? {
            Marking::Set => self.marked.notify_one(),
            Marking::Keep => {}
            Marking::Refuse => return Err(Stopped::ChangedHands),
        }
        Ok(())
    }

    /// Only for a proof that breaks the rule: a certificate, and nothing told.
    async fn certify_untold(
        &self,
        connection: &mut MultiplexedConnection,
        prefix: &Prefix,
        identity: &Identity,
        asked: &Asked,
    ) -> Result<(), Stopped> {
        let Since { database, position, .. } = self.since(asked.position.as_ref()).await?;
        let live = self.certificate(identity, database);
        self.mark(connection, prefix, identity, asked.now, &live, &position).await
    }

    fn certificate(&self, identity: &Identity, database: DatabaseId) -> Certificate {
        certificate(identity, Some(database), self.bound)
    }
}

/// What a Redis of this identity carries when it may be used.
pub(crate) fn certificate(identity: &Identity, database: Option<DatabaseId>, bound: Duration) -> Certificate {
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Certificate {
        redis: identity.name(),
        database,
        bound_ms: millis(bound),
        ttl_max_ms: millis(Policy::TTL_MAX),
    }
}
