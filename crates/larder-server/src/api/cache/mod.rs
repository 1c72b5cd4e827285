//! `/api/v1/cache`: the cache's health and counts, its entries, invalidation by hand, and the switches of classes.

pub(crate) mod auditor;
pub(crate) mod explained;
pub(crate) mod history;
pub(crate) mod reasons;
pub(crate) mod tuning;
pub(crate) mod views;

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use larder::introspection::self_test::SelfTest;
use larder::journal::Touch;
use larder::receipt::Receipt;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::JsonAnswer;
use crate::api::auth::acknowledged;
use crate::api::cache::explained::Explained;
use crate::api::cache::history::History;
use crate::api::cache::reasons::Reason;
use crate::api::cache::views::{
    CacheHealth, CacheStats, ClassStats, DetailedHealth, Dropped, Entries, EntryCounts, Memory, RedisServer,
    Staleness,
};
use crate::api::extract::{Json, Params, Segment};
use crate::api::openapi::answers::{Failed, Refused, RefusedBody};
use crate::api::problem::Problem;
use crate::domain::caches::{
    Drop, ExplainBody, HistoryParams, HistoryQuery, InvalidateBody, KeyParams, KeyQuery, SwitchBody,
};
use crate::domain::invalid::ValidationErrors;
use crate::domain::timestamp::Timestamp;
use crate::service::Service;
use crate::service::access::Caller;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(detailed_health))
        .routes(routes!(stats))
        .routes(routes!(history))
        .routes(routes!(tuning::tuning))
        .routes(routes!(tuning::undo))
        .routes(routes!(clear))
        .routes(routes!(clear_user))
        .routes(routes!(warm))
        .routes(routes!(test))
        .routes(routes!(invalidate))
        .routes(routes!(keys))
        .routes(routes!(explain))
        .routes(routes!(classes))
        .routes(routes!(switch))
}

/// A duration in milliseconds, with the microseconds as decimals.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1_000.0
}

/// Which tiers answer. Needs no login, and shows no figure that helps an attacker.
#[utoipa::path(
    get,
    path = "/api/v1/cache/health",
    operation_id = "get_cache_health",
    tag = "cache",
    responses((status = 200, body = CacheHealth), Failed)
)]
pub(crate) async fn health(State(service): State<Service>) -> JsonAnswer<CacheHealth> {
    let (redis, age) = service.recent_redis().await;
    JsonAnswer(CacheHealth::of(service.cache(), &redis, age, Reason::public))
}

/// The health with all its figures. For admins.
#[utoipa::path(
    get,
    path = "/api/v1/cache/health/detailed",
    operation_id = "get_detailed_cache_health",
    tag = "cache",
    security(("bearer" = []), ("api_key" = ["read"])),
    responses((status = 200, body = DetailedHealth), Refused)
)]
pub(crate) async fn detailed_health(
    State(service): State<Service>,
    caller: Caller,
) -> Result<JsonAnswer<DetailedHealth>, Problem> {
    service.present_admin(caller).await?;
    let cache = service.cache();
    let (redis, entries) = (service.redis().await, service.key_counts().await);
    Ok(JsonAnswer(DetailedHealth {
        timestamp: Timestamp::now(),
        health: CacheHealth::of(cache, &redis, Duration::ZERO, Reason::detailed),
        staleness: Staleness::from(cache),
        memory: Memory::from(cache),
        redis: redis.value().map(RedisServer::from),
        entries: EntryCounts::from(entries),
    }))
}

/// The counts of larder on this instance, and those of Redis itself. For admins.
#[utoipa::path(
    get,
    path = "/api/v1/cache/stats",
    operation_id = "get_cache_stats",
    tag = "cache",
    security(("bearer" = []), ("api_key" = ["read"])),
    responses((status = 200, body = CacheStats), Refused)
)]
pub(crate) async fn stats(
    State(service): State<Service>,
    caller: Caller,
) -> Result<JsonAnswer<CacheStats>, Problem> {
    service.present_admin(caller).await?;
    Ok(JsonAnswer(CacheStats::of(service.cache(), service.redis().await)))
}

/// What the caches of all instances did in the last day, also before a restart. For admins.
#[utoipa::path(
    get,
    path = "/api/v1/cache/history",
    operation_id = "get_cache_history",
    tag = "cache",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(HistoryParams),
    responses((status = 200, body = History), Refused)
)]
pub(crate) async fn history(
    State(service): State<Service>,
    caller: Caller,
    Params(params): Params<HistoryParams>,
) -> Result<JsonAnswer<History>, Problem> {
    service.present_admin(caller).await?;
    let summary = service.history(&HistoryQuery::parse(&params)?).await?;
    Ok(JsonAnswer(History::of(summary)))
}

/// Drops everything, on every instance. For admins.
#[utoipa::path(
    post,
    path = "/api/v1/cache/clear",
    operation_id = "clear_cache",
    tag = "cache",
    security(("bearer" = []), ("api_key" = ["write"])),
    responses((status = 200, body = Dropped, headers(("Cache-Invalidation" = String))), Refused)
)]
pub(crate) async fn clear(
    State(service): State<Service>,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    dropped(&service, caller, &Drop::Everything).await
}

/// Drops all that is cached of one user. The request also succeeds if no user has the id. For admins.
#[utoipa::path(
    post,
    path = "/api/v1/cache/clear/user/{id}",
    operation_id = "clear_cache_of_user",
    tag = "cache",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(("id" = String, Path, description = "our id or an external one; need not exist", min_length = 1)),
    responses((status = 200, body = Dropped, headers(("Cache-Invalidation" = String))), Refused)
)]
pub(crate) async fn clear_user(
    State(service): State<Service>,
    caller: Caller,
    Segment(id): Segment,
) -> Result<impl IntoResponse, Problem> {
    dropped(&service, caller, &user_named(&id)?).await
}

/// The invalidation of the user that a path names.
pub(crate) fn user_named(id: &str) -> Result<Drop, Problem> {
    Drop::user(id).map_err(|invalid| ValidationErrors::one("id", invalid).into())
}

/// Invalidates by hand, if the caller is an admin.
pub(crate) async fn dropped_by_admin(
    service: &Service,
    caller: Caller,
    what: &Drop,
) -> Result<Receipt, Problem> {
    let caller = service.present_admin(caller).await?;
    Ok(service.drop_by_hand(caller, what).await?)
}

async fn dropped(
    service: &Service,
    caller: Caller,
    what: &Drop,
) -> Result<impl IntoResponse + use<>, Problem> {
    let receipt = dropped_by_admin(service, caller, what).await?;
    Ok((acknowledged(receipt), JsonAnswer(Dropped::of(what.as_str(), receipt))))
}

/// The result of warming.
#[derive(Serialize, ToSchema)]
pub(crate) struct Warmed {
    /// The classes of which an entry was loaded or found.
    warmed: Vec<&'static str>,
}

/// Loads the entries that most clients read first: statistics, dashboard, the first page of users. For admins.
#[utoipa::path(
    post,
    path = "/api/v1/cache/warm",
    operation_id = "warm_cache",
    tag = "cache",
    security(("bearer" = []), ("api_key" = ["write"])),
    responses((status = 200, body = Warmed), Refused)
)]
pub(crate) async fn warm(
    State(service): State<Service>,
    caller: Caller,
) -> Result<JsonAnswer<Warmed>, Problem> {
    service.present_admin(caller).await?;
    Ok(JsonAnswer(Warmed { warmed: service.warm_essential().await? }))
}

/// Whether each operation succeeded.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tested {
    pub(crate) cache_available: bool,
    pub(crate) set_operation: bool,
    pub(crate) get_operation: bool,
    pub(crate) exists_operation: bool,
    pub(crate) delete_operation: bool,
    /// Whether a read after the deletion found no value.
    pub(crate) get_after_delete: bool,
}

impl From<SelfTest> for Tested {
    fn from(test: SelfTest) -> Self {
        Self {
            cache_available: test.is_available,
            set_operation: test.set,
            get_operation: test.get,
            exists_operation: test.exists,
            delete_operation: test.delete,
            get_after_delete: test.gone_after_delete,
        }
    }
}

/// Sends one entry through every tier. For admins.
#[utoipa::path(
    get,
    path = "/api/v1/cache/test",
    operation_id = "test_cache",
    tag = "cache",
    security(("bearer" = []), ("api_key" = ["read"])),
    responses((status = 200, body = Tested), Refused)
)]
pub(crate) async fn test(
    State(service): State<Service>,
    caller: Caller,
) -> Result<JsonAnswer<Tested>, Problem> {
    service.present_admin(caller).await?;
    Ok(JsonAnswer(service.self_test().await?.into()))
}

/// Drops one user, one class, what a pattern matches, or everything, on every instance. For admins.
#[utoipa::path(
    post,
    path = "/api/v1/cache/invalidate",
    operation_id = "invalidate_cache",
    tag = "cache",
    security(("bearer" = []), ("api_key" = ["write"])),
    request_body = InvalidateBody,
    responses(
        (status = 200, body = Dropped, headers(("Cache-Invalidation" = String))),
        Refused,
        RefusedBody,
    )
)]
pub(crate) async fn invalidate(
    State(service): State<Service>,
    caller: Caller,
    Json(body): Json,
) -> Result<impl IntoResponse, Problem> {
    caller.check_admin()?;
    dropped(&service, caller, &InvalidateBody::parse(body)?.what).await
}

/// The entries in memory and in Redis. For admins; keys that may hold what only superadmins see are shown to
/// superadmins only.
#[utoipa::path(
    get,
    path = "/api/v1/cache/keys",
    operation_id = "list_cache_keys",
    tag = "cache",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(KeyParams),
    responses((status = 200, body = Entries), Refused)
)]
pub(crate) async fn keys(
    State(service): State<Service>,
    caller: Caller,
    Params(params): Params<KeyParams>,
) -> Result<JsonAnswer<Entries>, Problem> {
    let caller = service.present_admin(caller).await?;
    Ok(JsonAnswer(service.keys(caller, &KeyQuery::parse(&params)?).await?.into()))
}

/// Where an entry is, since when and until when, its tags, and why it was last invalidated. For admins.
///
/// A POST, because a key may hold an e-mail address.
#[utoipa::path(
    post,
    path = "/api/v1/cache/explain",
    operation_id = "explain_cache_key",
    tag = "cache",
    security(("bearer" = []), ("api_key" = ["read"])),
    request_body = ExplainBody,
    responses((status = 200, body = Explained), Refused, RefusedBody)
)]
pub(crate) async fn explain(
    State(service): State<Service>,
    caller: Caller,
    Json(body): Json,
) -> Result<JsonAnswer<Explained>, Problem> {
    let caller = service.present_admin(caller).await?;
    let ExplainBody { class, key } = ExplainBody::parse(body)?;
    Ok(JsonAnswer(service.explain(caller, &Touch::Entry { class, parts: key }).await?.into()))
}

/// Every class, with its switch and its counts. For admins.
#[utoipa::path(
    get,
    path = "/api/v1/cache/classes",
    operation_id = "list_cache_classes",
    tag = "cache",
    security(("bearer" = []), ("api_key" = ["read"])),
    responses((status = 200, body = Vec<ClassStats>), Refused)
)]
pub(crate) async fn classes(
    State(service): State<Service>,
    caller: Caller,
) -> Result<JsonAnswer<Vec<ClassStats>>, Problem> {
    service.present_admin(caller).await?;
    Ok(JsonAnswer(service.classes().into_iter().map(ClassStats::from).collect()))
}

/// Switches a class on or off, on this instance. While it is off, its reads go to the database. For admins.
#[utoipa::path(
    put,
    path = "/api/v1/cache/classes/{name}",
    operation_id = "switch_cache_class",
    tag = "cache",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(("name" = String, Path, description = "the class")),
    request_body = SwitchBody,
    responses((status = 204, description = "the class is switched as requested"), Refused, RefusedBody)
)]
pub(crate) async fn switch(
    State(service): State<Service>,
    caller: Caller,
    Segment(name): Segment,
    Json(body): Json,
) -> Result<StatusCode, Problem> {
    service.present_admin(caller).await?;
    let SwitchBody { enabled } = SwitchBody::parse(body)?;
    service.switch_class(&name, enabled)?;
    Ok(StatusCode::NO_CONTENT)
}
