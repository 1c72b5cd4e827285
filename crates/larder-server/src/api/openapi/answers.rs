//! The answers that many routes give, each described once.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

/// An error, as RFC 9457 has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// The HTTP status once more.
    status: u16,
    /// The status in words.
    title: String,
    /// What was wrong with this request.
    detail: String,
    /// The fields that were not allowed, each with what is.
    #[schema(required = false)]
    errors: BTreeMap<String, String>,
}

/// How a route with a body refuses one.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "stands for answers in the document only")]
pub(crate) enum RefusedBody {
    /// The body is larger than 1 MiB.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemBody),
    /// The body is not sent as JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    NotSentAsJson(ProblemBody),
}

/// How a route that needs no token may refuse and fail.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "stands for answers in the document only")]
pub(crate) enum Failed {
    /// The path, the query or the body cannot be read.
    #[response(status = 400, content_type = "application/problem+json")]
    Unreadable(ProblemBody),
    /// A parameter or a field is not allowed as it is.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(ProblemBody),
    /// What another program wrote into the database cannot be read, and `errors` names the field; or the service failed.
    #[response(status = 500, content_type = "application/problem+json")]
    Broken(ProblemBody),
    /// The database does not answer, or the service is being stopped.
    #[response(
        status = 503,
        content_type = "application/problem+json",
        headers(("Retry-After" = String, description = "in seconds"))
    )]
    Unavailable(ProblemBody),
}

/// Nobody is known by what was sent.
#[derive(IntoResponses)]
#[response(
    status = 401,
    description = "the credentials or the token are missing, wrong, expired or ended",
    content_type = "application/problem+json",
    headers(("WWW-Authenticate" = String, description = "`Bearer`"))
)]
#[allow(dead_code, reason = "stands for an answer in the document only")]
pub(crate) struct Unauthenticated(ProblemBody);

/// How a route with a form refuses one.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "stands for answers in the document only")]
pub(crate) enum RefusedForm {
    /// The form cannot be read.
    #[response(status = 400, content_type = "application/problem+json")]
    NotForm(ProblemBody),
    /// The form is larger than 1 MiB.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemBody),
    /// The form is not sent as one.
    #[response(status = 415, content_type = "application/problem+json")]
    NotSentAsForm(ProblemBody),
}

/// How a route that can be guessed at refuses whoever guesses too often.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "stands for answers in the document only")]
pub(crate) enum RefusedTooMany {
    /// Too many failures of late.
    #[response(
        status = 429,
        content_type = "application/problem+json",
        headers(("Retry-After" = String, description = "in seconds"))
    )]
    TooMany(ProblemBody),
}

/// How a route that needs a token may refuse and fail.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "stands for answers in the document only")]
pub(crate) enum Refused {
    /// The path, the query or the body cannot be read.
    #[response(status = 400, content_type = "application/problem+json")]
    Unreadable(ProblemBody),
    /// No access token, or one that is malformed, forged, expired or ended.
    #[response(
        status = 401,
        content_type = "application/problem+json",
        headers(("WWW-Authenticate" = String, description = "`Bearer`"))
    )]
    Unauthenticated(ProblemBody),
    /// The caller may not do this.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(ProblemBody),
    /// A parameter or a field is not allowed as it is.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(ProblemBody),
    /// What another program wrote into the database cannot be read, and `errors` names the field; or the service failed.
    #[response(status = 500, content_type = "application/problem+json")]
    Broken(ProblemBody),
    /// The database does not answer, or the service is being stopped.
    #[response(
        status = 503,
        content_type = "application/problem+json",
        headers(("Retry-After" = String, description = "in seconds"))
    )]
    Unavailable(ProblemBody),
}

/// There is nothing of that name.
#[derive(IntoResponses)]
#[response(
    status = 404,
    description = "there is no such user, or nothing of that name that the caller may see",
    content_type = "application/problem+json"
)]
#[allow(dead_code, reason = "stands for an answer in the document only")]
pub(crate) struct NotFound(ProblemBody);

/// A value that only one user may have is another's.
#[derive(IntoResponses)]
#[response(
    status = 409,
    description = "another user has this value already, or this is the last active superadmin",
    content_type = "application/problem+json"
)]
#[allow(dead_code, reason = "stands for an answer in the document only")]
pub(crate) struct Taken(ProblemBody);

/// The write would leave nobody who can manage everybody.
#[derive(IntoResponses)]
#[response(
    status = 409,
    description = "this is the last active superadmin",
    content_type = "application/problem+json"
)]
#[allow(dead_code, reason = "stands for an answer in the document only")]
pub(crate) struct LastSuperadmin(ProblemBody);

/// The write insists on a state that is no more.
#[derive(IntoResponses)]
#[response(
    status = 412,
    description = "`If-Match` names another state than the present one",
    content_type = "application/problem+json"
)]
#[allow(dead_code, reason = "stands for an answer in the document only")]
pub(crate) struct Outdated(ProblemBody);

/// The caller has what it asks for.
#[derive(IntoResponses)]
#[response(
    status = 304,
    description = "the caller has this state already",
    headers(("ETag" = String), ("Cache-Status" = String))
)]
#[allow(dead_code, reason = "stands for an answer in the document only")]
pub(crate) struct NotModified;
