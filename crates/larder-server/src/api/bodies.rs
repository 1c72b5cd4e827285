//! How many bytes the body of a request may have, and the error of a body that arrives too late.
//!
//! Invariant: an operation that needs no credential takes only a small body (default 16 KiB). The limit of an operation
//! follows from the OpenAPI document. This document also has the paths of older systems, so an operation of `api/` has
//! the same limit under each of its paths.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{DefaultBodyLimit, FromRequestParts, MatchedPath, Request};
use axum::http::Method;
use axum::http::request::Parts;
use utoipa::openapi::OpenApi as Document;

use crate::api::codes::Code;
use crate::api::problem::Problem;
use crate::settings::security::BodyLimits;

/// The body did not arrive in time.
#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
pub(crate) struct BodyTooSlow;

/// How the time-out of a body counts. At first, the entire body has to arrive within the time-out. If an operation with
/// a large body calls [`by_piece`](Self::by_piece), each piece of the body has to arrive within it.
#[derive(Clone, Debug, Default)]
pub(crate) struct BodyPace(Arc<AtomicBool>);

impl BodyPace {
    /// Lets the time-out count for each piece of the body.
    pub(crate) fn by_piece(&self) {
        // Relaxed: the flag orders nothing else, and the task that sets it polls the body afterwards.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the time-out counts for each piece.
    pub(crate) fn is_by_piece(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for BodyPace {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // `serving/` adds a `BodyPace` to every request.
        parts.extensions.get().cloned().ok_or_else(|| Problem::new(Code::Failed))
    }
}

/// The most bytes that the body of this request may have.
#[derive(Clone, Copy)]
pub(crate) struct BodyLimit(usize);

impl BodyLimit {
    /// Whether a body of this length may be read.
    pub(crate) fn allows(self, bytes: u64) -> bool {
        bytes <= self.0 as u64
    }

    /// The refusal of a larger body.
    pub(crate) fn exceeded(self) -> Problem {
        let size = match self.0 {
            bytes if bytes % (1 << 20) == 0 => format!("{} MiB ({bytes} bytes)", bytes >> 20),
            bytes if bytes % (1 << 10) == 0 => format!("{} KiB ({bytes} bytes)", bytes >> 10),
            bytes => format!("{bytes} bytes"),
        };
        Problem::new(Code::BodyTooLarge).with_detail(format!("the body is larger than {size}"))
    }
}

/// The limit of each operation; cheap to clone.
#[derive(Clone)]
pub(crate) struct RouteLimits {
    limits: BodyLimits,
    /// The operations that need no credential, by path.
    open: Arc<HashMap<String, HashSet<Method>>>,
}

impl RouteLimits {
    /// The limits of the operations in `document`.
    pub(crate) fn of(document: &Document, limits: BodyLimits) -> Self {
        let paths = document.paths.paths.iter().map(|(path, item)| {
            // utoipa keeps the requirements of an operation private; only its JSON form shows them.
            let item = serde_json::to_value(item).unwrap_or_default();
            let operations = item.as_object().into_iter().flatten();
            let open = operations.filter_map(|(method, operation)| {
                let needs_none = operation["security"].as_array().is_none_or(Vec::is_empty);
                needs_none.then(|| method.to_ascii_uppercase().parse().ok())?
            });
            (path.clone(), open.collect())
        });
        Self { limits, open: Arc::new(paths.collect()) }
    }

    /// Gives a request the limit of its operation.
    pub(crate) fn set(&self, request: &mut Request) {
        let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let limit = self.limit(request.method(), path);
        DefaultBodyLimit::max(limit.0).apply(request);
        request.extensions_mut().insert(limit);
    }

    fn limit(&self, method: &Method, path: &str) -> BodyLimit {
        let is_open = self.open.get(path).is_some_and(|methods| methods.contains(method));
        // The operations under `auth` (log in, change a password or a second factor) take a small body even if they
        // need a credential.
        let is_small = is_open || path.split('/').any(|segment| segment == "auth");
        BodyLimit(if is_small { self.limits.auth_bytes } else { self.limits.bytes })
    }
}

/// Whether the error, or one of its sources, is [`BodyTooSlow`].
pub(crate) fn is_too_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<BodyTooSlow>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_needs_no_credential_and_what_is_under_auth_is_small() {
        let secured = json!({ "responses": {}, "security": [{ "bearer": [] }] });
        let document = json!({
            "openapi": "3.1.0",
            "info": { "title": "a test", "version": "1" },
            "paths": {
                "/join": { "post": { "responses": {} }, "put": secured },
                "/open": { "post": { "responses": {}, "security": [] } },
                "/v1/auth/password": { "post": secured },
            },
        });
        let document = serde_json::from_value(document).unwrap();
        let limits = RouteLimits::of(
            &document,
            BodyLimits { bytes: 2 << 20, auth_bytes: 1000, ..BodyLimits::default() },
        );
        for (method, path, bytes) in [
            (Method::POST, "/join", 1000),
            (Method::PUT, "/join", 2 << 20),
            (Method::POST, "/open", 1000),
            (Method::POST, "/v1/auth/password", 1000),
        ] {
            let limit = limits.limit(&method, path);
            assert!(limit.allows(bytes) && !limit.allows(bytes + 1), "{method} {path}");
            let detail = format!("{:?}", limit.exceeded());
            assert!(detail.contains(if bytes == 1000 { "than 1000 bytes" } else { "2 MiB (2097152 bytes)" }));
        }
    }
}
