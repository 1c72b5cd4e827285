//! `cargo xtask bench hit` and `redis`: what a read takes, beside the least that it could take, in one run.
//!
//! The measurements of one kind of work run in turn, in each of [`ROUNDS`] rounds, so that what else the machine does is
//! alike for all of them. The first measurement of each kind is the floor.

pub(crate) mod memory;
pub(crate) mod redis;

use anyhow::Result;
use futures_util::future::LocalBoxFuture;
use serde_json::json;

/// The rounds that count. One round more comes first, to warm up.
const ROUNDS: usize = 7;

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
    /// The time, divided by that of the work's floor.
    ratio: f64,
}

/// Measures all subjects. Those of one work follow one another, the floor first.
pub(crate) async fn measure(subjects: &[Subject], times: u64) -> Result<Vec<Figure>> {
    let mut nanos = vec![Vec::with_capacity(ROUNDS); subjects.len()];
    for round in 0..=ROUNDS {
        for (subject, nanos) in subjects.iter().zip(&mut nanos) {
            let took = (subject.run)(times).await?;
            if round > 0 {
                nanos.push(took);
            }
        }
    }
    let mut figures: Vec<Figure> = Vec::with_capacity(subjects.len());
    for (Subject { work, name, .. }, mut nanos) in subjects.iter().zip(nanos) {
        nanos.sort_by(f64::total_cmp);
        let nanos = nanos[nanos.len() / 2];
        let floor = figures.iter().find(|figure| figure.work == *work).map_or(nanos, |floor| floor.nanos);
        figures.push(Figure { work, name, nanos, ratio: nanos / floor });
    }
    Ok(figures)
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
