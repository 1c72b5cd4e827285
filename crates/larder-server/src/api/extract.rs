//! What handlers take out of a request, each with a clear refusal.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use larder::policy;
use serde_json::Value;
use utoipa::IntoParams;

use crate::api::BODY_BYTES;
use crate::api::problem::Problem;
use crate::domain::identity::UserRef;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::service::tokens::Claims;

/// A body of JSON, parsed no further.
pub(crate) struct Json(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body must be JSON, with Content-Type: application/json",
            ));
        }
        // Said before it is sent: nobody has to wait for the end of what is refused.
        if declared_bytes(request.headers()).is_some_and(|bytes| bytes > BODY_BYTES as u64) {
            return Err(Problem::too_large());
        }
        let bytes = Bytes::from_request(request, state).await?;
        serde_json::from_slice(&bytes).map(Json).map_err(|error| {
            // serde_json's own message may quote the body.
            let what = match error.classify() {
                serde_json::error::Category::Eof => "ends too early",
                _ if error.to_string().starts_with("recursion limit") => "is nested too deeply",
                _ => "is not JSON in UTF-8",
            };
            let (line, column) = (error.line(), error.column());
            let detail = format!("the body {what}, at line {line}, column {column}");
            Problem::new(StatusCode::BAD_REQUEST, detail)
        })
    }
}

fn declared_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_json(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The parameters behind the `?`, as `T` names them.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|Query(params)| Params(params)).map_err(|_| {
            let detail =
                "the query string cannot be read; each parameter may stand once, percent-encoded in UTF-8";
            Problem::new(StatusCode::BAD_REQUEST, detail)
        })
    }
}

/// How strong a read has to be: `?consistency=bounded|fresh`.
pub(crate) struct Strength(pub(crate) policy::Consistency);

#[derive(serde::Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Consistency {
    /// How strong the read has to be: `fresh` passes memory over. Default: `bounded`.
    #[param(pattern = "^(bounded|fresh)$")]
    consistency: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Strength {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Params(Consistency { consistency }) = Params::from_request_parts(parts, state).await?;
        let Some(word) = consistency else { return Ok(Strength(policy::Consistency::default())) };
        let parsed = larder_http::consistency::parse(&word);
        parsed
            .map(Strength)
            .map_err(|unknown| ValidationErrors::one("consistency", Invalid::new(unknown.to_string())).into())
    }
}

/// The one variable segment of a path, as it is.
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(raw) = path.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the path is not UTF-8"))?;
        Ok(Self(raw))
    }
}

/// The user that a path names.
pub(crate) struct Target(pub(crate) UserRef);

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Segment(raw) = Segment::from_request_parts(parts, state).await?;
        raw.parse().map(Target).map_err(|invalid: Invalid| ValidationErrors::one("id", invalid).into())
    }
}

/// Who sends the request. Asked of every route but those that let somebody in.
pub(crate) struct Authenticated {
    pub(crate) caller: Caller,
    pub(crate) claims: Claims,
}

impl FromRequestParts<Service> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Problem> {
        let token = parts.headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.to_str().ok()?));
        let missing =
            ServiceError::Unauthenticated("an access token is needed: Authorization: Bearer <token>");
        let (caller, claims) = service.authenticate(token.ok_or(missing)?).await?;
        Ok(Authenticated { caller, claims })
    }
}

impl FromRequestParts<Service> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Problem> {
        Ok(Authenticated::from_request_parts(parts, service).await?.caller)
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_media_type() {
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(is_json(Some(good)), "{good}");
        }
        for bad in [None, Some(""), Some("text/plain"), Some("text/json"), Some("json")] {
            assert!(!is_json(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_bearer_scheme_is_case_insensitive() {
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("Bearer"), None);
    }
}
