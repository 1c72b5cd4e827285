//! The log on standard error.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// Begins to log in this form: at the levels in `RUST_LOG`, else at those of the command.
pub(super) fn begin(is_quiet: bool, format: LogFormat) {
    // By default each invalidation is logged, with its cause and what it dropped.
    let default = if is_quiet { "warn" } else { "info,sqlx=warn,larder::engine::invalidate=debug" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // Colours are for a person at a terminal; in a file they would be control characters.
    let is_coloured = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_coloured)
        // A line that cannot be written is lost; a message about that would go the same way, and panic there.
        .log_internal_errors(false)
        .with_writer(stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}
