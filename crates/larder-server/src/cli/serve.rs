//! `larder serve`.

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;

use crate::app;
use crate::settings::Settings;

/// Settings come from the environment and from a file: LARDER_LISTEN (127.0.0.1:8080), DATABASE_URL
/// (sqlite://data/larder.db), REDIS_URL (none), LARDER_ADMIN_EMAIL and LARDER_ADMIN_PASSWORD (the superadmin
/// that an empty database gets; without a password a random one is printed once), and more: `larder config`
/// shows them all. An empty value counts as unset.
#[derive(Args)]
pub(crate) struct Arguments {}

pub(crate) async fn run(_: Arguments, settings: Settings) -> anyhow::Result<()> {
    let stop = app::asked_to_stop()?;
    // Before the database gets its superadmin: a start that fails would lose the password drawn for it.
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("LARDER_LISTEN={} cannot be listened on", settings.listen))?;
    let (service, admin) = app::open(&settings).await?;
    if let Some(admin) = admin {
        match admin.drawn_password {
            Some(password) => {
                println!("First superadmin: {} with password {password}", admin.email.as_str());
                println!("It is shown this once. Set LARDER_ADMIN_PASSWORD to choose it yourself.");
            }
            None => println!("First superadmin: {}", admin.email.as_str()),
        }
    }
    println!("Listening on http://{}", listener.local_addr()?);
    service.keep_warm();
    app::serve(listener, service, stop).await;
    println!("Stopped.");
    Ok(())
}
