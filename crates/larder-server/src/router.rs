//! Every route of the service on one router, and the layers that apply to all of them.

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, MatchedPath};
use axum::http::{HeaderValue, Request, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;
use tower_http::trace::TraceLayer;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use crate::api::metrics::requests::Requests;
use crate::api::scopes::NeededScopes;
use crate::api::{self, BODY_BYTES, problem};
use crate::api::{incidents, metrics, openapi};
use crate::dialects;
use crate::service::Service;

/// How long a client may pause while it sends a body; then the request fails, so that a stalled client holds no handler.
const BODY_PAUSE: Duration = Duration::from_secs(10);

/// All routes on a service.
pub fn routes(service: Service) -> Router {
    let requests = Requests::new();
    let (router, document) = described(requests.clone()).split_for_parts();
    let scopes = NeededScopes::of(&document);
    router
        .merge(openapi::pages(document))
        .fallback(problem::unknown_path)
        .method_not_allowed_fallback(problem::unknown_method)
        .layer(Extension(scopes))
        .layer(from_fn_with_state(service.clone(), incidents::watch))
        .layer(map_response(private))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(RequestBodyTimeoutLayer::new(BODY_PAUSE))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(from_fn_with_state(requests, metrics::requests::count))
        .with_state(service)
}

/// `/openapi.json` and `/docs`, which need no service.
pub(crate) fn pages() -> Router {
    openapi::pages(described(Requests::new()).into_openapi())
}

fn described(requests: Requests) -> OpenApiRouter<Service> {
    OpenApiRouter::with_openapi(openapi::Base::openapi())
        .merge(api::routes())
        .merge(dialects::routes())
        .merge(metrics::routes(requests))
}

/// Forbids every cache between the service and its client to store an answer, because answers hold personal data.
pub(crate) async fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The span has the method and the route, but neither path nor query: a path may hold an external id, and a query anything.
fn span<B>(request: &Request<B>) -> tracing::Span {
    let route = request.extensions().get::<MatchedPath>().map_or("", |path| path.as_str());
    tracing::debug_span!("request", method = %request.method(), route)
}
