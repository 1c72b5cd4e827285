//! HireMeBahamas: `/health/cache`.

use axum::extract::State;
use larder::cache::Health as CacheHealth;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::JsonAnswer;
use crate::api::cache::milliseconds;
use crate::api::cache::reasons::Reason;
use crate::service::Service;

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(health))
}

/// Whether the cache answers, and from where.
#[derive(Serialize, ToSchema)]
#[schema(as = HireMeBahamasHealth)]
pub(crate) struct Health {
    /// `healthy`; `degraded` while a configured Redis cannot be used as it should; `unhealthy` when the database
    /// does not answer either.
    status: &'static str,
    /// `redis` while Redis is used, else `memory`.
    backend: &'static str,
    /// Whether the backend answered; Redis was asked at most 500 ms before.
    connected: bool,
    /// How long Redis took to answer a PING; `null` where there is none or it is away.
    latency_ms: Option<f64>,
    /// The memory that Redis uses, as Redis writes it; while the backend is `memory`, what larder holds in it.
    used_memory: String,
    /// Why the status is `degraded`, and what to do. The older system's document does not have this field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Reason>,
}

/// Whether the cache answers, and from where. Needs no login.
#[utoipa::path(get, path = "/health/cache", operation_id = "hiremebahamas_get_cache_health", tag = "HireMeBahamas", responses((status = 200, body = Health)))]
pub(crate) async fn health(State(service): State<Service>) -> JsonAnswer<Health> {
    let cache = service.cache();
    let info = service.recent_redis().await.0.value();
    let now = cache.health_report();
    let is_degraded = now.state == CacheHealth::Degraded;
    let status = match is_degraded {
        false => "healthy",
        true if service.store().ping().await.is_ok() => "degraded",
        true => "unhealthy",
    };
    let on_redis = now.state == CacheHealth::Working;
    JsonAnswer(Health {
        status,
        backend: if on_redis { "redis" } else { "memory" },
        connected: if on_redis { info.is_some() } else { !is_degraded },
        latency_ms: info.as_ref().map(|info| milliseconds(info.latency)),
        used_memory: match info.filter(|_| on_redis) {
            Some(info) => info.used_memory_human,
            None => human(cache.memory_bytes()),
        },
        reasons: Reason::public(now.reasons),
    })
}

/// Formats a number of bytes as Redis does in INFO: `2.50M`.
fn human(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.2}{name}", bytes as f64 / unit as f64),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_redis_writes_them() {
        let written = [0, 1023, 1024, 2_621_440, 1 << 30].map(human);
        assert_eq!(written, ["0B", "1023B", "1.00K", "2.50M", "1.00G"]);
    }
}
