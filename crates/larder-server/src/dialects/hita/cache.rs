//! The routes `/v1.0/cache`. Their answers are those that the hotel's document "Cache Management Documentation" prints.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use larder::cache::Health as CacheHealth;
use larder::health;
use larder::introspection::RedisAnswer;
use larder::introspection::server::RedisInfo;
use larder::receipt::{Delivery, Receipt};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::JsonAnswer;
use crate::api::auth::acknowledged;
use crate::api::cache::reasons::Reason;
use crate::api::cache::views::rounded;
use crate::api::cache::{dropped_by_admin, user_named};
use crate::api::extract::Segment;
use crate::api::openapi::answers::Refused;
use crate::api::problem::Problem;
use crate::dialects::away::{RedisAway, Unavailable};
use crate::dialects::hita::views::{
    CacheInfo, Connections, DetailedHealth, DetailedInfo, DetailedStatistics, Done, Health, KeyCounts,
    MemoryUsage, Performance, ShortInfo, Stats, TestAnswer,
};
use crate::domain::caches::Drop;
use crate::domain::timestamp::Timestamp;
use crate::service::Service;
use crate::service::access::Caller;

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(detailed_health))
        .routes(routes!(stats))
        .routes(routes!(clear))
        .routes(routes!(clear_user))
        .routes(routes!(warm))
        .routes(routes!(test))
}

/// Redis is configured and does not answer.
fn unavailable(detail: Option<&'static str>) -> Response {
    let error = "Redis cache not available";
    let body = Unavailable { success: false, error, cache_available: false, detail };
    (StatusCode::SERVICE_UNAVAILABLE, JsonAnswer(body)).into_response()
}

/// The tier whose figures the answer shows: Redis, or memory if no Redis is configured.
pub(crate) enum Backend {
    Redis(Box<RedisInfo>),
    Memory,
}

impl Backend {
    /// `None` if a configured Redis does not answer.
    pub(crate) fn of(redis: RedisAnswer<RedisInfo>) -> Option<Self> {
        match redis {
            RedisAnswer::Value(info) => Some(Self::Redis(Box::new(info))),
            RedisAnswer::NotConfigured => Some(Self::Memory),
            _ => None,
        }
    }

    fn redis(&self) -> Option<&RedisInfo> {
        match self {
            Self::Redis(info) => Some(info),
            Self::Memory => None,
        }
    }

    fn name(&self) -> Option<&'static str> {
        self.redis().is_none().then_some("memory")
    }

    /// The hit rate in per cent, rounded to two decimals.
    fn hit_rate(&self, service: &Service) -> f64 {
        let percent = match self {
            Self::Redis(info) => info.hit_rate_percent(),
            Self::Memory => service.cache().stats().hit_rate_percent(),
        };
        rounded(percent)
    }

    /// `reasons` is `Reason::public` or `Reason::detailed`; only the latter keeps the details of the reasons.
    fn info(&self, service: &Service, reasons: fn(Vec<health::Reason>) -> Vec<Reason>) -> CacheInfo {
        let redis = self.redis();
        let now = service.cache().health_report();
        CacheInfo {
            status: if now.state == CacheHealth::Degraded { "degraded" } else { "available" },
            redis_version: redis.map(|info| info.version.clone()),
            used_memory: redis.map(|info| info.used_memory_human.clone()),
            connected_clients: redis.map(|info| info.connected_clients),
            hit_rate: self.hit_rate(service),
            backend: self.name(),
            reasons: reasons(now.reasons),
        }
    }
}

impl KeyCounts {
    async fn of(service: &Service) -> Self {
        let counts = service.key_counts().await;
        let by_class: BTreeMap<String, u64> = match counts.redis {
            RedisAnswer::Value(keys) => keys.by_class,
            _ => counts.memory,
        };
        let count = |class: &str| by_class.get(class).copied().unwrap_or(0);
        let [user_stats_keys, user_list_keys, user_details_keys, dashboard_stats_keys] =
            ["user_stats", "user_list", "user_details", "dashboard_stats"].map(count);
        // The hotel's document counts these four classes only; the canonical answer counts all classes.
        let total_keys = user_stats_keys + user_list_keys + user_details_keys + dashboard_stats_keys;
        Self { user_stats_keys, user_list_keys, user_details_keys, dashboard_stats_keys, total_keys }
    }
}

/// Whether the cache answers. Needs no login.
#[utoipa::path(
    get,
    path = "/v1.0/cache/health",
    operation_id = "hita_get_cache_health",
    tag = "HITA",
    responses((status = 200, body = Health), RedisAway)
)]
pub(crate) async fn health(State(service): State<Service>) -> Response {
    let Some(backend) = Backend::of(service.recent_redis().await.0) else {
        return unavailable(None);
    };
    JsonAnswer(Health { success: true, cache_info: backend.info(&service, Reason::public) }).into_response()
}

/// The health with all its figures. For admins.
#[utoipa::path(
    get,
    path = "/v1.0/cache/health/detailed",
    operation_id = "hita_get_detailed_cache_health",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["read"])),
    responses(
        (status = 200, body = DetailedHealth),
        Refused,
        RedisAway,
    )
)]
pub(crate) async fn detailed_health(
    State(service): State<Service>,
    caller: Caller,
) -> Result<Response, Problem> {
    service.present_admin(caller).await?;
    let Some(backend) = Backend::of(service.redis().await) else { return Ok(unavailable(None)) };
    let redis = backend.redis();
    let detailed_statistics = DetailedStatistics {
        key_counts: KeyCounts::of(&service).await,
        memory_usage: MemoryUsage {
            used_memory: redis.map(|info| info.used_memory_human.clone()),
            used_memory_peak: redis.map(|info| info.used_memory_peak_human.clone()),
            memory_fragmentation_ratio: redis.map(|info| info.fragmentation_ratio),
        },
        connections: Connections {
            connected_clients: redis.map(|info| info.connected_clients),
            total_connections_received: redis.map(|info| info.connections_received),
            uptime_in_seconds: redis.map(|info| info.uptime.as_secs()),
        },
        performance: Performance {
            keyspace_hits: redis.map(|info| info.keyspace_hits),
            keyspace_misses: redis.map(|info| info.keyspace_misses),
            hit_rate: backend.hit_rate(&service),
        },
        redis_version: redis.map(|info| info.version.clone()),
        redis_mode: redis.map(|info| info.mode.clone()),
    };
    let cache_info = DetailedInfo {
        info: backend.info(&service, Reason::detailed),
        total_commands_processed: redis.map(|info| info.commands_processed),
    };
    let timestamp = Timestamp::now();
    Ok(JsonAnswer(DetailedHealth { success: true, timestamp, cache_info, detailed_statistics })
        .into_response())
}

/// The hit rate and the entries by class. For admins.
#[utoipa::path(
    get,
    path = "/v1.0/cache/stats",
    operation_id = "hita_get_cache_stats",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["read"])),
    responses(
        (status = 200, body = Stats),
        Refused,
        RedisAway,
    )
)]
pub(crate) async fn stats(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    service.present_admin(caller).await?;
    let Some(backend) = Backend::of(service.redis().await) else { return Ok(unavailable(None)) };
    let CacheInfo { status, redis_version, hit_rate, backend, .. } = backend.info(&service, Reason::public);
    let cache_info = ShortInfo { status, redis_version, hit_rate, backend };
    let key_counts = KeyCounts::of(&service).await;
    Ok(JsonAnswer(Stats { success: true, cache_info, key_counts }).into_response())
}

/// The answer to an invalidation: 200 if it reached every tier, or if the journal has it and the cache works, so that it
/// reaches every tier within the bound: over REST it is never certain before. Else 503 with a detail that says what was done.
fn dropped(service: &Service, receipt: Receipt, message: String) -> Response {
    let is_working = service.cache().health_report().state == CacheHealth::Working;
    let said = match (receipt.delivery(), receipt.is_journalled()) {
        (Delivery::Queued, true) if is_working => JsonAnswer(Done { success: true, message }).into_response(),
        (Delivery::Sent, _) => JsonAnswer(Done { success: true, message }).into_response(),
        (Delivery::Queued, true) => unavailable(Some(
            "this instance's memory is cleared, and the journal holds it for all others and for Redis",
        )),
        (Delivery::Queued, false) => unavailable(Some(
            "this instance's memory is cleared; Redis and the journal could not be reached yet",
        )),
    };
    (acknowledged(receipt), said).into_response()
}

/// Drops everything, on every instance. For admins.
#[utoipa::path(
    post,
    path = "/v1.0/cache/clear",
    operation_id = "hita_clear_cache",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["write"])),
    responses(
        (status = 200, body = Done, headers(("Cache-Invalidation" = String))),
        Refused,
        RedisAway,
    )
)]
pub(crate) async fn clear(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    let receipt = dropped_by_admin(&service, caller, &Drop::Everything).await?;
    Ok(dropped(&service, receipt, "All user caches cleared successfully".to_owned()))
}

/// Drops all that is cached of one user. The request also succeeds if no user has the id. For admins.
#[utoipa::path(
    post,
    path = "/v1.0/cache/clear/user/{user_id}",
    operation_id = "hita_clear_cache_of_user",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["write"])),
    params(("user_id" = String, Path, description = "our id or an external one; need not exist")),
    responses(
        (status = 200, body = Done, headers(("Cache-Invalidation" = String))),
        Refused,
        RedisAway,
    )
)]
pub(crate) async fn clear_user(
    State(service): State<Service>,
    caller: Caller,
    Segment(id): Segment,
) -> Result<Response, Problem> {
    let receipt = dropped_by_admin(&service, caller, &user_named(&id)?).await?;
    Ok(dropped(&service, receipt, format!("Cache cleared for user {id}")))
}

/// Loads the entries that most clients read first. For admins.
#[utoipa::path(
    post,
    path = "/v1.0/cache/warm",
    operation_id = "hita_warm_cache",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["write"])),
    responses(
        (status = 200, body = Done),
        Refused,
        RedisAway,
    )
)]
pub(crate) async fn warm(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    service.present_admin(caller).await?;
    if Backend::of(service.redis().await).is_none() {
        return Ok(unavailable(None));
    }
    service.warm_essential().await?;
    let message = "Essential caches warmed successfully".to_owned();
    Ok(JsonAnswer(Done { success: true, message }).into_response())
}

/// Sends one entry through every tier. For admins.
#[utoipa::path(
    get,
    path = "/v1.0/cache/test",
    operation_id = "hita_test_cache",
    tag = "HITA",
    security(("bearer" = []), ("api_key" = ["read"])),
    responses(
        (status = 200, body = TestAnswer),
        Refused,
        RedisAway,
    )
)]
pub(crate) async fn test(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    service.present_admin(caller).await?;
    if Backend::of(service.redis().await).is_none() {
        return Ok(unavailable(None));
    }
    let test = service.self_test().await?;
    Ok(JsonAnswer(TestAnswer { success: test.passed(), test_results: test.into() }).into_response())
}
