//! `cargo xtask`: all commands for developers and CI. They also work on a fresh clone.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

mod contract;
mod deploy;
mod deployments;
mod packages;
mod proof;
mod setup;
mod steps;
mod test;
mod tidy;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// All commands for developers and CI. Exits 0 only if everything passed.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing, then check format, lints, house rules, tests and docs
    Test(test::Options),
    /// Check the house rules that neither the compiler nor clippy checks
    Tidy,
    /// Torture the cache with real servers, several instances and faults of every kind; see `--help`. `--deployment` plain,
    /// tls, unix, sentinel, cluster, valkey, redis-8, rest, none or all: after the engine's tests on that Redis, with a table at the end
    Torture(proof::Options),
    /// Measure what the journal costs, and larder's figures beside those of other systems; see `--help`. `hit` and
    /// `redis` compare a read with the least that it could take, `http` the service with bare axum, `hit-ratio` compares the hit ratio with that of other
    /// caches, `hit-cost` measures what events cost a hit, `redis-cluster` what one, two and three masters carry
    Bench(proof::Options),
    /// Measure whether lists, searches and figures stay as fast while users grow; see `--help`
    Scale(proof::Options),
    /// Check a running service and the OpenAPI document that it serves with tools that others wrote
    Contract(contract::Options),
    /// Lint the files of deploy/ with the linters of their formats
    Deploy,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = root().and_then(|root| match cli.command {
        Command::Test(options) => test::run(&root, &options),
        Command::Tidy => tidy::run(&root),
        Command::Torture(options) => match deployments::chosen(options.arguments()) {
            Some((name, arguments)) => deployments::run(&root, &name, &arguments),
            None => proof::run(&root, "larder-proof", "larder-torture", &options),
        },
        Command::Bench(options) if ["hit", "redis"].iter().any(|part| options.begins_with(part)) => {
            proof::run(&root, "larder-hits", "larder-hits", &options)
        }
        Command::Bench(options) => proof::run(&root, "larder-bench", "larder-bench", &options),
        Command::Scale(options) => proof::run(&root, "larder-bench", "larder-scale", &options),
        Command::Contract(options) => contract::run(&root, &options),
        Command::Deploy => deploy::run(&root),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder. It is read at run time, because several clones may share one target folder.
fn root() -> Result<PathBuf> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").context("run this through cargo: cargo xtask …")?;
    Ok(PathBuf::from(manifest).parent().context("xtask is a folder of the workspace")?.to_owned())
}
