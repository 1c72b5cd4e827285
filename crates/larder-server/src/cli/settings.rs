//! Reads the settings for a command, and shows them for `larder config`.

use std::path::{Path, PathBuf};

use crate::settings::Settings;
use crate::settings::sources::{Effective, Sources, check_names};

/// The settings from the environment and from the file: `file`, else the one that `LARDER_CONFIG` names.
pub(super) fn read(file: Option<&Path>) -> anyhow::Result<Settings> {
    check_names(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
    let sources = Sources::new(|name| std::env::var(name).ok());
    let of_environment = std::env::var_os("LARDER_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let sources = match file.or(of_environment.as_deref()) {
        Some(path) => sources.with_file(path)?,
        None => sources,
    };
    Ok(Settings::read(sources)?)
}

/// Prints one line for each setting: its name, its value and its origin.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn show(settings: &Settings) -> anyhow::Result<()> {
    let lengths = |text: fn(&Effective) -> &str| {
        settings.effective.iter().map(move |one| text(one).chars().count()).max().unwrap_or(0)
    };
    let (names, values) = (lengths(|one| &one.name), lengths(|one| &one.value));
    for Effective { name, value, origin } in &settings.effective {
        say!("{name:names$}  {value:values$}  ({origin})")?;
    }
    Ok(())
}
