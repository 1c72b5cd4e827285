//! `/api/v1/achievements` and `/api/v1/users/{id}/achievements`: awarding achievements and reading them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use larder::policy;
use larder_http::headers::{CACHE_STATUS, cache_status};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::answer::JsonAnswer;
use crate::api::auth::acknowledged;
use crate::api::extract::{ConsistencyParams, JsonText, Params, Strength, TargetUser};
use crate::api::openapi::answers::{NotFound, ProblemBody, Refused, RefusedBody};
use crate::api::openapi::parameters::UserPath;
use crate::api::problem::Problem;
use crate::domain::achievement::{
    Achievement, Award, AwardBody, AwardStats, BadgeType, OfUserParams, RecentAchievement, RecentParams,
    Summary,
};
use crate::domain::identity::{Identifier, UserId};
use crate::domain::invalid::ValidationErrors;
use crate::domain::timestamp::Timestamp;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(award))
        .routes(routes!(recent))
        .routes(routes!(summary))
        .routes(routes!(stats))
        .routes(routes!(of_user))
        .routes(routes!(summary_of_user))
        .routes(routes!(stats_of_user))
}

/// An achievement as one caller may see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Achievement)]
struct AchievementView<'a> {
    id: Uuid,
    user_id: UserId,
    badge_type: &'a BadgeType,
    points: i64,
    awarded_at: Timestamp,
    /// The application's data, which is stored with the achievement. Only the user itself and callers that manage the
    /// user see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    data: Option<Box<RawValue>>,
    /// The id of the user that awarded the achievement; `null` if other software did. Only the user itself and callers
    /// that manage the user see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    awarded_by: Option<Option<&'a str>>,
}

impl<'a> AchievementView<'a> {
    fn of(achievement: &'a Achievement, is_whole: bool) -> Self {
        Self {
            id: achievement.id,
            user_id: achievement.user_id,
            badge_type: &achievement.badge_type,
            points: achievement.points,
            awarded_at: achievement.awarded_at,
            data: is_whole.then(|| achievement.data.to_json()),
            awarded_by: is_whole.then_some(achievement.awarded_by.as_deref()),
        }
    }
}

/// Awards an achievement to another user, with its points in the same transaction.
///
/// For callers that manage the user or have the permission `achievements.award`. No caller can award itself.
#[utoipa::path(
    post,
    path = "/api/v1/achievements/award",
    operation_id = "award_achievement",
    tag = "achievements",
    security(("bearer" = []), ("api_key" = ["write"])),
    request_body = AwardBody,
    responses(
        (status = 201, body = AchievementView, headers(("Cache-Invalidation" = String))),
        NotFound,
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "the user has the badge, is inactive, or would have too many points"),
        Refused,
        RefusedBody,
    )
)]
pub(crate) async fn award(
    State(service): State<Service>,
    caller: Caller,
    JsonText(body, text): JsonText,
) -> Result<Response, Problem> {
    let AwardBody { user_id, badge_type, data, points } = AwardBody::parse(body)?;
    let data = data.as_sent(&text).map_err(|invalid| ValidationErrors::one("data", invalid))?;
    let award = Award { badge_type, data, points };
    let (achievement, receipt) = service.award(caller, caller.naming(user_id), award).await?;
    let view = AchievementView::of(&achievement, true);
    Ok((StatusCode::CREATED, acknowledged(receipt), JsonAnswer(view)).into_response())
}

/// A user's achievements.
#[derive(Serialize, ToSchema)]
struct AchievementsAnswer<'a> {
    /// Newest first, at most 1,000.
    items: Vec<AchievementView<'a>>,
}

/// A user's achievements, newest first.
///
/// Callers who neither are this user nor manage it see no `data` and no `awarded_by`.
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}/achievements",
    operation_id = "list_achievements_of_user",
    tag = "achievements",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(UserPath, ConsistencyParams),
    responses(
        (status = 200, body = AchievementsAnswer, headers(("Cache-Status" = String))),
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
    let (user, answer) = service.achievements(&caller.naming(user), consistency).await?;
    let is_whole = user.value.is_some_and(|user| caller.may_see_all_of(&user));
    let items = answer.value.iter().flat_map(|achievements| achievements.iter());
    let items = items.map(|achievement| AchievementView::of(achievement, is_whole)).collect();
    Ok(([(CACHE_STATUS, cache_status(&answer))], JsonAnswer(AchievementsAnswer { items })).into_response())
}

async fn summarised(
    service: Service,
    named: Identifier,
    consistency: policy::Consistency,
) -> Result<Response, Problem> {
    let answer = service.achievement_summary(&named, consistency).await?;
    let summary = answer.value.as_deref().ok_or(ServiceError::NotFound)?;
    Ok(([(CACHE_STATUS, cache_status(&answer))], JsonAnswer(summary)).into_response())
}

async fn counted(
    service: Service,
    named: Identifier,
    consistency: policy::Consistency,
) -> Result<Response, Problem> {
    let answer = service.achievement_stats(&named, consistency).await?;
    let times = answer.value.as_deref().ok_or(ServiceError::NotFound)?;
    let stats = times.at(Timestamp::now());
    Ok(([(CACHE_STATUS, cache_status(&answer))], JsonAnswer(stats)).into_response())
}

/// A summary of a user's achievements.
#[utoipa::path(
    get,
    path = "/api/v1/achievements/summary",
    operation_id = "get_achievement_summary",
    tag = "achievements",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(OfUserParams, ConsistencyParams),
    responses(
        (status = 200, body = Summary, headers(("Cache-Status" = String))),
        NotFound,
        Refused,
    )
)]
pub(crate) async fn summary(
    State(service): State<Service>,
    caller: Caller,
    Params(params): Params<OfUserParams>,
    Strength(consistency): Strength,
) -> Result<Response, Problem> {
    summarised(service, caller.naming(params.user()?), consistency).await
}

/// A summary of a user's achievements.
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}/achievements/summary",
    operation_id = "get_achievement_summary_of_user",
    tag = "achievements",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(UserPath, ConsistencyParams),
    responses(
        (status = 200, body = Summary, headers(("Cache-Status" = String))),
        NotFound,
        Refused,
    )
)]
pub(crate) async fn summary_of_user(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    Strength(consistency): Strength,
) -> Result<Response, Problem> {
    summarised(service, caller.naming(user), consistency).await
}

/// How many achievements a user was awarded, and when.
#[utoipa::path(
    get,
    path = "/api/v1/achievements/stats",
    operation_id = "get_achievement_stats",
    tag = "achievements",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(OfUserParams, ConsistencyParams),
    responses(
        (status = 200, body = AwardStats, headers(("Cache-Status" = String))),
        NotFound,
        Refused,
    )
)]
pub(crate) async fn stats(
    State(service): State<Service>,
    caller: Caller,
    Params(params): Params<OfUserParams>,
    Strength(consistency): Strength,
) -> Result<Response, Problem> {
    counted(service, caller.naming(params.user()?), consistency).await
}

/// How many achievements a user was awarded, and when.
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}/achievements/stats",
    operation_id = "get_achievement_stats_of_user",
    tag = "achievements",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(UserPath, ConsistencyParams),
    responses(
        (status = 200, body = AwardStats, headers(("Cache-Status" = String))),
        NotFound,
        Refused,
    )
)]
pub(crate) async fn stats_of_user(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    Strength(consistency): Strength,
) -> Result<Response, Problem> {
    counted(service, caller.naming(user), consistency).await
}

/// The newest achievements.
#[derive(Serialize, ToSchema)]
struct RecentAnswer<'a> {
    /// Newest first.
    items: &'a [RecentAchievement],
}

/// The newest achievements of active users. Only the newest 1,000 achievements of all users are searched.
#[utoipa::path(
    get,
    path = "/api/v1/achievements/recent",
    operation_id = "list_recent_achievements",
    tag = "achievements",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(RecentParams, ConsistencyParams),
    responses(
        (status = 200, body = RecentAnswer, headers(("Cache-Status" = String))),
        Refused,
    )
)]
pub(crate) async fn recent(
    State(service): State<Service>,
    _: Caller,
    Params(params): Params<RecentParams>,
    Strength(consistency): Strength,
) -> Result<Response, Problem> {
    let answer = service.recent_achievements(params.limit()?, consistency).await?;
    let items = answer.value.as_deref().map(Vec::as_slice).unwrap_or_default();
    Ok(([(CACHE_STATUS, cache_status(&answer))], JsonAnswer(RecentAnswer { items })).into_response())
}
