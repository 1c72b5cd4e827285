//! The memory budget is what the process takes. Each measurement runs in a process of its own, this program again, so
//! that no other test's memory is in its figures.

#![expect(clippy::print_stdout, reason = "a measuring process prints its figures, and the table is printed")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

mod shapes;

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use larder::cache::Cache;
use larder::class::Class;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::shapes::{Blob, Expression, Mapped, Numbers, Texts, User, Words};

/// The variable with which a test asks for a measurement: `shape budget_bytes turnovers seconds`.
const ORDER: &str = "LARDER_MEMORY_ORDER";
/// How long the churn takes, in seconds; 3,600 if it is not set.
const CHURN_SECONDS: &str = "LARDER_CHURN_SECONDS";
/// The pause after each turnover of a measurement that takes a time. It leaves the machine to others, and memory must be
/// flat at any pace.
const PAUSE: Duration = Duration::from_secs(4);
/// How often such a measurement notes the growth of its process.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(10);
/// So much larger or smaller than the budget the growth of the process may be.
const TOLERANCE: f64 = 1.2;

/// What one process measured.
#[derive(Clone, Debug)]
struct Measured {
    /// How many times the budget's entries were loaded.
    turnovers: f64,
    /// The growth of the process since its cache was empty, in bytes.
    growth: f64,
    /// The weight of all entries at the end, in bytes.
    weight: f64,
    /// The growth of the process when the cache was full for the first time.
    first_growth: f64,
    /// The growth of the process, in bytes, every [`SAMPLE_INTERVAL`] since the cache was full for the first time.
    samples: Vec<f64>,
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Loads entries from several tasks until `goal` loads are done; returns the next key.
async fn churn<V>(class: &Class<u64, V>, from: u64, loads: u64, make: fn(u64) -> V)
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    const TASKS: u64 = 4;
    let tasks = (0..TASKS).map(|task| {
        let class = class.clone();
        tokio::spawn(async move {
            for n in (from..from + loads).filter(|n| n % TASKS == task) {
                class.get_or_load(&n, move || async move { Ok::<_, Infallible>(make(n)) }).await.unwrap();
                // Some earlier entries are read again, so that hot entries and evicted keys are in the figures.
                let _ = class.get(&(n / 2)).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// Fills a cache with values of one shape and turns it over.
async fn measure<V>(budget: u64, turnovers: u64, span: Duration, make: fn(u64) -> V) -> Measured
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let cache = Cache::builder("memory").memory_bytes(budget).build().await.unwrap();
    let class: Class<u64, V> =
        cache.class("values").tagged_by(|key: &u64| [format!("group:{}", key % 1000)]).open().unwrap();
    churn(&class, 0, 10, make).await;
    let _ = class.invalidate_all().await;
    let empty = resident_bytes();
    let (mut loads, began) = (100, Instant::now());
    // Full: the weight no longer grows.
    while cache.evictions() == 0 || cache.memory_bytes() < budget * 9 / 10 - budget / 16 {
        churn(&class, loads, 100, make).await;
        loads += 100;
    }
    let per_turnover = loads;
    let growth = move || resident_bytes().saturating_sub(empty) as f64;
    let first_growth = growth();
    let sampling = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
        while !span.is_zero() {
            ticks.tick().await;
            println!("sample {} {}", began.elapsed().as_secs(), growth());
        }
    });
    let mut done = 1;
    while done < turnovers || began.elapsed() < span {
        churn(&class, loads, per_turnover, make).await;
        loads += per_turnover;
        done += 1;
        if !span.is_zero() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    sampling.abort();
    let (turnovers, weight) = (loads as f64 / per_turnover as f64, cache.memory_bytes() as f64);
    Measured { turnovers, growth: growth(), weight, first_growth, samples: Vec::new() }
}

/// Not a test: one measurement, for a test that starts this program again.
#[test]
#[ignore = "a measurement, which the tests start"]
fn measurement() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let [shape, budget, turnovers, seconds] = order.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{order}")
    };
    let (budget, turnovers) = (budget.parse().unwrap(), turnovers.parse().unwrap());
    let span = Duration::from_secs(seconds.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let measured = runtime.block_on(async {
        match shape {
            "texts" => measure(budget, turnovers, span, Texts::of).await,
            "user" => measure(budget, turnovers, span, User::of).await,
            "map" => measure(budget, turnovers, span, Mapped::of).await,
            "blob" => measure(budget, turnovers, span, Blob::of).await,
            "numbers" => measure(budget, turnovers, span, Numbers::of).await,
            "words" => measure(budget, turnovers, span, Words::of).await,
            "tree" => measure(budget, turnovers, span, Expression::of).await,
            "mixed" => measure(budget, turnovers, span, shapes::Any::of).await,
            _ => panic!("{shape}"),
        }
    });
    let Measured { turnovers, growth, weight, first_growth, .. } = measured;
    println!("measured {turnovers} {growth} {weight} {first_growth}");
}

fn measured(shape: &str, budget: u64, turnovers: u64, span: Duration) -> Measured {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["measurement", "--exact", "--ignored", "--nocapture"])
        .env(ORDER, format!("{shape} {budget} {turnovers} {}", span.as_secs()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut text, mut samples, mut last) = (String::new(), Vec::new(), None);
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        // libtest may write its own text before ours on the same line.
        if let Some((_, sample)) = line.split_once("sample ") {
            let [seconds, growth] = figures(sample);
            println!("{seconds:.0} s: process +{:.1} MiB", mib(growth));
            samples.push(growth);
        }
        last = last.or(line.split_once("measured ").map(|(_, measured)| figures(measured)));
        text += &line;
    }
    assert!(child.wait().unwrap().success(), "{text}");
    let [turnovers, growth, weight, first_growth] = last.unwrap_or_else(|| panic!("{text}"));
    Measured { turnovers, growth, weight, first_growth, samples }
}

fn figures<const N: usize>(text: &str) -> [f64; N] {
    let figures: Vec<f64> = text.split(' ').map(|figure| figure.parse().unwrap()).collect();
    figures.try_into().unwrap()
}

fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

fn check(shape: &str, budget: u64, measured: &Measured) {
    let &Measured { turnovers, growth, weight, first_growth, .. } = measured;
    println!(
        "{shape}: budget {} MiB, weight {:.1}, process +{:.1} when full, +{:.1} after {turnovers:.0} turnovers: {:.2} x",
        budget >> 20,
        mib(weight),
        mib(first_growth),
        mib(growth),
        growth / budget as f64
    );
    let budget = budget as f64;
    assert!(growth <= budget * TOLERANCE, "{shape}: the process takes more than its budget");
    assert!(first_growth <= budget * TOLERANCE, "{shape}: the process takes more than its budget when full");
    assert!(growth >= weight / TOLERANCE, "{shape}: entries weigh more than they take");
}

/// Small, because these builds are not optimised: to turn a larger budget over takes minutes of processor time.
const SUITE_BUDGET: u64 = 12 << 20;

macro_rules! within_the_budget {
    ($($name:ident = $shape:literal, $turnovers:literal turnovers;)*) => {$(
        #[test]
        fn $name() {
            check($shape, SUITE_BUDGET, &measured($shape, SUITE_BUDGET, $turnovers, Duration::ZERO));
        }
    )*};
}

within_the_budget! {
    vectors_of_short_texts_take_the_budget = "texts", 4 turnovers;
    user_records_take_the_budget = "user", 4 turnovers;
    maps_of_texts_take_the_budget = "map", 4 turnovers;
    blobs_of_bytes_take_the_budget = "blob", 4 turnovers;
    // Eight bytes a number: without optimisation, serde takes eight times as long for as many bytes one by one, as the
    // table below has them.
    blobs_as_sequences_take_the_budget = "words", 4 turnovers;
    trees_of_structs_and_enums_take_the_budget = "tree", 4 turnovers;
}

/// Values of all shapes in one cache: what the allocator cannot reuse would grow here.
#[test]
fn a_cache_that_is_turned_over_many_times_does_not_grow() {
    let measured = measured("mixed", SUITE_BUDGET, 12, Duration::ZERO);
    check("mixed", SUITE_BUDGET, &measured);
}

/// The figures of docs/memory.md: `cargo test --release -p larder --test memory -- --ignored --nocapture table`.
#[test]
#[ignore = "takes minutes: the table of docs/memory.md"]
fn table_of_the_memory_budget() {
    for shape in ["texts", "user", "map", "blob", "numbers", "tree", "mixed"] {
        check(shape, 64 << 20, &measured(shape, 64 << 20, 8, Duration::ZERO));
    }
}

/// `cargo test --release -p larder --test memory -- --ignored --nocapture hour`.
#[test]
#[ignore = "takes an hour"]
fn an_hour_of_churn_is_flat() {
    let seconds = std::env::var(CHURN_SECONDS).map_or(3600, |seconds| seconds.parse().unwrap());
    let measured = measured("mixed", 64 << 20, 1, Duration::from_secs(seconds));
    check(&format!("mixed, {seconds} s"), 64 << 20, &measured);
    let (earlier, later) = measured.samples.split_at(measured.samples.len() / 2);
    let largest = |samples: &[f64]| samples.iter().copied().fold(0.0, f64::max);
    let (earlier, later) = (largest(earlier), largest(later));
    println!("at most +{:.1} MiB in the first half, +{:.1} MiB in the second", mib(earlier), mib(later));
    assert!(later <= earlier * 1.03, "the process grows");
}
