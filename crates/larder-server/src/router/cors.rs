//! Cross-origin requests: what pages of other origins may send and read.

use std::time::Duration;

use axum::http::{HeaderName, Method, header};
use larder_http::headers::{CACHE_INVALIDATION, CACHE_STATUS};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::api::correlation::{REQUEST_ID, TRACEPARENT};
use crate::settings::http::Origins;

/// How long a browser may remember what a preflight allowed.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// The CORS layer: what pages of other origins may send and read; `None` if no origin may. It does not allow cookies
/// (`Access-Control-Allow-Credentials`), because clients send credentials in a header.
pub(super) fn layer(origins: &Origins) -> Option<CorsLayer> {
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
