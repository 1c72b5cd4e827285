//! Builds a cache and says which promise it gives. The one place that names Redis concretely.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::cache::Cache;
use crate::cause::Causes;
use crate::clock::Clock;
use crate::engine::consumer::{AppliedChanges, Consumer, prune_periodically};
use crate::engine::registry::Registry;
use crate::engine::{AbortOnDrop, Engine, Limits, SharedTier};
use crate::error::Error;
use crate::journal::{Journal, within};
use crate::key::Namespace;
use crate::local::LocalTier;
use crate::polls::PollRequests;
use crate::protection::EntrySecrets;
use crate::protocol::rules::ProtocolRules;
use crate::remote::validity::Validity;

/// How long [`Builder::build`] waits for a Redis or a journal that is there to answer.
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
    #[cfg(feature = "redis")]
    installation: Option<String>,
    rules: ProtocolRules,
    #[cfg(feature = "redis")]
    redis: Option<String>,
    #[cfg(feature = "redis")]
    redis_timeout: Duration,
    #[cfg(feature = "redis")]
    redis_pool_size: u32,
    #[cfg(feature = "redis")]
    redis_pool_timeout: Duration,
}

impl Cache {
    /// Begins a cache. `namespace` is the application's share of a Redis: 1 to 64 of lower-case letters, digits, `_` and `-`.
    /// Databases that share a namespace keep apart by themselves: see [`Builder::journal`] and [`Builder::installation`].
    pub fn builder(namespace: &str) -> Builder {
        Builder::new(namespace)
    }

    /// Whether [`Builder::redis`] could use `url`, as far as can be told without dialling.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config), which says what is allowed and never shows the URL.
    ///
    /// # Examples
    ///
    /// ```
    /// use larder::cache::Cache;
    ///
    /// assert!(Cache::check_redis_url("redis://localhost/2").is_ok());
    /// assert!(Cache::check_redis_url("http://localhost").is_err());
    /// ```
    #[cfg(feature = "redis")]
    pub fn check_redis_url(url: &str) -> Result<(), Error> {
        crate::remote::redis::check_url(url)
    }
}

impl Builder {
    pub(crate) fn new(namespace: &str) -> Self {
        Builder {
            namespace: namespace.to_owned(),
            memory_bytes: 64 << 20,
            bound: Duration::from_secs(2),
            load_timeout: Duration::from_secs(2),
            journal: None,
            entry_secrets: None,
            #[cfg(feature = "redis")]
            installation: None,
            rules: ProtocolRules::default(),
            #[cfg(feature = "redis")]
            redis: None,
            #[cfg(feature = "redis")]
            redis_timeout: Duration::from_millis(250),
            #[cfg(feature = "redis")]
            redis_pool_size: 10,
            #[cfg(feature = "redis")]
            redis_pool_timeout: Duration::from_secs(5),
        }
    }

    /// How many bytes of keys and encoded values this process keeps. Default: 64 MiB.
    pub fn memory_bytes(self, memory_bytes: u64) -> Self {
        Builder { memory_bytes, ..self }
    }

    /// How old a bounded answer may be, whatever failed: 500 ms to one minute. Default: 2 s. All instances
    /// on one Redis must agree on it; one that does not is refused.
    pub fn staleness_bound(self, bound: Duration) -> Self {
        Builder { bound, ..self }
    }

    /// How long one load may take, up to 2 s: the lease it is filled under stands for 3 s. Default: 2 s.
    pub fn load_timeout(self, load_timeout: Duration) -> Self {
        Builder { load_timeout, ..self }
    }

    /// Shares entries through the Redis at `url`, `redis://[user:password@]host[:port][/database]`. Default:
    /// none, memory alone.
    #[cfg(feature = "redis")]
    pub fn redis(self, url: impl Into<String>) -> Self {
        Builder { redis: Some(url.into()), ..self }
    }

    /// How long one Redis operation may take before the request goes on without Redis: 10 ms to 500 ms.
    /// Default: 250 ms.
    #[cfg(feature = "redis")]
    pub fn redis_timeout(self, redis_timeout: Duration) -> Self {
        Builder { redis_timeout, ..self }
    }

    /// How many connections untracked work may have: 1 to 1,000. That is what [`introspection`](crate::introspection) asks
    /// of Redis. They are dialled when they are needed, beside the one tracked connection for everything else. Default: 10.
    #[cfg(feature = "redis")]
    pub fn redis_pool_size(self, redis_pool_size: u32) -> Self {
        Builder { redis_pool_size, ..self }
    }

    /// How long a question waits for one of these connections before it is answered with
    /// [`Away`](crate::introspection::RedisAnswer::Away): 1 ms to 60 s. Default: 5 s.
    #[cfg(feature = "redis")]
    pub fn redis_pool_timeout(self, redis_pool_timeout: Duration) -> Self {
        Builder { redis_pool_timeout, ..self }
    }

    /// The database's own record of what its changes touch, such as `larder_sql::journal::SqlJournal`: with it, writes
    /// by any software are seen within the staleness bound, whatever fails. It also names the database, which is part of every
    /// key in Redis: caches over other databases may share Redis and namespace, and never see each other's entries. Default: none.
    pub fn journal(self, journal: impl Journal) -> Self {
        Builder { journal: Some(Arc::new(journal)), ..self }
    }

    /// The secret by which the instances of this cache know each other's entries in Redis: a program that can write there can
    /// then forge none. All instances need the same. Default: none, and entries are only protected from damage.
    pub fn entry_secrets(self, entry_secrets: EntrySecrets) -> Self {
        Builder { entry_secrets: Some(entry_secrets), ..self }
    }

    /// Names the database behind a cache that has Redis and no journal, where it is required: 1 to 64 of letters, digits, `-`,
    /// `_` and `.`. The same for all instances over one database, another one for each other database, such as `production` and
    /// `staging`. It is part of every key in Redis, so that a copied configuration never serves another database's entries if this
    /// differs; and the first to use a namespace claims it, so that a cache with another id under the same namespace does not use
    /// Redis and says so ([`Trouble::AnotherInstallation`](crate::health::Trouble::AnotherInstallation)).
    ///
    /// A cache with a journal does not use it, for the database names itself; nor does one without Redis.
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

    /// Breaks a rule of the protocol, to show that a proof catches it. Default: all are kept.
    #[cfg(feature = "proof")]
    #[doc(hidden)]
    pub fn rules(self, rules: ProtocolRules) -> Self {
        Builder { rules, ..self }
    }

    /// Builds the cache, inside a tokio runtime. With Redis it waits up to a second for it to become usable;
    /// a Redis that is away does not fail the building, reads go to their loaders until it is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config), naming the setting, its value and what is allowed; or listing the
    /// [misdeclarations](Journal::declaration_errors) of the journal.
    pub async fn build(self) -> Result<Cache, Error> {
        let namespace = Namespace::parse(&self.namespace)?;
        check_range("staleness_bound", self.bound, Duration::from_millis(500), Duration::from_secs(60))?;
        check_range("load_timeout", self.load_timeout, Duration::from_millis(1), Duration::from_secs(2))?;
        if let Some(journal) = &self.journal {
            check_declarations(journal.as_ref()).await?;
        }
        let namespace = Arc::new(namespace);
        let local = Arc::new(LocalTier::new(self.memory_bytes, self.rules));
        let clock = Clock::Kernel;
        let causes = Arc::new(Causes::new(clock.clone(), self.bound));
        let polls = Arc::new(PollRequests::new());
        let shared = self.shared(&namespace, &clock, &local, &causes, &polls).await?;
        let mut tasks = Vec::new();
        if let Some(journal) = &self.journal {
            tasks.push(AbortOnDrop::start(prune_periodically(journal.clone())));
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
                    polls: polls.clone(),
                    applied: applied.insert(Arc::<AppliedChanges>::default()).clone(),
                    bound: self.bound,
                    rules: self.rules,
                };
                tasks.push(AbortOnDrop::start(consumer.consume()));
                guard.wait_for_grant(START_UP_TIMEOUT).await;
                Some(guard)
            }
        };
        let limits = Limits { bound: self.bound, load_timeout: self.load_timeout };
        let engine = Engine {
            local,
            namespace: namespace.clone(),
            shared,
            guard,
            journal: self.journal,
            applied,
            _tasks: tasks,
            clock,
            limits,
            rules: self.rules,
            classes: Registry::default(),
            causes,
            polls,
            entry_secrets: self.entry_secrets,
            is_on: AtomicBool::new(true),
        };
        tracing::info!(namespace = self.namespace, promise = engine.promise(), "cache built");
        Ok(Cache { engine: Arc::new(engine), namespace })
    }

    #[cfg(feature = "redis")]
    async fn shared(
        &self,
        namespace: &Namespace,
        clock: &Clock,
        local: &Arc<LocalTier>,
        causes: &Arc<Causes>,
        polls: &Arc<PollRequests>,
    ) -> Result<Option<SharedTier>, Error> {
        use crate::engine::MemoryListener;
        use crate::remote::redis::{IdentitySource, RedisTier, Settings};

        let Some(url) = &self.redis else { return Ok(None) };
        check_range(
            "redis_timeout",
            self.redis_timeout,
            Duration::from_millis(10),
            Duration::from_millis(500),
        )?;
        check_range("redis_pool_size", self.redis_pool_size, 1, 1000)?;
        let source = match &self.journal {
            Some(journal) => IdentitySource::Journal(journal.clone()),
            None => IdentitySource::Installation(installation(self.installation.as_deref())?),
        };
        let wait = self.redis_pool_timeout;
        check_range("redis_pool_timeout", wait, Duration::from_millis(1), Duration::from_secs(60))?;
        let settings = Settings {
            url: url.clone(),
            namespace: namespace.clone(),
            bound: self.bound,
            timeout: self.redis_timeout,
            pool_size: self.redis_pool_size,
            pool_timeout: self.redis_pool_timeout,
            source,
            rules: self.rules,
            causes: causes.clone(),
            polls: polls.clone(),
            condition: Arc::new(crate::condition::Condition::new(clock.clone())),
        };
        let condition = settings.condition.clone();
        let validity = Arc::new(Validity::new());
        let listener = Arc::new(MemoryListener { local: local.clone(), causes: causes.clone() });
        let tier = Arc::new(RedisTier::start(settings, clock.clone(), listener, validity.clone())?);
        validity.wait_for_grant(START_UP_TIMEOUT).await;
        Ok(Some(SharedTier { remote: tier.clone(), inspect: tier, validity, condition }))
    }

    #[cfg(not(feature = "redis"))]
    async fn shared(
        &self,
        _: &Namespace,
        _: &Clock,
        _: &Arc<LocalTier>,
        _: &Arc<Causes>,
        _: &Arc<PollRequests>,
    ) -> Result<Option<SharedTier>, Error> {
        Ok(None)
    }
}

#[cfg(feature = "redis")]
fn installation(id: Option<&str>) -> Result<String, Error> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let allowed = "1 to 64 of letters, digits, `-`, `_` and `.`, the same for all instances over one database and \
                   another one for each other database";
    match id {
        Some(id) if (1..=64).contains(&id.len()) && id.bytes().all(is_allowed) => Ok(id.to_owned()),
        Some(id) => Err(Error::config(format!("installation {id:?}: allowed are {allowed}"))),
        None => Err(Error::config(format!(
            "installation: missing. A cache with Redis and without a journal needs the name of the database behind it, \
             `.installation(\"production\")`: {allowed}"
        ))),
    }
}

/// Fails for what the journal's tables declare wrongly. A database that cannot be asked is no mistake of theirs.
async fn check_declarations(journal: &dyn Journal) -> Result<(), Error> {
    match within(START_UP_TIMEOUT, journal.declaration_errors()).await {
        Ok(wrong) if wrong.is_empty() => Ok(()),
        Ok(wrong) => Err(Error::config(format!(
            "the journal's tables are declared wrongly:\n- {}",
            wrong.join("\n- ")
        ))),
        Err(error) => {
            tracing::warn!(%error, "the journal's declarations could not be checked");
            Ok(())
        }
    }
}

fn check_range<T: PartialOrd + Debug + Copy>(name: &str, value: T, least: T, most: T) -> Result<(), Error> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(Error::config(format!("{name} {value:?}: allowed is {least:?} to {most:?}")))
    }
}
