//! The OpenAPI document of every route, and the page that shows it.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};
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

/// How a route with a body refuses one.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "stands for answers in the document only")]
pub(crate) enum RefusedBody {
    /// The body is not JSON.
    #[response(status = 400, content_type = "application/problem+json")]
    NotJson(#[to_schema] ProblemBody),
    /// The body is larger than 1 MiB.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] ProblemBody),
    /// The body is not sent as JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    NotSentAsJson(#[to_schema] ProblemBody),
}

/// How a route with a form refuses one.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "stands for answers in the document only")]
pub(crate) enum RefusedForm {
    /// The form cannot be read.
    #[response(status = 400, content_type = "application/problem+json")]
    NotForm(#[to_schema] ProblemBody),
    /// The form is larger than 1 MiB.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] ProblemBody),
    /// The form is not sent as one.
    #[response(status = 415, content_type = "application/problem+json")]
    NotSentAsForm(#[to_schema] ProblemBody),
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
    TooMany(#[to_schema] ProblemBody),
}

/// How every route may refuse a caller and fail.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "stands for answers in the document only")]
pub(crate) enum Refused {
    /// No access token, or one that is malformed, forged, expired or ended.
    #[response(
        status = 401,
        content_type = "application/problem+json",
        headers(("WWW-Authenticate" = String, description = "`Bearer`"))
    )]
    Unauthenticated(#[to_schema] ProblemBody),
    /// The caller may not do this.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(#[to_schema] ProblemBody),
    /// A parameter or a field is not allowed as it is.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(#[to_schema] ProblemBody),
    /// The database does not answer, or the service is being stopped.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] ProblemBody),
}

/// `/openapi.json`, and under `/docs` a page to browse it, served from this binary.
pub(crate) fn pages<S: Clone + Send + Sync + 'static>(document: Document) -> Router<S> {
    let pages: Router<S> = SwaggerUi::new("/docs").url("/openapi.json", document).into();
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
