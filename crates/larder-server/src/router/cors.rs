//! Cross-origin requests: what pages of other origins may send and read.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use larder_http::headers::{CACHE_INVALIDATION, CACHE_STATUS};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::api::correlation::{REQUEST_ID, TRACEPARENT};
use crate::settings::http::Origins;

/// How long a browser may remember what a preflight allowed.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// What pages of other origins may read, besides what every page may.
const READ: [HeaderName; 9] = [
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

/// The CORS layer: what pages of other origins may send and read; `None` if no origin may. It does not allow cookies
/// (`Access-Control-Allow-Credentials`), because clients send credentials in a header.
pub(super) fn layer(origins: &Origins) -> Option<CorsLayer> {
    const SENT: [HeaderName; 12] = [
        header::AUTHORIZATION,
        header::CACHE_CONTROL,
        header::CONTENT_ENCODING,
        header::CONTENT_TYPE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        HeaderName::from_static("baggage"),
        HeaderName::from_static("idempotency-key"),
        HeaderName::from_static("tracestate"),
        HeaderName::from_static("x-api-key"),
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
    Some(cors.expose_headers(READ).max_age(PREFLIGHT_AGE))
}

/// The headers of CORS of an answer that is given before the request's `Origin` is known: to a head that is too large, or
/// on a connection for which there is no room. Only if every origin may read, or one alone, is it known which to name. If
/// there are several, a page of one of them sees such an answer as a failure of the network.
pub(super) fn of_refusals(origins: &Origins) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let origin = match origins {
        Origins::Any => HeaderValue::from_static("*"),
        Origins::List(origins) => match origins.as_slice() {
            [only] => only.clone(),
            _ => return headers,
        },
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let read = READ.map(|name| name.as_str().to_owned()).join(",");
    headers
        .extend(HeaderValue::try_from(read).ok().map(|read| (header::ACCESS_CONTROL_EXPOSE_HEADERS, read)));
    headers
}
