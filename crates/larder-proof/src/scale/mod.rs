//! Whether lists, searches and figures stay as fast while users grow: every request against the real service over HTTP, with
//! its cache switched off, on ever larger databases.

mod client;
mod people;
mod requests;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use hdrhistogram::Histogram;
use larder_server::app;
use larder_server::settings::Settings;
use larder_testbed::{Database, Postgres, Sqlite};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::cost::progress;
use crate::scale::client::Client;
use crate::scale::people::Server;

/// Measure how long each request takes on databases of different sizes, over HTTP, with the cache switched off. Exits 0 when
/// no p99 on the largest is 3 times that on the smallest or more.
#[derive(Parser)]
#[command(name = "cargo xtask scale", bin_name = "cargo xtask scale")]
struct Options {
    /// How many users PostgreSQL has, smallest first
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    users: Vec<u64>,
    /// How many users SQLite has, smallest first; 0 for none
    #[arg(long, value_delimiter = ',', default_value = "10000,100000")]
    sqlite: Vec<u64>,
    /// How often each request is sent in a round; of five rounds' p99 the median counts
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(20..=10000))]
    samples: u16,
}

const ROUNDS: usize = 5;
const MOST_GROWTH: f64 = 3.0;
const EMAIL: &str = "admin@scale.example";
const PASSWORD: &str = "a password for one run";

/// Of one request on one database, in milliseconds; `None` where the service has no such route.
type Measured = Option<(f64, f64)>;

/// Runs it.
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to its terminal")]
pub fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.context("starting tokio").and_then(|runtime| runtime.block_on(measure(&options))) {
        Ok((tables, is_flat)) => {
            println!("{tables}");
            if is_flat { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: &Options) -> Result<(String, bool)> {
    // As a server in production has it, but for fsync: nothing here waits for the disk.
    let postgres = Postgres::start_with(&["fsync=off", "shared_buffers=512MB", "max_wal_size=4GB"])?;
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
        let mut columns = Vec::new();
        for users in &sizes {
            columns.push(measure_one(name, &fresh()?, *users, options.samples).await?);
        }
        let (table, kept) = table(name, &sizes, &columns);
        tables += &table;
        is_flat &= kept;
    }
    Ok((tables, is_flat))
}

/// Fills a database, starts the service on it, and sends every request.
async fn measure_one(
    name: &str,
    server: &Server,
    users: u64,
    samples: u16,
) -> Result<Vec<(&'static str, Measured)>> {
    let settings = Settings::read(|name| match name {
        "DATABASE_URL" => Some(server.url()),
        "LARDER_ADMIN_EMAIL" => Some(EMAIL.to_owned()),
        "LARDER_ADMIN_PASSWORD" => Some(PASSWORD.to_owned()),
        _ => None,
    })?;
    let (service, _) = app::open(&settings).await?;
    server.fill(users)?;
    progress(&format!("{name}: {users} users are there"));
    service.users().cache().set_enabled(false);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address: SocketAddr = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(app::serve(listener, service.clone(), async move { drop(stopped.await) }));
    let mut client = Client::login(address, EMAIL, PASSWORD).await?;
    let mut measured = Vec::new();
    for request in requests::all(service.store(), server, users).await? {
        let times = times(&mut client, &request.paths, samples).await?;
        let shown = times
            .map_or("no such route".to_owned(), |(p50, p99)| format!("p50 {p50:.2} ms, p99 {p99:.2} ms"));
        progress(&format!("{:32} {shown}", request.name));
        measured.push((request.name, times));
    }
    drop((client, stop));
    serving.await??;
    Ok(measured)
}

async fn times(client: &mut Client, paths: &[String], samples: u16) -> Result<Measured> {
    let (mut p50s, mut p99s) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
        for (_, path) in (0..samples).zip(paths.iter().cycle()) {
            let answer = client.get(path).await?;
            if answer.status == 404 {
                return Ok(None);
            }
            ensure!(
                answer.status == 200 && !answer.body.is_empty(),
                "{path} was answered with {}",
                answer.status
            );
            histogram.saturating_record(answer.took.as_micros() as u64);
        }
        // The first is to warm up.
        if round > 0 {
            p50s.push(histogram.value_at_quantile(0.50) as f64 / 1000.0);
            p99s.push(histogram.value_at_quantile(0.99) as f64 / 1000.0);
        }
    }
    Ok(Some((median(p50s), median(p99s))))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The table of one database in Markdown, and whether nothing grows too much in it.
fn table(name: &str, sizes: &[u64], columns: &[Vec<(&'static str, Measured)>]) -> (String, bool) {
    let mut table = format!("| {name}, p50 / p99 in ms |");
    // Writing to a String cannot fail.
    for users in sizes {
        let _ = write!(table, " {users} users |");
    }
    let _ = write!(table, " growth of p99 |\n|---|{}---|\n", "---|".repeat(sizes.len()));
    let mut is_flat = true;
    for (row, (name, first)) in columns[0].iter().enumerate() {
        let _ = write!(table, "| {name} |");
        for column in columns {
            let _ = match column[row].1 {
                Some((p50, p99)) => write!(table, " {p50:.2} / {p99:.2} |"),
                None => write!(table, " – |"),
            };
        }
        let _ = match (first, columns[columns.len() - 1][row].1) {
            (Some((_, smallest)), Some((_, largest))) => {
                let growth = largest / smallest;
                let is_kept = growth < MOST_GROWTH;
                is_flat &= is_kept;
                writeln!(table, " {growth:.2}{} |", if is_kept { "" } else { " TOO MUCH" })
            }
            _ => writeln!(table, " no such route |"),
        };
    }
    table.push('\n');
    (table, is_flat)
}
