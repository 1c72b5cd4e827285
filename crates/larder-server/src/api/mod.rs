//! The canonical routes under `/api/v1`, and health.

pub mod auth;
pub mod extract;
pub mod health;
pub mod lists;
pub mod openapi;
pub mod preconditions;
pub mod problem;
pub mod statistics;
pub mod users;

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Request, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;
use tower_http::trace::TraceLayer;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use crate::api::problem::Problem;
use crate::service::Service;

/// The largest request body, in bytes.
pub const BODY_BYTES: usize = 1 << 20;

/// How long a client may pause while it sends a body.
const BODY_PAUSE: Duration = Duration::from_secs(10);

/// All routes on a service.
pub fn routes(service: Service) -> Router {
    let (router, document) = OpenApiRouter::with_openapi(openapi::Base::openapi())
        .merge(users::routes())
        .merge(lists::routes())
        .merge(statistics::routes())
        .split_for_parts();
    let auth = Router::new()
        .route("/register", post(auth::register))
        .route("/login", post(auth::login))
        .route("/refresh", post(auth::refresh))
        .route("/logout", post(auth::logout))
        .route("/validate", get(auth::validate))
        .route("/password", post(auth::change_password));
    router
        .merge(openapi::pages(document))
        .nest("/api/v1/auth", auth)
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .fallback(problem::unknown_path)
        .method_not_allowed_fallback(problem::unknown_method)
        .layer(map_response(private))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(RequestBodyTimeoutLayer::new(BODY_PAUSE))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .with_state(service)
}

/// Answers are about people: no shared cache between us and the client may keep one.
async fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Method and route only: a path may hold an external id, and a query anything.
fn span<B>(request: &Request<B>) -> tracing::Span {
    let route = request.extensions().get::<axum::extract::MatchedPath>().map_or("", |path| path.as_str());
    tracing::debug_span!("request", method = %request.method(), route)
}

impl axum::response::IntoResponse for crate::service::error::ServiceError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
