//! What happens around every route, in one function: a request is counted, its body decoded and limited, its origin known;
//! its answer gets the headers that keep it private, and a refusal is recorded.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::Route;
use futures_util::FutureExt as _;
use tower::{Layer, Service as _};
use tower_http::decompression::RequestDecompression;
use tower_http::map_request_body::MapRequestBody;

use crate::api::bodies::RouteLimits;
use crate::api::client_address::ClientAddress;
use crate::api::incidents;
use crate::api::metrics::requests::Requests;
use crate::api::problem;
use crate::api::scopes::NeededScopes;
use crate::service::Service;
use crate::store::origin::RequestOrigin;

/// The layer around every route; cheap to clone.
#[derive(Clone)]
pub(super) struct Around(Arc<Shared>);

struct Shared {
    service: Service,
    scopes: NeededScopes,
    limits: RouteLimits,
    requests: Requests,
}

impl Around {
    pub(super) fn new(
        service: Service,
        scopes: NeededScopes,
        limits: RouteLimits,
        requests: Requests,
    ) -> Self {
        Self(Arc::new(Shared { service, scopes, limits, requests }))
    }
}

impl Layer<Route> for Around {
    type Service = Surrounded;

    fn layer(&self, route: Route) -> Surrounded {
        Surrounded { shared: self.0.clone(), route }
    }
}

/// A route with what happens around it.
#[derive(Clone)]
pub(super) struct Surrounded {
    shared: Arc<Shared>,
    route: Route,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

impl tower::Service<Request> for Surrounded {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A route is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Answering {
        let Shared { service, scopes, limits, requests } = &*self.shared;
        let counting = requests.begin(&request);
        let ClientAddress(address) = ClientAddress::of(request.extensions(), request.headers(), service);
        let origin = RequestOrigin::of(address);
        if let Err(problem) = problem::refuse_unknown_encoding(&mut request) {
            return Box::pin(
                async move { Ok(counting.answered(with_common_headers(problem.into_response()))) },
            );
        }
        // No handler of a GET or a HEAD reads a body, so one that has none needs no limit.
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        if !(is_read && request.body().is_end_stream()) {
            limits.set(&mut request, address);
        }
        request.extensions_mut().insert(scopes.clone());
        let answering = match request.headers().contains_key(header::CONTENT_ENCODING) {
            false => self.route.call(request).left_future(),
            true => decoded(self.route.clone(), request).right_future(),
        };
        let shared = self.shared.clone();
        Box::pin(async move {
            // Its reads of the cache, of the caller's state among them, wait for a slow Redis on one budget.
            let answering = shared.service.cache().with_redis_budget(origin.clone().scope(answering));
            // The state that a panic could leave half changed is behind locks, which are taken over from a thread that
            // panicked, or belongs to this request.
            let answer = match AssertUnwindSafe(answering).catch_unwind().await {
                Ok(Ok(answer)) => answer,
                Err(panic) => problem::panicked(panic),
            };
            incidents::note(&shared.service, &origin, &answer);
            Ok(counting.answered(with_common_headers(answer)))
        })
    }
}

/// Answers a request whose body is encoded.
fn decoded(route: Route, request: Request) -> Answering {
    let mut decoding = RequestDecompression::new(MapRequestBody::new(route, Body::new));
    let answering = decoding.call(request);
    Box::pin(async move { Ok(answering.await?.map(Body::new)) })
}

/// Sets `Cache-Control`, `Vary` and `X-Content-Type-Options`. Answers hold personal data, so no cache between the service and the client may store one. A
/// browser may store an answer with an `ETag`: `no-cache` makes it revalidate before each use, and a 304 saves the
/// transfer.
pub(crate) fn with_common_headers(mut response: Response) -> Response {
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
