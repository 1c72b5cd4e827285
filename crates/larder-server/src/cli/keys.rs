//! `larder keys`.

use clap::{Args, Subcommand};
use larder_identity::sealing::Sealing;

use crate::cli::database;
use crate::domain::audit::Actor;
use crate::service::error::ServiceError;
use crate::service::signing_keys::{self, Rotation};
use crate::settings::Settings;
use crate::store::Store;
use crate::store::writing::ByJournal;

/// The arguments of `larder keys`.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Keys,
}

#[derive(Subcommand)]
enum Keys {
    /// Publish a new signing key, which signs two minutes later; tokens stay valid.
    Rotate {
        /// Keys were stolen: delete every signing key and end every session, on every instance. API keys stay.
        #[arg(long)]
        now: bool,
    },
}

pub(crate) async fn run(arguments: Arguments, settings: Settings) -> anyhow::Result<()> {
    let store = database::open(&settings).await?;
    say!("{}", database::line(&settings, "DATABASE_URL"))?;
    let sealing = Sealing::new(&settings.security.secret_keys);
    // Fails if this process has another secret key than the service. With another key, the service could not open the
    // new signing key; without one, the signing key would be stored unencrypted.
    signing_keys::reseal_keys(&store, &sealing).await?;
    let Keys::Rotate { now } = arguments.command;
    let said = if now { replace(&store, sealing).await } else { rotate(&store, sealing).await };
    store.close().await;
    say!("{}", said?)
}

async fn rotate(store: &Store, sealing: Sealing) -> Result<String, ServiceError> {
    let rotate = store
        .write(Actor::Nobody, ByJournal, move |tx| async move { signing_keys::rotate(&tx, &sealing).await });
    let (Rotation { kid, signs_from }, ()) = rotate.await?;
    Ok(format!("Signing key {kid} is published and signs from {signs_from}."))
}

async fn replace(store: &Store, sealing: Sealing) -> Result<String, ServiceError> {
    let replace = store.write(Actor::Nobody, ByJournal, move |tx| async move {
        signing_keys::replace_all(&tx, &sealing).await
    });
    let ((kid, ended), ()) = replace.await?;
    Ok(format!("Signing key {kid} signs now. Every token has ended: {ended} sessions. API keys stay valid."))
}
