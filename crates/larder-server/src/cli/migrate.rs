//! `larder migrate`.

use anyhow::Context;
use clap::Args;

use crate::cli::database;
use crate::settings::Settings;
use crate::store::Store;

/// `larder migrate` has no arguments of its own: the settings configure it.
#[derive(Args)]
pub(crate) struct Arguments {}

pub(crate) async fn run(_: Arguments, settings: Settings) -> anyhow::Result<()> {
    let (name, url) = settings.database_for_schema();
    let options = settings.database.options(url);
    let migrated = Store::migrated(&options).await;
    let (store, migrated) = migrated.with_context(|| format!("{name} cannot be migrated"))?;
    store.close().await;
    say!("{}", database::line(&settings, name))?;
    let version = migrated.version;
    match migrated.applied.as_slice() {
        [] => say!("Nothing to migrate: the schema is at version {version}."),
        applied => {
            let applied: Vec<_> = applied.iter().map(i64::to_string).collect();
            say!("Migrated: applied {}; the schema is at version {version}.", applied.join(", "))
        }
    }
}
