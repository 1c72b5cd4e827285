//! `/api/v1/users/{id}/permissions`: granting and revoking permissions, which let a user do what is otherwise for
//! admins.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use larder_http::headers::{CACHE_STATUS, cache_status};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::JsonAnswer;
use crate::api::auth::acknowledged;
use crate::api::client_address::ClientAddress;
use crate::api::codes::Code;
use crate::api::extract::{ConsistencyParams, OptionalJson, Strength, TargetUser};
use crate::api::openapi::answers::{NotFound, ProblemBody, Refused, RefusedBody, RefusedTooMany};
use crate::api::openapi::parameters::UserPath;
use crate::api::problem::Problem;
use crate::domain::body::ConfirmationBody;
use crate::domain::identity::UserRef;
use crate::domain::invalid::ValidationErrors;
use crate::domain::permission::{Grant, Permission};
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::confirming::Proof;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(grant, revoke))
}

/// The permissions of a user.
#[derive(Serialize, ToSchema)]
struct PermissionsAnswer<'a> {
    /// In the order of their names.
    items: &'a [Grant],
}

/// A user's permissions.
///
/// For the user and for those who manage it. The service itself honours `points.write`, `achievements.award`,
/// `statistics.read` and `audit.read`; other permissions are for the applications that granted them.
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}/permissions",
    operation_id = "list_permissions",
    tag = "permissions",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(UserPath, ConsistencyParams),
    responses(
        (status = 200, body = PermissionsAnswer, headers(("Cache-Status" = String))),
        NotFound,
        Refused,
    )
)]
pub(crate) async fn list(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    Strength(consistency): Strength,
) -> Result<Response, Problem> {
    let answer = service.permissions(caller, &caller.naming(user), consistency).await?;
    let items = answer.value.as_deref().map(Vec::as_slice).unwrap_or_default();
    Ok(([(CACHE_STATUS, cache_status(&answer))], JsonAnswer(PermissionsAnswer { items })).into_response())
}

/// The user and the permission that a path names.
pub(crate) type Named = Result<Path<(String, String)>, PathRejection>;

fn parsed(named: Named) -> Result<(UserRef, Permission), Problem> {
    let unreadable = |_| Problem::new(Code::PathUnreadable);
    let Path((user, permission)) = named.map_err(unreadable)?;
    let mut errors = ValidationErrors::default();
    let user = errors.keep("id", user.parse());
    let permission = errors.keep("permission", Permission::parse(&permission));
    user.zip(permission).ok_or_else(|| errors.into())
}

/// Grants a permission.
///
/// For callers that manage the user. The caller sends its password. Only superadmins may change their own permissions.
/// If the user already has the permission, the first grant stays.
#[utoipa::path(
    put,
    path = "/api/v1/users/{id}/permissions/{permission}",
    operation_id = "grant_permission",
    tag = "permissions",
    security(("bearer" = [])),
    params(
        UserPath,
        ("permission" = String, Path, pattern = "^[a-z0-9._-]{1,64}$", description = "1 to 64 of `a-z 0-9 . _ -`"),
    ),
    request_body(content = ConfirmationBody, description = "the password of the caller, and a code if its second factor is on"),
    responses(
        (status = 200, body = Grant, headers(("Cache-Invalidation" = String))),
        NotFound,
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "the user has 100 permissions"),
        Refused, RefusedBody, RefusedTooMany,
    )
)]
pub(crate) async fn grant(
    State(service): State<Service>,
    caller: Caller,
    ClientAddress(from): ClientAddress,
    named: Named,
    OptionalJson(body): OptionalJson,
) -> Result<Response, Problem> {
    let (user, permission) = parsed(named)?;
    let ConfirmationBody { confirmation } = ConfirmationBody::parse(body)?;
    let proof = Proof { confirmation, from };
    let (grant, receipt) = service.grant(caller, caller.naming(user), permission, proof).await?;
    Ok((acknowledged(receipt), JsonAnswer(grant)).into_response())
}

/// Revokes a permission: at once on this instance, and within the staleness bound on every other.
///
/// For callers that manage the user. Only superadmins may change their own permissions. If the user does not have the
/// permission, that is no error.
#[utoipa::path(
    delete,
    path = "/api/v1/users/{id}/permissions/{permission}",
    operation_id = "revoke_permission",
    tag = "permissions",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(
        UserPath,
        ("permission" = String, Path, pattern = "^[a-z0-9._-]{1,64}$", description = "1 to 64 of `a-z 0-9 . _ -`"),
    ),
    responses(
        (status = 204, description = "the user does not have it", headers(("Cache-Invalidation" = String))),
        NotFound,
        Refused,
    )
)]
pub(crate) async fn revoke(
    State(service): State<Service>,
    caller: Caller,
    named: Named,
) -> Result<Response, Problem> {
    let (user, permission) = parsed(named)?;
    let receipt = service.revoke(caller, caller.naming(user), permission).await?;
    Ok((StatusCode::NO_CONTENT, acknowledged(receipt)).into_response())
}
