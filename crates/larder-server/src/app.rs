//! Assembles the service (database, cache, first superadmin, routes) and serves it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use larder::cache::Cache;
use larder::journal::Journal as _;
use larder::protection::EntrySecrets;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cached::journal::tables;
use crate::domain::audit::Actor;
use crate::domain::contact::Email;
use crate::domain::identity::Username;
use crate::domain::network::TrustedProxies;
use crate::domain::password::Password;
use crate::domain::role::Role;
use crate::domain::secret_key::SecretKeys;
use crate::domain::user::NewUser;
use crate::router::{self, Routes};
use crate::service::Service;
use crate::serving;
use crate::settings::connections::ConnectionSettings;
use crate::settings::http::Http;
use crate::settings::redis::{RedisAddress, RestAddress};
use crate::settings::{FirstAdmin, Settings};
use crate::store::Store;
use crate::store::error::StoreError;

/// How long requests in flight may take after a stop. Then serving ends, so that no stalled request keeps the process
/// alive.
const GRACE: Duration = Duration::from_secs(10);

/// How long one operation on a Redis over REST may take, the longest that the cache allows: it may have to open a connection
/// first.
const REST_TIMEOUT: Duration = Duration::from_millis(500);

/// The superadmin that this start created.
pub struct CreatedAdmin {
    /// Its e-mail address.
    pub email: Email,
    /// Its password, if this start generated one: it is printed once and can be read nowhere later.
    pub generated_password: Option<String>,
}

/// Opens database and cache, and gives an empty database its superadmin.
///
/// # Errors
/// A URL cannot be used, the database does not answer, or its key columns have other types than the service declares.
pub async fn open(settings: &Settings) -> anyhow::Result<(Service, Option<CreatedAdmin>)> {
    let options = settings.database.options(&settings.database_url);
    let store = Store::open_with(&options).await.context("DATABASE_URL cannot be opened")?;
    for exposed in settings.database.exposed(&settings.database_url) {
        tracing::warn!("{exposed}");
    }
    for guard in store.lost_guards().await? {
        tracing::error!("{}", lost_guard(guard));
    }
    let installation = store.installation().await?;
    let journal =
        Arc::new(store.journal(tables()).await.context("the journal of DATABASE_URL cannot be opened")?);
    // The declarations are checked before the cache is built. The build makes the same check, but its error would name
    // Redis's settings. If the query itself fails, its error is dropped here, because the check below asks the database
    // again and returns the error.
    all_declared_right(&journal.declaration_errors().await.unwrap_or_default())?;
    // The installation's name shows operators whose keys these are. It does not separate the entries of two databases,
    // or of two copies of one database: for that, the journal puts the identity of its database into every key.
    let mut builder =
        Cache::builder(&format!("{}-{installation}", settings.namespace)).journal(journal.clone());
    builder = builder.entry_secrets(entry_secrets(&store, &settings.security.secret_keys).await?);
    let auditor = settings.auditor;
    builder = builder
        .tuning(settings.tuning)
        .audit_rate(auditor.rate)
        .audit_loads_per_second(auditor.loads_per_second);
    let mut at_fault = "the cache";
    if let Some(redis) = &settings.redis {
        builder = match redis.address.clone() {
            RedisAddress::Resp(options) => builder.redis(options),
            RedisAddress::Rest(RestAddress { url, token }) => {
                builder.upstash(url, token).redis_timeout(REST_TIMEOUT)
            }
        };
        builder = builder.redis_budget(redis.budget);
        builder = builder.redis_pool_size(redis.pool_size).redis_pool_timeout(redis.pool_timeout);
        at_fault = redis.name;
    }
    let cache = builder.build().await.with_context(|| format!("{at_fault} cannot be used"))?;
    let service = Service::open(store, cache.clone(), &settings.policies, &settings.security).await?;
    // Of what this check and an inspection of the journal find, declaration errors (a table or a class contradicts the
    // database) prevent the start. A defect, which can be mended while the service runs, only degrades the cache, and
    // the cache's health names it.
    all_declared_right(&journal.find_declaration_errors(&cache).await.map_err(StoreError::from)?)?;
    let admin = first_admin(&service, &settings.admin).await?;
    Ok((service, admin))
}

/// The secrets that authenticate entries: `LARDER_SECRET_KEY` if it is set, else a secret from the database. A program
/// that can write to Redis, but cannot read this secret, can forge no entry.
async fn entry_secrets(store: &Store, keys: &SecretKeys) -> anyhow::Result<EntrySecrets> {
    Ok(match (&keys.current, &keys.other) {
        (Some(current), Some(other)) => EntrySecrets::new(current.expose())?.and(other.expose())?,
        (Some(current), None) => EntrySecrets::new(current.expose())?,
        (None, _) => EntrySecrets::new(store.entry_secret().await?)?,
    })
}

/// The message for operators about a trigger of the audit log that is lost.
pub(crate) fn lost_guard(guard: &str) -> String {
    format!(
        "the trigger {guard} of audit_log is missing, off or changed: written entries can be changed; \
         create it again as migration 4 does"
    )
}

fn all_declared_right(wrong: &[String]) -> anyhow::Result<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("DATABASE_URL has a schema of which the journal would miss changes:\n- {}", wrong.join("\n- "))
}

async fn first_admin(service: &Service, admin: &FirstAdmin) -> anyhow::Result<Option<CreatedAdmin>> {
    // This check only saves later starts the cost of a password hash. `create_superadmin_if_empty` decides: it checks
    // again under a lock, because two instances can start at once.
    if service.store().total(&Default::default()).await? > 0 {
        return Ok(None);
    }
    let drawn = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 18]>());
    let (password, generated_password) = match &admin.password {
        Some(password) => (password.clone(), None),
        None => (Password::parse(&drawn)?, Some(drawn)),
    };
    let hash = service.passwords().hash(&password).await?;
    let username = Username::parse(FirstAdmin::USERNAME)?;
    let new = NewUser { role: Role::Superadmin, ..NewUser::new(admin.email.clone(), username) };
    let create = service
        .write(Actor::Nobody, move |tx| async move { Ok(tx.create_superadmin_if_empty(new, &hash).await?) });
    let (created, _) = create.await?;
    Ok(created.map(|user| CreatedAdmin { email: user.email, generated_password }))
}

/// Serves with the default settings of HTTP until `stop` resolves, then lets requests in flight end.
pub async fn serve(listener: TcpListener, service: Service, stop: impl Future<Output = ()> + Send + 'static) {
    let (_routes, routes) = watch::channel(router::routes(service.clone(), &Http::default()));
    // A program that embeds the service often sends all requests itself, from one address, so the limit for one address
    // is off.
    let settings = ConnectionSettings { max_per_address: u32::MAX, ..ConnectionSettings::default() };
    serve_routes(listener, routes, settings, service.proxies().clone(), stop).await;
    close(&service).await;
}

/// Serves the newest of `routes` until `stop` resolves, then lets requests in flight end.
pub async fn serve_routes(
    listener: TcpListener,
    routes: watch::Receiver<Routes>,
    settings: ConnectionSettings,
    proxies: TrustedProxies,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let stop = async move {
        stop.await;
        // The send fails only if the receiver is gone, which means that serving has ended already.
        let _ = stopping.send(());
    };
    let serving = serving::serve(listener, routes, settings, proxies, stop);
    let overdue = async move {
        if stopped.await.is_ok() {
            tokio::time::sleep(GRACE).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = serving => {}
        () = overdue => tracing::warn!("requests were still in flight {GRACE:?} after the stop"),
    }
}

/// Stops the service's background work, then closes the database that this work uses.
pub async fn close(service: &Service) {
    service.warming().stop().await;
    if let Some(mailer) = service.mailer() {
        mailer.stop().await;
    }
    service.write_incidents().await;
    service.store().close().await;
}

/// A signal that asks for a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal was closed. `larder serve` with a file of settings reads the file again instead.
    HangUp,
}

/// The signals that ask for a stop.
pub struct StopSignals {
    #[cfg(unix)]
    interrupted: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminated: tokio::signal::unix::Signal,
    /// `None`: SIGHUP stays ignored.
    #[cfg(unix)]
    hung_up: Option<tokio::signal::unix::Signal>,
}

/// Handles Ctrl-C, SIGTERM and SIGHUP from this call on. Call it early: until then, each signal ends the process at
/// once and leaves its work unfinished.
///
/// # Errors
/// The operating system refuses to register a handler.
pub fn signals() -> std::io::Result<StopSignals> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (interrupted, terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // `nohup` starts a program with SIGHUP ignored, and the service keeps it ignored.
        let hung_up = if is_hangup_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(StopSignals { interrupted, terminated, hung_up })
    }
    #[cfg(not(unix))]
    Ok(StopSignals {})
}

impl StopSignals {
    /// Waits for the next signal.
    pub async fn next(&mut self) -> StopSignal {
        #[cfg(unix)]
        {
            let hung_up = async {
                match &mut self.hung_up {
                    Some(hung_up) => drop(hung_up.recv().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.interrupted.recv() => StopSignal::Interrupt,
                _ = self.terminated.recv() => StopSignal::Terminate,
                () = hung_up => StopSignal::HangUp,
            }
        }
        #[cfg(not(unix))]
        {
            // An error means that the process cannot receive Ctrl-C; then the service stops at once.
            let _ = tokio::signal::ctrl_c().await;
            StopSignal::Interrupt
        }
    }
}

/// Handles the same signals as [`signals`]. The future resolves at the first of them.
///
/// # Errors
/// The operating system refuses to register a handler.
pub fn asked_to_stop() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut signals = signals()?;
    Ok(async move {
        signals.next().await;
    })
}

/// Whether this process was started with SIGHUP ignored. Without `unsafe`, only Linux shows that; on other systems
/// SIGHUP counts as not ignored.
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    const SIGHUP: u64 = 1 << 0;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & SIGHUP != 0)
}
