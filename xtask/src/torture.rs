//! `cargo xtask torture`: builds larder-torture for speed, and runs it.

use std::path::Path;

use anyhow::Result;

use crate::setup;
use crate::steps::{command, run as run_command};

/// Of `cargo xtask torture`, which `larder-torture` reads and explains.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Succeeds when every promise was kept; with a planted fault, when it was caught.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    setup::packages(root)?;
    let words = ["run", "--release", "--quiet", "--package", "larder-proof", "--bin", "larder-torture", "--"];
    run_command(command(root, "cargo", &words).args(&options.arguments))
}
