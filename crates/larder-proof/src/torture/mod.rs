//! Torture: real servers, several instances as processes, nemeses that break both, and a judge of the recorded history.

mod child;
pub mod deployment;
mod evaluation;
mod instance;
mod keys;
pub mod mutant;
pub mod nemesis;
mod observers;
pub mod options;
pub mod report;
mod run;
mod schema;
mod servers;
pub mod setup;
mod stage;
mod struck_cluster;

pub use run::run;

use std::process::ExitCode;

use clap::Parser;

use crate::torture::instance::Settings;
use crate::torture::options::Options;

/// Tortures larder: several instances on real servers, readers and writers, faults of every kind, and a judge.
///
/// Every read is recorded with its instants, every write with its commit and its acknowledgement. At the end, after a
/// quiet time, the judge computes how old each answer was. Exits 0 if every promise was kept and every branch of the
/// read path was taken. With `--mutant`, exits 0 if violations were found, which means that the mutant was
/// caught.
#[derive(Parser)]
#[command(name = "larder-torture", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(clap::Subcommand)]
enum Role {
    /// One of the instances
    #[command(hide = true)]
    Instance(Settings),
}

/// The program `larder-torture`.
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.role {
        Some(Role::Instance(settings)) => instance::run(settings).map(|()| true),
        None => std::env::current_exe()
            .map_err(anyhow::Error::from)
            .and_then(|program| run(&cli.options, &program))
            .map(|report| {
                println!("\n{report}");
                report.is_success()
            }),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("larder-torture: {error:#}");
            ExitCode::FAILURE
        }
    }
}
