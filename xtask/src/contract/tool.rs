//! Installs the tools of this step, and those of `cargo xtask deploy`, in folders of their own under `target/`, so that the machine's packages do not change.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::setup;
use crate::steps::{command, run as run_command, succeeds};

/// The tool that checks every operation. It has a separate environment, because it pins other versions than the tools
/// below.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// The packages that generate a client in Python, those that the client imports, and those that verify tokens.
const PYTHON: [&str; 9] = [
    "openapi-python-client==0.29.1",
    "ruff==0.17.6",
    "httpx==0.28.1",
    "attrs",
    "python-dateutil",
    "pyotp",
    "PyJWT[crypto]==2.15.1",
    "Authlib==1.9.10",
    "requests==2.34.2",
];

/// The packages that lint the document, compare requests and answers with it, generate types from it, and verify tokens.
const NODE: [&str; 8] = [
    "@redocly/cli@2.77.0",
    "@stoplight/spectral-cli@6.16.3",
    "@stoplight/prism-cli@5.16.0",
    "openapi-typescript@7.13.0",
    "typescript@5.9.3",
    "jose@6.2.18",
    "express@5.3.0",
    "express-oauth2-jwt-bearer@1.10.0",
];

/// The path of schemathesis.
pub(super) fn schemathesis(root: &Path) -> Result<PathBuf> {
    Ok(python_packages(root, "schemathesis", &[SCHEMATHESIS])?.join("schemathesis"))
}

/// The folder with the programs of the Python tools.
pub(super) fn python(root: &Path) -> Result<PathBuf> {
    python_packages(root, "contract-python", &PYTHON)
}

/// The folder in which the packages for Node are installed.
pub(super) fn node(root: &Path) -> Result<PathBuf> {
    let folder = root.join("target/contract-node");
    let wanted = NODE.join("\n");
    let list = folder.join("installed.txt");
    if fs::read_to_string(&list).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    if !succeeds(&mut command(root, "npm", &["--version"])) {
        setup::install(root, &["npm"])?;
    }
    fs::create_dir_all(&folder)?;
    let mut install = command(&folder, "npm", &["install", "--silent", "--no-audit", "--no-fund"]);
    run_command(install.arg("--prefix").arg(&folder).args(NODE))?;
    fs::write(list, wanted)?;
    Ok(folder)
}

/// The folder of programs of an environment with these packages. Installs the environment if it is missing or has other
/// packages.
pub(crate) fn python_packages(root: &Path, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = root.join("target").join(name);
    let programs = folder.join("bin");
    let wanted = packages.join("\n");
    let list = folder.join("installed.txt");
    if fs::read_to_string(&list).is_ok_and(|installed| installed == wanted) {
        return Ok(programs);
    }
    let path = folder.to_str().context("the workspace's path is not UTF-8")?;
    let make = || command(root, "python3", &["-m", "venv", "--clear", path]);
    if !succeeds(&mut make()) {
        setup::install(root, &["python3-venv"])?;
        run_command(&mut make())?;
    }
    let pip = programs.join("pip");
    let mut install =
        command(root, &pip.to_string_lossy(), &["install", "--quiet", "--disable-pip-version-check"]);
    run_command(install.args(packages))?;
    fs::write(list, wanted)?;
    Ok(programs)
}
