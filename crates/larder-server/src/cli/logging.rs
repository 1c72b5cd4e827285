//! The log on standard error.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// Starts the log in this format. `RUST_LOG` sets the levels; without it, `is_quiet` chooses them.
pub(super) fn begin(is_quiet: bool, format: LogFormat) {
    // By default each invalidation is logged, with its cause and what it dropped.
    let default = if is_quiet { "warn" } else { "info,sqlx=warn,larder::engine::invalidate=debug" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // Colours are for a person at a terminal; in a file they would be control characters.
    let is_coloured = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_coloured)
        // If standard error cannot be written, the line is lost. With `true`, tracing would report that on standard
        // error too, and this report would panic.
        .log_internal_errors(false)
        .with_writer(stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}
