//! `/api/v1/users/{id}/points` and `/api/v1/leaderboard`: booking points, ledgers, ranks.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use larder_http::headers::{CACHE_STATUS, cache_status};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::answer::{JsonAnswer, rendered};
use crate::api::auth::acknowledged;
use crate::api::extract::{ConsistencyParams, Json, Params, Strength, TargetUser};
use crate::api::openapi::answers::{NotFound, ProblemBody, Refused, RefusedBody};
use crate::api::openapi::parameters::UserPath;
use crate::api::problem::Problem;
use crate::cached::rendered::Representation;
use crate::domain::identity::{UserId, UserRef};
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::leaderboard::{LeaderboardParams, LeaderboardQuery, LeaderboardRow, Standing};
use crate::domain::points::{Booking, LedgerEntry, LedgerParams, LedgerQuery};
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;

const KEY_HEADER: &str = "idempotency-key";

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(ledger, book))
        .routes(routes!(leaderboard))
        .routes(routes!(standing_of_caller))
        .routes(routes!(standing))
}

/// A page of a user's ledger.
#[derive(Serialize, ToSchema)]
struct LedgerAnswer {
    user_id: UserId,
    /// The sum of the complete ledger.
    balance: i64,
    /// Newest first.
    items: Vec<LedgerEntry>,
    /// The cursor of the next page; `null` on the last page.
    next_cursor: Option<Uuid>,
}

/// A user's points: the balance and the ledger, newest first.
///
/// For the user itself, and for callers that manage the user or have the permission `points.write`.
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}/points",
    operation_id = "list_points",
    tag = "points",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(UserPath, LedgerParams),
    responses(
        (status = 200, body = LedgerAnswer),
        NotFound,
        Refused,
    )
)]
pub(crate) async fn ledger(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    Params(params): Params<LedgerParams>,
) -> Result<Response, Problem> {
    let query = LedgerQuery::parse(&params)?;
    let (user, ledger) = service.ledger(caller, caller.naming(user), query).await?;
    let answer = LedgerAnswer {
        user_id: user.id,
        balance: user.points,
        items: ledger.entries,
        next_cursor: ledger.next,
    };
    Ok(JsonAnswer(answer).into_response())
}

/// A booking that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct BookedAnswer {
    transaction: LedgerEntry,
    /// The user's present balance.
    balance: i64,
}

/// Books points for another user.
///
/// For callers that manage the user or have the permission `points.write`. No caller books points for itself. The same
/// booking under the same key is made once and answered each time; another booking under that key is refused.
#[utoipa::path(
    post,
    path = "/api/v1/users/{id}/points",
    operation_id = "book_points",
    tag = "points",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(
        UserPath,
        ("Idempotency-Key" = Option<String>, Header, description = "in place of the field `idempotency_key`"),
    ),
    request_body = Booking,
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
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    headers: HeaderMap,
    Json(body): Json,
) -> Result<Response, Problem> {
    let booking = Booking::parse_with_header(body, idempotency_key(&headers)?)?;
    let booked = service.book_points(caller, caller.naming(user), booking).await?;
    let status = if booked.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let answer = BookedAnswer { transaction: booked.entry, balance: booked.balance };
    Ok((status, acknowledged(booked.receipt), JsonAnswer(answer)).into_response())
}

/// The header `Idempotency-Key`, if it was sent.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut sent = headers.get_all(KEY_HEADER).iter();
    let key = sent.next().map(|key| key.to_str().unwrap_or_default());
    match sent.next() {
        None => Ok(key),
        Some(_) => {
            let twice = Invalid::new("the header Idempotency-Key may occur once");
            Err(ValidationErrors::one("idempotency_key", twice).into())
        }
    }
}

/// A page of the leaderboard.
#[derive(Serialize, ToSchema)]
struct LeaderboardAnswer<'a> {
    items: &'a [LeaderboardRow],
    limit: u32,
    offset: u32,
}

/// The active users with the most points. Users with equal points share a rank, and are in the order of their ids.
#[utoipa::path(
    get,
    path = "/api/v1/leaderboard",
    operation_id = "get_leaderboard",
    tag = "points",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(LeaderboardParams, ConsistencyParams),
    responses(
        (status = 200, body = LeaderboardAnswer, headers(("Cache-Status" = String))),
        Refused,
    )
)]
pub(crate) async fn leaderboard(
    State(service): State<Service>,
    _: Caller,
    Params(params): Params<LeaderboardParams>,
    Strength(consistency): Strength,
) -> Result<Response, Problem> {
    let query = LeaderboardQuery::parse(&params)?;
    let answer = service.leaderboard(query, consistency).await?;
    let page = |items| LeaderboardAnswer { items, limit: query.limit.get(), offset: query.offset };
    let body = rendered(&service, &answer, Representation::Whole, |rows: &Vec<LeaderboardRow>| page(rows))?;
    Ok(([(CACHE_STATUS, cache_status(&answer))], body).into_response())
}

/// The caller's rank on the leaderboard.
#[utoipa::path(
    get,
    path = "/api/v1/leaderboard/me",
    operation_id = "get_own_standing",
    tag = "points",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(ConsistencyParams),
    responses(
        (status = 200, body = Standing, headers(("Cache-Status" = String))),
        NotFound,
        Refused,
    )
)]
pub(crate) async fn standing_of_caller(
    service: State<Service>,
    caller: Caller,
    strength: Strength,
) -> Result<Response, Problem> {
    standing(service, caller, TargetUser(UserRef::Me), strength).await
}

/// A user's rank on the leaderboard, at the same cost at any depth. An inactive user has no rank.
#[utoipa::path(
    get,
    path = "/api/v1/leaderboard/{id}",
    operation_id = "get_standing",
    tag = "points",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(UserPath, ConsistencyParams),
    responses(
        (status = 200, body = Standing, headers(("Cache-Status" = String))),
        NotFound,
        Refused,
    )
)]
pub(crate) async fn standing(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
    Strength(consistency): Strength,
) -> Result<Response, Problem> {
    let answer = service.standing(&caller.naming(user), consistency).await?;
    let standing = answer.value.as_deref().ok_or(ServiceError::NotFound)?;
    Ok(([(CACHE_STATUS, cache_status(&answer))], JsonAnswer(standing)).into_response())
}
