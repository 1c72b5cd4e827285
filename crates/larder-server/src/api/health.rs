//! `/livez` and `/readyz`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::JsonAnswer;
use crate::api::cache::reasons::Reason;
use crate::api::codes::Code;
use crate::api::openapi::answers::ProblemBody;
use crate::api::problem::Problem;
use crate::service::Service;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(livez)).routes(routes!(readyz))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    status: &'static str,
}

/// The stages of the process's stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopStage {
    /// Nothing has asked for a stop.
    Running,
    /// The service still accepts connections and answers requests, but `/readyz` answers 503. So load balancers send
    /// their requests elsewhere before the service closes its port.
    Unready,
    /// The service accepts no new connections.
    Stopping,
}

/// The present stage of this process's stop; cheap to clone, because each request has it.
#[derive(Clone)]
pub(crate) struct Stage(pub(crate) Arc<watch::Receiver<StopStage>>);

impl Stage {
    /// Whether a stop has begun.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.0.borrow() != StopStage::Running
    }
}

/// The process answers.
#[utoipa::path(get, path = "/livez", operation_id = "get_liveness", tag = "health", responses((status = 200, body = Alive)))]
pub(crate) async fn livez() -> impl IntoResponse {
    JsonAnswer(Alive { status: "alive" })
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    status: &'static str,
    database: &'static str,
    cache: &'static str,
    /// Why the cache is `degraded`, and what to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cache_reasons: Vec<Reason>,
}

/// The database answers and can be written, and no stop has begun. The cache's health is shown and does not count:
/// without the cache every request is still answered.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "get_readiness",
    tag = "health",
    responses(
        (status = 200, body = Ready),
        (status = 503, body = ProblemBody, content_type = "application/problem+json", headers(("Retry-After" = String))),
    )
)]
pub(crate) async fn readyz(
    State(service): State<Service>,
    stage: Option<Extension<Stage>>,
) -> Result<impl IntoResponse, Problem> {
    // A service that another program embeds has no stage: that program decides when it stops.
    if stage.is_some_and(|Extension(stage)| stage.is_stopping()) {
        return Err(Problem::new(Code::Stopping));
    }
    let answers = match service.store().ping().await {
        // A database can answer reads and refuse writes, for example if its file is read-only, or a connection hangs.
        Ok(()) => service.store().ping_writer().await,
        failed => failed,
    };
    if let Err(error) = answers {
        let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        tracing::warn!(reason, "not ready");
        let detail = format!("the database does not answer, or cannot be written: {reason}");
        return Err(Problem::new(Code::DatabaseUnavailable).with_detail(detail));
    }
    let cache = service.cache().health_report();
    let cache_reasons = Reason::public(cache.reasons);
    Ok(JsonAnswer(Ready { status: "ready", database: "ok", cache: cache.state.as_str(), cache_reasons }))
}
