//! The cost of the journal: processor time of a write by part; write throughput with and without the journal,
//! alternately in one run; a bulk change; a poll; and the size of the outbox over simulated hours.

mod bulk;
mod outbox;
mod poll;
mod processor;
mod profile;
mod writers;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use larder::cache::Cache;
use larder::journal::Journal;
use larder_server::cached::journal::tables;
use larder_server::store::Store;
use larder_testbed::{Database, Postgres, Redis};

use crate::cost::outbox::an_hour;
use crate::cost::writers::{Writers, people};
use crate::terminal::progress;

/// The cost of the journal on PostgreSQL: processor time of a write by part; throughput of writers with and without
/// triggers, relay and pruning, alternately; a change of 100,000 rows at once; a poll; and the size of the outbox over
/// simulated hours. Exits 0 if throughput keeps 85 %, the bulk change takes at most three times as long, a poll at most
/// 1 ms more than `SELECT 1`, and the outbox keeps its size.
#[derive(Args)]
pub(crate) struct Options {
    /// The seconds of writing with the journal, and as many without it, from 2 to 3600
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(2..=3600))]
    seconds: u64,
    /// The number of concurrent writers, from 1 to 80
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=80))]
    writers: u16,
    /// Let commits wait for the disk, as production does; `off` shows what the processor alone pays
    #[arg(long, default_value = "on", value_parser = ["on", "off"])]
    durable: String,
    /// How often the profile measures each variant, from 1 to 100: a quarter of a minute a round
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Only the profile of processor time, which other programs of the machine hardly disturb; exits 0
    #[arg(long)]
    profile_only: bool,
}

/// How long the writers with the journal, and those without it, write in each turn.
const TURN: Duration = Duration::from_secs(2);
/// The smallest allowed share of the throughput without a journal.
const KEPT_AT_LEAST: f64 = 0.85;
const USERS: usize = 10_000;

/// Runs the measurement. Returns the summary, and whether the cost is within the limits.
pub(crate) async fn measure(options: &Options) -> Result<(String, bool)> {
    let durable = [format!("fsync={}", options.durable), format!("synchronous_commit={}", options.durable)];
    let server = Postgres::start_with(&[&durable[0], &durable[1], "full_page_writes=on"])?;
    let (redis, url) = (Redis::start()?, server.url());
    let (plain, journalled) = (Database::fresh(&url)?, Database::fresh(&url)?);
    let (without, with) = (Store::open(&plain.url()).await?, Store::open(&journalled.url()).await?);
    let sides = [
        Writers::start(&plain.url(), people(&without, 0..USERS).await?, usize::from(options.writers)).await?,
        Writers::start(&journalled.url(), people(&with, 0..USERS).await?, usize::from(options.writers))
            .await?,
    ];
    for table in ["users", "credentials", "sessions", "user_counts"] {
        plain.sql(&format!("ALTER TABLE {table} DISABLE TRIGGER larder_journal"))?;
    }
    let profile = profile::measure(&journalled, &with, &redis, &sides[1], options.rounds).await?;
    if options.profile_only {
        return Ok((profile.to_string(), true));
    }
    // Run a cache as in production: its relay propagates to Redis. Prune with a retention of 5 s, so that prunes find
    // rows.
    let relaying =
        Cache::builder("cost").redis(redis.url()).journal(with.journal(tables()).await?).build().await?;
    let pruning = tokio::spawn(prune(Arc::new(with.journal(tables()).await?.keep(Duration::from_secs(5)))));

    let mut turns = Vec::new();
    for turn in 0..=options.seconds.div_ceil(TURN.as_secs()) {
        // Alternate which side is first, so that a drift of the machine's speed affects both.
        let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
        let mut rates = [0.0; 2];
        for side in order {
            rates[side] = sides[side].write_for(TURN).await?;
        }
        progress(&format!("turn {turn}: {:.0} writes/s without, {:.0} with", rates[0], rates[1]));
        // The first turn is for warming up.
        if turn > 0 {
            turns.push(rates);
        }
    }
    pruning.abort();
    drop(relaying);
    let rate = |side: usize| turns.iter().map(|rates| rates[side]).sum::<f64>() / turns.len() as f64;
    let mut ratios: Vec<f64> = turns.iter().map(|rates| rates[1] / rates[0]).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ratios.len() / 2];
    let poll = poll::measure(&with).await?;
    let bulk = bulk::measure(&url).await?;
    let outbox = an_hour(&journalled, &with, rate(1) / 10.0).await?;
    let kept = ratio >= KEPT_AT_LEAST && poll.is_fast() && bulk.is_fast() && outbox.is_steady();
    let summary = format!(
        "write throughput, {} writers, durable {}, {} turns of {TURN:?} each:\n  without a journal {:>7.0}/s\n  \
         with              {:>7.0}/s  journal, relay and pruning\n  ratio             {:>7.2}   median of the turns, \
         {:.2} to {:.2}; at least {KEPT_AT_LEAST}\n{profile}\n{poll}\n{bulk}\n{outbox}\ncargo xtask bench journal: {}",
        options.writers,
        options.durable,
        turns.len(),
        rate(0),
        rate(1),
        ratio,
        ratios[0],
        ratios[ratios.len() - 1],
        if kept { "the journal costs no more than it may" } else { "THE JOURNAL COSTS TOO MUCH" },
    );
    Ok((summary, kept))
}

async fn prune(journal: Arc<impl Journal>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Err(error) = journal.prune().await {
            tracing::warn!(%error, "not pruned");
        }
    }
}
