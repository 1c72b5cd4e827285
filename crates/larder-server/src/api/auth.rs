//! `/api/v1/auth`: registering, logging in, and what follows.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use larder::receipt::Receipt;
use larder_http::headers::{CACHE_INVALIDATION, cache_invalidation};
use serde::Serialize;
use uuid::Uuid;

use crate::api::extract::{Authenticated, ClientAddress, Json};
use crate::api::preconditions::etag;
use crate::api::problem::Problem;
use crate::domain::body::{LoginBody, PasswordBody, RefreshBody, RegisterBody};
use crate::domain::identity::UserId;
use crate::domain::role::Role;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::auth::Grant;

/// The header with which every write is acknowledged.
pub(crate) fn acknowledged(receipt: Receipt) -> [(HeaderName, HeaderValue); 1] {
    [(CACHE_INVALIDATION, cache_invalidation(receipt))]
}

/// The answer to a login and a refresh.
#[derive(Serialize)]
struct TokenAnswer {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    /// Seconds until the access token ends.
    expires_in: u64,
}

fn granted(grant: Grant) -> impl IntoResponse {
    let answer = TokenAnswer {
        access_token: grant.access_token,
        refresh_token: grant.refresh_token,
        token_type: "Bearer",
        expires_in: grant.expires_in.as_secs(),
    };
    (acknowledged(grant.receipt), Answer(answer))
}

pub(crate) async fn register(
    State(service): State<Service>,
    ClientAddress(address): ClientAddress,
    Json(body): Json,
) -> Result<impl IntoResponse, Problem> {
    let (user, receipt) = service.register(RegisterBody::parse(body)?, address).await?;
    let location = (header::LOCATION, location(user.id));
    let etag = (header::ETAG, etag(user.version));
    Ok((StatusCode::CREATED, acknowledged(receipt), [location, etag], Answer(user)))
}

/// Where a user is to be found.
pub(crate) fn location(id: UserId) -> HeaderValue {
    // A UUID is a legal header value.
    HeaderValue::from_str(&format!("/api/v1/users/{id}")).unwrap_or_else(|_| HeaderValue::from_static("/"))
}

pub(crate) async fn login(
    State(service): State<Service>,
    ClientAddress(address): ClientAddress,
    Json(body): Json,
) -> Result<impl IntoResponse, Problem> {
    Ok(granted(service.login(LoginBody::parse(body)?, address).await?))
}

pub(crate) async fn refresh(
    State(service): State<Service>,
    ClientAddress(address): ClientAddress,
    Json(body): Json,
) -> Result<impl IntoResponse, Problem> {
    let RefreshBody(token) = RefreshBody::parse(body)?;
    Ok(granted(service.refresh(token, address).await?))
}

pub(crate) async fn logout(
    State(service): State<Service>,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    let receipt = service.logout(caller).await?;
    Ok((StatusCode::NO_CONTENT, acknowledged(receipt)))
}

/// What a good token is good for.
#[derive(Serialize)]
struct ValidateAnswer {
    valid: bool,
    user_id: UserId,
    /// `null` for an API key.
    session_id: Option<Uuid>,
    role: Role,
    /// Seconds since 1970; `null` for an API key that does not expire.
    expires_at: Option<u64>,
}

pub(crate) async fn validate(Authenticated { caller, expires_at }: Authenticated) -> impl IntoResponse {
    Answer(ValidateAnswer {
        valid: true,
        user_id: caller.id,
        session_id: caller.session().ok(),
        role: caller.role,
        expires_at,
    })
}

pub(crate) async fn change_password(
    State(service): State<Service>,
    caller: Caller,
    ClientAddress(address): ClientAddress,
    Json(body): Json,
) -> Result<impl IntoResponse, Problem> {
    let receipt = service.change_password(caller, PasswordBody::parse(body)?, address).await?;
    Ok((StatusCode::NO_CONTENT, acknowledged(receipt)))
}
