//! Reads the settings for a command, and shows them for `larder config`.

use std::path::{Path, PathBuf};

use larder_sql::exposure;

use crate::cli::logging;
use crate::settings::Settings;
use crate::settings::bad::BadSetting;
use crate::settings::names::check_names;
use crate::settings::sources::{Effective, SettingSource, Sources};

/// The file of the settings: `file`, or without it the one that `LARDER_CONFIG` names.
pub(super) fn file(file: Option<&Path>) -> Option<PathBuf> {
    let of_environment =
        || std::env::var_os("LARDER_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    file.map(Path::to_owned).or_else(of_environment)
}

/// The environment and `file`, with a line of warning for each name that is nearly a setting.
pub(super) fn sources(file: Option<&Path>) -> Result<(Sources, Vec<String>), BadSetting> {
    let sources = Sources::new(|name| std::env::var(name).ok());
    let sources = match file {
        Some(path) => sources.with_file(path)?,
        None => sources,
    };
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        // A value that is no text is still a value, and no warning shows it.
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    });
    let warnings = check_names(variables, &sources)?;
    Ok((sources, warnings))
}

/// Reads the settings from the environment and from the [`file`]. Then starts the log in the format of the settings.
pub(super) fn read(named: Option<&Path>) -> anyhow::Result<Settings> {
    let file = file(named);
    let (sources, warnings) = sources(file.as_deref())?;
    let settings = Settings::read(sources)?;
    logging::begin(false, settings.log_format, settings.log_levels.as_deref());
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    for one in settings.effective.iter().filter(|one| names_a_secret_file(one)) {
        if let Some(mode) = exposure::mode(Path::new(&one.value)) {
            let (setting, path, mode) = (&one.name, &one.value, format!("{mode:04o}"));
            tracing::warn!(setting, path, mode, "others can read this file, which holds a secret");
        }
    }
    if let Some(path) = file.as_deref()
        && settings.effective.iter().any(is_secret_of_file)
        && let Some(mode) = exposure::mode(path)
    {
        let path = path.display();
        tracing::warn!(%path, mode = format!("{mode:04o}"), "others can read this file of settings, which holds a secret");
    }
    Ok(settings)
}

/// The files that hold no secret.
const PUBLIC_FILES: [&str; 2] = ["REDIS_CA_FILE", "REDIS_CLIENT_CERT_FILE"];

/// Whether the setting is the path of a file that holds a secret, and is set.
fn names_a_secret_file(one: &Effective) -> bool {
    one.name.ends_with("_FILE")
        && one.origin != SettingSource::Default
        && !PUBLIC_FILES.contains(&one.name.as_str())
}

/// Whether the value comes from the file and is, or holds, a secret: such values are shown with the placeholder `…`.
fn is_secret_of_file(one: &Effective) -> bool {
    matches!(one.origin, SettingSource::File(_)) && one.value.contains('…')
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
