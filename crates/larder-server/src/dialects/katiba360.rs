//! katiba360: a user drops its own cached entries, and an admin the leaderboard and the recent achievements.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::JsonAnswer;
use crate::api::auth::acknowledged;
use crate::api::cache::views::Dropped;
use crate::api::openapi::answers::Refused;
use crate::api::problem::Problem;
use crate::domain::caches::Drop;
use crate::service::Service;
use crate::service::access::Caller;

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(invalidate_user))
        .routes(routes!(invalidate_achievements))
        .routes(routes!(invalidate_global))
}

/// What was invalidated.
#[derive(Serialize, ToSchema)]
#[schema(as = Katiba360Invalidated)]
pub(crate) struct Invalidated {
    success: bool,
    invalidated: Dropped,
}

async fn invalidated(service: &Service, caller: Caller, what: &Drop) -> Result<Response, Problem> {
    let receipt = service.drop_by_hand(caller, what).await?;
    let invalidated = Dropped::of(what.as_str(), receipt);
    Ok((acknowledged(receipt), JsonAnswer(Invalidated { success: true, invalidated })).into_response())
}

/// Drops all that is cached of the caller.
#[utoipa::path(
    post,
    path = "/api/v1/users/cache/invalidate",
    operation_id = "katiba360_invalidate_user",
    tag = "katiba360",
    security(("bearer" = []), ("api_key" = ["write"])),
    responses((status = 200, body = Invalidated, headers(("Cache-Invalidation" = String))), Refused)
)]
pub(crate) async fn invalidate_user(
    State(service): State<Service>,
    caller: Caller,
) -> Result<Response, Problem> {
    invalidated(&service, caller, &Drop::User(caller.id.to_string())).await
}

/// Drops the caller's achievements, their summary and their statistics.
#[utoipa::path(
    post,
    path = "/api/v1/achievements/cache/invalidate",
    operation_id = "katiba360_invalidate_achievements",
    tag = "katiba360",
    security(("bearer" = []), ("api_key" = ["write"])),
    responses((status = 200, body = Invalidated, headers(("Cache-Invalidation" = String))), Refused)
)]
pub(crate) async fn invalidate_achievements(
    State(service): State<Service>,
    caller: Caller,
) -> Result<Response, Problem> {
    invalidated(&service, caller, &Drop::Achievements(caller.id)).await
}

/// Drops the leaderboard and the recent achievements of all. For admins.
#[utoipa::path(
    post,
    path = "/api/v1/achievements/cache/invalidate/global",
    operation_id = "katiba360_invalidate_global",
    tag = "katiba360",
    security(("bearer" = []), ("api_key" = ["write"])),
    responses((status = 200, body = Invalidated, headers(("Cache-Invalidation" = String))), Refused)
)]
pub(crate) async fn invalidate_global(
    State(service): State<Service>,
    caller: Caller,
) -> Result<Response, Problem> {
    let caller = service.present_admin(caller).await?;
    invalidated(&service, caller, &Drop::GlobalAchievements).await
}
