//! Checks that the machine has the programs for the verification. Installs the missing ones if it may; otherwise prints
//! the command that installs them.

use std::path::Path;

use anyhow::{Result, bail};
use larder_testbed::{Program, find};

use crate::steps::{command, run as run_command, succeeds};

/// The programs that tests start.
const PROGRAMS: [Program; 13] = [
    Program::RedisServer,
    Program::Initdb,
    Program::Postgres,
    Program::Psql,
    Program::PgBasebackup,
    Program::PgBouncer,
    Program::Sqlite3,
    Program::Aiosmtpd,
    Program::Openssl,
    Program::Nginx,
    Program::Prometheus,
    Program::Promtool,
    Program::Chromium,
];

/// `$@` are the packages. Debian would start their services after the installation; exit code 101 of policy-rc.d
/// prevents that. The script ignores a failed update, because the installation may still succeed.
const INSTALL: &str = r#"
set -eu
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
fi
apt-get -o DPkg::Lock::Timeout=120 -q update || true
apt-get -o DPkg::Lock::Timeout=120 -q install -y --no-install-recommends "$@"
"#;

/// Installs the missing components of the toolchain, nextest and programs.
pub(crate) fn run(root: &Path) -> Result<()> {
    components(root)?;
    nextest(root)?;
    packages(root)
}

fn components(root: &Path) -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !succeeds(&mut command(root, "cargo", &[subcommand, "--version"])) {
            println!("  the component {component} is missing, adding it");
            run_command(&mut command(root, "rustup", &["component", "add", component]))?;
        }
    }
    Ok(())
}

fn nextest(root: &Path) -> Result<()> {
    if !succeeds(&mut command(root, "cargo", &["nextest", "--version"])) {
        println!("  cargo-nextest is missing, building it: this takes minutes, once");
        run_command(&mut command(root, "cargo", &["install", "cargo-nextest", "--locked"]))?;
    }
    Ok(())
}

/// Installs the missing programs.
pub(crate) fn packages(root: &Path) -> Result<()> {
    let missing = missing_packages(|program| find(program).is_ok());
    if missing.is_empty() {
        return Ok(());
    }
    install(root, &missing)?;
    match missing_packages(|program| find(program).is_ok()).as_slice() {
        [] => Ok(()),
        still => bail!("installed, but still not found: {}", still.join(", ")),
    }
}

/// Installs Debian packages, or fails with the command to install them.
pub(crate) fn install(root: &Path, missing: &[&str]) -> Result<()> {
    println!("  missing: {}", missing.join(", "));
    let Some(prefix) = privilege(root) else {
        bail!("install what is missing, then run this again: {}", advice(missing));
    };
    let words: Vec<_> = prefix
        .iter()
        .copied()
        .chain(["sh", "-c", INSTALL, "install"])
        .chain(missing.iter().copied())
        .collect();
    println!("  installing {} with apt-get", missing.join(", "));
    if !command(root, words[0], &words[1..]).status()?.success() {
        bail!("apt-get could not install what is missing; by hand: {}", advice(missing));
    }
    Ok(())
}

/// The Debian packages of the missing programs, each once.
fn missing_packages(is_there: impl Fn(Program) -> bool) -> Vec<&'static str> {
    let mut missing: Vec<_> =
        PROGRAMS.into_iter().filter(|&program| !is_there(program)).map(Program::package).collect();
    missing.dedup();
    missing
}

/// The prefix that runs a command as root: empty for root, `sudo -n` if sudo asks for no password, else
/// `None`.
fn privilege(root: &Path) -> Option<&'static [&'static str]> {
    if !succeeds(&mut command(root, "apt-get", &["--version"])) {
        return None;
    }
    if succeeds(&mut command(root, "sh", &["-c", "test \"$(id -u)\" -eq 0"])) {
        return Some(&[]);
    }
    succeeds(&mut command(root, "sudo", &["-n", "true"])).then_some(&["sudo", "-n"])
}

fn advice(packages: &[&str]) -> String {
    format!("sudo apt-get install -y {}", packages.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed_and_once() {
        assert_eq!(missing_packages(|_| true), [""; 0]);
        let all = [
            "redis-server",
            "postgresql",
            "pgbouncer",
            "sqlite3",
            "python3-aiosmtpd",
            "openssl",
            "nginx-light",
            "prometheus",
            "chromium",
        ];
        assert_eq!(missing_packages(|_| false), all);
        assert_eq!(missing_packages(|program| program != Program::Psql), ["postgresql"]);
    }

    #[test]
    fn the_advice_is_a_command() {
        assert_eq!(
            advice(&["redis-server", "postgresql"]),
            "sudo apt-get install -y redis-server postgresql"
        );
    }
}
