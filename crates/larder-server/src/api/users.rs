//! `/api/v1/users`: users, and looking them up.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use larder::class;
use larder::receipt::Receipt;
use larder_http::headers::{CACHE_STATUS, cache_status};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::{JsonAnswer, rendered};
use crate::api::auth::{acknowledged, location};
use crate::api::client_address::ClientAddress;
use crate::api::extract::{ConsistencyParams, Json, OptionalJson, Strength, TargetUser};
use crate::api::openapi::answers::{
    LastSuperadmin, NotFound, NotModified, Outdated, Refused, RefusedBody, RefusedTooMany, Taken,
};
use crate::api::openapi::parameters::{IfMatch, IfNoneMatch, UserPath};
use crate::api::preconditions::{Wanted, etag, of_versions, wanted};
use crate::api::problem::Problem;
use crate::cached::rendered::Representation;
use crate::domain::body::{
    Confirmation, ConfirmationBody, CreateUserBody, LookupBody, PatchUserBody, PutUserBody,
};
use crate::domain::patch::UserPatch;
use crate::domain::user::{PublicUser, User};
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::confirming::Proof;
use crate::service::error::ServiceError;

/// A user as one caller may see it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum View<'a> {
    Whole(&'a User),
    Public(Box<PublicUser>),
}

impl<'a> View<'a> {
    pub(crate) fn of(user: &'a User, caller: Caller) -> Self {
        match Self::representation(user, caller) {
            Representation::Whole => Self::Whole(user),
            _ => Self::Public(Box::new(PublicUser::from(user))),
        }
    }

    pub(crate) fn representation(user: &User, caller: Caller) -> Representation {
        if caller.may_see_all_of(user) { Representation::Whole } else { Representation::Public }
    }
}

/// The entity tag of a user in this representation. The two views of one version have different tags, because they have
/// different fields.
fn tag(user: &User, representation: Representation) -> String {
    match representation {
        Representation::Whole => user.version.to_string(),
        _ => format!("{}-public", user.version),
    }
}

fn shown(
    service: &Service,
    answer: &class::Answer<User>,
    caller: Caller,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let user = answer.value.as_deref().ok_or(ServiceError::NotFound)?;
    let representation = View::representation(user, caller);
    let tag = tag(user, representation);
    let about = [(CACHE_STATUS, cache_status(answer)), (header::ETAG, etag(&tag))];
    Ok(match wanted(headers, &tag)? {
        Wanted::Nothing => (StatusCode::NOT_MODIFIED, about).into_response(),
        Wanted::Answer => {
            (about, rendered(service, answer, representation, |user| View::of(user, caller))?).into_response()
        }
    })
}

fn changed(status: StatusCode, user: &User, receipt: Receipt, caller: Caller) -> Response {
    let etag = [(header::ETAG, etag(tag(user, View::representation(user, caller))))];
    (status, acknowledged(receipt), etag, JsonAnswer(View::of(user, caller))).into_response()
}

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(get, patch, put, delete))
        .routes(routes!(lookup))
        .routes(routes!(activate))
        .routes(routes!(deactivate))
}

/// A user by its id, its external id, or `me`.
///
/// Callers who neither are this user nor manage it see no e-mail address, telephone number and external id.
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}",
    operation_id = "get_user",
    tag = "users",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(UserPath, IfMatch, IfNoneMatch, ConsistencyParams),
    responses(
        (status = 200, body = View, headers(("ETag" = String), ("Cache-Status" = String))),
        NotModified,
        Outdated,
        NotFound,
        Refused,
    )
)]
pub(crate) async fn get(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    Strength(consistency): Strength,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let answer = service.find(&caller.naming(user), consistency).await?;
    shown(&service, &answer, caller, &headers)
}

/// A user by exactly one of id, e-mail address, user name and telephone number.
///
/// A POST, so that personal data stays out of URLs.
#[utoipa::path(
    post,
    path = "/api/v1/users/lookup",
    operation_id = "look_up_user",
    tag = "users",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(ConsistencyParams),
    request_body = LookupBody,
    responses(
        (status = 200, body = View, headers(("ETag" = String), ("Cache-Status" = String))),
        NotFound,
        Refused, RefusedBody,
    )
)]
pub(crate) async fn lookup(
    State(service): State<Service>,
    caller: Caller,
    Strength(consistency): Strength,
    Json(body): Json,
) -> Result<Response, Problem> {
    let LookupBody { identifier } = LookupBody::parse(body)?;
    let answer = service.look_up(caller, &identifier, consistency).await?;
    // The conditions in the headers of a POST do not concern its answer (RFC 9110), so the headers are left out here.
    shown(&service, &answer, caller, &HeaderMap::new())
}

/// Creates a user. For admins; for a role above `user`, the caller sends its password and, if its second factor is on,
/// a code.
#[utoipa::path(
    post,
    path = "/api/v1/users",
    operation_id = "create_user",
    tag = "users",
    security(("bearer" = []), ("api_key" = ["write"])),
    request_body = CreateUserBody,
    responses(
        (status = 201, body = View, headers(("Location" = String), ("ETag" = String), ("Cache-Invalidation" = String))),
        Taken,
        Refused, RefusedBody, RefusedTooMany,
    )
)]
pub(crate) async fn create(
    State(service): State<Service>,
    caller: Caller,
    ClientAddress(from): ClientAddress,
    Json(body): Json,
) -> Result<Response, Problem> {
    // The role is checked before the body is parsed, so that a caller that may not create users learns nothing from the
    // body's errors.
    caller.check_admin()?;
    let (user, receipt) = service.create(caller, CreateUserBody::parse(body)?, from).await?;
    let location = [(header::LOCATION, location(user.id))];
    Ok((location, changed(StatusCode::CREATED, &user, receipt, caller)).into_response())
}

/// Changes some fields of a user. Some changes need the caller's password and, if its second factor is on, a code: a
/// change of the e-mail address, user name or telephone number of its own or of a user with a role above `user` or a
/// permission, the grant of such a role, and the activation of such a user.
#[utoipa::path(
    patch,
    path = "/api/v1/users/{id}",
    operation_id = "patch_user",
    tag = "users",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, IfMatch, IfNoneMatch),
    request_body = PatchUserBody,
    responses(
        (status = 200, body = View, headers(("ETag" = String), ("Cache-Invalidation" = String))),
        NotFound,
        Taken,
        Outdated,
        Refused, RefusedBody, RefusedTooMany,
    )
)]
pub(crate) async fn patch(
    state: State<Service>,
    caller: Caller,
    target: TargetUser,
    ClientAddress(from): ClientAddress,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Problem> {
    let PatchUserBody { patch, confirmation } = PatchUserBody::parse(body)?;
    change(state, caller, target, headers, patch, Proof { confirmation, from }).await
}

/// Replaces a user. The password is needed as for `PATCH`.
///
/// The body may be what GET returned: a field that the caller cannot change is ignored if it has its present value, and
/// refused by its name otherwise.
#[utoipa::path(
    put,
    path = "/api/v1/users/{id}",
    operation_id = "put_user",
    tag = "users",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, IfMatch, IfNoneMatch),
    request_body = PutUserBody,
    responses(
        (status = 200, body = View, headers(("ETag" = String), ("Cache-Invalidation" = String))),
        NotFound,
        Taken,
        Outdated,
        Refused, RefusedBody, RefusedTooMany,
    )
)]
pub(crate) async fn put(
    state: State<Service>,
    caller: Caller,
    target: TargetUser,
    ClientAddress(from): ClientAddress,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Problem> {
    let PutUserBody { patch, read_only, confirmation } = PutUserBody::parse(body)?;
    let patch = UserPatch { read_only, is_complete: true, ..patch };
    change(state, caller, target, headers, patch, Proof { confirmation, from }).await
}

/// Makes a change of a user that a body describes.
pub(crate) async fn change(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    headers: HeaderMap,
    patch: UserPatch,
    proof: Proof,
) -> Result<Response, Problem> {
    let expected = of_versions(&headers);
    let (user, receipt) = service.update(caller, caller.naming(user), patch, &expected, proof).await?;
    Ok(changed(StatusCode::OK, &user, receipt, caller))
}

/// Deletes a user. A caller that deletes itself, or a user with a role above `user` or a permission, sends its password
/// and, if its second factor is on, a code.
#[utoipa::path(
    delete,
    path = "/api/v1/users/{id}",
    operation_id = "delete_user",
    tag = "users",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, IfMatch, IfNoneMatch),
    request_body(content = ConfirmationBody, description = "needed for oneself, and for a user with a role above `user` or a permission"),
    responses(
        (status = 204, description = "the user is gone", headers(("Cache-Invalidation" = String))),
        NotFound,
        LastSuperadmin,
        Outdated,
        Refused, RefusedBody, RefusedTooMany,
    )
)]
pub(crate) async fn delete(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    ClientAddress(from): ClientAddress,
    headers: HeaderMap,
    OptionalJson(body): OptionalJson,
) -> Result<Response, Problem> {
    let ConfirmationBody { confirmation } = ConfirmationBody::parse(body)?;
    let (expected, proof) = (of_versions(&headers), Proof { confirmation, from });
    let receipt = service.delete(caller, caller.naming(user), &expected, proof).await?;
    Ok((StatusCode::NO_CONTENT, acknowledged(receipt)).into_response())
}

/// Activates a user. For admins; for a user with a role above `user` or a permission, the caller sends its password and,
/// if its second factor is on, a code.
#[utoipa::path(
    post,
    path = "/api/v1/users/{id}/activate",
    operation_id = "activate_user",
    tag = "users",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, IfMatch, IfNoneMatch),
    request_body(content = ConfirmationBody, description = "needed for a user with a role above `user` or a permission"),
    responses(
        (status = 200, body = View, headers(("ETag" = String), ("Cache-Invalidation" = String))),
        NotFound,
        Outdated,
        Refused, RefusedBody, RefusedTooMany,
    )
)]
pub(crate) async fn activate(
    state: State<Service>,
    caller: Caller,
    target: TargetUser,
    ClientAddress(from): ClientAddress,
    headers: HeaderMap,
    OptionalJson(body): OptionalJson,
) -> Result<Response, Problem> {
    caller.check_admin()?;
    let ConfirmationBody { confirmation } = ConfirmationBody::parse(body)?;
    let proof = Proof { confirmation, from };
    change(state, caller, target, headers, UserPatch::active(true), proof).await
}

/// Deactivates a user, which ends its tokens. For admins.
#[utoipa::path(
    post,
    path = "/api/v1/users/{id}/deactivate",
    operation_id = "deactivate_user",
    tag = "users",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, IfMatch, IfNoneMatch),
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
    target: TargetUser,
    ClientAddress(from): ClientAddress,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.check_admin()?;
    let proof = Proof { confirmation: Confirmation::default(), from };
    change(state, caller, target, headers, UserPatch::active(false), proof).await
}
