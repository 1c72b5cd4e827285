//! `larder demo`: measures on this machine what the cache gains, and prints one table.

mod client;
mod load;
mod people;
mod report;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::app;
use crate::cli::demo::load::Load;
use crate::cli::demo::people::{ADMIN_EMAIL, Crowd, PASSWORD};
use crate::cli::demo::report::Report;
use crate::domain::contact::Email;
use crate::domain::password::Password;
use crate::service::Service;
use crate::settings::redis::RedisSettings;
use crate::settings::security::Security;
use crate::settings::sources::Sources;
use crate::settings::{FirstAdmin, Settings};

const STOPPED: &str = "stopped before the table was complete";
/// How long a stopped demo waits at most for the database that it is opening.
const OPENING: Duration = Duration::from_secs(10);

/// Makes users, starts the service, and drives the same load through HTTP with the cache off and on.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How long the load runs in all, half of it with the cache off.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..=3600))]
    seconds: u64,
    /// How many users an empty database gets.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    users: u32,
    /// Keep the SQLite database in this folder, and use it again the next time [default: a temporary one]
    #[arg(long, value_name = "DIR", conflicts_with = "database")]
    data: Option<PathBuf>,
    /// Use this database: an empty one, or one that this demo filled before.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Share entries through this Redis [default: memory alone]
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// End after the table instead of continuing to serve.
    #[arg(long)]
    exit: bool,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut stop = pin!(app::asked_to_stop()?);
    // The folder is deleted when this value is dropped, however this function ends.
    let scratch = tempfile::tempdir().context("no temporary folder")?;
    let folder = arguments.data.clone().unwrap_or_else(|| scratch.path().to_owned());
    let database_url = match &arguments.database {
        Some(url) => url.clone(),
        None => format!("sqlite://{}", folder.join("larder-demo.db").display()),
    };
    // The environment's settings are not read: the demo is the same everywhere, and touches no other database or Redis.
    let settings = Settings {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
        database_url,
        redis: arguments.redis.as_deref().map(RedisSettings::at),
        security: Security::default(),
        admin: FirstAdmin { email: Email::parse(ADMIN_EMAIL)?, password: Some(Password::parse(PASSWORD)?) },
        ..Settings::read(Sources::new(|_| None))?
    };
    let mut opening = pin!(app::open(&settings));
    let (service, _) = tokio::select! {
        opened = &mut opening => opened?,
        () = &mut stop => {
            // If the opening were dropped, the database's threads could make a file in the folder while that is deleted.
            if let Ok(Ok((service, _))) = timeout(OPENING, opening).await {
                app::close(&service).await;
            }
            bail!(STOPPED)
        }
    };
    let listener = listen(settings.listen).await?;
    let address = listener.local_addr()?;

    let (end, ending) = watch::channel(false);
    let serving = tokio::spawn(app::serve(listener, service.clone(), ended(ending)));
    let shown = tokio::select! {
        shown = show(&arguments, &service, address) => shown,
        () = &mut stop => Err(anyhow!(STOPPED)),
    };
    if shown.is_ok() && !arguments.exit {
        say!("{}", report::invitation(address))?;
        stop.await;
        say!("Stopping.")?;
    }
    end.send_replace(true);
    serving.await?;
    shown
}

/// Listens on the usual port, or on any free one if that is taken.
async fn listen(usual: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(usual).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port on the loopback"),
    }
}

async fn ended(mut ending: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is an end too.
    let _ = ending.wait_for(|end| *end).await;
}

async fn show(arguments: &Arguments, service: &Service, address: SocketAddr) -> anyhow::Result<()> {
    let crowd = Crowd::gather(service, arguments.users).await?;
    let load = Load::prepare(address, crowd).await?;
    let half = Duration::from_secs_f64(arguments.seconds as f64 / 2.0);
    service.cache().set_enabled(false);
    let off = load.drive("cache off", service, half).await?;
    service.cache().set_enabled(true);
    let on = load.drive("cache on ", service, half).await?;
    say!("{}", Report { off, on, users: load.crowd_size(), has_redis: arguments.redis.is_some() })
}
