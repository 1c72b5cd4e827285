//! The database of the settings, for the commands that work on one that exists. None of them makes an empty database: on it
//! each would find nothing wrong and nothing to change, and the operator, who meant another one, would believe it.

use anyhow::{Context as _, Result};

use crate::settings::Settings;
use crate::store::Store;

/// Opens the store of `DATABASE_URL`, and migrates it if migrations are pending.
///
/// # Errors
/// There is no such database, or it has no schema of larder. The error names the setting, its value without secrets, and
/// where the value comes from.
pub(super) async fn open(settings: &Settings) -> Result<Store> {
    const NAME: &str = "DATABASE_URL";
    let options = settings.database.options(&settings.database_url).existing();
    Store::open_with(&options).await.with_context(|| cannot_be_opened(settings, NAME))
}

/// What an error says about a database that cannot be opened.
pub(super) fn cannot_be_opened(settings: &Settings, name: &str) -> String {
    format!("{} cannot be opened", set(settings, name))
}

/// A line that says which database a command works on.
pub(super) fn line(settings: &Settings, name: &str) -> String {
    format!("Database: {}", set(settings, name))
}

/// A setting with its value, secrets hidden, and where the value comes from.
pub(super) fn set(settings: &Settings, name: &str) -> String {
    let effective = settings.effective.iter().find(|one| one.name == name);
    effective.map_or_else(|| name.to_owned(), |one| format!("{name}={} ({})", one.value, one.origin))
}
