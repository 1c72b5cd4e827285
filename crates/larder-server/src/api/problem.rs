//! Errors as RFC 9457 problem+json: ours, axum's own rejections, and panics.

use std::any::Any;

use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use problem_details::ProblemDetails;
use serde::Serialize;

use crate::api::codes::Code;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::service::error::ServiceError;

/// An error answer. It never shows a value that the client sent, nor anything of another user.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Option<ValidationErrors>,
    /// In seconds.
    retry_after: Option<u64>,
}

/// Our extension of RFC 9457: a code, and one message for each wrong field.
#[derive(Serialize)]
struct Extension {
    /// A member of RFC 9457; it is here because the library takes no URN.
    r#type: String,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<ValidationErrors>,
}

impl Problem {
    /// A problem that concerns no single field, with what the code's row says of it.
    pub(crate) fn new(code: Code) -> Self {
        Self { code, detail: code.text().to_owned(), errors: None, retry_after: None }
    }

    /// The same problem with what is particular about this request.
    pub(crate) fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// 412: the user has another version by now.
    pub fn version_conflict(current: i64) -> Self {
        let detail = format!("the user has version {current} by now; read it again before you change it");
        Self::new(Code::VersionConflict).with_detail(detail)
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
            E::Taken { .. } => Code::ValueTaken,
            E::PartConflict => Code::PartConflict,
            E::TooMany { .. } => Code::TooManyFailures,
            E::VersionConflict { current } => return Self::version_conflict(*current),
            E::Invalid(errors) => return errors.clone().into(),
            E::Unavailable(_) => Code::DatabaseUnavailable,
            E::ShuttingDown => Code::Stopping,
            E::Internal(_) => Code::Failed,
            E::Unreadable { .. } => Code::ValueUnreadable,
        };
        if let E::Unavailable(source) | E::Internal(source) = &error {
            // A failure is logged here, where it becomes an answer, and nowhere else.
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
            // Rounded up, so that a client that returns then is not too early.
            E::TooMany { retry_after } => Some(retry_after.as_secs() + 1),
            _ => None,
        };
        let problem = match &error {
            // They name the field.
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

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let mut response = ProblemDetails::from_status_code(status)
            .with_detail(self.detail)
            .with_extensions(Extension {
                r#type: self.code.type_uri(),
                code: self.code.name(),
                errors: self.errors,
            })
            .into_response();
        // For the layers that note refusals.
        response.extensions_mut().insert(self.code);
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(Code::BodyTooLarge),
            _ => Self::new(Code::BodyUnreadable),
        }
    }
}

/// The answer for every unknown path.
pub(crate) async fn unknown_path() -> Problem {
    Problem::new(Code::PathUnknown)
}

/// The answer for a known path with a method that it does not have. axum adds the `Allow` header.
pub(crate) async fn unknown_method() -> Problem {
    Problem::new(Code::MethodUnknown)
}

/// The answer when a handler panicked. It does not show the panic's message, which was printed and may hold anything.
pub(crate) fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    Problem::new(Code::Failed).into_response()
}
