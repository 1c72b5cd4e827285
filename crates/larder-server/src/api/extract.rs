//! Extractors: what handlers take from a request. An extractor answers a bad request with a problem that says why.

use axum::body::Bytes;
use axum::extract::{Form, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use larder::policy;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::codes::Code;
use crate::api::enrolling;
use crate::api::problem::Problem;
use crate::api::reading::{declared_bytes, limit, read, unread};
use crate::api::scopes;
use crate::domain::api_key::{ApiKeyId, ApiKeySecret, Scope};
use crate::domain::identity::UserRef;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::json::words;
use crate::domain::strict;
use crate::service::Service;
use crate::service::access::{Caller, Credential};
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;
use crate::store::origin::RequestOrigin;

/// A body of JSON as a [`Value`]; the handler parses its fields.
pub(crate) struct Json(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_json(&request)?;
        parse(&read(request).await?.bytes)
    }
}

/// A body of JSON as a [`Value`] and as its text, for a field that is stored as it was sent.
pub(crate) struct JsonText(pub(crate) Value, pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonText {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_json(&request)?;
        let sent = read(request).await?;
        Ok(Self(parse(&sent.bytes)?.0, sent.bytes))
    }
}

fn require_json(request: &Request) -> Result<(), Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if is_json(content_type) { Ok(()) } else { Err(Problem::new(Code::BodyNotSentAsJson)) }
}

fn parse(bytes: &[u8]) -> Result<Json, Problem> {
    let read = strict::read(bytes).map_err(|error| {
        // serde_json's own message is not shown, because it may quote the body.
        let what = match error.classify() {
            serde_json::error::Category::Eof => "ends too early",
            _ if error.to_string().starts_with("recursion limit") => "is nested too deeply",
            _ => "is not JSON in UTF-8",
        };
        let (line, column) = (error.line(), error.column());
        let detail = format!("the body {what}, at line {line}, column {column}");
        Problem::new(Code::BodyNotJson).with_detail(detail)
    })?;
    if read.twice.is_empty() { Ok(Json(read.value)) } else { Err(read.twice.into()) }
}

/// A body of JSON that may be missing; a missing body counts as `{}`.
pub(crate) struct OptionalJson(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for OptionalJson {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = require_json(&request);
        // Whether there is a body is known only after it is read, because the layer that decodes a body removes
        // `Content-Length`.
        let sent = read(request).await?;
        if sent.bytes.is_empty() {
            return Ok(Self(Value::Object(serde_json::Map::new())));
        }
        is_json?;
        // Some clients send `null` if they have no body.
        let body = parse(&sent.bytes)?.0;
        Ok(Self(if body.is_null() { Value::Object(serde_json::Map::new()) } else { body }))
    }
}

fn is_json(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The parameters of the query string, deserialised into `T`.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|Query(params)| Params(params)).map_err(|_| Problem::new(Code::QueryUnreadable))
    }
}

/// The consistency of a read: `?consistency=bounded|fresh`.
pub(crate) struct Strength(pub(crate) policy::Consistency);

#[derive(serde::Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConsistencyParams {
    /// The consistency of the read: `bounded`, or `fresh`, which memory does not answer. Default: `bounded`.
    #[param(value_type = Option<ConsistencyWord>, inline)]
    consistency: Option<String>,
}

words! {
    /// A consistency, as a parameter.
    ConsistencyWord, ["bounded", "fresh"]
}

impl<S: Send + Sync> FromRequestParts<S> for Strength {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_none() {
            return Ok(Strength(policy::Consistency::default()));
        }
        let Params(ConsistencyParams { consistency }) = Params::from_request_parts(parts, state).await?;
        let Some(word) = consistency else { return Ok(Strength(policy::Consistency::default())) };
        let parsed = larder_http::consistency::parse(&word);
        parsed
            .map(Strength)
            .map_err(|unknown| ValidationErrors::one("consistency", Invalid::new(unknown.to_string())).into())
    }
}

/// The one variable segment of a path, as the client sent it.
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(raw) = path.map_err(|_| Problem::new(Code::PathUnreadable))?;
        Ok(Self(raw))
    }
}

/// The user that a path names.
pub(crate) struct TargetUser(pub(crate) UserRef);

impl<S: Send + Sync> FromRequestParts<S> for TargetUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Segment(raw) = Segment::from_request_parts(parts, state).await?;
        raw.parse().map(TargetUser).map_err(|invalid: Invalid| ValidationErrors::one("id", invalid).into())
    }
}

/// The user that a path names, and one of its API keys.
pub(crate) struct TargetKey(pub(crate) UserRef, pub(crate) ApiKeyId);

impl<S: Send + Sync> FromRequestParts<S> for TargetKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let path = path.map_err(|_| Problem::new(Code::PathUnreadable));
        let Path((user, key)) = path?;
        let mut errors = ValidationErrors::default();
        let user = errors.keep("id", user.parse());
        let key = errors.keep("key_id", key.parse());
        user.zip(key).map(|(user, key)| Self(user, key)).ok_or_else(|| errors.into())
    }
}

/// The user that a path names, and one of its sessions.
pub(crate) struct TargetSession(pub(crate) UserRef, pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for TargetSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let path = path.map_err(|_| Problem::new(Code::PathUnreadable));
        let Path((user, session)) = path?;
        let mut errors = ValidationErrors::default();
        let user = errors.keep("id", user.parse());
        let session =
            Uuid::try_parse(&session).map_err(|_| Invalid::new("is not the id of a session: a UUID"));
        let session = errors.keep("session_id", session);
        user.zip(session).map(|(user, session)| Self(user, session)).ok_or_else(|| errors.into())
    }
}

/// The authenticated sender of a request. Every route that needs a login extracts this, or only its `caller`.
pub(crate) struct Authenticated {
    pub(crate) caller: Caller,
    /// When the credential expires, in seconds since 1970; `None` for an API key that does not expire.
    pub(crate) expires_at: Option<u64>,
}

impl FromRequestParts<Service> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Problem> {
        let missing = ServiceError::Refused(Refusal::CredentialMissing);
        let client = client_credential(parts)?;
        let credential = client.as_deref().or_else(|| credential(&parts.headers)).ok_or(missing)?;
        if !ApiKeySecret::has_prefix(credential) {
            // The prefix of the credential decides, not the header: the service also accepts an access token in
            // `X-API-Key`.
            let (caller, claims) = service.authenticate(credential).await?;
            note(caller);
            if !enrolling::admits(parts) {
                service.check_enrolled(caller).await?;
            }
            return Ok(Authenticated { caller, expires_at: Some(claims.exp) });
        }
        let (caller, key) = service.authenticate_key(credential).await?;
        note(caller);
        match scopes::of_request(parts) {
            Some(scope) if key.scopes.allow(scope) => {}
            Some(scope) => return Err(Problem::scope_missing(scope)),
            // An operation that declares no scope admits no API key: `session` fails for every API key.
            None => {
                caller.session()?;
            }
        }
        let expires_at = key.expires_at.map(|end| end.as_micros().unsigned_abs() / 1_000_000);
        Ok(Authenticated { caller, expires_at })
    }
}

/// Stores the caller in the request's `RequestOrigin`, from which the entries of the audit log take it.
fn note(caller: Caller) {
    let Some(origin) = RequestOrigin::present() else { return };
    // `set` fails if a value is stored already. That is the same value, because a request has only one credential.
    let _ = origin.caller.set(caller.id);
    if let Credential::ApiKey(key) = caller.credential {
        let _ = origin.key.set(key);
    }
}

impl FromRequestParts<Service> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Problem> {
        Ok(Authenticated::from_request_parts(parts, service).await?.caller)
    }
}

/// The token in a form, the body with which OAuth clients introspect or revoke it.
pub(crate) struct TokenForm(pub(crate) String);

/// The fields of a form with a token.
#[derive(serde::Deserialize, ToSchema)]
pub(crate) struct TokenFormBody {
    /// An access token, a refresh token or an API key.
    #[serde(default)]
    #[schema(required = true, min_length = 1, max_length = 4096)]
    token: String,
    /// Ignored: each kind of token is recognised by its form.
    #[serde(default, rename = "token_type_hint")]
    #[schema(rename = "token_type_hint")]
    _hint: Option<String>,
}

/// The longest text that is looked up as a token; every token of this service is shorter.
const TOKEN_BYTES: usize = 4096;

impl<S: Send + Sync> FromRequest<S> for TokenForm {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let limit = limit(&request)?;
        if declared_bytes(request.headers()).is_some_and(|bytes| !limit.allows(bytes)) {
            return Err(limit.exceeded());
        }
        let form = Form::<TokenFormBody>::from_request(request, state).await;
        let Form(TokenFormBody { token, .. }) = form.map_err(|rejection| match rejection.status() {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(Code::BodyNotSentAsForm),
            status => unread(&rejection, status, limit, Code::FormUnreadable),
        })?;
        match token.len() {
            0 => Err(ValidationErrors::one("token", Invalid::new("is required")).into()),
            1..=TOKEN_BYTES => Ok(Self(token)),
            _ => Err(ValidationErrors::one("token", Invalid::new("is no token of this service")).into()),
        }
    }
}

/// The credential in `Authorization: Bearer`, or without it the one in `X-API-Key`. `Authorization` may have another
/// scheme, which a proxy in front of the service uses for itself.
fn credential(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(header::AUTHORIZATION).iter();
    let bearer = values.filter_map(|value| bearer(value.to_str().ok()?)).next();
    bearer.or_else(|| headers.get("x-api-key")?.to_str().ok())
}

/// The API key with which an OAuth client authenticates for introspection (RFC 7662): in `Authorization: Basic`, the
/// key's id is the user name and the key is the password. `None`: the operation is another one, or the request has no
/// such header.
fn client_credential(parts: &Parts) -> Result<Option<String>, ServiceError> {
    let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(encoded) = value.and_then(|value| of_scheme(value, "basic")) else { return Ok(None) };
    if scopes::of_request(parts) != Some(Scope::Introspect) {
        return Ok(None);
    }
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // RFC 6749 form-encodes both. That changes no character of an id or a key, so there is nothing to decode.
    let client = decoded.as_deref().and_then(|decoded| decoded.split_once(':'));
    let is_own = |(id, key): &(&str, &str)| {
        let parsed = ApiKeySecret::parse(key).map(|key| ApiKeyId::of(&key).to_string());
        parsed.as_deref() == Some(id)
    };
    match client.filter(is_own) {
        Some((_, key)) => Ok(Some(key.to_owned())),
        None => Err(ServiceError::Refused(Refusal::ClientInvalid)),
    }
}

/// The text behind `scheme`; upper and lower case are equal in a scheme.
fn of_scheme<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let (sent, rest) = value.split_once(' ')?;
    sent.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

fn bearer(value: &str) -> Option<&str> {
    of_scheme(value, "bearer")
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
