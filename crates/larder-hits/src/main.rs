//! `cargo xtask bench hit-ratio`, `hit-cost`, `hit`, `redis` and `redis-cluster`: larder beside quick_cache, moka, foyer and a bare Redis
//! client. It is a package of its own: the program needs nothing of the service, which takes far longer to compile.
#![expect(clippy::print_stdout, reason = "a command prints its table")]

mod caches;
mod cost;
mod masters;
mod requests;
mod speed;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, Parser};
use larder_testbed::Redis;
use tokio::runtime::{Builder, Runtime};

use crate::caches::{CacheKind, hits};
use crate::requests::{Requests, scans, trace, zipf};
use crate::speed::Subject;

#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
enum Cli {
    /// The hit ratio of larder's memory tier beside that of quick_cache, moka and foyer: on keys by Zipf's law with the
    /// exponents 0.8, 1.0 and 1.2, on the same with scans, and on recorded traces
    HitRatio(Ratio),
    /// What a hit in memory costs without a subscriber to the cache's events, and with one
    HitCost {
        /// The number of hits of each measurement
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
        hits: u64,
    },
    /// What a hit in memory takes, and a miss without Redis, beside quick_cache, moka and foyer
    Hit(Speed),
    /// What a read takes that goes to Redis, beside a bare `GET`, and a miss beside its round trips
    Redis(Speed),
    /// What a Redis Cluster of one, two and three masters carries, each with the same share of a processor: reads that Redis
    /// answers, and invalidations. Needs the right to make control groups (root)
    RedisCluster(masters::Options),
}

#[derive(Args)]
struct Speed {
    /// How often each operation runs in a round [default: 300,000 in memory, 10,000 with Redis]
    #[arg(long, value_parser = clap::value_parser!(u64).range(100..=100_000_000))]
    times: Option<u64>,
    /// The number of rounds; the median of them is printed
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Measure only the kinds of work whose names contain this text
    #[arg(long, default_value = "")]
    work: String,
    /// Print JSON in place of the table
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Ratio {
    /// A trace in the format of the ARC paper: lines of `first-key number-of-keys …`, uncompressed. Can be given several
    /// times
    #[arg(long)]
    trace: Vec<PathBuf>,
    /// The number of requests of each computed load
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    requests: u64,
}

/// How many entries the caches have room for.
const CAPACITIES: [u64; 2] = [1_000, 10_000];
/// Traces have more keys than the computed loads.
const TRACE_CAPACITIES: [u64; 3] = [1_000, 10_000, 100_000];
/// The keys of the computed loads.
const KEYS: u64 = 100_000;

fn main() -> Result<()> {
    match Cli::parse() {
        Cli::HitRatio(options) => compare(&options),
        Cli::HitCost { hits } => {
            print!("{}", runtime()?.block_on(cost::measure(hits))?);
            Ok(())
        }
        Cli::Hit(options) => runtime()?.block_on(async {
            let redis = Redis::start()?;
            let times = options.times.unwrap_or(300_000);
            options.measure(speed::memory::subjects(&redis, times).await?, times).await
        }),
        Cli::RedisCluster(options) => runtime()?.block_on(masters::measure(&options)),
        Cli::Redis(options) => runtime()?.block_on(async {
            let redis = Redis::start()?;
            let times = options.times.unwrap_or(10_000);
            options.measure(speed::redis::subjects(&redis).await?, times).await
        }),
    }
}

/// A runtime with a second worker, so that two tasks run at once.
fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

impl Speed {
    async fn measure(&self, mut subjects: Vec<Subject>, times: u64) -> Result<()> {
        subjects.retain(|subject| subject.work.contains(&self.work));
        ensure!(!subjects.is_empty(), "--work: no kind of work has {:?} in its name", self.work);
        let figures = speed::measure(&subjects, times, self.rounds.into()).await?;
        match self.json {
            true => println!("{}", speed::json(&figures)),
            false => print!("{}", speed::table(&figures)),
        }
        Ok(())
    }
}

fn compare(options: &Ratio) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // Before the first measurement, so that a file that is no trace fails at once.
    let traces: Vec<Requests> = options.trace.iter().map(|path| trace(path)).collect::<Result<_>>()?;
    let heads: Vec<&str> = CacheKind::ALL.map(CacheKind::as_str).to_vec();
    println!("| requests | number | room for | {} |", heads.join(" | "));
    println!("|{}", "---|".repeat(3 + heads.len()));
    let run = |name: &str, requests: &Requests, capacities: &[u64]| -> Result<()> {
        for capacity in capacities {
            print!("| {name} | {} | {capacity} ", requests.len());
            for kind in CacheKind::ALL {
                let hits = runtime.block_on(hits(kind, *capacity, requests))?;
                print!("| {:.1} % ", 100.0 * hits as f64 / requests.len() as f64);
            }
            println!("|");
        }
        Ok(())
    };
    for exponent in [0.8, 1.0, 1.2] {
        run(&format!("Zipf {exponent:.1}"), &zipf(KEYS, exponent, options.requests)?, &CAPACITIES)?;
    }
    run("Zipf 1.0 and scans", &scans(KEYS, 1.0, options.requests)?, &CAPACITIES)?;
    for (path, requests) in options.trace.iter().zip(&traces) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        run(&name, requests, &TRACE_CAPACITIES)?;
    }
    Ok(())
}
