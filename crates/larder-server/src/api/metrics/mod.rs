//! `/metrics`: everything that is counted, in the text format of Prometheus.

mod exposition;
mod figures;
pub(crate) mod requests;

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::metrics::exposition::Exposition;
use crate::api::metrics::requests::Requests;
use crate::api::openapi::answers::Refused;
use crate::api::problem::Problem;
use crate::service::Service;
use crate::service::access::Caller;

/// The version of the format that every Prometheus reads.
const TEXT: &str = "text/plain; version=0.0.4";

/// Every route of this file; `requests` holds what is counted of the service's requests.
pub(crate) fn routes(requests: Requests) -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(scrape)).layer(Extension(requests))
}

/// Everything that this instance counts, and Redis's own figures, in the format of Prometheus. For admins.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    security(("bearer" = []), ("api_key" = ["read"])),
    responses((status = 200, body = String, content_type = "text/plain; version=0.0.4"), Refused)
)]
pub(crate) async fn scrape(
    State(service): State<Service>,
    Extension(requests): Extension<Requests>,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    service.present_admin(caller).await?;
    let redis = service.redis().await;
    let mut text = Exposition::default();
    figures::of_the_service(&mut text, service.store());
    figures::of_the_cache(&mut text, service.cache());
    figures::of_the_classes(&mut text, &service.classes());
    figures::of_redis(&mut text, redis);
    Ok(([(CONTENT_TYPE, TEXT)], text.into_text() + &requests.text()))
}
