//! The command line: `larder serve` and the commands around it, and those that ask a running instance.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks to its terminal")]

/// Prints a line on standard output. Where `println!` would panic, it returns an error.
macro_rules! say {
    ($($what:tt)*) => {
        $crate::cli::print(format_args!($($what)*))
    };
}

mod advise;
mod checkup;
mod clear;
mod database;
mod demo;
mod doctor;
mod explain;
mod health;
mod history;
mod instance;
mod keys;
mod logging;
mod migrate;
mod pages;
mod reloading;
mod schema;
mod serve;
mod settings;
mod stats;
mod top;
mod users;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use clap::{CommandFactory as _, Parser, Subcommand};

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
    ///
    /// SIGHUP reads the file again, if there is one: times to live, LARDER_CLASSES_OFF and LARDER_LOG_LEVELS change at
    /// once, and the log names what needs a restart. Without a file SIGHUP stops the service.
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
    /// Examine whether the journal is complete, and mend it; or examine a running instance.
    ///
    /// Every instance receives every change from the journal. This names each defect that keeps the journal from being
    /// complete (a trigger that is off or was changed, row-level security on the outbox, a swapped table, …), with the
    /// SQL that mends it. It connects to DATABASE_DIRECT_URL, else to DATABASE_URL, and changes nothing without --mend.
    ///
    /// With --instance, or with --url, it examines a running instance over HTTP: whether it is ready, Redis, the journal and its
    /// triggers, staleness, an entry's round trip, classes that are off or rarely hit, clocks. It needs the API key of an
    /// admin with the scope `read`.
    ///
    /// Exit codes: 0, the journal is complete, or no check of the instance failed (warnings are no failures); 1, it is not, or
    /// cannot be examined, or a check failed; 2, the arguments are wrong.
    #[command(
        after_help = "Examples:\n  larder doctor --mend\n  larder doctor --instance\n  larder doctor --url https://larder.example --key-file key --json | jq -r .verdict"
    )]
    Doctor(doctor::Arguments),
    /// Ask whether the instance at LARDER_LISTEN answers.
    ///
    /// For the health checks of containers. It asks /livez on this machine, and waits for 3 seconds at most. Of the
    /// settings it reads LARDER_LISTEN and LARDER_BASE_PATH alone: a mistake in another one does not concern a running
    /// instance. If one of the two has changed since the instance started, --url names the address of before.
    ///
    /// Exit codes: 0, the answer is 200; 1, it is another one, or there is none; 2, the arguments are wrong.
    Health(health::Arguments),
    /// Rotate the keys that sign access tokens.
    Keys(keys::Arguments),
    /// List, find, create and change users of a running instance; import and export files of users.
    ///
    /// `import` and `export` work on the database of the settings; the others ask an instance, and need the API key of an
    /// admin with the scope `read`, and `write` if they change something.
    Users(users::Arguments),
    /// Show what the cache of a running instance has counted since its start, by class.
    ///
    /// Exit codes: 0, the figures are printed; 1, the instance refuses or does not answer, or there is no such class; 2, the
    /// arguments are wrong.
    #[command(
        after_help = "Examples:\n  larder stats\n  larder stats --class user_details --class user_list\n  larder stats --json | jq .application.hit_rate_percent"
    )]
    Stats(stats::Arguments),
    /// Say what a running instance could do better, and what its cache has changed by itself.
    ///
    /// It needs LARDER_TUNING=advise on the instance, or apply, and some hundred thousand reads.
    ///
    /// Exit codes: 0, the advice is printed, or the change is undone; 1, tuning is off, the instance refuses or does not answer,
    /// or there is no such change; 2, the arguments are wrong.
    #[command(
        after_help = "Examples:\n  larder advise\n  larder advise --undo 412001\n  larder advise --json | jq -r .advice[].text"
    )]
    Advise(advise::Arguments),
    /// Watch the cache of a running instance: rates by class, Redis, staleness.
    ///
    /// Keys: q, Esc and Ctrl-C end it; r, h, l, t, i and n sort by reads, hit ratio, loads, load time, invalidations and name.
    /// If the instance goes away, it says so and tries again at each interval. Behind a load balancer, give the address
    /// of one instance: each has counts of its own.
    ///
    /// Exit codes: 0, it was ended, or the frame is printed; 1, the instance refuses or does not answer the first request; 2,
    /// the arguments are wrong, or there is no terminal.
    #[command(
        after_help = "Examples:\n  larder top --url http://10.0.0.7:8080\n  larder top --once --interval 10\n  larder top --once --json | jq .total"
    )]
    Top(top::Arguments),
    /// Say what memory and Redis hold under a key, and how a read of it would be answered.
    ///
    /// A key is CLASS:PART:PART, as `GET /api/v1/cache/keys` lists it; `~` is a missing part. If a part has a colon, give
    /// the class and the parts as arguments of their own.
    ///
    /// Exit codes: 0, the key is explained, also if no tier holds it; 1, the instance refuses or does not answer; 2, the arguments
    /// are wrong.
    #[command(
        after_help = "Examples:\n  larder explain user_details:01890a5d-ac96-774b-bcce-b302099a8057\n  larder explain user_external 'auth0|5f7c:1'\n  larder explain user_external:staff-8 --json | jq -r .served_from"
    )]
    Explain(explain::Arguments),
    /// Drop entries on every instance: of one user, one class, a pattern, or all.
    ///
    /// Exit codes: 0, they are dropped; 1, the instance refuses or does not answer; 2, the arguments are wrong.
    #[command(
        after_help = "Examples:\n  larder clear --user staff-8\n  larder clear --class user_list\n  larder clear --pattern 'user_email:*@example.com'\n  larder clear --all"
    )]
    Clear(clear::Clear),
    /// Load the entries that most clients read first.
    ///
    /// Exit codes: 0, they are loaded; 1, the instance refuses or does not answer; 2, the arguments are wrong.
    #[command(after_help = "Example:\n  larder clear --all && larder warm")]
    Warm(clear::Warm),
    /// Switch a class on or off, on the instance that is asked.
    ///
    /// Exit codes: 0, it is switched; 1, the instance refuses or does not answer; 2, the arguments are wrong.
    #[command(after_help = "Example:\n  larder switch user_list off")]
    Switch(clear::Switch),
    /// Print the JSON Schema of what a command prints with --json.
    #[command(after_help = "Example:\n  larder schema doctor > doctor.schema.json")]
    Schema(schema::Arguments),
    /// Print the completions of a shell.
    #[command(
        after_help = "Examples:\n  larder completions bash > /etc/bash_completion.d/larder\n  larder completions zsh > \"${fpath[1]}/_larder\"\n  larder completions fish > ~/.config/fish/completions/larder.fish"
    )]
    Completions(pages::Completions),
    /// Write the manual pages, one for each command, into a folder.
    #[command(after_help = "Example:\n  larder man /usr/local/share/man/man1")]
    Man(pages::Man),
    /// Show every setting with its effective value and its source, secrets hidden.
    Config,
    /// Measure what the cache gains: the same load on ten thousand users without and with it, in a table.
    Demo(demo::Arguments),
}

/// The arguments or the environment do not say what a command needs: exit code 2, as for arguments that cannot be parsed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// The commands with their arguments, as completions and manual pages describe them.
fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the command that the arguments name. The exit code is 0 if the command succeeded, 1 if it failed or found a
/// failure, and 2 if its arguments are wrong.
pub fn main() -> ExitCode {
    let Arguments { command, config } = Arguments::parse();
    let config = config.as_deref();
    let read = || settings::read(config);
    let ran = match command {
        Command::Serve(arguments) => {
            let file = settings::file(config);
            read().and_then(|settings| run(serve::run(arguments, settings, file)))
        }
        Command::Migrate(arguments) => read().and_then(|settings| run(migrate::run(arguments, settings))),
        Command::Doctor(arguments) if arguments.is_about_instance() => {
            run(arguments.examine_instance(config))
        }
        Command::Doctor(arguments) => read().and_then(|settings| run(doctor::run(arguments, settings))),
        Command::Health(arguments) => run(health::run(arguments, config)),
        Command::Keys(arguments) => read().and_then(|settings| run(keys::run(arguments, settings))),
        Command::Users(arguments) => arguments.run(config),
        Command::Stats(arguments) => run(stats::run(arguments, config)),
        Command::Advise(arguments) => run(advise::run(arguments, config)),
        Command::Top(arguments) => run(top::run(arguments, config)),
        Command::Explain(arguments) => run(explain::run(arguments, config)),
        Command::Clear(clear) => run(clear.run(config)),
        Command::Warm(warm) => run(warm.run(config)),
        Command::Switch(switch) => run(switch.run(config)),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
        Command::Config => read().and_then(|settings| settings::show(&settings)),
        Command::Demo(arguments) => {
            logging::begin(true, LogFormat::Text, None);
            run(demo::run(arguments))
        }
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, the exit code alone reports the failure.
            let _ = writeln!(std::io::stderr(), "larder: {error:#}");
            if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
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
