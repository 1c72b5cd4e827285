//! The log on standard error.

use std::io::{IsTerminal as _, stderr};
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// By default each invalidation is logged, with its cause and what it dropped.
const LEVELS: &str = "info,sqlx=warn,larder::engine::invalidate=debug";

/// Replaces the levels of the log that this process has started.
static REPLACE: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

/// Starts the log in this format. `levels` are those of the setting; without it `RUST_LOG` sets them, and without that
/// `is_quiet` chooses them.
pub(super) fn begin(is_quiet: bool, format: LogFormat, levels: Option<&str>) {
    // Colours are for a person at a terminal; in a file they would be control characters.
    let is_coloured = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter(levels, if is_quiet { "warn" } else { LEVELS }))
        .with_ansi(is_coloured)
        // If standard error cannot be written, the line is lost. With `true`, tracing would report that on standard
        // error too, and this report would panic.
        .log_internal_errors(false)
        .with_writer(stderr);
    // A reload fails only if the log has ended, which it does with the process.
    match format {
        LogFormat::Text => {
            let log = log.with_filter_reloading();
            let handle = log.reload_handle();
            let _ = REPLACE.set(Box::new(move |filter| drop(handle.reload(filter))));
            log.init();
        }
        LogFormat::Json => {
            let log = log.json().flatten_event(true).with_filter_reloading();
            let handle = log.reload_handle();
            let _ = REPLACE.set(Box::new(move |filter| drop(handle.reload(filter))));
            log.init();
        }
    }
}

/// Gives the running log the levels of the setting, or those that it would have had without it.
pub(super) fn set_levels(levels: Option<&str>) {
    if let Some(replace) = REPLACE.get() {
        replace(filter(levels, LEVELS));
    }
}

fn filter(levels: Option<&str>, default: &str) -> EnvFilter {
    let of_setting = levels.and_then(|levels| EnvFilter::try_new(levels).ok());
    of_setting.or_else(|| EnvFilter::try_from_default_env().ok()).unwrap_or_else(|| EnvFilter::new(default))
}
