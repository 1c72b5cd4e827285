//! `cargo xtask bench`: the cost of the journal, and larder's figures compared with those of other systems' documents.

use std::env;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{cost, figures, http, terminal};

/// Measure larder: the cost of its journal, and its figures compared with those of three older systems. Exits 0 only if
/// all figures are within their limits.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", flatten_help = true)]
struct Cli {
    /// What to measure [default: one after the other]
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    Journal(cost::Options),
    Figures(figures::Options),
    Http(http::Options),
    #[command(hide = true)]
    Bare(http::bare::Options),
}

/// Runs the program. With `serve` as its argument it is `larder serve`, so that `http` needs no other program.
pub fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some("serve") {
        return larder_server::cli::main();
    }
    let parts = match Cli::parse().part {
        Some(part) => vec![part],
        None => ["journal", "figures", "http"]
            .into_iter()
            .filter_map(|name| Cli::parse_from(["", name]).part)
            .collect(),
    };
    let mut is_kept = true;
    for part in parts {
        is_kept &= match part {
            Part::Journal(options) => terminal::run(cost::measure(&options)),
            Part::Figures(options) => terminal::run(figures::measure(&options)),
            Part::Http(options) => terminal::run_after(http::leave_first_core, http::measure(&options)),
            Part::Bare(options) => terminal::run(http::bare::serve(&options)),
        };
    }
    if is_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
