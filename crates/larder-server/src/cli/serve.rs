//! `larder serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

use crate::api::health::{Stage, StopStage};
use crate::app::{self, CreatedAdmin, StopSignal, StopSignals};
use crate::cli::reloading;
use crate::opening::{self, Reason};
use crate::router;
use crate::service::Service;
use crate::settings::Settings;

/// `larder serve` has no arguments of its own: the settings configure it.
#[derive(Args)]
pub(crate) struct Arguments {}

/// Serves. `file` is the file of the settings, if there is one: SIGHUP reads it again.
pub(crate) async fn run(_: Arguments, settings: Settings, file: Option<PathBuf>) -> anyhow::Result<()> {
    let (stopping, stopped) = watch::channel(StopStage::Running);
    let mut signals = app::signals()?;
    let stop_delay = settings.connections.stop_delay;
    // It keeps one SIGHUP that arrives while the database is not there yet.
    let hung_up = Arc::new(Notify::new());
    let reloads = file.is_some().then(|| hung_up.clone());
    tokio::spawn(async move {
        // Only SIGTERM and SIGHUP delay the stop, because load balancers take a while to send requests elsewhere. Ctrl-C
        // comes from a person who waits, so it stops the service at once.
        if next_stop(&mut signals, reloads.as_deref()).await != StopSignal::Interrupt && !stop_delay.is_zero()
        {
            stopping.send_replace(StopStage::Unready);
            tracing::info!(?stop_delay, "stopping: not ready, and still accepting connections");
            tokio::select! {
                () = tokio::time::sleep(stop_delay) => {}
                // A second signal ends the wait.
                _ = next_stop(&mut signals, reloads.as_deref()) => {}
            }
        }
        stopping.send_replace(StopStage::Stopping);
    });
    // The port is bound before the database gets its superadmin: if the bind failed later, the generated password would
    // be lost.
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("LARDER_LISTEN={} cannot be listened on", settings.listen))?;
    let address = listener.local_addr()?;
    let reason = Reason::default();
    let (routes, newest) = watch::channel(opening::routes(reason.clone(), &settings.http));
    let (connections, proxies) = (settings.connections, settings.security.proxies.clone());
    let stop = asked(stopped.clone());
    let serving = tokio::spawn(app::serve_routes(listener, newest, connections, proxies, stop));
    if let Some(opened) = open(&settings, &reason, address, asked(stopped.clone())).await? {
        let service = opened.service.clone();
        // The instance has its name before the admin page can show it.
        service.keep_history(instance_name(address.port()));
        let all_routes = router::routes(service.clone(), &settings.http).with_stage(Stage(Arc::new(stopped)));
        // The routes are replaced before the announcement is printed, so that a client that waits for the announcement
        // is served. The dropped value is the routes of the start.
        drop(routes.send_replace(all_routes));
        opened.announce(address);
        service.keep_warm();
        let reloading =
            file.map(|file| tokio::spawn(reloading::reload_on(hung_up, file, service.clone(), settings)));
        serving.await?;
        if let Some(reloading) = reloading {
            reloading.abort();
        }
        app::close(&service).await;
    } else {
        serving.await?;
    }
    announced(say!("Stopped."));
    Ok(())
}

/// The name of this instance in the history: its host and its port. Instances that share a name
/// have rows of their own, one for each process.
fn instance_name(port: u16) -> String {
    #[cfg(unix)]
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let host = std::env::var("COMPUTERNAME").unwrap_or_default();
    format!("{host}:{port}")
}

/// The next signal that asks for a stop. SIGHUP asks for a reload if there is a file to read again.
async fn next_stop(signals: &mut StopSignals, reloads: Option<&Notify>) -> StopSignal {
    loop {
        match (signals.next().await, reloads) {
            (StopSignal::HangUp, Some(reloads)) => reloads.notify_one(),
            (signal, _) => return signal,
        }
    }
}

/// The service that this start opened.
struct Opened {
    service: Service,
    admin: Option<CreatedAdmin>,
    /// Whether the service has printed that it listens and waits for its database.
    has_waited: bool,
}

/// Opens the service; `None` if a signal asked for a stop before the service was open.
async fn open(
    settings: &Settings,
    reason: &Reason,
    address: SocketAddr,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Option<Opened>> {
    let mut has_waited = false;
    let waits = || {
        if !has_waited {
            announced(say!("Listening on http://{address}, not ready: waiting for the database"));
        }
        has_waited = true;
    };
    let (service, admin) = tokio::select! {
        opened = opening::open(settings, reason, waits) => opened?,
        () = stop => return Ok(None),
    };
    Ok(Some(Opened { service, admin, has_waited }))
}

impl Opened {
    fn announce(&self, address: SocketAddr) {
        if let Some(admin) = &self.admin {
            match &admin.generated_password {
                Some(password) => {
                    announced(say!("First superadmin: {} with password {password}", admin.email.as_str()));
                    announced(say!(
                        "It is shown this once. Set LARDER_ADMIN_PASSWORD to choose it yourself."
                    ));
                }
                None => announced(say!("First superadmin: {}", admin.email.as_str())),
            }
        }
        match self.has_waited {
            true => announced(say!("Ready.")),
            false => announced(say!("Listening on http://{address}")),
        }
    }
}

/// Logs that a line could not be printed on standard output. The service does not depend on these lines, so it keeps
/// serving.
fn announced(printed: anyhow::Result<()>) {
    if let Err(error) = printed {
        tracing::warn!(%error, "an announcement is lost");
    }
}

/// Resolves when the service has to stop accepting connections.
async fn asked(mut stopped: watch::Receiver<StopStage>) {
    // An error means that the sender is gone. The sender is dropped only after it has sent `Stopping`.
    let _ = stopped.wait_for(|stage| *stage == StopStage::Stopping).await;
}
