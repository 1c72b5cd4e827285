//! The OpenAPI document of every route, and the page that shows it.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::Response;
use serde::Serialize;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, RefOr};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi, ToSchema};
use utoipa_swagger_ui::SwaggerUi;

/// What every route's annotation builds on: title, the Bearer token, the shape of an error.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "larder",
        description = "User management served at the speed of memory, and never stale."
    ),
    components(schemas(ProblemBody)),
    modifiers(&BearerToken),
)]
pub(crate) struct Base;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut Document) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", bearer);
        let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
        components.add_security_scheme("api_key", key);
    }
}

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

/// The user that a path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "stands for a parameter in the document only")]
pub(crate) struct UserPath {
    /// A UUID of version 7, an external id, or `me`.
    #[param(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$")]
    id: String,
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
    /// The database does not answer, or the service is being stopped.
    #[response(
        status = 503,
        content_type = "application/problem+json",
        headers(("Retry-After" = String, description = "seconds"))
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
    /// The database does not answer, or the service is being stopped.
    #[response(
        status = 503,
        content_type = "application/problem+json",
        headers(("Retry-After" = String, description = "seconds"))
    )]
    Unavailable(ProblemBody),
}

/// Completes what the routes' annotations leave to us: an operation is named by its method and path, so that no two share
/// a name, and an answer that is described nowhere by its status.
fn completed(mut document: Document) -> Document {
    for (path, item) in &mut document.paths.paths {
        let operations = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            let words = path.split(|letter: char| !letter.is_ascii_alphanumeric());
            let words = words.filter(|word| !word.is_empty());
            operation.operation_id = Some(words.fold(method.to_owned(), |name, word| name + "_" + word));
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response
                    && response.description.is_empty()
                {
                    let status = status.parse().ok().and_then(|code: u16| StatusCode::from_u16(code).ok());
                    let reason = status.and_then(|status| status.canonical_reason()).unwrap_or("An answer");
                    reason.clone_into(&mut response.description);
                }
            }
        }
    }
    document
}

/// `/openapi.json`, and under `/docs` a page to browse it, served from this binary.
pub(crate) fn pages<S: Clone + Send + Sync + 'static>(document: Document) -> Router<S> {
    let pages: Router<S> = SwaggerUi::new("/docs").url("/openapi.json", completed(document)).into();
    pages.layer(map_response(guarded))
}

/// Nothing on a page of ours comes from elsewhere, and nobody frames it.
async fn guarded(mut response: Response) -> Response {
    let policy = HeaderValue::from_static(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}
