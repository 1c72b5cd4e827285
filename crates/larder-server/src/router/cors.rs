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

/// The headers of CORS of answers that no route gives: to a head that hyper refuses, or for which there is no room.
pub(crate) struct RefusalCors {
    origins: Origins,
    exposed: Option<HeaderValue>,
}

impl RefusalCors {
    pub(super) fn new(origins: &Origins) -> Self {
        let read = READ.map(|name| name.as_str().to_owned()).join(",");
        Self { origins: origins.clone(), exposed: HeaderValue::try_from(read).ok() }
    }

    /// The headers of the answer to a request from `origin`. `None`: the head was not read as far as its `Origin`. Then the
    /// answer names an origin only if every origin may read it, or one alone.
    pub(crate) fn headers(&self, origin: Option<&[u8]>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let named = match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::List(origins) => match (origins.as_slice(), origin) {
                ([only], _) => Some(only.clone()),
                (_, origin) => origins.iter().find(|allowed| Some(allowed.as_bytes()) == origin).cloned(),
            },
        };
        if let Some(named) = named {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, named);
            headers.extend(self.exposed.clone().map(|names| (header::ACCESS_CONTROL_EXPOSE_HEADERS, names)));
        }
        headers
    }

    /// The length of the longest origin that only a request can select; `None` if the request's origin does not matter.
    pub(crate) fn selectable_bytes(&self) -> Option<usize> {
        match &self.origins {
            Origins::List(origins) if origins.len() > 1 => origins.iter().map(HeaderValue::len).max(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_an_origin_that_may_read_it() {
        let list = |origins: &[&'static str]| {
            Origins::List(origins.iter().map(|origin| HeaderValue::from_static(origin)).collect())
        };
        let (a, b) = ("https://a.example", "https://b.example");
        for (origins, origin, named) in [
            (Origins::Any, None, Some("*")),
            (list(&[]), Some(a), None),
            (list(&[a]), None, Some(a)),
            (list(&[a]), Some(b), Some(a)),
            (list(&[a, b]), None, None),
            (list(&[a, b]), Some(b), Some(b)),
            (list(&[a, b]), Some("https://c.example"), None),
        ] {
            let headers = RefusalCors::new(&origins).headers(origin.map(str::as_bytes));
            let seen = headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(HeaderValue::as_bytes);
            assert_eq!(seen, named.map(str::as_bytes), "{origins:?} {origin:?}");
            assert_eq!(headers.contains_key(header::ACCESS_CONTROL_EXPOSE_HEADERS), named.is_some());
        }
    }
}
