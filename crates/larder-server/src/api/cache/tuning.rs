//! What tuning has found out and changed on this instance.

use axum::extract::State;
use larder::cache::Cache;
use larder::tuning::{Advice, MissRatioCurve, TuningChange};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::answer::JsonAnswer;
use crate::api::extract::Segment;
use crate::api::openapi::answers::{Refused, RefusedBody};
use crate::api::problem::Problem;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::timestamp::Timestamp;
use crate::service::Service;
use crate::service::access::Caller;

/// What tuning has found out on this instance, and what it has changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tuning {
    /// `off`, `advise` or `apply`. If it is off, all lists are empty.
    mode: &'static str,
    /// What tuning takes in memory, beside the budget of the entries.
    memory_bytes: u64,
    advice: Vec<AdviceView>,
    /// What tuning has changed by itself since the start, the oldest first: the last 64 changes.
    changes: Vec<Change>,
    /// The curve of all classes, and then that of each class that was read.
    curves: Vec<Curve>,
}

/// What this instance could do better.
#[derive(Serialize, ToSchema)]
#[schema(as = Advice)]
struct AdviceView {
    /// `more-memory`, `less-memory`, `admission`, `longer-ttl`, `idle-ttl` or `switch-off`.
    kind: &'static str,
    /// The class; `null`: it is about all of them.
    class: Option<String>,
    /// The advice as a sentence.
    text: String,
    /// The share of the loads that it saves, or with `less-memory` adds, in per cent; `null`: it is no number of loads.
    loads_percent: Option<f64>,
    /// The budget that `more-memory` and `less-memory` advise.
    memory_bytes: Option<u64>,
}

/// A setting that tuning has changed.
#[derive(Serialize, ToSchema)]
#[schema(as = TuningChange)]
pub(crate) struct Change {
    /// Its number; another instance has other numbers.
    id: u64,
    class: String,
    /// `admission` or `ttl`.
    setting: &'static str,
    /// The setting after the change and before it, as a text.
    text: String,
    /// Why, with the numbers on which it rests.
    reason: String,
    at: Timestamp,
    is_undone: bool,
}

/// Which share of the reads memory would not answer, by its size.
#[derive(Serialize, ToSchema)]
#[schema(as = MissRatioCurve)]
struct Curve {
    /// The class; `null`: all together.
    class: Option<String>,
    /// The smallest memory first.
    points: Vec<Point>,
    /// The share of the reads that no memory can answer, from 0 to 1.
    unavoidable: f64,
    /// How many sampled reads it rests on; older ones count less.
    samples: u64,
}

/// A point of a curve.
#[derive(Serialize, ToSchema)]
#[schema(as = CurvePoint)]
struct Point {
    memory_bytes: u64,
    /// From 0 to 1.
    miss_ratio: f64,
}

impl Tuning {
    fn of(cache: &Cache) -> Self {
        Self {
            mode: cache.tuning_mode().as_str(),
            memory_bytes: cache.tuning_memory_bytes(),
            advice: cache.advice().into_iter().map(AdviceView::from).collect(),
            changes: cache.tuning_changes().into_iter().map(Change::from).collect(),
            curves: cache.miss_ratio_curves().into_iter().map(Curve::from).collect(),
        }
    }
}

impl From<Advice> for AdviceView {
    fn from(advice: Advice) -> Self {
        Self {
            kind: advice.as_str(),
            class: advice.class().map(str::to_owned),
            text: advice.to_string(),
            loads_percent: advice.loads_percent(),
            memory_bytes: advice.memory_bytes(),
        }
    }
}

impl From<TuningChange> for Change {
    fn from(change: TuningChange) -> Self {
        Self {
            id: change.id,
            class: change.class,
            setting: change.tuned.as_str(),
            text: change.tuned.to_string(),
            reason: change.reason,
            at: Timestamp::from_micros(
                i64::try_from(change.at_unix_millis).unwrap_or(i64::MAX).saturating_mul(1_000),
            ),
            is_undone: change.is_undone,
        }
    }
}

impl From<MissRatioCurve> for Curve {
    fn from(curve: MissRatioCurve) -> Self {
        let points = curve.points.iter();
        let points =
            points.map(|point| Point { memory_bytes: point.memory_bytes, miss_ratio: point.miss_ratio });
        Self {
            points: points.collect(),
            class: curve.class,
            unavoidable: curve.unavoidable,
            samples: curve.samples,
        }
    }
}

/// Advice, miss-ratio curves, and what tuning has changed by itself on this instance. For admins.
#[utoipa::path(
    get,
    path = "/api/v1/cache/tuning",
    operation_id = "get_cache_tuning",
    tag = "cache",
    security(("bearer" = []), ("api_key" = ["read"])),
    responses((status = 200, body = Tuning), Refused)
)]
pub(crate) async fn tuning(
    State(service): State<Service>,
    caller: Caller,
) -> Result<JsonAnswer<Tuning>, Problem> {
    service.present_admin(caller).await?;
    Ok(JsonAnswer(Tuning::of(service.cache())))
}

/// Sets back what a change of tuning has set on this instance; the setting is not tuned again until a restart. For admins.
#[utoipa::path(
    post,
    path = "/api/v1/cache/tuning/{change}/undo",
    operation_id = "undo_cache_tuning",
    tag = "cache",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(("change" = u64, Path, description = "the number of the change")),
    responses((status = 200, body = Change), Refused, RefusedBody)
)]
pub(crate) async fn undo(
    State(service): State<Service>,
    caller: Caller,
    Segment(change): Segment,
) -> Result<JsonAnswer<Change>, Problem> {
    service.present_admin(caller).await?;
    let number =
        change.parse().map_err(|_| ValidationErrors::one("change", Invalid::new("must be a number")))?;
    Ok(JsonAnswer(service.undo_tuning(number)?.into()))
}
