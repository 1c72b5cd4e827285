//! Builds a cache and logs its promise. Outside of `remote::redis`, only this module names `RedisTier`.

mod audit;
mod checks;
#[cfg(feature = "redis")]
mod place;
mod tuning;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::builder::checks::{check_declarations, check_range};
#[cfg(feature = "redis")]
use crate::builder::{checks::installation, place::Place};
use crate::cache::Cache;
use crate::cause::Causes;
use crate::clock::Clock;
use crate::engine::audit::AuditSettings;
use crate::engine::consumer::{AppliedChanges, Consumer};
use crate::engine::registry::Registry;
use crate::engine::{AbortOnDrop, Engine, Limits, SharedTier, pruning};
use crate::error::Error;
use crate::event_sender::EventSender;
use crate::journal::Journal;
use crate::key::Namespace;
use crate::local::LocalTier;
use crate::policy::{BOUND_MIN, LOAD_TIMEOUT, LOAD_TIMEOUT_MAX, STALENESS_BOUND};
use crate::polls::PollRequests;
use crate::protection::EntrySecrets;
use crate::protocol::rules::ProtocolRules;
#[cfg(feature = "redis")]
use crate::redis_options::RedisOptions;
use crate::remote::validity::Validity;
use crate::tuning::Tuning;

/// How long [`Builder::build`] waits for Redis or the journal to answer. Then start-up continues without them.
const START_UP_TIMEOUT: Duration = Duration::from_secs(1);

/// Settings of a cache; made by [`Cache::builder`].
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::error::Error> {
/// use larder::cache::Cache;
///
/// let cache = Cache::builder("hotel").memory_bytes(16 << 20).build().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is built before `build`"]
pub struct Builder {
    namespace: String,
    memory_bytes: u64,
    bound: Duration,
    load_timeout: Duration,
    journal: Option<Arc<dyn Journal>>,
    entry_secrets: Option<EntrySecrets>,
    audit: AuditSettings,
    tuning: Tuning,
    pub(crate) clock: Clock,
    #[cfg(feature = "redis")]
    installation: Option<String>,
    rules: ProtocolRules,
    #[cfg(feature = "redis")]
    redis: Option<Place>,
    #[cfg(feature = "redis")]
    redis_timeout: Duration,
    #[cfg(feature = "redis")]
    redis_budget: Duration,
    #[cfg(feature = "redis")]
    redis_pool_size: u32,
    #[cfg(feature = "redis")]
    redis_pool_timeout: Duration,
}

/// Leaves out the URL of Redis, which may contain a password.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("namespace", &self.namespace)
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}

impl Cache {
    /// Starts the configuration of a cache. `namespace` is the application's share of a Redis: 1 to 64 lower-case
    /// letters, digits, `_` and `-`. Caches over different databases can share a namespace: see [`Builder::journal`]
    /// and [`Builder::installation`].
    pub fn builder(namespace: &str) -> Builder {
        Builder::new(namespace)
    }
}

impl Builder {
    pub(crate) fn new(namespace: &str) -> Self {
        Builder {
            namespace: namespace.to_owned(),
            memory_bytes: 64 << 20,
            bound: STALENESS_BOUND,
            load_timeout: LOAD_TIMEOUT,
            journal: None,
            entry_secrets: None,
            audit: AuditSettings::default(),
            tuning: Tuning::off(),
            clock: Clock::Kernel,
            #[cfg(feature = "redis")]
            installation: None,
            rules: ProtocolRules::default(),
            #[cfg(feature = "redis")]
            redis: None,
            #[cfg(feature = "redis")]
            redis_timeout: Duration::from_millis(250),
            #[cfg(feature = "redis")]
            redis_budget: Duration::from_millis(50),
            #[cfg(feature = "redis")]
            redis_pool_size: 10,
            #[cfg(feature = "redis")]
            redis_pool_timeout: Duration::from_secs(5),
        }
    }

    /// The budget: how much memory the entries of this process may take, with all that belongs to them: decoded values,
    /// keys, tags, and free room of collections. An entry that is larger than 1/32 of the budget is not kept;
    /// [`Stats::no_room`](crate::stats::Stats::no_room) counts it. Default: 64 MiB.
    pub fn memory_bytes(self, memory_bytes: u64) -> Self {
        Builder { memory_bytes, ..self }
    }

    /// How old the answer of a [bounded](crate::policy::Consistency::Bounded) read may be, even during a failure: 500
    /// ms to 60 s. Default: 2 s. All instances on one Redis need the same value; an instance with another value does
    /// not use Redis.
    pub fn staleness_bound(self, bound: Duration) -> Self {
        Builder { bound, ..self }
    }

    /// How long one load may take: 1 ms to 15 minutes. A class can have
    /// [its own](crate::class::ClassBuilder::load_timeout). Default: 2 s.
    pub fn load_timeout(self, load_timeout: Duration) -> Self {
        Builder { load_timeout, ..self }
    }

    /// Shares entries through this Redis: a URL such as `redis://[user:password@]host[:port][/database]`, or
    /// [`RedisOptions`]. Default: no Redis; the cache uses memory alone.
    #[cfg(feature = "redis")]
    pub fn redis(self, redis: impl Into<RedisOptions>) -> Self {
        Builder { redis: Some(Place::Redis(redis.into())), ..self }
    }

    /// How long one Redis operation may take: 10 ms to 500 ms. After that Redis counts as away: this instance's
    /// requests do not use it before it answers a heartbeat. Default: 250 ms.
    #[cfg(feature = "redis")]
    pub fn redis_timeout(self, redis_timeout: Duration) -> Self {
        Builder { redis_timeout, ..self }
    }

    /// How long one request may wait for Redis, all its round trips together: 1 ms to 10 s. A request is a read, a read
    /// of several keys, a put or the draw of a permit. When its budget is spent, the request goes on as if there were
    /// no Redis: it calls its loader, and [`Stats::budgets_spent`](crate::stats::Stats::budgets_spent) counts it. A
    /// wait for another instance's load does not use up the budget. Invalidations, those of a put included, have no
    /// budget, because they are promises; only [`redis_timeout`](Builder::redis_timeout) limits them. Default: 50 ms.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn build() -> Result<(), larder::error::Error> {
    /// use std::time::Duration;
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("hotel")
    ///     .redis("redis://localhost")
    ///     .installation("production")
    ///     .redis_budget(Duration::from_millis(20))
    ///     .build()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "redis")]
    pub fn redis_budget(self, redis_budget: Duration) -> Self {
        Builder { redis_budget, ..self }
    }

    /// How many connections [`introspection`](crate::introspection) may have to Redis: 1 to 1,000. They are opened when
    /// needed. All other work uses the one tracked connection. Default: 10.
    #[cfg(feature = "redis")]
    pub fn redis_pool_size(self, redis_pool_size: u32) -> Self {
        Builder { redis_pool_size, ..self }
    }

    /// How long a query of introspection waits for one of these connections: 1 ms to 60 s. If none becomes free, the
    /// query returns [`Away`](crate::introspection::RedisAnswer::Away). Default: 5 s.
    #[cfg(feature = "redis")]
    pub fn redis_pool_timeout(self, redis_pool_timeout: Duration) -> Self {
        Builder { redis_pool_timeout, ..self }
    }

    /// Sets the journal, the database's own record of what its changes touch, such as
    /// `larder_sql::journal::SqlJournal`. With a journal, reads see the writes of every program within the staleness
    /// bound, even during a failure. The journal also names the database, and this name is part of every key in Redis:
    /// caches over different databases can share a Redis and a namespace and never see each other's entries. Default:
    /// no journal.
    pub fn journal(self, journal: impl Journal) -> Self {
        Builder { journal: Some(Arc::new(journal)), ..self }
    }

    /// Sets the secret with which the instances of this cache authenticate their entries in Redis. A program that can
    /// write to Redis but does not know the secret cannot forge an entry. All instances need the same secret. Default:
    /// no secret; each entry then has a checksum, which detects damage and no forgery.
    pub fn entry_secrets(self, entry_secrets: EntrySecrets) -> Self {
        Builder { entry_secrets: Some(entry_secrets), ..self }
    }

    /// Names the database behind the cache: 1 to 64 letters, digits, `-`, `_` and `.`. The name is required if the
    /// cache has Redis and no journal. Give all instances over one database the same name, and each database its own,
    /// such as `production` and `staging`.
    ///
    /// The name is part of every key in Redis, so a cache never reads entries that were stored under another name. The
    /// first cache that uses a namespace stores a claim with its name. A cache with another name that finds the claim
    /// does not use Redis and reports [`Trouble::AnotherInstallation`](crate::health::Trouble::AnotherInstallation).
    ///
    /// A cache with a journal ignores this name: its journal names the database. So does a cache without Redis.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn build() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache =
    ///     Cache::builder("hotel").redis("redis://localhost").installation("production").build().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "redis")]
    pub fn installation(self, id: impl Into<String>) -> Self {
        Builder { installation: Some(id.into()), ..self }
    }

    /// For proofs: breaks a rule of the protocol, to show that the proof detects the breach. Default: all rules are
    /// kept.
    #[cfg(feature = "proof")]
    #[doc(hidden)]
    pub fn rules(self, rules: ProtocolRules) -> Self {
        Builder { rules, ..self }
    }

    /// Builds the cache; needs a tokio runtime. With Redis or a journal, `build` waits up to 1 s until Redis or the
    /// journal can be used. If Redis is away, `build` succeeds and reads go to their loaders until Redis answers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config): the message names the setting, its value and what is
    /// allowed, or lists the [declaration errors](Journal::declaration_errors) of the journal.
    pub async fn build(self) -> Result<Cache, Error> {
        let namespace = Arc::new(Namespace::parse(&self.namespace)?.with_slot_ranges(self.is_cluster()));
        check_range("staleness_bound", self.bound, BOUND_MIN, Duration::from_secs(60))?;
        check_range("load_timeout", self.load_timeout, Duration::from_millis(1), LOAD_TIMEOUT_MAX)?;
        if matches!(self.clock, Clock::Manual(_)) && (self.journal.is_some() || self.has_redis()) {
            return Err(Error::config(
                "manual_clock: allowed is memory alone, without Redis and a journal".to_owned(),
            ));
        }
        if let Some(journal) = &self.journal {
            check_declarations(journal.as_ref()).await?;
        }
        let local = Arc::new(LocalTier::new(self.memory_bytes, self.rules));
        let clock = self.clock.clone();
        let events = Arc::new(EventSender::new(namespace.clone()));
        local.report_evictions(events.eviction_report());
        let causes = Arc::new(Causes::new(clock.clone(), self.bound).observed_by(events.clone()));
        let polls = Arc::new(PollRequests::new().reporting(self.journal.as_ref(), &clock, &events));
        let shared = self.shared(&clock, &local, &causes, &polls, &events).await?;
        let mut tasks = Vec::new();
        if let Some(journal) = &self.journal {
            tasks.push(AbortOnDrop::start(pruning::prune_periodically(journal.clone(), polls.clone())));
        }
        let mut applied = None;
        let guard = match (&shared, &self.journal) {
            (Some(shared), _) => Some(shared.validity.clone()),
            (None, None) => None,
            (None, Some(journal)) => {
                let guard = Arc::new(Validity::new());
                let consumer = Consumer {
                    journal: journal.clone(),
                    namespace: namespace.clone(),
                    local: local.clone(),
                    guard: guard.clone(),
                    clock: clock.clone(),
                    causes: causes.clone(),
                    polls: polls.poller(),
                    applied: applied.insert(Arc::<AppliedChanges>::default()).clone(),
                    bound: self.bound,
                    rules: self.rules,
                };
                tasks.push(AbortOnDrop::start(consumer.consume()));
                guard.wait_for_grant(clock.now(), START_UP_TIMEOUT).await;
                Some(guard)
            }
        };
        let classes = Arc::<Registry>::default();
        let engine = Engine {
            tuner: self.tuner(&local, &classes, (&clock, &events), &mut tasks),
            local,
            namespace: namespace.clone(),
            shared,
            guard,
            auditor: self.audit.start((&clock, self.bound), self.journal.clone(), &mut tasks)?,
            journal: self.journal,
            applied,
            _tasks: tasks,
            clock,
            limits: Limits { bound: self.bound, load_timeout: self.load_timeout },
            rules: self.rules,
            classes,
            causes,
            polls,
            events,
            entry_secrets: self.entry_secrets,
            is_on: AtomicBool::new(true),
        };
        tracing::info!(namespace = self.namespace, promise = engine.promise(), "cache built");
        Ok(Cache { engine: Arc::new(engine), namespace })
    }

    #[cfg(feature = "redis")]
    async fn shared(
        &self,
        clock: &Clock,
        local: &Arc<LocalTier>,
        causes: &Arc<Causes>,
        polls: &Arc<PollRequests>,
        events: &Arc<EventSender>,
    ) -> Result<Option<SharedTier>, Error> {
        use crate::condition::Condition;
        use crate::engine::MemoryListener;
        use crate::remote::cluster::ClusterTier;
        use crate::remote::redis::{IdentitySource, RedisTier, Settings};

        let Some(place) = &self.redis else { return Ok(None) };
        let millis = Duration::from_millis;
        check_range("redis_timeout", self.redis_timeout, millis(10), millis(500))?;
        check_range("redis_budget", self.redis_budget, millis(1), millis(10_000))?;
        check_range("redis_pool_size", self.redis_pool_size, 1, 1000)?;
        let source = match &self.journal {
            Some(journal) => IdentitySource::Journal(journal.clone()),
            None => IdentitySource::Installation(installation(self.installation.as_deref())?),
        };
        check_range("redis_pool_timeout", self.redis_pool_timeout, millis(1), millis(60_000))?;
        let settings = Settings {
            endpoint: place.endpoint(self.journal.is_some())?,
            namespace: events.namespace().clone(),
            bound: self.bound,
            timeout: self.redis_timeout,
            pool_size: self.redis_pool_size,
            pool_timeout: self.redis_pool_timeout,
            source,
            rules: self.rules,
            causes: causes.clone(),
            polls: polls.clone(),
            condition: Arc::new(Condition::new(clock.clone()).reporting_to(events.clone())),
            membership: None,
        };
        let condition = settings.condition.clone();
        let validity = Arc::new(Validity::new());
        let listener = Arc::new(MemoryListener { local: local.clone(), causes: causes.clone() });
        let budget = self.redis_budget;
        let shared = match settings.endpoint.cluster(self.redis_timeout)? {
            Some(dialler) => {
                let tier = ClusterTier::start(dialler, settings, clock.clone(), listener, validity.clone());
                tier.wait_until_ready(START_UP_TIMEOUT).await;
                SharedTier::new(Arc::new(tier), validity.clone(), budget, condition)
            }
            None => {
                let tier = RedisTier::start(settings, clock.clone(), listener, validity.clone())?;
                validity.wait_for_grant(clock.now(), START_UP_TIMEOUT).await;
                SharedTier::new(Arc::new(tier), validity.clone(), budget, condition)
            }
        };
        Ok(Some(shared))
    }

    #[cfg(not(feature = "redis"))]
    async fn shared(
        &self,
        _: &Clock,
        _: &Arc<LocalTier>,
        _: &Arc<Causes>,
        _: &Arc<PollRequests>,
        _: &Arc<EventSender>,
    ) -> Result<Option<SharedTier>, Error> {
        Ok(None)
    }
}
