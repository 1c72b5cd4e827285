//! `larder migrate`.

use anyhow::Context;
use clap::Args;

use crate::settings::Settings;
use crate::store::Store;

/// For a deployment whose service has no right to create tables: run this first, with a role that has it.
///
/// Connects to DATABASE_DIRECT_URL, else to DATABASE_URL, and applies what is pending. Any number of these may run at once. The
/// last line says what was done and at which version the schema is.
///
/// Exit codes: 0, the schema is up to date, or newer and compatible; 1, it is not, and the last line of stderr says why;
/// 2, the arguments are wrong.
#[derive(Args)]
pub(crate) struct Arguments {}

pub(crate) async fn run(_: Arguments, settings: Settings) -> anyhow::Result<()> {
    let (name, url) = match &settings.database.direct_url {
        Some(direct) => ("DATABASE_DIRECT_URL", direct),
        None => ("DATABASE_URL", &settings.database_url),
    };
    let options = settings.database.options(url);
    let migrated = Store::migrated(&options).await;
    let (store, migrated) = migrated.with_context(|| format!("{name} cannot be migrated"))?;
    store.database().close().await;
    let version = migrated.version;
    match migrated.applied.as_slice() {
        [] => println!("Nothing to migrate: the schema is at version {version}."),
        applied => {
            let applied: Vec<_> = applied.iter().map(i64::to_string).collect();
            println!("Migrated: applied {}; the schema is at version {version}.", applied.join(", "));
        }
    }
    Ok(())
}
