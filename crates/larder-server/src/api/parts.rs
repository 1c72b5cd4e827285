//! `/api/v1/users/{id}/preferences`, `/languages`, `/accessibility` and `/interests`.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use larder::class::Answer;
use larder_http::headers::{CACHE_STATUS, cache_status};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::{JsonAnswer, JsonBody, tagged};
use crate::api::auth::acknowledged;
use crate::api::extract::{ConsistencyParams, Json, Strength, TargetUser};
use crate::api::openapi::answers::{NotFound, NotModified, Outdated, Refused, RefusedBody};
use crate::api::openapi::parameters::{IfMatch, IfNoneMatch, UserPath};
use crate::api::preconditions::{Wanted, etag, of_digests, wanted};
use crate::api::problem::Problem;
use crate::cached::profiles::CachedPart;
use crate::cached::rendered::{Rendered, Representation};
use crate::domain::parts::accessibility::{Accessibility, AccessibilityChange};
use crate::domain::parts::digest;
use crate::domain::parts::interests::Interests;
use crate::domain::parts::languages::Languages;
use crate::domain::parts::preferences::{Preferences, PreferencesChange};
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(preferences::get, preferences::put, patch_preferences))
        .routes(routes!(languages::get, languages::put))
        .routes(routes!(accessibility::get, accessibility::put, patch_accessibility))
        .routes(routes!(interests::get, interests::put))
}

/// The digest of a value, for its `ETag`.
fn digest_of(value: &impl Serialize) -> Result<String, Problem> {
    digest(value).map_err(|error| ServiceError::Internal(error.into()).into())
}

/// Defines the handlers that read and replace one part, in a module of the part's name.
macro_rules! part {
    ($name:ident, $path:literal, $part:ty, $body:ty, $parse:path) => {
        mod $name {
            use super::*;

            #[utoipa::path(
                get,
                summary = concat!("The ", stringify!($name), " of a user, for itself and for those who manage it."),
                path = $path,
                operation_id = concat!("get_", stringify!($name)),
                tag = "profiles",
                security(("bearer" = []), ("api_key" = ["read"])),
                params(UserPath, IfMatch, IfNoneMatch, ConsistencyParams),
                responses(
                    (status = 200, body = $part, headers(("ETag" = String), ("Cache-Status" = String))),
                    NotModified,
                    Outdated,
                    NotFound,
                    Refused,
                )
            )]
            pub(crate) async fn get(
                state: State<Service>,
                caller: Caller,
                target: TargetUser,
                strength: Strength,
                headers: HeaderMap,
            ) -> Result<Response, Problem> {
                shown::<$part>(state, caller, target, strength, headers).await
            }

            #[utoipa::path(
                put,
                summary = concat!("Replaces the ", stringify!($name), " of a user; what is missing gets its default."),
                path = $path,
                operation_id = concat!("put_", stringify!($name)),
                tag = "profiles",
                security(("bearer" = []), ("api_key" = ["write"])),
                params(UserPath, IfMatch, IfNoneMatch),
                request_body = $body,
                responses(
                    (status = 200, body = $part, headers(("ETag" = String), ("Cache-Invalidation" = String))),
                    NotFound,
                    Outdated,
                    Refused,
                    RefusedBody,
                )
            )]
            pub(crate) async fn put(
                state: State<Service>,
                caller: Caller,
                target: TargetUser,
                headers: HeaderMap,
                Json(body): Json,
            ) -> Result<Response, Problem> {
                changed::<$part>(state, caller, target, headers, $parse(body)?).await
            }
        }
    };
}

part!(
    preferences,
    "/api/v1/users/{id}/preferences",
    Preferences,
    PreferencesChange,
    PreferencesChange::parse_put
);
part!(languages, "/api/v1/users/{id}/languages", Languages, Languages, Languages::parse);
part!(
    accessibility,
    "/api/v1/users/{id}/accessibility",
    Accessibility,
    AccessibilityChange,
    AccessibilityChange::parse_put
);
part!(interests, "/api/v1/users/{id}/interests", Interests, Interests, Interests::parse);

/// Changes some preferences of a user.
#[utoipa::path(
    patch,
    path = "/api/v1/users/{id}/preferences",
    operation_id = "patch_preferences",
    tag = "profiles",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, IfMatch, IfNoneMatch),
    request_body = PreferencesChange,
    responses(
        (status = 200, body = Preferences, headers(("ETag" = String), ("Cache-Invalidation" = String))),
        NotFound,
        Outdated,
        Refused,
        RefusedBody,
    )
)]
pub(crate) async fn patch_preferences(
    state: State<Service>,
    caller: Caller,
    target: TargetUser,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Problem> {
    let change = PreferencesChange::parse(body)?;
    changed::<Preferences>(state, caller, target, headers, change).await
}

/// Changes some accessibility settings of a user.
#[utoipa::path(
    patch,
    path = "/api/v1/users/{id}/accessibility",
    operation_id = "patch_accessibility",
    tag = "profiles",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, IfMatch, IfNoneMatch),
    request_body = AccessibilityChange,
    responses(
        (status = 200, body = Accessibility, headers(("ETag" = String), ("Cache-Invalidation" = String))),
        NotFound,
        Outdated,
        Refused,
        RefusedBody,
    )
)]
pub(crate) async fn patch_accessibility(
    state: State<Service>,
    caller: Caller,
    target: TargetUser,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Problem> {
    let change = AccessibilityChange::parse(body)?;
    changed::<Accessibility>(state, caller, target, headers, change).await
}

async fn shown<P: CachedPart>(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    Strength(consistency): Strength,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let answer = service.part::<P>(caller, &caller.naming(user), consistency).await?;
    digested(&service, &answer, &headers, |part| part)
}

/// The answer to a read whose entity tag is the digest of its value.
pub(crate) fn digested<'a, T: Serialize + Send + Sync + 'static, V: Serialize>(
    service: &Service,
    answer: &'a Answer<T>,
    headers: &HeaderMap,
    view: impl FnOnce(&'a T) -> V,
) -> Result<Response, Problem> {
    let Rendered { body, tag } =
        tagged(service, answer, Representation::Whole, view, |value| Ok(Some(digest_of(value)?.into())))?;
    let tag = tag.unwrap_or_default();
    let about = [(CACHE_STATUS, cache_status(answer)), (header::ETAG, etag(&tag))];
    Ok(match wanted(headers, &tag)? {
        Wanted::Nothing => (StatusCode::NOT_MODIFIED, about).into_response(),
        Wanted::Answer => (about, JsonBody(body)).into_response(),
    })
}

async fn changed<P: CachedPart>(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    headers: HeaderMap,
    change: P::Change,
) -> Result<Response, Problem> {
    let expected = of_digests(&headers);
    let (part, receipt) = service.update_part::<P>(caller, caller.naming(user), change, expected).await?;
    let etag = [(header::ETAG, etag(digest_of(&part)?))];
    Ok((acknowledged(receipt), etag, JsonAnswer(part)).into_response())
}
