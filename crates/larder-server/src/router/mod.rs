//! Every route of the service on one router, and the layers that apply to all of them.

mod paths;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::Response;
use axum::{Extension, Router};
use larder_http::headers::{CACHE_INVALIDATION, CACHE_STATUS};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate as _, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::map_request_body::MapRequestBodyLayer;
use tower_http::trace::TraceLayer;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use crate::api::bodies::{self, RouteLimits};
use crate::api::correlation::{self, REQUEST_ID, TRACEPARENT};
use crate::api::metrics::requests::Requests;
use crate::api::scopes::NeededScopes;
use crate::api::{self, problem};
use crate::api::{incidents, metrics, openapi};
use crate::dialects;
use crate::router::paths::Templates;
use crate::service::Service;
use crate::settings::http::{Http, Origins};

/// Smaller answers are not compressed, because each fits into one packet.
const COMPRESSED_BYTES: u64 = 1024;

/// How long a browser may remember what a preflight allowed.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// The router of a service: all routes, with the prefix and the CORS origins of `http`.
///
/// A program that serves it itself adds the address of each client as `ConnectInfo<SocketAddr>`, as axum's
/// `into_make_service_with_connect_info` does and [`crate::app::serve`] too. Without it, all clients count as one: they
/// share the budgets of a single address, and the audit log has 0.0.0.0.
pub fn routes(service: Service, http: &Http) -> Router {
    let requests = Requests::new();
    let (router, document) = described(requests.clone()).split_for_parts();
    let scopes = NeededScopes::of(&document);
    let limits = RouteLimits::of(&document, service.body_limits());
    let templates = Templates::of(&document);
    let watched = service.clone();
    let issuer = service.issuer().unwrap_or_default().to_owned();
    let router = router
        .merge(openapi::pages(document, &http.base_path))
        .fallback(problem::unknown_path)
        .method_not_allowed_fallback(problem::unknown_method)
        .layer(from_fn_with_state(limits, bodies::limit))
        .with_state(service)
        .layer(Extension(scopes))
        .layer(from_fn_with_state(watched, incidents::watch))
        .layer((RequestDecompressionLayer::new(), MapRequestBodyLayer::new(Body::new)))
        .layer(from_fn(problem::refuse_unknown_encoding))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(map_response(private))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(
            // An answer with an `ETag` is not compressed. Its tag would be wrong for the compressed form, and without a
            // tag no client could write conditionally. Such answers are small.
            DefaultPredicate::new().and(SizeAbove::new(COMPRESSED_BYTES)).and(has_no_tag),
        ))
        .layer(TraceLayer::new_for_http().make_span_with(correlation::span))
        .layer(from_fn_with_state(requests, metrics::requests::count));
    paths::discovered(
        &issuer,
        &http.base_path,
        around(paths::with_and_without_slash(router, templates), http),
    )
}

/// Adds the outermost layers: the ids of requests, CORS, the prefix of paths. The routes that answer before the service
/// is open (`opening.rs`) have them too.
pub(crate) fn around(router: Router, http: &Http) -> Router {
    let router = match cors(&http.cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    // The state makes services of the fallbacks and their layers once; without one, each request would.
    paths::under(&http.base_path, router).layer(from_fn(correlation::correlate)).with_state(())
}

/// `/openapi.json` and `/docs`, which can be served before the service is open.
pub(crate) fn pages(http: &Http) -> Router {
    openapi::pages(described(Requests::new()).into_openapi(), &http.base_path)
}

fn has_no_tag(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    !headers.contains_key(header::ETAG)
}

/// The CORS layer: what pages of other origins may send and read; `None` if no origin may. It does not allow cookies
/// (`Access-Control-Allow-Credentials`), because clients send credentials in a header.
fn cors(origins: &Origins) -> Option<CorsLayer> {
    const SENT: [HeaderName; 9] = [
        header::AUTHORIZATION,
        header::CONTENT_ENCODING,
        header::CONTENT_TYPE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        HeaderName::from_static("idempotency-key"),
        HeaderName::from_static("x-api-key"),
        REQUEST_ID,
        TRACEPARENT,
    ];
    let read = [
        CACHE_INVALIDATION,
        CACHE_STATUS,
        header::ETAG,
        header::LINK,
        header::LOCATION,
        header::RETRY_AFTER,
        header::WWW_AUTHENTICATE,
        REQUEST_ID,
        TRACEPARENT,
    ];
    let origins = match origins {
        Origins::List(none) if none.is_empty() => return None,
        Origins::List(some) => AllowOrigin::list(some.iter().cloned()),
        Origins::Any => AllowOrigin::any(),
    };
    let methods = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let cors = CorsLayer::new().allow_origin(origins).allow_methods(methods).allow_headers(SENT);
    Some(cors.expose_headers(read).max_age(PREFLIGHT_AGE))
}

fn described(requests: Requests) -> OpenApiRouter<Service> {
    OpenApiRouter::with_openapi(openapi::Base::openapi())
        .merge(api::routes())
        .merge(dialects::routes())
        .merge(metrics::routes(requests))
}

/// Sets `Cache-Control`. Answers hold personal data, so no cache between the service and the client may store one. A
/// browser may store an answer with an `ETag`: `no-cache` makes it revalidate before each use, and a 304 saves the
/// transfer.
pub(crate) async fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut cache_control = HeaderValue::from_static("private, no-store");
    if headers.contains_key(header::ETAG) {
        cache_control = HeaderValue::from_static("private, no-cache");
        // Different callers get different views under the same path.
        headers.append(header::VARY, HeaderValue::from_static("authorization, x-api-key"));
    }
    headers.insert(header::CACHE_CONTROL, cache_control);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
