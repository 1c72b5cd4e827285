//! What tuning has found out and changed, as the page reads it.

use larder::cache::Cache;
use larder::tuning::{CurvePoint, MissRatioCurve, TuningChange};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Tuned {
    /// The instance that answers, and when its page was made, in milliseconds since 1970: a load balancer may have sent the
    /// request to another one than the viewer's stream.
    instance: String,
    began: u64,
    /// `off`, `advise` or `apply`.
    mode: &'static str,
    advice: Vec<Advice>,
    /// The newest first.
    changes: Vec<Change>,
    /// The curve of all classes; empty before there is one.
    curve: Vec<Point>,
}

#[derive(Serialize)]
struct Advice {
    kind: &'static str,
    text: String,
}

#[derive(Serialize)]
struct Change {
    id: u64,
    class: String,
    text: String,
    reason: String,
    /// In milliseconds since 1970.
    at: u64,
    is_undone: bool,
}

#[derive(Serialize)]
struct Point {
    memory_bytes: u64,
    /// From 0 to 1.
    miss_ratio: f64,
}

impl Tuned {
    pub(super) fn of(cache: &Cache, (instance, began): (String, u64)) -> Self {
        let advice = cache.advice().into_iter();
        let changes = cache.tuning_changes().into_iter().rev();
        let change = |change: TuningChange| Change {
            id: change.id,
            text: change.tuned.to_string(),
            class: change.class,
            reason: change.reason,
            at: change.at_unix_millis,
            is_undone: change.is_undone,
        };
        // The first curve is that of all classes.
        let curve = cache.miss_ratio_curves().into_iter().next().map(points).unwrap_or_default();
        Self {
            instance,
            began,
            mode: cache.tuning_mode().as_str(),
            advice: advice.map(|one| Advice { kind: one.as_str(), text: one.to_string() }).collect(),
            changes: changes.map(change).collect(),
            curve,
        }
    }
}

fn points(curve: MissRatioCurve) -> Vec<Point> {
    let point = |point: &CurvePoint| Point { memory_bytes: point.memory_bytes, miss_ratio: point.miss_ratio };
    curve.points.iter().map(point).collect()
}
