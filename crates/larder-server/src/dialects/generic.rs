//! The generic user-management cache: `/cache`, answered as the hotel answers `/v1.0/cache`.

use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::extract::Segment;
use crate::api::openapi::answers::Refused;
use crate::api::problem::Problem;
use crate::dialects::away::RedisAway;
use crate::dialects::hita::cache as hita;
use crate::dialects::hita::views::{Done, Health, Stats, TestAnswer};
use crate::service::Service;
use crate::service::access::Caller;

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(stats))
        .routes(routes!(test))
        .routes(routes!(warm))
        .routes(routes!(clear))
        .routes(routes!(clear_user))
}

/// Whether the cache answers. Needs no login.
#[utoipa::path(
    get,
    path = "/cache/health",
    tag = "generic",
    responses((status = 200, body = Health), RedisAway)
)]
pub(crate) async fn health(state: State<Service>) -> Response {
    hita::health(state).await
}

/// The hit rate and the entries by class. For admins.
#[utoipa::path(
    get,
    path = "/cache/stats",
    tag = "generic",
    security(("bearer" = []), ("api_key" = ["read"])),
    responses((status = 200, body = Stats), Refused, RedisAway)
)]
pub(crate) async fn stats(state: State<Service>, caller: Caller) -> Result<Response, Problem> {
    hita::stats(state, caller).await
}

/// Sends one entry through every tier. For admins.
#[utoipa::path(
    get,
    path = "/cache/test",
    tag = "generic",
    security(("bearer" = []), ("api_key" = ["read"])),
    responses((status = 200, body = TestAnswer), Refused, RedisAway)
)]
pub(crate) async fn test(state: State<Service>, caller: Caller) -> Result<Response, Problem> {
    hita::test(state, caller).await
}

/// Loads the entries that most clients read first. For admins.
#[utoipa::path(
    post,
    path = "/cache/warm",
    tag = "generic",
    security(("bearer" = []), ("api_key" = ["write"])),
    responses((status = 200, body = Done), Refused, RedisAway)
)]
pub(crate) async fn warm(state: State<Service>, caller: Caller) -> Result<Response, Problem> {
    hita::warm(state, caller).await
}

/// Drops everything, on every instance. For admins.
#[utoipa::path(
    post,
    path = "/cache/clear",
    tag = "generic",
    security(("bearer" = []), ("api_key" = ["write"])),
    responses((status = 200, body = Done, headers(("Cache-Invalidation" = String))), Refused, RedisAway)
)]
pub(crate) async fn clear(state: State<Service>, caller: Caller) -> Result<Response, Problem> {
    hita::clear(state, caller).await
}

/// Drops all that is cached of one user. For admins.
#[utoipa::path(
    post,
    path = "/cache/clear/user/{user_id}",
    tag = "generic",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(("user_id" = String, Path, description = "our id or an external one; need not exist")),
    responses((status = 200, body = Done, headers(("Cache-Invalidation" = String))), Refused, RedisAway)
)]
pub(crate) async fn clear_user(
    state: State<Service>,
    caller: Caller,
    id: Segment,
) -> Result<Response, Problem> {
    hita::clear_user(state, caller, id).await
}
