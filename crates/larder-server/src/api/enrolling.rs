//! Which requests the service admits from a user that must have a second factor and has none.

use axum::extract::MatchedPath;
use axum::http::request::Parts;

/// The operations that set up a second factor, show how far this is, and end the session.
const OPERATIONS: [&str; 5] = [
    "/api/v1/auth/logout",
    "/api/v1/auth/totp",
    "/api/v1/auth/totp/confirm",
    "/api/v1/auth/totp/enroll",
    "/api/v1/auth/validate",
];

/// Whether such a user may send this request.
pub(crate) fn admits(parts: &Parts) -> bool {
    parts.extensions.get::<MatchedPath>().is_some_and(|route| OPERATIONS.contains(&route.as_str()))
}
