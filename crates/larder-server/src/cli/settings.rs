//! Reads the settings for a command, and shows them for `larder config`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use larder_sql::exposure;

use crate::cli::logging;
use crate::settings::Settings;
use crate::settings::bad::BadSetting;
use crate::settings::listening::Listening;
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

/// The address of the instance of this machine, with its base path. `config` is the file of settings that the command
/// names.
///
/// # Errors
/// `LARDER_LISTEN` or `LARDER_BASE_PATH` cannot be used.
pub(super) fn of_this_machine(config: Option<&Path>) -> anyhow::Result<String> {
    let variable = |name: &str| std::env::var(name).ok();
    let listening = Listening::read(Sources::new(variable), file(config).as_deref())?;
    Ok(format!("http://{}{}", reachable(listening.address), listening.base_path))
}

/// An instance that listens at every address of the machine is asked at the loopback address.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen {
        SocketAddr::V4(any) if any.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, any.port()).into(),
        SocketAddr::V6(any) if any.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, any.port()).into(),
        one => one,
    }
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
        if let Some(mode) = exposed_mode(Path::new(&one.value)) {
            let (setting, path, mode) = (&one.name, &one.value, format!("{mode:04o}"));
            tracing::warn!(setting, path, mode, "others can read this file, which holds a secret");
        }
    }
    if let Some(path) = file.as_deref()
        && settings.effective.iter().any(is_secret_of_file)
        && let Some(mode) = exposed_mode(path)
    {
        let path = path.display();
        tracing::warn!(%path, mode = format!("{mode:04o}"), "others can read this file of settings, which holds a secret");
    }
    Ok(settings)
}

/// The permissions of a file that other users can read or write. `None` also for a file that this process reads through one
/// of its groups, and that no other user but the owner can use: so Kubernetes hands a Secret to a process that is not root.
fn exposed_mode(path: &Path) -> Option<u32> {
    let mode = exposure::mode(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let (own, groups) = (rustix::process::geteuid(), rustix::process::getgroups().unwrap_or_default());
        let groups = groups.into_iter().chain([rustix::process::getegid()]).map(|group| group.as_raw());
        let file = path.metadata().ok()?;
        if is_read_through_group(mode, (file.uid(), file.gid()), own.as_raw(), groups) {
            return None;
        }
    }
    Some(mode)
}

/// Whether a file belongs to another user, and besides that user only a group of this process can read it, or root's group:
/// so looks an access list of a file of root, by which systemd hands a credential to a service.
#[cfg(unix)]
fn is_read_through_group(
    mode: u32,
    (owner, group): (u32, u32),
    own: u32,
    mut groups: impl Iterator<Item = u32>,
) -> bool {
    mode & 0o066 == 0o040 && owner != own && (group == 0 || groups.any(|of_process| of_process == group))
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_only_the_processs_own_group_can_read_is_not_exposed() {
        const SERVICE: u32 = 65532;
        let by_group = |mode, owner, group| {
            is_read_through_group(mode, (owner, group), SERVICE, [SERVICE, 7].into_iter())
        };
        // A Secret of Kubernetes, with `fsGroup`; a file for one of the further groups; a credential of systemd.
        assert!(by_group(0o100_440, 0, SERVICE) && by_group(0o640, 0, 7) && by_group(0o440, 0, 0));
        for (mode, owner, group, why) in [
            (0o444, 0, SERVICE, "every user can read it"),
            (0o460, 0, SERVICE, "the group can replace it"),
            (0o440, 0, 8, "the group is another one"),
            (0o640, SERVICE, SERVICE, "the process is the owner, so the group is for others"),
        ] {
            assert!(!by_group(mode, owner, group), "{why}");
        }
    }
}
