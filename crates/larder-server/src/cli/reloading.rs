//! SIGHUP: `larder serve` reads the file of its settings again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Notify;

use crate::cached::classes::CLASSES;
use crate::cli::{logging, settings};
use crate::service::Service;
use crate::settings::Settings;
use crate::settings::bad::BadSetting;
use crate::settings::rereading::Reread;

/// Reads `file` again at each of the signals, and applies to `service` what can change without a restart. `running` is
/// what the process runs with.
pub(super) async fn reload_on(hung_up: Arc<Notify>, file: PathBuf, service: Service, mut running: Settings) {
    loop {
        hung_up.notified().await;
        // A pipe has nothing more to read, and its end would be taken for settings that were all left out.
        if file.metadata().is_ok_and(|found| !found.is_file()) {
            tracing::error!(file = %file.display(), "the settings are not read again: nothing has changed, because this is no regular file");
            continue;
        }
        match reread(&file, &running) {
            Ok(reread) => running = apply(&service, &running, reread),
            Err(error) => tracing::error!(%error, "the settings are not read again: nothing has changed"),
        }
    }
}

fn reread(file: &Path, running: &Settings) -> Result<Reread, BadSetting> {
    let (sources, warnings) = settings::sources(Some(file))?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    running.reread(sources)
}

/// Applies what was read again. Returns what the process runs with from now on.
fn apply(service: &Service, running: &Settings, reread: Reread) -> Settings {
    let Reread { settings, needing_restart } = reread;
    for setting in needing_restart {
        tracing::warn!(setting, "a change of this setting needs a restart: the former value stays");
    }
    for change in running.policies.changes(&settings.policies, CLASSES) {
        match service.apply_policy(&change) {
            Ok(()) => tracing::info!("{change}"),
            Err(error) => tracing::error!(%error, "{change}: failed"),
        }
    }
    let has_new_levels = running.log_levels != settings.log_levels;
    if has_new_levels {
        tracing::info!(
            levels = settings.log_levels,
            was = running.log_levels,
            "the levels of the log change"
        );
    }
    tracing::info!("the settings have been read again");
    if has_new_levels {
        // Last: the new levels may hide the lines above.
        logging::set_levels(settings.log_levels.as_deref());
    }
    settings
}
