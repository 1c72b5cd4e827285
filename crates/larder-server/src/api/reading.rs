//! Reads the body of a request into memory, within its limit and within the memory of all bodies.

use axum::RequestExt as _;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError};

use crate::api::bodies::{BodyLimit, is_too_slow};
use crate::api::body_memory::{BodyAccount, BodyShare};
use crate::api::codes::Code;
use crate::api::problem::Problem;

/// A body that was read.
pub(super) struct Sent {
    /// The bytes, decoded.
    pub(super) bytes: Bytes,
    /// Holds its memory until the body is parsed.
    _account: Option<BodyAccount>,
}

/// Reads a body. `Content-Length` is checked before, so that a client need not send a body that the service refuses.
pub(super) async fn read(request: Request) -> Result<Sent, Problem> {
    let limit = limit(&request)?;
    if declared_bytes(request.headers()).is_some_and(|bytes| !limit.allows(bytes)) {
        return Err(limit.exceeded());
    }
    // Without an account, a program has put the handler on a router of its own.
    let mut account = request.extensions().get().map(BodyShare::account);
    let mut body = request.into_limited_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unread(&error, status_of(&error), limit, Code::BodyUnreadable))?;
        let Ok(data) = frame.into_data() else { continue };
        if let Some(account) = &mut account {
            account.add(data.len())?;
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Sent { bytes: bytes.into(), _account: account })
}

/// The status of an error of a body: 413 if it is longer than its limit.
fn status_of(error: &axum::Error) -> StatusCode {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return StatusCode::PAYLOAD_TOO_LARGE;
        }
        cause = error.source();
    }
    StatusCode::BAD_REQUEST
}

/// The limit that `RouteLimits::set` stored in the request's extensions.
pub(super) fn limit(request: &Request) -> Result<BodyLimit, Problem> {
    request.extensions().get().copied().ok_or_else(|| Problem::new(Code::Failed))
}

/// The problem of a body that was not read: too large, too slow, or unreadable for another reason.
pub(super) fn unread(
    error: &(dyn std::error::Error + 'static),
    status: StatusCode,
    limit: BodyLimit,
    otherwise: Code,
) -> Problem {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => limit.exceeded(),
        _ if is_too_slow(error) => Problem::new(Code::BodyTooSlow),
        _ => Problem::new(otherwise),
    }
}

/// What `Content-Length` says.
pub(super) fn declared_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
