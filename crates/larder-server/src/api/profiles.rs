//! `/api/v1/users/{id}/profile`, `/details` and `/full-profile`: what every user may see of a user, and its complete
//! profile.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use larder_http::headers::{CACHE_STATUS, cache_status};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::{JsonAnswer, rendered};
use crate::api::auth::acknowledged;
use crate::api::client_address::ClientAddress;
use crate::api::extract::{ConsistencyParams, Json, Strength, TargetUser};
use crate::api::openapi::answers::{NotFound, NotModified, Outdated, Refused, RefusedBody};
use crate::api::openapi::parameters::{IfMatch, IfNoneMatch, UserPath};
use crate::api::parts::digested;
use crate::api::preconditions::{Wanted, etag, of_versions, wanted};
use crate::api::problem::Problem;
use crate::api::users::{self, View};
use crate::cached::rendered::Representation;
use crate::domain::body::{Confirmation, PatchProfileBody, PutProfileBody};
use crate::domain::parts::accessibility::Accessibility;
use crate::domain::parts::full::FullProfile;
use crate::domain::parts::languages::Language;
use crate::domain::parts::preferences::Preferences;
use crate::domain::patch::UserPatch;
use crate::domain::text::Line;
use crate::domain::user::{PublicUser, User};
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::confirming::Proof;
use crate::service::error::ServiceError;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(details))
        .routes(routes!(profile, patch_profile, put_profile))
        .routes(routes!(full_profile))
}

/// A user, as under `/api/v1/users/{id}`.
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}/details",
    operation_id = "get_user_details",
    tag = "profiles",
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
pub(crate) async fn details(
    state: State<Service>,
    caller: Caller,
    target: TargetUser,
    strength: Strength,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    users::get(state, caller, target, strength, headers).await
}

/// What every user who is logged in may see of a user.
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}/profile",
    operation_id = "get_profile",
    tag = "profiles",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(UserPath, IfMatch, IfNoneMatch, ConsistencyParams),
    responses(
        (status = 200, body = PublicUser, headers(("ETag" = String), ("Cache-Status" = String))),
        NotModified,
        Outdated,
        NotFound,
        Refused,
    )
)]
pub(crate) async fn profile(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    Strength(consistency): Strength,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let answer = service.profile(&caller.naming(user), consistency).await?;
    let version = answer.value.as_deref().ok_or(ServiceError::NotFound)?.version;
    let about = [(CACHE_STATUS, cache_status(&answer)), (header::ETAG, etag(version))];
    Ok(match wanted(&headers, version)? {
        Wanted::Nothing => (StatusCode::NOT_MODIFIED, about).into_response(),
        Wanted::Answer => {
            (about, rendered(&service, &answer, Representation::Whole, |profile| profile)?).into_response()
        }
    })
}

/// Changes fields of a profile; `null` clears one.
#[utoipa::path(
    patch,
    path = "/api/v1/users/{id}/profile",
    operation_id = "patch_profile",
    tag = "profiles",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, IfMatch, IfNoneMatch),
    request_body = PatchProfileBody,
    responses(
        (status = 200, body = PublicUser, headers(("ETag" = String), ("Cache-Invalidation" = String))),
        NotFound,
        Outdated,
        Refused,
        RefusedBody,
    )
)]
pub(crate) async fn patch_profile(
    state: State<Service>,
    caller: Caller,
    target: TargetUser,
    address: ClientAddress,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Problem> {
    let PatchProfileBody { patch } = PatchProfileBody::parse(body)?;
    change(state, caller, target, address, headers, patch).await
}

/// Replaces a profile; what is missing is cleared.
///
/// The body may be what GET returned: a field outside of the profile is ignored if it has its present value, and
/// refused by its name otherwise.
#[utoipa::path(
    put,
    path = "/api/v1/users/{id}/profile",
    operation_id = "put_profile",
    tag = "profiles",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, IfMatch, IfNoneMatch),
    request_body = PutProfileBody,
    responses(
        (status = 200, body = PublicUser, headers(("ETag" = String), ("Cache-Invalidation" = String))),
        NotFound,
        Outdated,
        Refused,
        RefusedBody,
    )
)]
pub(crate) async fn put_profile(
    state: State<Service>,
    caller: Caller,
    target: TargetUser,
    address: ClientAddress,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Problem> {
    let PutProfileBody { patch, read_only } = PutProfileBody::parse(body)?;
    change(state, caller, target, address, headers, UserPatch { read_only, ..patch }).await
}

async fn change(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    ClientAddress(from): ClientAddress,
    headers: HeaderMap,
    patch: UserPatch,
) -> Result<Response, Problem> {
    let expected = of_versions(&headers);
    // A profile has no field whose change needs the password.
    let proof = Proof { confirmation: Confirmation::default(), from };
    let (user, receipt) = service.update(caller, caller.naming(user), patch, &expected, proof).await?;
    let etag = [(header::ETAG, etag(user.version))];
    Ok((acknowledged(receipt), etag, JsonAnswer(PublicUser::from(&user))).into_response())
}

/// A user with every part of its profile.
#[derive(Serialize, ToSchema)]
#[schema(as = FullProfile)]
pub(crate) struct FullProfileAnswer<'a> {
    user: &'a User,
    preferences: &'a Preferences,
    languages: &'a [Language],
    accessibility: &'a Accessibility,
    interests: &'a [Line<64>],
}

impl<'a> From<&'a FullProfile> for FullProfileAnswer<'a> {
    fn from(full: &'a FullProfile) -> Self {
        Self {
            user: &full.user,
            preferences: &full.preferences,
            languages: &full.languages.languages,
            accessibility: &full.accessibility,
            interests: &full.interests.interests,
        }
    }
}

/// A user with every part of its profile: for itself and for those who manage it.
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}/full-profile",
    operation_id = "get_full_profile",
    tag = "profiles",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(UserPath, IfMatch, IfNoneMatch, ConsistencyParams),
    responses(
        (status = 200, body = FullProfileAnswer, headers(("ETag" = String), ("Cache-Status" = String))),
        NotModified,
        Outdated,
        NotFound,
        Refused,
    )
)]
pub(crate) async fn full_profile(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    Strength(consistency): Strength,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let answer = service.full_profile(caller, &caller.naming(user), consistency).await?;
    digested(&service, &answer, &headers, FullProfileAnswer::from)
}
