//! `/v1.0/user`: the canonical handlers under the hotel's paths.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::bodies::{CreateUser, PatchUser, PutUser};
use crate::api::extract::{Json, Target};
use crate::api::openapi::answers::{LastSuperadmin, NotFound, Outdated, Refused, RefusedBody, Taken};
use crate::api::openapi::parameters::{IfMatch, UserPath};
use crate::api::problem::Problem;
use crate::api::users::{self, View};
use crate::service::Service;
use crate::service::access::Caller;

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(update, replace))
        .routes(routes!(delete))
        .routes(routes!(activate))
        .routes(routes!(deactivate))
}

/// Creates a user. For admins.
#[utoipa::path(
    post,
    path = "/v1.0/user/create",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["write"])),
    request_body = CreateUser,
    responses(
        (status = 201, body = View, headers(("Location" = String), ("ETag" = String), ("Cache-Invalidation" = String))),
        Taken,
        Refused, RefusedBody,
    )
)]
pub(crate) async fn create(
    state: State<Service>,
    caller: Caller,
    body: Json,
) -> Result<impl IntoResponse, Problem> {
    users::create(state, caller, body).await
}

/// Changes some fields of a user.
#[utoipa::path(
    patch,
    path = "/v1.0/user/update/{id}",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, IfMatch),
    request_body = PatchUser,
    responses(
        (status = 200, body = View, headers(("ETag" = String), ("Cache-Invalidation" = String))),
        NotFound,
        Taken,
        Outdated,
        Refused, RefusedBody,
    )
)]
pub(crate) async fn update(
    state: State<Service>,
    caller: Caller,
    target: Target,
    headers: HeaderMap,
    body: Json,
) -> Result<impl IntoResponse, Problem> {
    users::patch(state, caller, target, headers, body).await
}

/// Replaces a user.
#[utoipa::path(
    put,
    path = "/v1.0/user/update/{id}",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, IfMatch),
    request_body = PutUser,
    responses(
        (status = 200, body = View, headers(("ETag" = String), ("Cache-Invalidation" = String))),
        NotFound,
        Taken,
        Outdated,
        Refused, RefusedBody,
    )
)]
pub(crate) async fn replace(
    state: State<Service>,
    caller: Caller,
    target: Target,
    headers: HeaderMap,
    body: Json,
) -> Result<impl IntoResponse, Problem> {
    users::put(state, caller, target, headers, body).await
}

/// Deletes a user.
#[utoipa::path(
    delete,
    path = "/v1.0/user/delete/{id}",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, IfMatch),
    responses(
        (status = 204, description = "the user is gone", headers(("Cache-Invalidation" = String))),
        NotFound,
        LastSuperadmin,
        Outdated,
        Refused,
    )
)]
pub(crate) async fn delete(
    state: State<Service>,
    caller: Caller,
    target: Target,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    users::delete(state, caller, target, headers).await
}

/// Activates a user. For admins.
#[utoipa::path(
    post,
    path = "/v1.0/user/{id}/activate",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, IfMatch),
    responses(
        (status = 200, body = View, headers(("ETag" = String), ("Cache-Invalidation" = String))),
        NotFound,
        Outdated,
        Refused,
    )
)]
pub(crate) async fn activate(
    state: State<Service>,
    caller: Caller,
    target: Target,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    users::activate(state, caller, target, headers).await
}

/// Deactivates a user, which ends its tokens. For admins.
#[utoipa::path(
    post,
    path = "/v1.0/user/{id}/deactivate",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, IfMatch),
    responses(
        (status = 200, body = View, headers(("ETag" = String), ("Cache-Invalidation" = String))),
        NotFound,
        LastSuperadmin,
        Outdated,
        Refused,
    )
)]
pub(crate) async fn deactivate(
    state: State<Service>,
    caller: Caller,
    target: Target,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    users::deactivate(state, caller, target, headers).await
}
