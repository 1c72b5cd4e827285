//! Errors as `application/problem+json` (RFC 9457): those of the service, axum's rejections, and panics.

use std::any::Any;

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Body as _;
use problem_details::ProblemDetails;
use serde::Serialize;

use crate::api::codes::Code;
use crate::api::correlation;
use crate::domain::api_key::Scope;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;

/// An error answer. It never shows a value that the client sent, nor anything of another user.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Option<ValidationErrors>,
    /// The value of `Retry-After`, in seconds.
    retry_after: Option<u64>,
    /// The scope that the API key lacks.
    needed_scope: Option<&'static str>,
}

/// The members of the answer that this service adds to those of the crate `problem_details`.
#[derive(Serialize)]
struct Extension {
    /// RFC 9457 defines this member. It is here because the crate's own member accepts no URN.
    r#type: String,
    code: &'static str,
    /// The id of the request, as in `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<ValidationErrors>,
}

impl Problem {
    /// A problem that concerns no single field; its detail is the text of its code.
    pub(crate) fn new(code: Code) -> Self {
        Self { code, detail: code.text().to_owned(), errors: None, retry_after: None, needed_scope: None }
    }

    /// The same problem with a detail about this request.
    pub(crate) fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// Adds a text to the member `detail`.
    pub(crate) fn also(mut self, more: &str) -> Self {
        self.detail += more;
        self
    }

    /// The body of the answer, in the form of RFC 9457.
    pub(crate) fn details(self, request_id: Option<String>) -> ProblemDetails<impl Serialize> {
        let extension = Extension {
            r#type: self.code.type_uri(),
            code: self.code.name(),
            request_id,
            errors: self.errors,
        };
        ProblemDetails::from_status_code(self.code.status())
            .with_detail(self.detail)
            .with_extensions(extension)
    }

    /// 403: the API key lacks this scope.
    pub(crate) fn scope_missing(needed: Scope) -> Self {
        Self { needed_scope: Some(needed.as_str()), ..Self::new(Code::Refused(Refusal::ScopeMissing)) }
    }

    /// 412: the user has another version by now.
    pub fn version_conflict(current: i64) -> Self {
        let detail = format!("the user has version {current} by now; read it again before you change it");
        Self::new(Code::VersionMismatch).with_detail(detail)
    }
}

impl From<ValidationErrors> for Problem {
    fn from(errors: ValidationErrors) -> Self {
        Self { errors: Some(errors), ..Self::new(Code::FieldsInvalid) }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        use ServiceError as E;
        let code = match &error {
            E::Refused(refusal) => Code::Refused(*refusal),
            E::SecondFactorNeeded => Code::SecondFactorNeeded,
            E::NotFound => Code::NotFound,
            E::MailUnset => Code::MailUnset,
            E::Taken { .. } => Code::ValueTaken,
            E::PartMismatch => Code::PartMismatch,
            E::TooMany { .. } => Code::TooManyFailures,
            E::VersionMismatch { current } => return Self::version_conflict(*current),
            E::Invalid(errors) => return errors.clone().into(),
            E::Unavailable(_) => Code::DatabaseUnavailable,
            E::HashingBusy => Code::HashingBusy,
            E::ShuttingDown => Code::Stopping,
            E::Internal(_) => Code::Failed,
            E::Unreadable { .. } => Code::ValueUnreadable,
        };
        if let E::Unavailable(source) | E::Internal(source) = &error {
            // The cause is logged here, where the error becomes an answer, and nowhere else.
            tracing::error!(%error, cause = chain(&**source), "request failed");
        }
        if matches!(error, E::Unreadable { .. }) {
            tracing::warn!(%error, "request failed");
        }
        let errors = match &error {
            E::Taken { field } => Some(ValidationErrors::one(field, Invalid::new("is taken already"))),
            E::Unreadable { field } => {
                let invalid = Invalid::new("cannot be read as it is stored; send a new value to mend it");
                Some(ValidationErrors::one(field, invalid))
            }
            E::SecondFactorNeeded => Some(ValidationErrors::one(
                "totp_code",
                Invalid::new("is needed, or recovery_code in its place"),
            )),
            _ => None,
        };
        let retry_after = match &error {
            // Rounded up, so that a client that waits this long does not return too early.
            E::TooMany { retry_after } => Some(retry_after.as_secs() + 1),
            _ => None,
        };
        let problem = match &error {
            // The texts of these errors name the field, so they are the detail.
            E::Taken { .. } | E::Unreadable { .. } => Self::new(code).with_detail(error.to_string()),
            _ => Self::new(code),
        };
        Self { errors, retry_after, ..problem }
    }
}

/// An error with its sources, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// The challenge of a 401 (RFC 6750): it names an error only if the request had a token.
fn challenge(code: Code) -> &'static str {
    match code {
        Code::Refused(Refusal::AccessTokenInvalid | Refusal::ApiKeyInvalid | Refusal::SessionEnded) => {
            "Bearer error=\"invalid_token\""
        }
        Code::Refused(Refusal::ClientInvalid) => "Basic realm=\"larder\"",
        _ => "Bearer",
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let (retry_after, needed_scope) = (self.retry_after, self.needed_scope);
        let code = self.code;
        let mut response = self.details(correlation::current_id()).into_response();
        // `incidents.rs`, which records refusals, reads the code from the extensions.
        response.extensions_mut().insert(code);
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge(code)));
            }
            StatusCode::FORBIDDEN => {
                if let Some(scope) = needed_scope {
                    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
                    // The name of a scope is a legal header value.
                    let challenge = HeaderValue::from_str(&challenge);
                    headers.extend(challenge.ok().map(|challenge| (header::WWW_AUTHENTICATE, challenge)));
                }
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE if code == Code::BodyEncodingUnknown => {
                headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// Refuses a body whose encoding is neither `gzip` nor `identity`, before it is decoded. Names of encodings have no case,
/// and `x-gzip` is another name of `gzip` (RFC 9110): the request gets the name that the layer that decodes knows.
pub(crate) fn refuse_unknown_encoding(request: &mut Request) -> Result<(), Problem> {
    let mut encodings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    let is_known = match (encodings.next(), encodings.next()) {
        (None, _) => true,
        (Some(one), None) => match one.as_bytes().trim_ascii().to_ascii_lowercase().as_slice() {
            b"gzip" | b"x-gzip" => {
                request.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                true
            }
            b"identity" => {
                request.headers_mut().remove(header::CONTENT_ENCODING);
                true
            }
            _ => false,
        },
        (Some(_), Some(_)) => false,
    };
    if request.body().is_end_stream() {
        // An empty body needs no decoding, so its encoding does not matter. The header is removed because the layer
        // that decodes would still refuse it, and not in problem+json.
        request.headers_mut().remove(header::CONTENT_ENCODING);
    } else if !is_known {
        return Err(Problem::new(Code::BodyEncodingUnknown));
    }
    Ok(())
}

/// The answer for every unknown path.
pub(crate) async fn unknown_path() -> Problem {
    Problem::new(Code::PathUnknown)
}

/// The answer for a known path with a method that it does not have. axum adds the `Allow` header.
pub(crate) async fn unknown_method() -> Problem {
    Problem::new(Code::MethodUnknown)
}

/// The answer if a handler panicked. It does not show the message of the panic, which may contain values of the
/// request; Rust prints that message on standard error.
pub(crate) fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    Problem::new(Code::Failed).into_response()
}
