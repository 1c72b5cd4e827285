//! One run: starts the stage, makes faults, waits for a quiet time, reads everything once more, and judges.
#![allow(clippy::print_stdout, reason = "it shows how far it is")]

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::history::clock::now;
use crate::torture::evaluation::{Evaluation, Reads, Strike, evaluate};
use crate::torture::instance::order::Order;
use crate::torture::nemesis::{Choice, Nemesis};
use crate::torture::options::{Finder, Options};
use crate::torture::report::{Counts, Report};
use crate::torture::servers::Endurance;
use crate::torture::stage::Stage;

/// Runs the torture. `program` is `larder-torture`, which also runs the instances.
///
/// # Errors
///
/// Servers or instances cannot be started, or an instance ended unexpectedly.
pub fn run(options: &Options, program: &Path) -> Result<Report> {
    let choice = match (options.setup.mutant, options.nemesis) {
        // Use the nemesis that makes the mutant visible.
        (Some(mutant), Choice::All) => mutant.nemesis().parse().unwrap_or(Choice::None),
        (_, choice) => choice,
    };
    let nemeses = choice.nemeses(&options.setup);
    if nemeses.is_empty() {
        bail!("the nemesis {choice} does not suit this run: it needs PostgreSQL or a Redis");
    }
    let started = Instant::now();
    let endurance = nemeses.iter().map(|nemesis| nemesis.endurance()).max().unwrap_or(Endurance::Shared);
    let mut stage = Stage::set(&options.setup, program, endurance)?;
    println!("{} instances are at work; nemesis: {choice}", options.setup.instances);

    let mut strikes = Vec::new();
    let end = Instant::now() + Duration::from_secs(options.setup.seconds);
    while Instant::now() < end {
        strike(&mut stage, &nemeses, &mut strikes, started)?;
        if options.setup.mutant.is_some() {
            let (is_found, counts) = match options.finder {
                Finder::Judge => (false, Counts::default()),
                Finder::Auditor => {
                    let counts = Counts::sum(&stage.order_all(Order::Count)?);
                    (counts.audited_stale() > 0, counts)
                }
            };
            if is_found || options.finder == Finder::Judge {
                let evaluation = examine(&stage, options, &strikes)?;
                if is_found || evaluation.tally.violations() > 0 {
                    return Ok(Report::new(options, &nemeses, started.elapsed(), evaluation, counts));
                }
            }
        }
    }
    let counts = finish(&mut stage)?;
    println!("{}  judging", at(started));
    let evaluation = examine(&stage, options, &strikes)?;
    let report = Report::new(options, &nemeses, started.elapsed(), evaluation, counts);
    if !report.is_success() {
        println!("the history is kept in {}", stage.keep().display());
    }
    Ok(report)
}

fn strike(
    stage: &mut Stage,
    nemeses: &[&'static Nemesis],
    strikes: &mut Vec<Strike>,
    started: Instant,
) -> Result<()> {
    let nemesis = nemeses[rand::random_range(0..nemeses.len())];
    if nemesis.name != "none" {
        println!("{}  {}: {}", at(started), nemesis.name, nemesis.about);
    }
    nemesis.strike(stage)?;
    strikes.push(Strike { name: nemesis.name, healed: now() });
    // Let the instances recover, so that the next nemesis finds work to disturb.
    stage.work_a_while();
    if rand::random() {
        stage.work_a_while();
    }
    Ok(())
}

/// Stops all writes, waits until the quiet time has passed, and then lets the instances read every key once more.
fn finish(stage: &mut Stage) -> Result<Counts> {
    stage.order_all(Order::Calm)?;
    stage.observers.let_write(false);
    // The quiet time is longer than the staleness bound, so no answer may be old after it.
    thread::sleep(stage.bound * 2 + Duration::from_millis(500));
    let answers = stage.order_all(Order::ReadAll)?;
    Ok(Counts::sum(&answers))
}

fn examine(stage: &Stage, options: &Options, strikes: &[Strike]) -> Result<Evaluation> {
    let reads = Reads::so_far(stage.folder.path())?;
    // Poll the database: it has every version that these reads saw, even if the writer has not flushed its record yet.
    stage.observers.look()?;
    evaluate(stage.folder.path(), &reads, options.setup.bound(), options.setup.has_redis(), strikes)
}

fn at(started: Instant) -> String {
    format!("{:>5.0} s", started.elapsed().as_secs_f64())
}
