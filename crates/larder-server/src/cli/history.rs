//! `larder stats --since`.

use std::collections::BTreeMap;

use anyhow::bail;

use crate::cli::instance::answers::{ClassHistory, History, InstanceHistory, StalenessHistory};
use crate::cli::instance::output::{bytes, seconds, table};
use crate::cli::instance::{Ask, Instance};

/// Prints what all instances did in the last `span_seconds`, in these classes or, if there are none, in all.
pub(crate) async fn run(
    instance: &Instance,
    span_seconds: u64,
    classes: &[String],
    json: bool,
) -> anyhow::Result<()> {
    let path = ["api", "v1", "cache", "history"];
    // The table needs no steps.
    let step = (!json).then_some(span_seconds);
    let ask = Ask::get(path).with("since", Some(span_seconds)).with("step", step);
    let answer = instance.success(ask).await?;
    // Parsed first: another program's answer is no success.
    let history: History = answer.json()?;
    if json {
        return say!("{}", answer.body);
    }
    if let Some(unknown) = classes.iter().find(|name| !history.classes.contains_key(*name)) {
        bail!("no class {unknown} counted anything in this time; `larder stats --all` shows every class");
    }
    let is_shown = |name: &String| classes.is_empty() || classes.contains(name);
    let header = ["class", "reads", "hit %", "memory", "redis", "joined", "loads", "failed", "invalidations"];
    let rows =
        history.classes.iter().filter(|(name, _)| is_shown(name)).map(|(name, class)| row(name, class));
    say!("{}", table(&header, rows, 1))?;
    let header = ["instance", "", "health", "memory", "p50 s", "p99 s", "max s", "uncertified", "written"];
    let rows = history.instances.iter().map(instance_row);
    say!("\n{}", table(&header, rows, 3))?;
    say!("\n{}", staleness(&history.staleness))
}

fn row(name: &str, class: &ClassHistory) -> Vec<String> {
    let count = |name| count_of(&class.counts, name).to_string();
    vec![
        name.to_owned(),
        class.lookups.total_lookups.to_string(),
        format!("{:.1}", class.lookups.hit_rate_percent),
        count("memory_hits"),
        count("redis_hits"),
        count("joins"),
        count("loads"),
        count("load_failures"),
        count("invalidations"),
    ]
}

fn count_of(counts: &BTreeMap<String, u64>, name: &str) -> u64 {
    counts.get(name).copied().unwrap_or_default()
}

fn instance_row(instance: &InstanceHistory) -> Vec<String> {
    let StalenessHistory { samples, p50_ms, p99_ms, max_ms, uncertified_seconds } = instance.staleness;
    let age = |milliseconds: f64| match samples {
        0 => "-".to_owned(),
        _ => format!("{:.2}", milliseconds / 1_000.0),
    };
    vec![
        instance.name.clone(),
        match (instance.is_running, instance.has_ended) {
            (true, _) => String::new(),
            (false, true) => "stopped".to_owned(),
            (false, false) => "silent".to_owned(),
        },
        instance.health.clone(),
        bytes(instance.memory_bytes),
        age(p50_ms),
        age(p99_ms),
        age(max_ms),
        format!("{uncertified_seconds} s"),
        format!("{} ago", seconds(instance.silent_for_ms)),
    ]
}

fn staleness(all: &StalenessHistory) -> String {
    if all.samples == 0 {
        return "staleness  no certificate was sampled".to_owned();
    }
    let [p50, p99, max] = [all.p50_ms, all.p99_ms, all.max_ms].map(seconds);
    format!(
        "staleness  certified {p50} ago at the median, {p99} at the 99th percentile, {max} at most, one sample a second"
    )
}
