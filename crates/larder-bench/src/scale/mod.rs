//! Measures whether lists, searches and figures stay fast as the number of users grows: every request over HTTP to the
//! real service, with its cache switched off, on databases of increasing size.

mod requests;
mod size;

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use larder_testbed::{Database, Sqlite};

use crate::quantiles::Quantiles;
use crate::scale::size::Size;
use crate::site::{self, people::Server};
use crate::terminal::{self, load_average, progress};

/// Measure how long each request takes on databases of different sizes, over HTTP, with the cache switched off. Exits 0
/// when no p50 or p99 on the largest is 3 times that on the smallest or more.
#[derive(Parser)]
#[command(name = "cargo xtask scale", bin_name = "cargo xtask scale")]
struct Options {
    /// How many users PostgreSQL has, smallest first
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    users: Vec<u64>,
    /// How many users SQLite has, smallest first; 0 for none
    #[arg(long, value_delimiter = ',', default_value = "10000,100000")]
    sqlite: Vec<u64>,
    /// How often each request is sent in a round
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(20..=10000))]
    samples: u16,
    /// How many rounds; the median of their p99 counts
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u8).range(1..=99))]
    rounds: u8,
}

const MOST_GROWTH: f64 = 3.0;

/// One request: its name, and how long it takes on each size.
type Row = (&'static str, Vec<Quantiles>);

/// Runs the program.
pub fn main() -> ExitCode {
    let options = Options::parse();
    if terminal::run(measure(&options)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure(options: &Options) -> Result<(String, bool)> {
    let postgres = site::postgres()?;
    let url = postgres.url();
    let on_postgres = || Ok(Server::Postgres(Database::fresh(&url)?));
    let on_sqlite = || Ok(Server::Sqlite(Sqlite::fresh()?));
    let mut tables = String::new();
    let mut is_flat = true;
    for (name, sizes, fresh) in [
        ("PostgreSQL", &options.users, &on_postgres as &dyn Fn() -> Result<Server>),
        ("SQLite", &options.sqlite, &on_sqlite),
    ] {
        let sizes: Vec<_> = sizes.iter().copied().filter(|users| *users > 0).collect();
        if sizes.is_empty() {
            continue;
        }
        let mut opened = Vec::new();
        for users in &sizes {
            opened.push(Size::open(fresh()?, *users).await?);
            progress(&format!("{name}: {users} users are there"));
        }
        for size in &mut opened {
            size.serve().await?;
        }
        let before = load_average();
        let rows = measure_all(&mut opened, options).await?;
        for size in opened {
            size.close().await?;
        }
        let (table, kept) = table(name, &sizes, &rows);
        tables += &format!("{table}Load average from {before} to {}.\n\n", load_average());
        is_flat &= kept;
    }
    Ok((tables, is_flat))
}

/// Measures every request on every size. The sizes alternate within each round, so that other load on the machine
/// affects all of them.
async fn measure_all(sizes: &mut [Size], options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for number in 0..sizes[0].requests.len() {
        let mut rounds = vec![Vec::new(); sizes.len()];
        for round in 0..=options.rounds {
            for (size, rounds) in sizes.iter_mut().zip(&mut rounds) {
                let quantiles = size.round(number, options.samples).await?;
                // The first round is for warming up.
                if round > 0 {
                    rounds.push(quantiles);
                }
            }
        }
        let measured: Vec<_> = rounds.iter().map(|rounds| Quantiles::median(rounds)).collect();
        let name = sizes[0].requests[number].name;
        let shown: Vec<_> = measured.iter().map(Quantiles::to_string).collect();
        progress(&format!("{name:32} {} (load average {})", shown.join(" | "), load_average()));
        rows.push((name, measured));
    }
    Ok(rows)
}

/// The Markdown table of one database, and whether no figure in it grows too much.
fn table(name: &str, sizes: &[u64], rows: &[Row]) -> (String, bool) {
    let mut table = format!("| {name}, p50 / p99 in ms |");
    // Ignore the results: writing to a String cannot fail.
    for users in sizes {
        let _ = write!(table, " {users} users |");
    }
    let _ = write!(table, " growth of p50 | growth of p99 |\n|---|{}---|---|\n", "---|".repeat(sizes.len()));
    let mut is_flat = true;
    for (name, measured) in rows {
        let _ = write!(table, "| {name} |");
        for quantiles in measured {
            let _ = write!(table, " {quantiles} |");
        }
        let (smallest, largest) = (measured[0], measured[measured.len() - 1]);
        // Other load on the machine raises the p99 of every size, so the ratio of the p99s hides growth. Such load
        // hardly raises the p50, so this loop checks both ratios.
        for growth in [largest.p50 / smallest.p50, largest.p99 / smallest.p99] {
            let is_kept = growth < MOST_GROWTH;
            is_flat &= is_kept;
            let _ = write!(table, " {growth:.2}{} |", if is_kept { "" } else { " TOO MUCH" });
        }
        table.push('\n');
    }
    table.push('\n');
    (table, is_flat)
}
