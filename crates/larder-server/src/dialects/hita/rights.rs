//! `/v1.0/points` and `/v1.0/permissions`: the canonical handlers under the hotel's paths.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::extract::{Json, Target};
use crate::api::openapi::answers::{NotFound, ProblemBody, Refused, RefusedBody};
use crate::api::openapi::parameters::UserPath;
use crate::api::permissions::{self, Named};
use crate::api::points::{self, BookRequest, BookedAnswer};
use crate::api::problem::Problem;
use crate::domain::permission::Grant;
use crate::service::Service;
use crate::service::access::Caller;

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(book)).routes(routes!(grant, grant_again, revoke))
}

/// Books points for another user.
#[utoipa::path(
    post,
    path = "/v1.0/points/{id}",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(UserPath, ("Idempotency-Key" = Option<String>, Header, description = "in place of the field `idempotency_key`")),
    request_body = BookRequest,
    responses(
        (status = 201, body = BookedAnswer, headers(("Cache-Invalidation" = String))),
        (status = 200, body = BookedAnswer, description = "the booking had been made before", headers(("Cache-Invalidation" = String))),
        NotFound,
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "the key is another booking's, or the balance would leave its bounds"),
        Refused,
        RefusedBody,
    )
)]
pub(crate) async fn book(
    state: State<Service>,
    caller: Caller,
    target: Target,
    headers: HeaderMap,
    body: Json,
) -> Result<impl IntoResponse, Problem> {
    points::book(state, caller, target, headers, body).await
}

/// Grants a permission.
#[utoipa::path(
    post,
    path = "/v1.0/permissions/{id}/{permission}",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(
        UserPath,
        ("permission" = String, Path, pattern = "^[a-z0-9._-]{1,64}$", description = "1 to 64 of `a-z 0-9 . _ -`"),
    ),
    responses(
        (status = 200, body = Grant, headers(("Cache-Invalidation" = String))),
        NotFound,
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "the user has 100 permissions"),
        Refused,
    )
)]
pub(crate) async fn grant(
    state: State<Service>,
    caller: Caller,
    named: Named,
) -> Result<impl IntoResponse, Problem> {
    permissions::grant(state, caller, named).await
}

/// Grants a permission, as POST does.
#[utoipa::path(
    put,
    path = "/v1.0/permissions/{id}/{permission}",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(
        UserPath,
        ("permission" = String, Path, pattern = "^[a-z0-9._-]{1,64}$", description = "1 to 64 of `a-z 0-9 . _ -`"),
    ),
    responses(
        (status = 200, body = Grant, headers(("Cache-Invalidation" = String))),
        NotFound,
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "the user has 100 permissions"),
        Refused,
    )
)]
pub(crate) async fn grant_again(
    state: State<Service>,
    caller: Caller,
    named: Named,
) -> Result<impl IntoResponse, Problem> {
    permissions::grant(state, caller, named).await
}

/// Revokes a permission.
#[utoipa::path(
    delete,
    path = "/v1.0/permissions/{id}/{permission}",
    tag = "HITA",
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
    state: State<Service>,
    caller: Caller,
    named: Named,
) -> Result<impl IntoResponse, Problem> {
    permissions::revoke(state, caller, named).await
}
