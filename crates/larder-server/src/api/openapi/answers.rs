//! The answers that many routes give, each described once.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::api::codes;

/// An error, as RFC 9457 defines it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// The code as a URN, `urn:problem-type:larder:` and the code with hyphens.
    #[schema(format = "uri", example = "urn:problem-type:larder:not-found")]
    r#type: String,
    /// Which problem it is; never renamed.
    #[schema(schema_with = codes::schema)]
    code: String,
    /// The HTTP status, repeated.
    status: u16,
    /// The status in words.
    title: String,
    /// What was wrong with this request.
    detail: String,
    /// The fields that were refused, each with what is allowed.
    #[schema(required = false)]
    errors: BTreeMap<String, String>,
}

/// How a route refuses a body.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "describes answers in the document only")]
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
#[allow(dead_code, reason = "describes answers in the document only")]
pub(crate) enum Failed {
    /// The path, the query or the body cannot be read.
    #[response(status = 400, content_type = "application/problem+json")]
    Unreadable(ProblemBody),
    /// A parameter or a field has a value that is not allowed.
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

/// The request's credentials identify no user.
#[derive(IntoResponses)]
#[response(
    status = 401,
    description = "the credentials or the token are missing, wrong, expired or ended",
    content_type = "application/problem+json",
    headers(("WWW-Authenticate" = String, description = "`Bearer`"))
)]
#[allow(dead_code, reason = "describes an answer in the document only")]
pub(crate) struct Unauthenticated(ProblemBody);

/// How a route refuses a form.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "describes answers in the document only")]
pub(crate) enum RefusedForm {
    /// The form cannot be read.
    #[response(status = 400, content_type = "application/problem+json")]
    NotForm(ProblemBody),
    /// The form is larger than 1 MiB.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemBody),
    /// The body is not sent as a form.
    #[response(status = 415, content_type = "application/problem+json")]
    NotSentAsForm(ProblemBody),
}

/// How a route whose credentials can be guessed refuses a client that fails too often.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "describes answers in the document only")]
pub(crate) enum RefusedTooMany {
    /// Too many recent failures.
    #[response(
        status = 429,
        content_type = "application/problem+json",
        headers(("Retry-After" = String, description = "in seconds"))
    )]
    TooMany(ProblemBody),
}

/// How a route that needs a token may refuse and fail.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "describes answers in the document only")]
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
    /// A parameter or a field has a value that is not allowed.
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

/// Nothing of that name exists.
#[derive(IntoResponses)]
#[response(
    status = 404,
    description = "there is no such user, or nothing of that name that the caller may see",
    content_type = "application/problem+json"
)]
#[allow(dead_code, reason = "describes an answer in the document only")]
pub(crate) struct NotFound(ProblemBody);

/// Another user has a value that has to be unique.
#[derive(IntoResponses)]
#[response(
    status = 409,
    description = "another user has this value already, or this is the last active superadmin",
    content_type = "application/problem+json"
)]
#[allow(dead_code, reason = "describes an answer in the document only")]
pub(crate) struct Taken(ProblemBody);

/// The write would leave no active superadmin.
#[derive(IntoResponses)]
#[response(
    status = 409,
    description = "this is the last active superadmin",
    content_type = "application/problem+json"
)]
#[allow(dead_code, reason = "describes an answer in the document only")]
pub(crate) struct LastSuperadmin(ProblemBody);

/// The write expects another state than the present one.
#[derive(IntoResponses)]
#[response(
    status = 412,
    description = "`If-Match` names another state than the present one",
    content_type = "application/problem+json"
)]
#[allow(dead_code, reason = "describes an answer in the document only")]
pub(crate) struct Outdated(ProblemBody);

/// The caller has the present state already.
#[derive(IntoResponses)]
#[response(
    status = 304,
    description = "the caller has this state already",
    headers(("ETag" = String), ("Cache-Status" = String))
)]
#[allow(dead_code, reason = "describes an answer in the document only")]
pub(crate) struct NotModified;
