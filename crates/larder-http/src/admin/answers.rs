//! The answers that the page gives by itself: JSON, and refusals as `application/problem+json` (RFC 9457).

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use larder::error::{Error, ErrorKind};
use serde::Serialize;

/// A refusal of the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: &'static str,
}

#[derive(Serialize)]
struct Details<'a> {
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
}

impl Problem {
    pub(super) const KEYS_HIDDEN: Self =
        Self::new(StatusCode::FORBIDDEN, "keys_hidden", "you may not see the keys of this class");
    pub(super) const NO_CLASS: Self =
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "no_class", "there is no class of this name");
    pub(super) const OTHER_SITE: Self = Self::new(
        StatusCode::FORBIDDEN,
        "other_site",
        "the request does not come from the page: it needs the header X-Larder-Page, and the origin of this service",
    );
    pub(super) const OTHER_INSTANCE: Self = Self::new(
        StatusCode::CONFLICT,
        "other_instance",
        "another instance got this request; open the page of one instance by its own address, and try again",
    );
    pub(super) const BODY: Self = Self::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "body_unreadable",
        "the body must be JSON of at most 16 KiB with the fields of this request",
    );
    pub(super) const NO_WARMING: Self = Self::new(
        StatusCode::NOT_FOUND,
        "no_warming",
        "this application does not say which entries to load first",
    );

    const fn new(status: StatusCode, code: &'static str, detail: &'static str) -> Self {
        Self { status, code, detail }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        problem(self.status, self.code, self.detail)
    }
}

fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Refused");
    let details = Details { title, status: status.as_u16(), code, detail };
    with_type(status, "application/problem+json", serde_json::to_vec(&details).unwrap_or_default())
}

/// The answer to a request that the cache refuses: 422 for what the viewer can mend, else 500.
pub(super) fn refused(error: &Error) -> Response {
    match error.kind() {
        ErrorKind::Config => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, "refused_by_the_cache", &error.to_string())
        }
        _ => problem(StatusCode::INTERNAL_SERVER_ERROR, "failed", "the cache failed; its log says why"),
    }
}

/// An answer of JSON, which no cache between page and application may keep.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => with_type(StatusCode::OK, "application/json", body),
        // Only a map with keys that are no strings fails, and no answer has one.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn with_type(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
