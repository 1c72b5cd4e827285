//! `users/statistics`, `dashboard/statistics` and `users/{id}/stats`: figures about users.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use larder::class;
use larder_http::headers::{CACHE_STATUS, cache_status};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::{JsonAnswer, rendered};
use crate::api::extract::{ConsistencyParams, Strength, TargetUser};
use crate::api::openapi::answers::{NotFound, Refused};
use crate::api::openapi::parameters::UserPath;
use crate::api::problem::Problem;
use crate::api::users::View;
use crate::cached::rendered::Representation;
use crate::domain::identity::UserId;
use crate::domain::statistics::{SignUps, UserStatistics};
use crate::domain::timestamp::Timestamp;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(users)).routes(routes!(dashboard)).routes(routes!(of_user))
}

/// What a dashboard shows.
#[derive(Serialize, ToSchema)]
struct DashboardView<'a> {
    #[serde(flatten)]
    statistics: &'a UserStatistics,
    /// How many of the present users were created on each of the last 30 days in UTC; today is last.
    sign_ups: &'a [SignUps],
    /// The five newest users, newest first.
    newest_users: Vec<View<'a>>,
}

/// Figures about one user.
#[derive(Serialize, ToSchema)]
struct PersonalStatsView {
    user_id: UserId,
    /// When the user was created.
    member_since: Timestamp,
    /// When anything about the user changed last.
    updated_at: Timestamp,
    points: i64,
    /// When the user opened the latest of its sessions that are still stored.
    last_login_at: Option<Timestamp>,
    /// When the user set its password; `null` without one.
    password_changed_at: Option<Timestamp>,
    /// How many sessions of the user can still be used.
    live_sessions: usize,
}

/// Figures over all users, for admins.
#[utoipa::path(
    get,
    path = "/api/v1/users/statistics",
    operation_id = "get_user_statistics",
    tag = "statistics",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(ConsistencyParams),
    responses((status = 200, body = UserStatistics, headers(("Cache-Status" = String))), Refused)
)]
pub(crate) async fn users(
    State(service): State<Service>,
    caller: Caller,
    Strength(consistency): Strength,
) -> Result<Response, Problem> {
    let answer = service.user_statistics(caller, consistency).await?;
    let body = rendered(&service, &answer, Representation::Whole, |statistics| statistics)?;
    Ok(([(CACHE_STATUS, cache_status(&answer))], body).into_response())
}

/// The figures over all users, the sign-ups of the last 30 days and the newest users, for admins.
#[utoipa::path(
    get,
    path = "/api/v1/dashboard/statistics",
    operation_id = "get_dashboard_statistics",
    tag = "statistics",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(ConsistencyParams),
    responses((status = 200, body = DashboardView, headers(("Cache-Status" = String))), Refused)
)]
pub(crate) async fn dashboard(
    State(service): State<Service>,
    caller: Caller,
    Strength(consistency): Strength,
) -> Result<Response, Problem> {
    let answer = service.dashboard(caller, consistency).await?;
    shown(&answer, |dashboard| DashboardView {
        statistics: &dashboard.statistics,
        sign_ups: &dashboard.sign_ups,
        newest_users: dashboard.newest.iter().map(|user| View::of(user, caller)).collect(),
    })
}

/// Figures about one user, for itself and those who manage it.
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}/stats",
    operation_id = "get_stats_of_user",
    tag = "statistics",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(UserPath, ConsistencyParams),
    responses(
        (status = 200, body = PersonalStatsView, headers(("Cache-Status" = String))),
        NotFound,
        Refused,
    )
)]
pub(crate) async fn of_user(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    Strength(consistency): Strength,
) -> Result<Response, Problem> {
    let answer = service.personal_stats(caller, &caller.naming(user), consistency).await?;
    shown(&answer, |stats| PersonalStatsView {
        user_id: stats.id,
        member_since: stats.member_since,
        updated_at: stats.updated_at,
        points: stats.points,
        last_login_at: stats.last_login_at,
        password_changed_at: stats.password_changed_at,
        live_sessions: service.live_sessions(&stats.sessions),
    })
}

fn shown<'a, T, V: Serialize>(
    answer: &'a class::Answer<T>,
    view: impl FnOnce(&'a T) -> V,
) -> Result<Response, Problem> {
    let value = answer.value.as_deref().ok_or(ServiceError::NotFound)?;
    Ok(([(CACHE_STATUS, cache_status(answer))], JsonAnswer(view(value))).into_response())
}
