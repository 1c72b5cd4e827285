//! Requests that memory answers, beside axum handlers that answer with as many bytes and do nothing else.
//!
//! Each server is a process on one core, and this process drives it from the other. The servers of one kind of request
//! are driven in turn, in each of several rounds, so that what else the machine does is alike for all of them.

pub(crate) mod bare;
mod driver;
mod process;
mod report;
mod works;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::http::driver::Load;
use crate::http::process::ServerProcess;
pub(crate) use crate::http::process::leave_first_core;
use crate::http::report::Figure;
use crate::http::works::Installation;
use crate::terminal::progress;

/// Requests that larder answers from memory, each beside a bare axum handler, and one that also checks a token of HS256:
/// the rate at which one core answers, and the p99 at half of larder's rate.
#[derive(Args)]
pub(crate) struct Options {
    /// How many users there are, from 200 to 100000
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(200..=100_000))]
    users: u64,
    /// How many connections send requests, from 1 to 1000
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: u16,
    /// How many rounds; the medians count
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u8).range(1..=99))]
    rounds: u8,
    /// How long one server is driven in a round, in milliseconds
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(20..=60_000))]
    milliseconds: u64,
    /// Another release of `larder`, which is measured beside this one
    #[arg(long, value_name = "PROGRAM")]
    beside: Option<PathBuf>,
    /// Print JSON in place of the table
    #[arg(long)]
    json: bool,
}

/// Runs the measurement. The second value is always true, because no figure has a limit here.
pub(crate) async fn measure(options: &Options) -> Result<(String, bool)> {
    let mut larders = vec![("larder", Installation::open(None, options.users).await?)];
    if let Some(program) = &options.beside {
        larders.push(("larder, the other release", Installation::open(Some(program), options.users).await?));
    }
    let works = &larders[0].1.works;
    let bare = ServerProcess::bare(&works.iter().map(|work| work.body_bytes).collect::<Vec<_>>())?;
    let mut figures = Vec::new();
    for (number, work) in works.iter().enumerate() {
        let mut loads = Vec::new();
        for (name, handler) in [("bare axum", "bare"), ("bare axum, HS256", "token")] {
            let requests = work.bare(handler, number)?;
            loads.push((name, Load::connect(bare.address(), requests, options.connections).await?));
        }
        for (name, larder) in &larders {
            let requests = larder.works[number].requests.clone();
            loads.push((name, Load::connect(larder.process.address(), requests, options.connections).await?));
        }
        figures.extend(figures_of(work.name, &mut loads, options).await?);
        progress(work.name);
    }
    let memory = larders.iter().map(|(name, larder)| larder.memory(name)).collect::<Result<Vec<_>>>()?;
    Ok((if options.json { report::json(&figures, &memory) } else { report::table(&figures, &memory) }, true))
}

/// Drives the servers in turn: first as fast as each answers, then at half of the rate of the third, which is larder.
async fn figures_of(
    work: &'static str,
    loads: &mut [(&'static str, Load)],
    options: &Options,
) -> Result<Vec<Figure>> {
    let span = Duration::from_millis(options.milliseconds);
    let mut rates = vec![Vec::new(); loads.len()];
    for round in 0..=options.rounds {
        for ((_, load), rates) in loads.iter_mut().zip(&mut rates) {
            let rate = load.drive(span, None).await?.per_second();
            // The first round warms up.
            if round > 0 {
                rates.push(rate);
            }
        }
    }
    let rates: Vec<f64> = rates.into_iter().map(median).collect();
    let half = rates[2] / 2.0;
    let mut p99s = vec![Vec::new(); loads.len()];
    for _ in 0..options.rounds {
        for ((_, load), p99s) in loads.iter_mut().zip(&mut p99s) {
            p99s.push(load.drive(span, Some(half)).await?.p99_ms());
        }
    }
    let measured = loads.iter().zip(&rates).zip(p99s);
    let figure = |(((name, _), rate), p99s): ((&(&'static str, Load), &f64), Vec<f64>)| Figure {
        work,
        name,
        rate: *rate,
        of_floor: rate / rates[1],
        p99_ms: median(p99s),
    };
    Ok(measured.map(figure).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
