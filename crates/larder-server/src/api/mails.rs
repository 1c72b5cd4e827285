//! `/api/v1/auth/password` and `/api/v1/auth/email`: resetting a forgotten password and confirming an address, by a
//! token from a mail.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::acknowledged;
use crate::api::client_address::ClientAddress;
use crate::api::extract::Json;
use crate::api::openapi::answers::{
    Confirmed, Failed, MailTokenRefused, NoMail, Refused, RefusedBody, RefusedTooMany,
};
use crate::api::problem::Problem;
use crate::domain::body::{ConfirmEmailBody, ForgotBody, ResetBody};
use crate::service::Service;
use crate::service::access::Caller;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(forgot_password))
        .routes(routes!(reset_password))
        .routes(routes!(ask_to_confirm_email))
        .routes(routes!(confirm_email))
}

/// Sends a mail with a token that resets the password, if an active user has this address. The answer is the same if
/// no user has it.
#[utoipa::path(
    post,
    path = "/api/v1/auth/password/forgot",
    operation_id = "forgot_password",
    tag = "auth",
    request_body = ForgotBody,
    responses(
        (status = 202, description = "if an active user has the address, a mail will be sent to it"),
        NoMail, Failed, RefusedTooMany, RefusedBody,
    )
)]
pub(crate) async fn forgot_password(
    State(service): State<Service>,
    ClientAddress(address): ClientAddress,
    Json(body): Json,
) -> Result<StatusCode, Problem> {
    let ForgotBody { email } = ForgotBody::parse(body)?;
    service.forgot_password(email, address)?;
    Ok(StatusCode::ACCEPTED)
}

/// Sets a new password by the token of a mail, and ends all of the user's sessions. A second factor is still needed at
/// the next login.
#[utoipa::path(
    post,
    path = "/api/v1/auth/password/reset",
    operation_id = "reset_password",
    tag = "auth",
    request_body = ResetBody,
    responses(
        (status = 204, description = "the password is changed", headers(("Cache-Invalidation" = String))),
        NoMail, MailTokenRefused, Failed, RefusedTooMany, RefusedBody,
    )
)]
pub(crate) async fn reset_password(
    State(service): State<Service>,
    ClientAddress(address): ClientAddress,
    Json(body): Json,
) -> Result<impl IntoResponse, Problem> {
    let receipt = service.reset_password(ResetBody::parse(body)?, address).await?;
    Ok((StatusCode::NO_CONTENT, acknowledged(receipt)))
}

/// Sends a mail with a token to the caller's e-mail address, which proves that the caller reads it.
#[utoipa::path(
    post,
    path = "/api/v1/auth/email/confirm/request",
    operation_id = "request_email_confirmation",
    tag = "auth",
    security(("bearer" = [])),
    responses(
        (status = 202, description = "a mail will be sent to the caller's e-mail address"),
        NoMail, Confirmed, Refused, RefusedTooMany,
    )
)]
pub(crate) async fn ask_to_confirm_email(
    State(service): State<Service>,
    caller: Caller,
    ClientAddress(address): ClientAddress,
) -> Result<StatusCode, Problem> {
    service.ask_to_confirm_email(caller, address).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Confirms the e-mail address to which the token was sent: `email_verified` becomes `true`.
#[utoipa::path(
    post,
    path = "/api/v1/auth/email/confirm",
    operation_id = "confirm_email",
    tag = "auth",
    request_body = ConfirmEmailBody,
    responses(
        (status = 204, description = "the address is confirmed", headers(("Cache-Invalidation" = String))),
        NoMail, MailTokenRefused, Failed, RefusedTooMany, RefusedBody,
    )
)]
pub(crate) async fn confirm_email(
    State(service): State<Service>,
    ClientAddress(address): ClientAddress,
    Json(body): Json,
) -> Result<impl IntoResponse, Problem> {
    let ConfirmEmailBody { token } = ConfirmEmailBody::parse(body)?;
    let receipt = service.confirm_email(&token, address).await?;
    Ok((StatusCode::NO_CONTENT, acknowledged(receipt)))
}
