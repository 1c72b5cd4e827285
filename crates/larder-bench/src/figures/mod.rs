//! larder's figures compared with those of three older systems' documents: times of single requests, and a mixed load.

mod call;
mod crowd;
mod load;
mod mix;
mod operations;
mod report;
mod stage;
mod verdict;

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::figures::report::{LOAD_COLUMNS, TIME_COLUMNS, table};
use crate::figures::stage::Stage;
use crate::terminal::{load_average, progress};

/// larder's figures compared with those of older systems' documents: each request over HTTP without the cache, from
/// Redis and from memory; then a mixed load without the cache and with it. Exits 0 if larder beats every figure of the
/// documents.
#[derive(Args)]
pub(crate) struct Options {
    /// How many users PostgreSQL has, from 200 to 1000000
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(200..=1_000_000))]
    users: u64,
    /// The distance of PostgreSQL from the service, each way, in milliseconds from 0 (the loopback) to 100, such as 0.5
    #[arg(long, default_value_t = 1.0, value_parser = distance_ms)]
    distance_ms: f64,
    /// How many rounds; the medians of their p50 and p99 count
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=99))]
    rounds: u8,
    /// How often each request is sent in a round
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(20..=10000))]
    samples: u16,
    /// How long the mixed load runs, without the cache and then with it
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

fn distance_ms(raw: &str) -> Result<f64, String> {
    match raw.parse() {
        Ok(milliseconds @ 0.0..=100.0) => Ok(milliseconds),
        _ => Err("must be a number from 0 to 100".to_owned()),
    }
}

/// Runs the measurement. Returns both tables as one text, and whether larder is better than every figure that the
/// other systems print.
pub(crate) async fn measure(options: &Options) -> Result<(String, bool)> {
    let before = load_average();
    let stage = Stage::open(options, load::CLIENTS).await?;
    let distance = format!(
        "PostgreSQL is {} ms away each way, a statement's round trip takes {:.2} ms; Redis is on the loopback",
        options.distance_ms, stage.round_trip_ms
    );
    progress(&format!("{} users are there; {distance}", options.users));
    let mut times = Vec::new();
    for operation in operations::all(&stage.crowd) {
        let measured = operations::measure(&stage, &operation, options).await?;
        times.push(report::time_row(&operation, &measured));
    }
    let (off, on) = load::measure(&stage, Duration::from_secs(options.seconds)).await?;
    let loads = report::load_rows(&off, &on);
    stage.close().await?;

    let verdicts = times.iter().chain(&loads);
    let verdicts = verdicts.filter_map(|row| Some((row.name.as_str(), row.is_beaten?)));
    let (summary, is_kept) = verdict::summary(verdicts);
    let text = format!(
        "{}\n{distance}. {} users; medians of {} rounds of {} requests, one after the other.\n\n\
         {}\n{} clients for {} s each, {} and {} requests, all answered with the status they should have; one in a hundred writes. Load average from \
         {before} to {}.\n\n{summary}",
        table("p50 / p99 in ms", &TIME_COLUMNS, &times),
        options.users,
        options.rounds,
        options.samples,
        table("under a mixed load", &LOAD_COLUMNS, &loads),
        load::CLIENTS,
        options.seconds,
        off.requests(),
        on.requests(),
        load_average(),
    );
    Ok((text, is_kept))
}
