//! Every route of the service on one router, and what applies to all of them.

mod around;
pub(crate) mod cors;
pub(crate) mod entry;
mod paths;

use axum::Router;
use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate as _, SizeAbove};
use tower_http::trace::TraceLayer;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use crate::api::admin;
use crate::api::bodies::RouteLimits;
use crate::api::correlation;
use crate::api::metrics;
use crate::api::metrics::requests::Requests;
use crate::api::openapi;
use crate::api::scopes::NeededScopes;
use crate::api::{self, problem};
use crate::dialects;
use crate::router::around::Around;
pub(crate) use crate::router::around::with_common_headers;
pub use crate::router::entry::Routes;
use crate::router::paths::Templates;
use crate::service::Service;
use crate::settings::http::Http;

/// Smaller answers are not compressed, because each fits into one packet.
const COMPRESSED_BYTES: u64 = 1024;

/// The routes of a service, with the prefix and the CORS origins of `http`.
///
/// A program that serves them itself turns them into axum's [`Router`] and adds the address of each client as
/// `ConnectInfo<SocketAddr>`, as axum's `into_make_service_with_connect_info` and [`crate::app::serve`] do. Without it,
/// all clients count as one: they share the budgets of a single address, and the audit log has 0.0.0.0.
pub fn routes(service: Service, http: &Http) -> Routes {
    let requests = Requests::new();
    let (router, document) = described(requests.clone()).split_for_parts();
    let around = Around::new(
        service.clone(),
        NeededScopes::of(&document),
        RouteLimits::of(&document, service.body_limits()),
        requests.clone(),
    );
    let templates = Templates::of(&document);
    let discovery = paths::discovery(service.issuer().unwrap_or_default());
    let page = admin::page(&service);
    let router = router
        .merge(openapi::pages(self::document, &http.base_path))
        .merge(page.router(admin::PATH))
        .fallback(problem::unknown_path)
        .method_not_allowed_fallback(problem::unknown_method)
        .with_state(service)
        // One layer, the outermost part first. Each further `Router::layer` would box every route once more, and each
        // request would clone these boxes within each other.
        .layer((
            TraceLayer::new_for_http().make_span_with(correlation::span),
            CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(
                // An answer with an `ETag` is not compressed. Its tag would be wrong for the compressed form, and without
                // a tag no client could write conditionally. Such answers are small.
                SizeAbove::new(COMPRESSED_BYTES).and(has_no_tag).and(DefaultPredicate::new()),
            ),
            around,
        ));
    Routes::new(router, http, templates, discovery, requests).with_page(page)
}

/// `/openapi.json` and `/docs`, which can be served before the service is open.
pub(crate) fn pages(http: &Http) -> Router {
    openapi::pages(document, &http.base_path)
}

/// The OpenAPI document of every route, with the schemas of all answers.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    described(Requests::new()).into_openapi()
}

fn has_no_tag(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    !headers.contains_key(header::ETAG)
}

fn described(requests: Requests) -> OpenApiRouter<Service> {
    OpenApiRouter::with_openapi(openapi::Base::openapi())
        .merge(api::routes())
        .merge(dialects::routes())
        .merge(metrics::routes(requests))
}
