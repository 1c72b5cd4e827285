//! `cargo xtask bench hit` and `redis`: what a read takes, beside the least that it could take, in one run.
//!
//! The measurements of one kind of work run in turn, in each of a number of rounds, so that what else the machine does is
//! alike for all of them. The first measurement of each kind is the floor.

pub(crate) mod memory;
pub(crate) mod redis;

use anyhow::Result;
use futures_util::future::LocalBoxFuture;
use serde_json::json;

/// One measurement: a program at a kind of work.
pub(crate) struct Subject {
    pub(crate) work: &'static str,
    pub(crate) name: &'static str,
    /// Does the work so many times, and returns how long one time took, in nanoseconds.
    pub(crate) run: Box<dyn Fn(u64) -> LocalBoxFuture<'static, Result<f64>>>,
}

impl Subject {
    pub(crate) fn new<F: Future<Output = Result<f64>> + 'static>(
        work: &'static str,
        name: &'static str,
        run: impl Fn(u64) -> F + 'static,
    ) -> Self {
        Subject { work, name, run: Box::new(move |times| Box::pin(run(times))) }
    }
}

/// What was measured of one subject.
pub(crate) struct Figure {
    work: &'static str,
    name: &'static str,
    nanos: f64,
    /// The time, divided by that of the work's floor in the same round: the median over the rounds.
    ratio: f64,
}

/// Measures all subjects in `rounds` rounds that count, after one more to warm up. Those of one work follow one another, the
/// floor first.
pub(crate) async fn measure(subjects: &[Subject], times: u64, rounds: usize) -> Result<Vec<Figure>> {
    let mut nanos = vec![Vec::with_capacity(rounds); subjects.len()];
    for round in 0..=rounds {
        for (subject, nanos) in subjects.iter().zip(&mut nanos) {
            let took = (subject.run)(times).await?;
            if round > 0 {
                nanos.push(took);
            }
        }
    }
    let measured = subjects.iter().zip(&nanos);
    let figure_of = |(subject, nanos): (&Subject, &Vec<f64>)| {
        let Subject { work, name, .. } = *subject;
        let floor = measured.clone().find(|(floor, _)| floor.work == work).map_or(nanos, |(_, floor)| floor);
        let ratios = nanos.iter().zip(floor).map(|(nanos, floor)| nanos / floor).collect();
        Figure { work, name, nanos: median(nanos.clone()), ratio: median(ratios) }
    };
    Ok(measured.clone().map(figure_of).collect())
}

/// The median; the upper one of an even number.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The figures as a Markdown table, ratios first.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut table = String::from("| work | of | times the floor | time |\n|---|---|---|---|\n");
    for Figure { work, name, nanos, ratio } in figures {
        table += &format!("| {work} | {name} | {ratio:.2} | {nanos:.0} ns |\n");
    }
    table
}

/// The figures as JSON: an array of objects, times in nanoseconds.
pub(crate) fn json(figures: &[Figure]) -> String {
    let object = |Figure { work, name, nanos, ratio }: &Figure| json!({ "work": work, "of": name, "nanos": nanos, "ratio": ratio });
    serde_json::Value::Array(figures.iter().map(object).collect()).to_string()
}
