//! `/api/v1/auth/totp` and `/api/v1/users/{id}/totp`: the second factor.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use larder_http::headers::CACHE_INVALIDATION;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::JsonAnswer;
use crate::api::auth::acknowledged;
use crate::api::client_address::ClientAddress;
use crate::api::extract::{Json, OptionalJson, TargetUser};
use crate::api::openapi::answers::{NotFound, ProblemBody, Refused, RefusedBody, RefusedTooMany};
use crate::api::openapi::parameters::UserPath;
use crate::api::problem::Problem;
use crate::domain::body::{ConfirmBody, ConfirmationBody, EnrollBody, RemoveTotpBody};
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::confirming::Proof;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(show, remove))
        .routes(routes!(enroll))
        .routes(routes!(confirm))
        .routes(routes!(reset))
}

/// Whether the caller's second factor is on.
#[derive(Serialize, ToSchema)]
pub(crate) struct TotpAnswer {
    enabled: bool,
    /// How many recovery codes are left; 0 if the second factor is off.
    recovery_codes: i64,
}

/// What an authenticator needs to know. Only this answer shows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct EnrollAnswer {
    /// The secret in base32, for typing.
    secret: String,
    /// The secret as a URI, for a QR code.
    otpauth_uri: String,
}

/// The recovery codes. Only this answer shows them.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfirmAnswer {
    /// Each can be used once, in place of a code.
    recovery_codes: Vec<String>,
}

/// Whether the caller's second factor is on.
#[utoipa::path(
    get,
    path = "/api/v1/auth/totp",
    operation_id = "get_second_factor",
    tag = "auth",
    security(("bearer" = []), ("api_key" = ["read"])),
    responses((status = 200, body = TotpAnswer), Refused)
)]
pub(crate) async fn show(
    State(service): State<Service>,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    let left = service.totp_of(caller).await?;
    Ok(JsonAnswer(TotpAnswer { enabled: left.is_some(), recovery_codes: left.unwrap_or(0) }))
}

/// Begins to set up a second factor. Nothing changes before a code confirms it.
#[utoipa::path(
    post,
    path = "/api/v1/auth/totp/enroll",
    operation_id = "enroll_second_factor",
    tag = "auth",
    security(("bearer" = [])),
    request_body = EnrollBody,
    responses(
        (status = 200, body = EnrollAnswer, headers(("Cache-Invalidation" = String))),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "a second factor is on already"),
        Refused,
        RefusedBody,
        RefusedTooMany,
    )
)]
pub(crate) async fn enroll(
    State(service): State<Service>,
    caller: Caller,
    ClientAddress(address): ClientAddress,
    Json(body): Json,
) -> Result<impl IntoResponse, Problem> {
    let EnrollBody { password } = EnrollBody::parse(body)?;
    let enrollment = service.enroll_totp(caller, &password, address).await?;
    let answer = EnrollAnswer { secret: enrollment.secret, otpauth_uri: enrollment.uri };
    Ok((nothing_cached(), JsonAnswer(answer)))
}

/// Turns the second factor on: each later login needs a code. Sessions stay open.
#[utoipa::path(
    post,
    path = "/api/v1/auth/totp/confirm",
    operation_id = "confirm_second_factor",
    tag = "auth",
    security(("bearer" = [])),
    request_body = ConfirmBody,
    responses(
        (status = 200, body = ConfirmAnswer, headers(("Cache-Invalidation" = String))),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "there is nothing to confirm"),
        Refused,
        RefusedBody,
        RefusedTooMany,
    )
)]
pub(crate) async fn confirm(
    State(service): State<Service>,
    caller: Caller,
    ClientAddress(address): ClientAddress,
    Json(body): Json,
) -> Result<impl IntoResponse, Problem> {
    let ConfirmBody { totp_code } = ConfirmBody::parse(body)?;
    let codes = service.confirm_totp(caller, &totp_code, address).await?;
    let recovery_codes = codes.iter().map(|code| code.grouped()).collect();
    Ok((nothing_cached(), JsonAnswer(ConfirmAnswer { recovery_codes })))
}

/// Turns the caller's second factor off, with the password and a code. Sessions stay open.
#[utoipa::path(
    delete,
    path = "/api/v1/auth/totp",
    operation_id = "remove_second_factor",
    tag = "auth",
    security(("bearer" = [])),
    request_body = RemoveTotpBody,
    responses(
        (status = 204, description = "the second factor is off", headers(("Cache-Invalidation" = String))),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "there is no second factor"),
        Refused,
        RefusedBody,
        RefusedTooMany,
    )
)]
pub(crate) async fn remove(
    State(service): State<Service>,
    caller: Caller,
    ClientAddress(address): ClientAddress,
    Json(body): Json,
) -> Result<impl IntoResponse, Problem> {
    let RemoveTotpBody { password, factor } = RemoveTotpBody::parse(body)?;
    let receipt = service.remove_totp(caller, &password, factor, address).await?;
    Ok((StatusCode::NO_CONTENT, acknowledged(receipt)))
}

/// Turns off the second factor of a user that lost it. For admins; if the user has a role above `user` or a permission,
/// the caller sends its password and, if its second factor is on, a code.
#[utoipa::path(
    delete,
    path = "/api/v1/users/{id}/totp",
    operation_id = "reset_second_factor",
    tag = "users",
    security(("bearer" = [])),
    params(UserPath),
    request_body(content = ConfirmationBody, description = "needed for a user with a role above `user` or a permission"),
    responses(
        (status = 204, description = "the second factor is off", headers(("Cache-Invalidation" = String))),
        NotFound,
        Refused, RefusedBody, RefusedTooMany,
    )
)]
pub(crate) async fn reset(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    ClientAddress(from): ClientAddress,
    OptionalJson(body): OptionalJson,
) -> Result<impl IntoResponse, Problem> {
    let ConfirmationBody { confirmation } = ConfirmationBody::parse(body)?;
    let receipt = service.reset_totp(caller, caller.naming(user), &Proof { confirmation, from }).await?;
    Ok((StatusCode::NO_CONTENT, acknowledged(receipt)))
}

/// The header `Cache-Invalidation` for a write that makes no cached entry invalid. There is nothing to invalidate, so
/// the value is `sent`.
fn nothing_cached() -> [(axum::http::HeaderName, axum::http::HeaderValue); 1] {
    [(CACHE_INVALIDATION, axum::http::HeaderValue::from_static("sent"))]
}
