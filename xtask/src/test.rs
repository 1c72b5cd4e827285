//! `cargo xtask test`: the complete verification, the same on a laptop and in CI.

use std::path::Path;

use anyhow::Result;
use larder_testbed::Postgres;

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

/// Runs all steps. Steps that fail fast come first.
pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let cargo = |args: &[&str]| command(root, "cargo", args);
    // If only some tests run, the requirements cannot be checked.
    let is_complete = options.nextest.is_empty();
    let mut steps = Steps::new(if is_complete { 10 } else { 9 }, options.keep_going);

    steps.step("set-up", || setup::run(root));
    steps.step("format", || run_command(&mut cargo(&["fmt", "--all", "--check"])));
    steps.step("house rules", || tidy::check(root));
    steps.step("lints", || {
        run_command(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    });
    steps.step("lints of the engine alone", || {
        run_command(&mut cargo(&["clippy", "-p", "larder", "--no-default-features", "--", "-D", "warnings"]))
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
    steps.step("tests", || {
        let profile = if is_complete { "whole" } else { "default" };
        run_command(
            with_postgres(&["nextest", "run", "--workspace", "--profile", profile]).args(&options.nextest),
        )
    });
    if is_complete {
        steps.step("requirements", || tidy::requirements(root));
    }
    steps.step("examples in the docs", || run_command(&mut with_postgres(&["test", "--doc", "--workspace"])));
    steps.step("docs", || {
        run_command(cargo(&["doc", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-Dwarnings"))
    });
    steps.finish("xtask test")
}
