//! The command line: `larder serve`, `larder migrate`, `larder doctor`, `larder health`, `larder keys`,
//! `larder users`, `larder config` and `larder demo`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks to its terminal")]

/// Prints a line on standard output. Where `println!` would panic, it returns an error.
macro_rules! say {
    ($($what:tt)*) => {
        $crate::cli::print(format_args!($($what)*))
    };
}

mod demo;
mod doctor;
mod health;
mod keys;
mod logging;
mod migrate;
mod serve;
mod settings;
mod users;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use clap::{Parser, Subcommand};

use crate::settings::LogFormat;

/// User management with a hybrid cache: a read is never more than two seconds behind the database.
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
    ///
    /// Settings come from the environment and from a file: LARDER_LISTEN (127.0.0.1:8080), DATABASE_URL
    /// (sqlite://data/larder.db), REDIS_URL (none), LARDER_ADMIN_EMAIL and LARDER_ADMIN_PASSWORD (the superadmin
    /// that an empty database gets; without a password a random one is printed once), and more: `larder config`
    /// shows them all. An empty value counts as unset.
    ///
    /// It listens at once. Until the database can be reached, /livez answers 200, /readyz answers 503 with the reason,
    /// and everything else answers 503.
    Serve(serve::Arguments),
    /// Bring the database's schema up to date, and end.
    ///
    /// If the service's role has no right to create tables, run this before the service, with a role that has it. It
    /// connects to DATABASE_DIRECT_URL, else to DATABASE_URL, and applies the pending migrations. Any number of these may
    /// run at once. The last line says what was done, and at which version the schema is.
    ///
    /// Exit codes: 0, the schema is up to date, or newer and compatible; 1, it is not, and the last line of stderr says
    /// why; 2, the arguments are wrong.
    Migrate(migrate::Arguments),
    /// Examine whether the journal is complete, and mend it.
    ///
    /// Every instance receives every change from the journal. This names each defect that keeps the journal from being
    /// complete (a trigger that is off or was changed, row-level security on the outbox, a swapped table, …), with the
    /// SQL that mends it. It connects to DATABASE_DIRECT_URL, else to DATABASE_URL, and changes nothing without --mend.
    ///
    /// Exit codes: 0, the journal is complete; 1, it is not, or cannot be examined; 2, the arguments are wrong.
    Doctor(doctor::Arguments),
    /// Ask whether the instance at LARDER_LISTEN answers.
    ///
    /// For the health checks of containers. It asks /livez on this machine, and waits for 3 seconds at most.
    ///
    /// Exit codes: 0, the answer is 200; 1, it is another one, or there is none; 2, the arguments are wrong.
    Health(health::Arguments),
    /// Rotate the keys that sign access tokens.
    Keys(keys::Arguments),
    /// Import users from a file, or export them, on the database of the settings.
    Users(users::Arguments),
    /// Show every setting with its effective value and its source, secrets hidden.
    Config,
    /// Measure what the cache gains: the same load on ten thousand users without and with it, in a table.
    Demo(demo::Arguments),
}

/// Runs the command that the arguments name. The exit code is 0 if the command succeeded.
pub fn main() -> ExitCode {
    let Arguments { command, config } = Arguments::parse();
    let read = || settings::read(config.as_deref());
    let ran = match command {
        Command::Serve(arguments) => read().and_then(|settings| run(serve::run(arguments, settings))),
        Command::Migrate(arguments) => read().and_then(|settings| run(migrate::run(arguments, settings))),
        Command::Doctor(arguments) => read().and_then(|settings| run(doctor::run(arguments, settings))),
        Command::Health(arguments) => read().and_then(|settings| run(health::run(arguments, settings))),
        Command::Keys(arguments) => read().and_then(|settings| run(keys::run(arguments, settings))),
        Command::Users(arguments) => read().and_then(|settings| run(users::run(arguments, settings))),
        Command::Config => read().and_then(|settings| settings::show(&settings)),
        Command::Demo(arguments) => {
            logging::begin(true, LogFormat::Text);
            run(demo::run(arguments))
        }
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, the exit code alone reports the failure.
            let _ = writeln!(std::io::stderr(), "larder: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command to its end.
fn run(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}

/// Prints a line on standard output.
///
/// # Errors
/// The line cannot be written. A broken pipe is no error: in `larder config | head -1` the reader ends after one line.
fn print(line: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("standard output cannot be written")
        }
        _ => Ok(()),
    }
}
