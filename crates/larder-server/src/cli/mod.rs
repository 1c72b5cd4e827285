//! The command line: `larder serve`, `larder migrate`, `larder config` and `larder demo`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks to its terminal")]

mod demo;
mod migrate;
mod serve;
mod settings;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// User management served at the speed of memory, and never stale.
#[derive(Parser)]
#[command(name = "larder", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Read settings from this file of TOML; the environment wins over it [default: LARDER_CONFIG, else none]
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API.
    Serve(serve::Arguments),
    /// Bring the database's schema up to date, and end.
    Migrate(migrate::Arguments),
    /// Show every setting as it comes out, where it came from, and no secret.
    Config,
    /// Show what the cache is worth: ten thousand users, a load with and without it, a table.
    Demo(demo::Arguments),
}

/// Runs the command that the arguments name. The exit code is 0 when it did what it was asked.
pub fn main() -> ExitCode {
    let Arguments { command, config } = Arguments::parse();
    let quiet = matches!(command, Command::Demo(_));
    // Each invalidation is told, with its cause and what it dropped.
    let default = if quiet { "warn" } else { "info,sqlx=warn,larder::engine::invalidate=debug" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let ran = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Into::into).and_then(
        |runtime| match command {
            Command::Serve(arguments) => settings::read(config.as_deref())
                .and_then(|settings| runtime.block_on(serve::run(arguments, settings))),
            Command::Migrate(arguments) => settings::read(config.as_deref())
                .and_then(|settings| runtime.block_on(migrate::run(arguments, settings))),
            Command::Config => settings::read(config.as_deref()).map(|settings| settings::show(&settings)),
            Command::Demo(arguments) => runtime.block_on(demo::run(arguments)),
        },
    );
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("larder: {error:#}");
            ExitCode::FAILURE
        }
    }
}
