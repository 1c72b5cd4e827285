//! The answers of `/v1.0/cache`, with every field of the hotel's document under the same name.

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::cache::Tested;
use crate::api::cache::reasons::Reason;
use crate::domain::timestamp::Timestamp;

/// What the document calls `cache_info`. The figures that only Redis has are `null` if no Redis is configured.
#[derive(Serialize, ToSchema)]
pub(crate) struct CacheInfo {
    /// `available`; `degraded` while Redis answers and cannot be used as it should.
    pub(super) status: &'static str,
    pub(super) redis_version: Option<String>,
    pub(super) used_memory: Option<String>,
    pub(super) connected_clients: Option<u64>,
    /// In per cent: Redis's own hit rate; without Redis, larder's on this instance.
    pub(super) hit_rate: f64,
    /// `memory` if no Redis is configured; otherwise the field is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) backend: Option<&'static str>,
    /// Why the status is `degraded`, and what to do. The hotel's document does not have this field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reasons: Vec<Reason>,
}

/// `cache_info` with one more figure.
#[derive(Serialize, ToSchema)]
pub(crate) struct DetailedInfo {
    #[serde(flatten)]
    pub(super) info: CacheInfo,
    pub(super) total_commands_processed: Option<u64>,
}

/// `cache_info` with fewer figures.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShortInfo {
    pub(super) status: &'static str,
    pub(super) redis_version: Option<String>,
    pub(super) hit_rate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) backend: Option<&'static str>,
}

/// Entries by class.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyCounts {
    pub(super) user_stats_keys: u64,
    pub(super) user_list_keys: u64,
    pub(super) user_details_keys: u64,
    pub(super) dashboard_stats_keys: u64,
    pub(super) total_keys: u64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MemoryUsage {
    pub(super) used_memory: Option<String>,
    pub(super) used_memory_peak: Option<String>,
    pub(super) memory_fragmentation_ratio: Option<f64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Connections {
    pub(super) connected_clients: Option<u64>,
    pub(super) total_connections_received: Option<u64>,
    pub(super) uptime_in_seconds: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Performance {
    pub(super) keyspace_hits: Option<u64>,
    pub(super) keyspace_misses: Option<u64>,
    pub(super) hit_rate: f64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DetailedStatistics {
    pub(super) key_counts: KeyCounts,
    pub(super) memory_usage: MemoryUsage,
    pub(super) connections: Connections,
    pub(super) performance: Performance,
    pub(super) redis_version: Option<String>,
    pub(super) redis_mode: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HitaHealth)]
pub(crate) struct Health {
    pub(super) success: bool,
    pub(super) cache_info: CacheInfo,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HitaDetailedHealth)]
pub(crate) struct DetailedHealth {
    pub(super) success: bool,
    pub(super) timestamp: Timestamp,
    pub(super) cache_info: DetailedInfo,
    pub(super) detailed_statistics: DetailedStatistics,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HitaStats)]
pub(crate) struct Stats {
    pub(super) success: bool,
    pub(super) cache_info: ShortInfo,
    pub(super) key_counts: KeyCounts,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HitaDone)]
pub(crate) struct Done {
    pub(super) success: bool,
    pub(super) message: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HitaTest)]
pub(crate) struct TestAnswer {
    pub(super) success: bool,
    pub(super) test_results: Tested,
}
