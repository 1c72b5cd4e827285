//! Shared by the programs that measure: running to a verdict, showing progress, and the machine's load.

use anyhow::{Context, Result};

/// Runs a measurement and prints its text. Returns whether every figure is within its limit.
pub(crate) fn run(measure: impl Future<Output = Result<(String, bool)>>) -> bool {
    run_after(|| Ok(()), measure)
}

/// As [`run`], after `prepare`, which runs before the runtime counts its cores.
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to its terminal")]
pub(crate) fn run_after(
    prepare: impl FnOnce() -> Result<()>,
    measure: impl Future<Output = Result<(String, bool)>>,
) -> bool {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting tokio");
    match prepare().and_then(|()| runtime()).and_then(|runtime| runtime.block_on(measure)) {
        Ok((text, is_kept)) => {
            println!("{text}");
            is_kept
        }
        Err(error) => {
            eprintln!("{error:#}");
            false
        }
    }
}

#[allow(clippy::print_stderr, reason = "progress goes to the terminal")]
pub(crate) fn progress(line: &str) {
    eprintln!("  {line}");
}

/// The machine's load average over the last minute.
pub(crate) fn load_average() -> String {
    let averages = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().filter(|one| !one.is_empty()).unwrap_or("unknown").to_owned()
}
