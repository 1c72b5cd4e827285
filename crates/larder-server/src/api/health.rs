//! `/livez` and `/readyz`.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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

/// The process answers.
#[utoipa::path(get, path = "/livez", operation_id = "get_liveness", tag = "health", responses((status = 200, body = Alive)))]
pub(crate) async fn livez() -> impl IntoResponse {
    Answer(Alive { status: "alive" })
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

/// The database answers. The cache's health is shown and does not count: without the cache every request is still answered.
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
pub(crate) async fn readyz(State(service): State<Service>) -> Result<impl IntoResponse, Problem> {
    if let Err(error) = service.store().ping().await {
        let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        tracing::warn!(reason, "not ready");
        let detail = format!("the database does not answer: {reason}");
        return Err(Problem::new(Code::DatabaseUnavailable).with_detail(detail));
    }
    let cache = service.cache().health_report();
    let cache_reasons = Reason::public(cache.reasons);
    Ok(Answer(Ready { status: "ready", database: "ok", cache: cache.state.as_str(), cache_reasons }))
}
