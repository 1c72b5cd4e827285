//! `cargo xtask test`: the complete verification, the same on a laptop and in CI.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, ensure};
use larder_testbed::Postgres;

use crate::contract;
use crate::packages::{self, product, proofs};
use crate::setup;
use crate::steps::{Steps, command, run as run_command};
use crate::tidy;

/// The options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run every step, also after one has failed
    #[arg(long)]
    keep_going: bool,
    /// Arguments for `cargo nextest run`, such as a part of a test's name
    #[arg(last = true, value_name = "NEXTEST ARGS")]
    nextest: Vec<String>,
}

/// The models call larder's decisions millions of times, so the proofs build larder with optimization. The other tests
/// build it without, because the optimization triples their compile time.
const PROOFS_CONFIG: &str = "profile.dev.package.larder.opt-level=1";

/// Runs all steps. The steps that fail fastest come first.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let cargo = |args: &[&str]| command(root, "cargo", args);
    // A run of only some tests cannot show that every requirement is met.
    let is_complete = options.nextest.is_empty();
    let mut steps = Steps::new(if is_complete { 15 } else { 13 }, options.keep_going);

    steps.step("set-up", || setup::run(root));
    steps.step("format", || run_command(&mut cargo(&["fmt", "--all", "--check"])));
    steps.step("house rules", || tidy::check(root));
    steps.step("lints", || {
        let product = product(&["clippy", "--all-targets"]);
        run_command(cargo(&product).args(["--", "-D", "warnings"]))
    });
    steps.step("lints of the proofs", || {
        run_command(cargo(&proofs(&["clippy", "--all-targets"])).args(["--", "-D", "warnings"]))
    });
    steps.step("what ships can break no rule", || ships_unbreakable(root));
    steps.step("lints without features", || {
        let crates = ["-p", "larder", "-p", "larder-sql"];
        run_command(cargo(&["clippy", "--no-default-features"]).args(crates).args(["--", "-D", "warnings"]))
    });

    // One server for all tests: nextest runs each test in its own process, and a server takes two seconds to start. It
    // stops when this function ends; if this process is killed, for example by Ctrl-C, the server's watchdog stops it.
    let postgres = steps.step("throw-away PostgreSQL", Postgres::start);
    let with_postgres = |args: &[&str]| {
        let mut command = cargo(args);
        if let Some(server) = &postgres {
            command.env(Postgres::SHARED, server.url().to_string());
        }
        command
    };
    let profile = |whole| if is_complete { whole } else { "default" };
    steps.step("tests", || {
        let arguments = product(&["nextest", "run", "--profile", profile("whole"), "--no-tests", "pass"]);
        let mut command = with_postgres(&arguments);
        if is_complete {
            command.args(["--test-threads", &slots().to_string()]);
        }
        run_command(command.args(&options.nextest))
    });
    if is_complete {
        steps.step("the contract, in short", || contract::short(root));
    }
    steps.step("proofs", || {
        let arguments = proofs(&["nextest", "run", "--profile", profile("proofs"), "--no-tests", "pass"]);
        run_command(with_postgres(&arguments).args(["--config", PROOFS_CONFIG]).args(&options.nextest))
    });
    steps.step("packages", || packages::check(root));
    if is_complete {
        steps.step("requirements", || tidy::requirements(root));
    }
    steps.step("examples in the docs", || run_command(&mut with_postgres(&product(&["test", "--doc"]))));
    steps.step("docs", || {
        run_command(cargo(&["doc", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-Dwarnings"))
    });
    steps.finish("xtask test")
}

/// The test slots of the profile `whole`. A test that mostly waits takes one slot, every other takes four: see
/// `.config/nextest.toml`.
fn slots() -> usize {
    4 * thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Fails if a package that is not a proof is built with larder's feature `proof`.
fn ships_unbreakable(root: &Path) -> Result<()> {
    let tree = ["tree", "--offline", "--edges", "features", "--prefix", "none", "--format", "{lib} {f}"];
    let output = command(root, "cargo", &product(&tree)).output().context("cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let breakable: BTreeSet<&str> = text.lines().filter(|line| is_breakable(line)).collect();
    ensure!(
        breakable.is_empty(),
        "built with the feature `proof`, which no package that ships may have: {breakable:?}"
    );
    Ok(())
}

/// Whether a line of `cargo tree --format "{lib} {f}"` shows a package of ours with the feature `proof`.
fn is_breakable(line: &str) -> bool {
    let (library, features) = line.split_once(' ').unwrap_or((line, ""));
    library.starts_with("larder") && features.split([',', ' ']).any(|feature| feature == "proof")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_of_ours_with_proof_is_breakable() {
        assert!(is_breakable("larder default,proof,redis"));
        assert!(is_breakable("larder_sql proof (*)"));
        assert!(!is_breakable("larder default,redis"));
        assert!(!is_breakable("other proof"));
        assert!(!is_breakable("larder_sql "));
    }
}
