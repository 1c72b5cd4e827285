//! `larder stats`.

use std::path::Path;

use anyhow::bail;
use clap::Args;

use crate::cli::history;
use crate::cli::instance::answers::{Auditor, AuditorWindow, ClassStats, Stats};
use crate::cli::instance::output::{bytes, plain, seconds, table};
use crate::cli::instance::{Ask, InstanceArguments};

/// The arguments of `larder stats`.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: InstanceArguments,
    /// Only these classes [default: those that were read, and those that are off]
    #[arg(long = "class", value_name = "CLASS")]
    classes: Vec<String>,
    /// What all instances did in the last SPAN, also before restarts: 1m to 24h, such as 15m or 1h30m
    #[arg(long, value_name = "SPAN", value_parser = span, conflicts_with = "all")]
    since: Option<u64>,
    /// Also the classes without any read
    #[arg(long, conflicts_with = "classes")]
    all: bool,
    /// The complete answer in JSON; `larder schema stats` describes it, `larder schema history` that of --since
    #[arg(long)]
    json: bool,
}

/// Parses a span of time; returns seconds.
fn span(raw: &str) -> Result<u64, String> {
    let seconds = raw.parse::<jiff::SignedDuration>().map(|span| span.as_secs());
    match seconds.map(u64::try_from) {
        Ok(Ok(seconds @ 60..=86_400)) => Ok(seconds),
        _ => Err("must be from 1m to 24h, such as 15m or 1h30m".to_owned()),
    }
}

pub(crate) async fn run(arguments: Arguments, config: Option<&Path>) -> anyhow::Result<()> {
    let instance = arguments.target.open(config)?;
    if let Some(seconds) = arguments.since {
        return history::run(&instance, seconds, &arguments.classes, arguments.json).await;
    }
    let answer = instance.success(Ask::get(["api", "v1", "cache", "stats"])).await?;
    // Parsed first: another program's answer is no success.
    let stats: Stats = answer.json()?;
    if arguments.json {
        return say!("{}", answer.body);
    }
    let known = |name: &&String| stats.classes.iter().all(|class| class.name != **name);
    if let Some(unknown) = arguments.classes.iter().find(known) {
        bail!("there is no class {unknown}; `larder stats --all` shows every class");
    }
    let is_shown = |class: &&ClassStats| match arguments.classes.as_slice() {
        [] => arguments.all || class.lookups.total_lookups > 0 || !class.enabled,
        named => named.contains(&class.name),
    };
    let header = [
        "class", "", "reads", "hit %", "memory", "redis", "joined", "loads", "failed", "mean ms", "p99 ms",
        "max ms",
    ];
    let rows = stats.classes.iter().filter(is_shown).map(row);
    say!("{}", table(&header, rows, 2))?;
    say!("\n{}", summary(&stats))
}

fn row(class: &ClassStats) -> Vec<String> {
    let count = |name| class.count(name).to_string();
    let loads = class.loads;
    vec![
        class.name.clone(),
        if class.enabled { String::new() } else { "off".to_owned() },
        class.lookups.total_lookups.to_string(),
        format!("{:.1}", class.lookups.hit_rate_percent),
        count("memory_hits"),
        count("redis_hits"),
        count("joins"),
        count("loads"),
        count("load_failures"),
        format!("{:.2}", loads.mean_ms),
        format!("{:.2}", loads.p99_ms),
        format!("{:.2}", loads.max_ms),
    ]
}

/// The tiers in one line each.
fn summary(stats: &Stats) -> String {
    let memory = format!("memory     {}, {} evictions", bytes(stats.memory.bytes), stats.memory.evictions);
    let redis = match (&stats.server, stats.staleness.unsent_invalidations) {
        (Some(redis), _) => {
            let clients = redis.connected_clients;
            format!("{}, {} used, {clients} clients", plain(&redis.version), bytes(redis.used_memory_bytes))
        }
        (None, Some(_)) => "does not answer".to_owned(),
        (None, None) => "none is configured".to_owned(),
    };
    let bound = seconds(stats.staleness.bound_ms);
    let certified = match stats.staleness.certified_for_ms {
        None => format!("no guard; the bound is {bound}"),
        Some(0.0) => format!("nothing is certified now: reads run their loaders; the bound is {bound}"),
        Some(left) => {
            format!("certified {} ago; the bound is {bound}", seconds(stats.staleness.bound_ms - left))
        }
    };
    let auditor =
        stats.auditor.map(|auditor| format!("\nauditor    {}", audited(&auditor))).unwrap_or_default();
    format!("{memory}\nRedis      {redis}\nstaleness  {certified}{auditor}")
}

/// What the auditor has found in the last hour and day.
fn audited(auditor: &Auditor) -> String {
    let window = |name: &str, AuditorWindow { checked, stale, nines }: AuditorWindow| {
        let nines = nines.map_or("no nines yet".to_owned(), |nines| format!("at least {nines:.1} nines"));
        format!("last {name}: {checked} reads checked, {stale} beyond the bound, {nines}")
    };
    let (hour, day) = (window("hour", auditor.hour), window("day", auditor.day));
    let worst = match auditor.stale {
        0 => String::new(),
        _ => format!("; the worst since the start was {} old", seconds(auditor.worst_age_ms)),
    };
    format!("{hour}; {day}{worst}")
}
