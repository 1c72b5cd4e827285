//! The service put together and served: database, cache, first superadmin, HTTP.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use larder::cache::Cache;
use larder::journal::Journal as _;
use larder::protection::EntrySecrets;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::domain::audit::Actor;
use crate::domain::contact::Email;
use crate::domain::identity::Username;
use crate::domain::password::Password;
use crate::domain::role::Role;
use crate::domain::secret_key::SecretKeys;
use crate::domain::user::NewUser;
use crate::router;
use crate::service::Service;
use crate::serving;
use crate::settings::{FirstAdmin, Settings};
use crate::store::Store;
use crate::store::error::StoreError;

/// How long requests in flight may take after the service was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// The superadmin that was created just now.
pub struct CreatedAdmin {
    /// Its e-mail address.
    pub email: Email,
    /// Its password, when it was drawn here: to be printed, once.
    pub drawn_password: Option<String>,
}

/// Opens database and cache, and gives an empty database its superadmin.
///
/// # Errors
/// A URL that cannot be used, a database that does not answer, or one whose key columns are of other types than the service declares.
pub async fn open(settings: &Settings) -> anyhow::Result<(Service, Option<CreatedAdmin>)> {
    let options = settings.database.options(&settings.database_url);
    let store = Store::open_with(&options).await.context("DATABASE_URL cannot be opened")?;
    let installation = store.installation().await?;
    let journal = Arc::new(store.journal().await.context("the journal of DATABASE_URL cannot be opened")?);
    // Before the cache is built, which asks too and would have Redis's settings blamed. A database that cannot be asked is named there.
    all_declared_right(&journal.declaration_errors().await.unwrap_or_default())?;
    // So that an operator knows whose keys these are. That two databases, copies of one too, never read each other's entries is
    // the journal's matter, which names its database in every key.
    let mut builder =
        Cache::builder(&format!("{}-{installation}", settings.namespace)).journal(journal.clone());
    builder = builder.entry_secrets(entry_secrets(&store, &settings.security.secret_keys).await?);
    let mut at_fault = "the cache";
    if let Some(redis) = &settings.redis {
        builder =
            builder.redis(&redis.url).redis_pool_size(redis.pool_size).redis_pool_timeout(redis.pool_timeout);
        at_fault = redis.name;
    }
    let cache = builder.build().await.with_context(|| format!("{at_fault} cannot be used"))?;
    let service = Service::open(store, cache.clone(), &settings.policies, &settings.security).await?;
    // What passes by itself, or is mended while the service runs, degrades it and is named by its health instead.
    all_declared_right(&journal.find_declaration_errors(&cache).await.map_err(StoreError::from)?)?;
    let admin = first_admin(&service, &settings.admin).await?;
    Ok((service, admin))
}

/// Who can write to Redis and cannot read the database, or the settings where these have a key, forges no entry.
async fn entry_secrets(store: &Store, keys: &SecretKeys) -> anyhow::Result<EntrySecrets> {
    Ok(match (&keys.current, &keys.other) {
        (Some(current), Some(other)) => EntrySecrets::new(current.expose())?.and(other.expose())?,
        (Some(current), None) => EntrySecrets::new(current.expose())?,
        (None, _) => EntrySecrets::new(store.entry_secret().await?)?,
    })
}

fn all_declared_right(wrong: &[String]) -> anyhow::Result<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("DATABASE_URL has a schema of which the journal would miss changes:\n- {}", wrong.join("\n- "))
}

async fn first_admin(service: &Service, admin: &FirstAdmin) -> anyhow::Result<Option<CreatedAdmin>> {
    // Spares every later start the hashing; the store looks again, under a lock.
    if service.store().total(&Default::default()).await? > 0 {
        return Ok(None);
    }
    let drawn = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 18]>());
    let (password, drawn_password) = match &admin.password {
        Some(password) => (password.clone(), None),
        None => (Password::parse(&drawn)?, Some(drawn)),
    };
    let hash = service.passwords().hash(&password).await?;
    let username = Username::parse("admin")?;
    let new = NewUser { role: Role::Superadmin, ..NewUser::new(admin.email.clone(), username) };
    let create = service
        .write(Actor::Nobody, move |tx| async move { Ok(tx.create_superadmin_if_empty(new, &hash).await?) });
    let (created, _) = create.await?;
    Ok(created.map(|user| CreatedAdmin { email: user.email, drawn_password }))
}

/// Serves until `stop` resolves, then lets requests in flight end.
pub async fn serve(listener: TcpListener, service: Service, stop: impl Future<Output = ()> + Send + 'static) {
    let (_routes, routes) = watch::channel(router::routes(service.clone()));
    serve_routes(listener, routes, stop).await;
    close(&service).await;
}

/// Serves the newest of `routes` until `stop` resolves, then lets requests in flight end.
pub async fn serve_routes(
    listener: TcpListener,
    routes: watch::Receiver<Router>,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let stop = async move {
        stop.await;
        // Nobody listens only when serving has ended already.
        let _ = stopping.send(());
    };
    let serving = serving::serve(listener, routes, stop);
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

/// Ends what a service does in the background, and closes its database.
pub async fn close(service: &Service) {
    service.warming().stop().await;
    service.store().database().close().await;
}

/// Listens for Ctrl-C and SIGTERM from this call on; resolves when one of them comes. To be called early: before
/// it, they end the process on the spot, and whatever it has begun stays as it is.
///
/// # Errors
/// The operating system's.
pub fn asked_to_stop() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupted, mut terminated) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(async move {
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        // An error means that nobody can ask.
        let _ = tokio::signal::ctrl_c().await;
    })
}
