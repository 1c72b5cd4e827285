//! Runs the service in this process, with many users, and serves it over HTTP on the loopback.

pub(crate) mod client;
pub(crate) mod people;

use std::net::SocketAddr;

use anyhow::{Context, Result};
use larder_server::app;
use larder_server::service::Service;
use larder_server::settings::Settings;
use larder_server::settings::sources::Sources;
use larder_testbed::Postgres;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::site::client::Client;

/// The address of the first superadmin.
pub(crate) const EMAIL: &str = "admin@site.example";
/// The password of all users that log in.
pub(crate) const PASSWORD: &str = "a password for one run";

/// PostgreSQL with the settings of a production server, except that fsync is off: the measurements do not wait for the
/// disk.
pub(crate) fn postgres() -> Result<Postgres> {
    Postgres::start_with(&["fsync=off", "shared_buffers=512MB", "max_wal_size=4GB"])
}

/// The service's default settings with this database and, if given, this Redis.
pub(crate) fn settings(database_url: String, redis_url: Option<String>) -> Result<Settings> {
    Ok(Settings::read(Sources::new(move |name| match name {
        "DATABASE_URL" => Some(database_url.clone()),
        "REDIS_URL" => redis_url.clone(),
        "LARDER_ADMIN_EMAIL" => Some(EMAIL.to_owned()),
        "LARDER_ADMIN_PASSWORD" => Some(PASSWORD.to_owned()),
        _ => None,
    }))?)
}

/// A running service.
pub(crate) struct Site {
    pub(crate) service: Service,
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Site {
    pub(crate) async fn serve(service: Service) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move { drop(stopped.await) };
        let serving = tokio::spawn(app::serve(listener, service.clone(), stopped));
        Ok(Self { service, address, stop, serving })
    }

    /// Logs in as the first superadmin.
    pub(crate) async fn admin(&self) -> Result<Client> {
        Client::login(self.address, EMAIL, PASSWORD).await
    }

    /// Stops the service. If clients are still connected, it waits until the service closes their connections.
    pub(crate) async fn stop(self) -> Result<()> {
        drop(self.stop);
        self.serving.await.context("the service did not stop")
    }
}
