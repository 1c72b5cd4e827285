//! Installs schemathesis in a separate virtual environment, so that the machine's Python packages do not change.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::setup;
use crate::steps::{command, run as run_command, succeeds};

const VERSION: &str = "4.32.5";

/// The path of the program. Installs it if it is missing.
pub(super) fn schemathesis(root: &Path) -> Result<PathBuf> {
    let folder = root.join(format!("target/schemathesis-{VERSION}"));
    let program = folder.join("bin/schemathesis");
    if succeeds(&mut command(root, &program.to_string_lossy(), &["--version"])) {
        return Ok(program);
    }
    let folder = folder.to_str().context("the workspace's path is not UTF-8")?;
    let make = || command(root, "python3", &["-m", "venv", "--clear", folder]);
    if !succeeds(&mut make()) {
        setup::install(root, &["python3-venv"])?;
        run_command(&mut make())?;
    }
    let package = format!("schemathesis=={VERSION}");
    let pip = format!("{folder}/bin/pip");
    run_command(&mut command(root, &pip, &["install", "--quiet", "--disable-pip-version-check", &package]))?;
    Ok(program)
}
