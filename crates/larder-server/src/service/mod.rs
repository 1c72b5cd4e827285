//! Use cases: the actions that the API and the command line offer, independent of HTTP.

pub mod access;
pub mod achievements;
pub mod api_keys;
pub mod audit;
pub mod auth;
pub mod bulk;
pub mod caches;
pub mod confirming;
pub mod error;
pub mod essentials;
pub mod history;
pub mod importing;
pub mod incidents;
pub mod introspection;
pub mod lists;
pub mod mails;
pub mod permissions;
pub mod points;
pub mod profiles;
pub mod recent;
pub mod refusal;
pub mod sessions;
pub mod signing_keys;
pub mod totp;
pub mod users;
pub mod warming;

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use larder::cache::Cache;
use larder::introspection::RedisAnswer;
use larder::introspection::server::RedisInfo;
use larder::receipt::Receipt;
use larder_identity::api_key::VerifiedKeys;
use larder_identity::device::Devices;
use larder_identity::hashing::Passwords;
use larder_identity::limits::Limits;
use larder_identity::sealing::Sealing;
use tokio::sync::Semaphore;

use crate::cached::classes::Cached;
use crate::cached::policies::Policies;
use crate::cached::rendered::RenderedAnswers;
use crate::domain::api_key::ApiKeyId;
use crate::domain::audit::Actor;
use crate::domain::network::TrustedProxies;
use crate::domain::timestamp::Timestamp;
use crate::mail::mailer::Mailer;
use crate::service::error::ServiceError;
use crate::service::incidents::Incidents;
use crate::service::recent::Recent;
use crate::service::signing_keys::{SealedKeys, Tokens};
use crate::service::totp::Enrolled;
use crate::service::warming::BackgroundReads;
use crate::settings::oauth::OAuth;
use crate::settings::security::{BodyLimits, SecondFactorRequired, Security};
use crate::settings::sessions::SessionSettings;
use crate::store::Store;
use crate::store::writing::Writer;

/// For how many API keys one process remembers the last noted use, with about 50 bytes each. The use of a forgotten key
/// is noted again.
const NOTED_USES: usize = 10_000;

/// The service. A clone is one `Arc`, because every request clones the service more than once.
#[derive(Clone)]
pub struct Service(Arc<Parts>);

/// The parts of the service; only modules of the service use the fields.
pub struct Parts {
    store: Store,
    cache: Cache,
    cached: Cached,
    rendered: RenderedAnswers,
    warming: BackgroundReads,
    mailer: Option<Mailer>,
    passwords: Passwords,
    tokens: Tokens,
    issuer: Option<String>,
    verified_keys: VerifiedKeys<(ApiKeyId, Timestamp)>,
    /// For each API key, the day on which this process last noted a use.
    noted_uses: quick_cache::sync::Cache<ApiKeyId, jiff::civil::Date>,
    sealing: Sealing,
    limits: Limits,
    devices: Devices,
    sessions: SessionSettings,
    second_factor: SecondFactorRequired,
    enrolled: Enrolled,
    proxies: TrustedProxies,
    body_limits: BodyLimits,
    incidents: Incidents,
    recent_redis: Recent<RedisAnswer<RedisInfo>>,
    /// Lets one request sum the history at a time.
    summing: Semaphore,
    /// The name of this instance in the history, from `keep_history` on.
    instance: OnceLock<String>,
}

impl Deref for Service {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Service {
    /// Opens the service on a database and a cache; creates the first signing key if there is none.
    ///
    /// # Errors
    /// Errors of the database, and an error if the secret key does not open the secrets in the database.
    pub async fn open(
        store: Store,
        cache: Cache,
        policies: &Policies,
        security: &Security,
    ) -> Result<Self, ServiceError> {
        let sealing = Sealing::new(&security.secret_keys);
        totp::reseal_secrets(&store, &sealing).await?;
        signing_keys::reseal_keys(&store, &sealing).await?;
        if !sealing.has_key() {
            tracing::info!("{}", signing_keys::UNSEALED);
        }
        let OAuth { issuer, audience } = &security.oauth;
        let installation = format!("urn:larder:{}", store.installation().await?);
        Ok(Self(Arc::new(Parts {
            cached: Cached::open(&cache, &store, policies)?,
            rendered: RenderedAnswers::default(),
            passwords: Passwords::new(security.hashing),
            warming: BackgroundReads::default(),
            mailer: Mailer::open(&security.mail).map_err(|error| ServiceError::Internal(error.into()))?,
            tokens: Tokens::open(
                SealedKeys { store: store.clone(), sealing: sealing.clone() },
                issuer.as_ref().unwrap_or(&installation),
                audience,
            )
            .await?,
            issuer: issuer.clone(),
            verified_keys: VerifiedKeys::default(),
            noted_uses: quick_cache::sync::Cache::new(NOTED_USES),
            sealing,
            limits: Limits::new(security.limits),
            devices: Devices::new(store.entry_secret().await?.as_bytes()),
            sessions: security.sessions,
            second_factor: security.second_factor,
            enrolled: Enrolled::default(),
            proxies: security.proxies.clone(),
            body_limits: security.bodies,
            incidents: Incidents::default(),
            recent_redis: Recent::default(),
            summing: Semaphore::new(1),
            instance: OnceLock::new(),
            cache,
            store,
        })))
    }

    /// The database that the service reads and writes.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The cache, for its health, its counts and its switch. The classes are opened in `cached/` alone.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The rendered answers of values in the cache.
    pub(crate) fn rendered(&self) -> &RenderedAnswers {
        &self.rendered
    }

    /// The background reads; they have to be stopped before the database is closed.
    pub fn warming(&self) -> &BackgroundReads {
        &self.warming
    }

    /// The sender of mails; it has to be stopped before the database is closed. `None`: none is configured.
    pub fn mailer(&self) -> Option<&Mailer> {
        self.mailer.as_ref()
    }

    /// The limits on failed attempts.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The proxies that are trusted if they report the address of a client.
    pub fn proxies(&self) -> &TrustedProxies {
        &self.proxies
    }

    /// The public address that tokens name as their issuer. `None`: no address is configured, so tokens name the
    /// installation.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// How large the body of a request may be.
    pub fn body_limits(&self) -> BodyLimits {
        self.body_limits
    }

    /// The hasher of passwords.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// Runs `change` as `actor`, publishes (invalidates) what it touched, and then returns. `change` runs to its end
    /// even if the caller is cancelled. If `change` returns an error after a commit, the commit is published
    /// nevertheless.
    pub(crate) async fn write<T, F>(
        &self,
        actor: Actor,
        change: impl FnOnce(Writer) -> F + Send + 'static,
    ) -> Result<(T, Receipt), ServiceError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ServiceError>> + Send + 'static,
    {
        self.store.write(actor, self.cache.clone(), change).await
    }
}
