//! `cargo xtask torture`, `bench` and `scale`: build a program in release mode, and run it.

use std::path::Path;

use anyhow::Result;

use crate::setup;
use crate::steps::{command, run as run_command};

/// Arguments for the program. The program's own `--help` describes them.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Options {
    pub(crate) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Whether the first argument begins with `text`.
    pub(crate) fn begins_with(&self, text: &str) -> bool {
        self.arguments.first().is_some_and(|first| first.starts_with(text))
    }
}

/// Runs `program` of `package`; succeeds if the program does. Help needs no other program, so nothing is installed for it.
pub(crate) fn run(root: &Path, package: &str, program: &str, options: &Options) -> Result<()> {
    if !options.arguments.iter().any(|argument| ["--help", "-h"].contains(&&**argument)) {
        setup::packages(root)?;
    }
    let words = ["run", "--release", "--quiet", "--package", package, "--bin", program, "--"];
    run_command(command(root, "cargo", &words).args(&options.arguments))
}
