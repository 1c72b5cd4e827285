//! `/api/v1/auth`: registering, logging in and out, refreshing and validating tokens, changing the password.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use larder::receipt::Receipt;
use larder_http::headers::{CACHE_INVALIDATION, cache_invalidation};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::answer::JsonAnswer;
use crate::api::client_address::ClientAddress;
use crate::api::extract::{Authenticated, Json};
use crate::api::openapi::answers::{
    Failed, ProblemBody, Refused, RefusedBody, RefusedTooMany, Taken, Unauthenticated,
};
use crate::api::preconditions::etag;
use crate::api::problem::Problem;
use crate::domain::body::{LoginBody, PasswordBody, RefreshBody, RegisterBody};
use crate::domain::identity::UserId;
use crate::domain::role::Role;
use crate::domain::user::User;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::auth::Grant;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(validate))
        .routes(routes!(change_password))
}

/// The header `Cache-Invalidation`, which the answer to every write has.
pub(crate) fn acknowledged(receipt: Receipt) -> [(HeaderName, HeaderValue); 1] {
    [(CACHE_INVALIDATION, cache_invalidation(receipt))]
}

/// The answer to a login and a refresh.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenAnswer {
    access_token: String,
    refresh_token: String,
    /// After a login: a proof that this device belongs to the user. A login that sends it has a budget of failures of its
    /// own, so that no other client locks this device out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    device_token: Option<String>,
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: u64,
}

fn granted(grant: Grant) -> impl IntoResponse {
    let answer = TokenAnswer {
        access_token: grant.access_token,
        refresh_token: grant.refresh_token,
        device_token: grant.device_token,
        token_type: "Bearer",
        expires_in: grant.expires_in.as_secs(),
    };
    (acknowledged(grant.receipt), JsonAnswer(answer))
}

/// Registers a user. Needs no login.
#[utoipa::path(
    post,
    path = "/api/v1/auth/register",
    operation_id = "register",
    tag = "auth",
    request_body = RegisterBody,
    responses(
        (status = 201, body = User, headers(("Location" = String), ("ETag" = String), ("Cache-Invalidation" = String))),
        Taken,
        Failed, RefusedTooMany, RefusedBody,
    )
)]
pub(crate) async fn register(
    State(service): State<Service>,
    ClientAddress(address): ClientAddress,
    Json(body): Json,
) -> Result<impl IntoResponse, Problem> {
    let (user, receipt) = service.register(RegisterBody::parse(body)?, address).await?;
    let location = (header::LOCATION, location(user.id));
    let etag = (header::ETAG, etag(user.version));
    Ok((StatusCode::CREATED, acknowledged(receipt), [location, etag], JsonAnswer(user)))
}

/// The `Location` of a user.
pub(crate) fn location(id: UserId) -> HeaderValue {
    // A path with a UUID is a legal header value, so the fallback is never used.
    HeaderValue::from_str(&format!("/api/v1/users/{id}")).unwrap_or_else(|_| HeaderValue::from_static("/"))
}

/// Opens a session.
#[utoipa::path(
    post,
    path = "/api/v1/auth/login",
    operation_id = "login",
    tag = "auth",
    request_body = LoginBody,
    responses(
        (status = 200, body = TokenAnswer, headers(("Cache-Invalidation" = String))),
        (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "the account is deactivated"),
        Unauthenticated, Failed, RefusedTooMany, RefusedBody,
    )
)]
pub(crate) async fn login(
    State(service): State<Service>,
    ClientAddress(address): ClientAddress,
    Json(body): Json,
) -> Result<impl IntoResponse, Problem> {
    Ok(granted(service.login(LoginBody::parse(body)?, address).await?))
}

/// Exchanges a refresh token for new tokens. Each refresh token can be used once.
#[utoipa::path(
    post,
    path = "/api/v1/auth/refresh",
    operation_id = "refresh",
    tag = "auth",
    request_body = RefreshBody,
    responses(
        (status = 200, body = TokenAnswer, headers(("Cache-Invalidation" = String))),
        Unauthenticated, Failed, RefusedTooMany, RefusedBody,
    )
)]
pub(crate) async fn refresh(
    State(service): State<Service>,
    ClientAddress(address): ClientAddress,
    Json(body): Json,
) -> Result<impl IntoResponse, Problem> {
    let RefreshBody { refresh_token: token } = RefreshBody::parse(body)?;
    Ok(granted(service.refresh(token, address).await?))
}

/// Ends the session of the access token.
#[utoipa::path(
    post,
    path = "/api/v1/auth/logout",
    operation_id = "logout",
    tag = "auth",
    security(("bearer" = [])),
    responses(
        (status = 204, description = "the session has ended", headers(("Cache-Invalidation" = String))),
        Refused,
    )
)]
pub(crate) async fn logout(
    State(service): State<Service>,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    let receipt = service.logout(caller).await?;
    Ok((StatusCode::NO_CONTENT, acknowledged(receipt)))
}

/// The user, the session and the expiry of a valid token.
#[derive(Serialize, ToSchema)]
pub(crate) struct ValidateAnswer {
    valid: bool,
    user_id: UserId,
    /// `null` for an API key.
    session_id: Option<Uuid>,
    role: Role,
    /// Seconds since 1970; `null` for an API key that does not expire.
    expires_at: Option<u64>,
}

/// The user and the expiry of the access token or API key that the request sends.
#[utoipa::path(
    get,
    path = "/api/v1/auth/validate",
    operation_id = "validate_token",
    tag = "auth",
    security(("bearer" = []), ("api_key" = ["read"])),
    responses(
        (status = 200, body = ValidateAnswer),
        Refused,
    )
)]
pub(crate) async fn validate(Authenticated { caller, expires_at }: Authenticated) -> impl IntoResponse {
    JsonAnswer(ValidateAnswer {
        valid: true,
        user_id: caller.id,
        session_id: caller.session().ok(),
        role: caller.role,
        expires_at,
    })
}

/// Changes the password and ends all of the user's sessions.
#[utoipa::path(
    post,
    path = "/api/v1/auth/password",
    operation_id = "change_password",
    tag = "auth",
    security(("bearer" = [])),
    request_body = PasswordBody,
    responses(
        (status = 204, description = "the password is changed", headers(("Cache-Invalidation" = String))),
        Refused, RefusedTooMany, RefusedBody,
    )
)]
pub(crate) async fn change_password(
    State(service): State<Service>,
    caller: Caller,
    ClientAddress(address): ClientAddress,
    Json(body): Json,
) -> Result<impl IntoResponse, Problem> {
    let receipt = service.change_password(caller, PasswordBody::parse(body)?, address).await?;
    Ok((StatusCode::NO_CONTENT, acknowledged(receipt)))
}
