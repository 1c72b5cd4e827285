//! The ITT Hotel API (HITA), under `/v1.0`. `cache.rs` has handlers of its own for the cache routes, and
//! PUT `/v1.0/user/update/{id}` has one below. Every other route is an alias of an operation in `api/`.

pub(crate) mod cache;
pub(crate) mod views;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::client_address::ClientAddress;
use crate::api::extract::{Json, TargetUser};
use crate::api::openapi::answers::{NotFound, Outdated, Refused, RefusedBody, RefusedTooMany, Taken};
use crate::api::openapi::parameters::{IfMatch, IfNoneMatch, UserPath};
use crate::api::problem::Problem;
use crate::api::users::View;
use crate::api::{permissions, points, users};
use crate::dialects::aliases::{aliases, and_post};
use crate::domain::body::UpdateUserBody;
use crate::domain::patch::UserPatch;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::confirming::Proof;

pub(crate) fn routes() -> OpenApiRouter<Service> {
    let permission = routes!(permissions::grant, permissions::revoke);
    let rows = [
        ("/v1.0/user/create", routes!(users::create)),
        ("/v1.0/user/update/{id}", routes!(users::patch, update)),
        ("/v1.0/user/delete/{id}", routes!(users::delete)),
        ("/v1.0/user/{id}/activate", routes!(users::activate)),
        ("/v1.0/user/{id}/deactivate", routes!(users::deactivate)),
        ("/v1.0/points/{id}", routes!(points::book)),
        ("/v1.0/permissions/{id}/{permission}", and_post(permission, permissions::grant)),
    ];
    cache::routes().merge(aliases("HITA", rows))
}

/// Changes some fields of a user. The hotel's `update_user(user_id, updates)` sets what `updates` has and nothing else,
/// so this PUT works as PATCH does. The body may also be what GET returned.
#[utoipa::path(
    put,
    path = "/v1.0/user/update/{id}",
    operation_id = "put_user",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, IfMatch, IfNoneMatch),
    request_body = UpdateUserBody,
    responses(
        (status = 200, body = View, headers(("ETag" = String), ("Cache-Invalidation" = String))),
        NotFound,
        Taken,
        Outdated,
        Refused, RefusedBody, RefusedTooMany,
    )
)]
async fn update(
    state: State<Service>,
    caller: Caller,
    target: TargetUser,
    ClientAddress(from): ClientAddress,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Problem> {
    let UpdateUserBody { patch, read_only, confirmation } = UpdateUserBody::parse(body)?;
    // A complete user repeats fields that only an admin may change.
    let patch = UserPatch { read_only, is_complete: true, ..patch };
    users::change(state, caller, target, headers, patch, Proof { confirmation, from }).await
}
