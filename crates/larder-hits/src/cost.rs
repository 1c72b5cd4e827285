//! What a hit in memory costs, with and without subscribers to the cache's events.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use anyhow::Result;
use larder::cache::Cache;
use larder::class::Class;
use larder::events::Events;
use larder::policy::Policy;

use crate::speed::median;

/// The rounds. In each one, every kind of subscriber is measured once, so that what else the machine does is alike for
/// all of them.
const ROUNDS: usize = 7;
/// The keys that are read in turn.
const KEYS: u64 = 64;

/// The time of a hit, in nanoseconds.
struct Row {
    subscriber: &'static str,
    nanos: Vec<f64>,
}

/// Measures, and returns the table.
pub(crate) async fn measure(hits: u64) -> Result<String> {
    let cache = Cache::builder("hits").build().await?;
    let class = cache.class("values").policy(Policy::ttl(Duration::from_hours(24))).open()?;
    let mut rows = ["none", "`events_without_hits`", "`events`"]
        .map(|subscriber| Row { subscriber, nanos: Vec::with_capacity(ROUNDS) });
    // One round more than is kept: the first one warms up.
    for round in 0..=ROUNDS {
        for (nth, row) in rows.iter_mut().enumerate() {
            let reading = match nth {
                0 => None,
                1 => Some(cache.events_without_hits()),
                _ => Some(cache.events()),
            };
            let reading = reading.map(|events| tokio::spawn(drain(events)));
            let nanos = time_of_a_hit(&class, hits).await?;
            if let Some(reading) = reading {
                // The subscription ends with its task, so the next measurement has none of this one.
                reading.abort();
                let _ = reading.await;
            }
            if round > 0 {
                row.nanos.push(nanos);
            }
        }
    }
    let bare = median(rows[0].nanos.clone());
    let mut table = String::from("| subscriber | a hit | ratio |\n|---|---|---|\n");
    for Row { subscriber, nanos } in rows {
        let nanos = median(nanos);
        table += &format!("| {subscriber} | {nanos:.0} ns | {:.2} |\n", nanos / bare);
    }
    Ok(table)
}

async fn drain(mut events: Events) {
    while events.next().await.is_some() {}
}

async fn time_of_a_hit(class: &Class<u64, u64>, hits: u64) -> Result<f64> {
    for key in 0..KEYS {
        read(class, key).await?;
    }
    let began = Instant::now();
    for nth in 0..hits {
        read(class, nth % KEYS).await?;
    }
    Ok(began.elapsed().as_nanos() as f64 / hits as f64)
}

async fn read(class: &Class<u64, u64>, key: u64) -> Result<()> {
    class.get_or_load(&key, move || async move { Ok::<_, Infallible>(key) }).await?;
    Ok(())
}
