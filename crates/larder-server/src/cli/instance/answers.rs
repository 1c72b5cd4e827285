//! The answers of an instance as far as the commands use them. Fields that they do not use may be missing or new, so that a
//! command and an instance may be of different releases.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `GET /api/v1/cache/stats`.
#[derive(Clone, Deserialize)]
pub(crate) struct Stats {
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) staleness: Staleness,
    pub(crate) auditor: Option<Auditor>,
    pub(crate) memory: Memory,
    pub(crate) server: Option<RedisServer>,
    pub(crate) classes: Vec<ClassStats>,
}

/// How far answers can be behind the database.
#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Staleness {
    pub(crate) bound_ms: f64,
    pub(crate) certified_for_ms: Option<f64>,
    pub(crate) unsent_invalidations: Option<u64>,
}

/// What the instance's auditor has measured.
#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Auditor {
    pub(crate) stale: u64,
    pub(crate) worst_age_ms: f64,
    pub(crate) hour: AuditorWindow,
    pub(crate) day: AuditorWindow,
}

#[derive(Clone, Copy, Deserialize)]
pub(crate) struct AuditorWindow {
    pub(crate) checked: u64,
    pub(crate) stale: u64,
    pub(crate) nines: Option<f64>,
}

#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Memory {
    pub(crate) bytes: u64,
    pub(crate) evictions: u64,
}

#[derive(Clone, Deserialize)]
pub(crate) struct RedisServer {
    pub(crate) version: String,
    pub(crate) used_memory_bytes: u64,
    pub(crate) connected_clients: u64,
}

#[derive(Clone, Deserialize)]
pub(crate) struct ClassStats {
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) lookups: Lookups,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) loads: LoadTimes,
}

impl ClassStats {
    /// The count of this name; 0 if the instance has none.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }
}

#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Lookups {
    pub(crate) hit_rate_percent: f64,
    pub(crate) total_lookups: u64,
}

#[derive(Clone, Copy, Deserialize)]
pub(crate) struct LoadTimes {
    pub(crate) count: u64,
    pub(crate) mean_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

/// `GET /api/v1/cache/history`.
#[derive(Deserialize)]
pub(crate) struct History {
    pub(crate) classes: BTreeMap<String, ClassHistory>,
    pub(crate) staleness: StalenessHistory,
    pub(crate) instances: Vec<InstanceHistory>,
}

#[derive(Deserialize)]
pub(crate) struct ClassHistory {
    pub(crate) lookups: Lookups,
    pub(crate) counts: BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Deserialize)]
pub(crate) struct StalenessHistory {
    pub(crate) samples: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    pub(crate) uncertified_seconds: u64,
}

#[derive(Deserialize)]
pub(crate) struct InstanceHistory {
    pub(crate) name: String,
    pub(crate) is_running: bool,
    pub(crate) has_ended: bool,
    pub(crate) silent_for_ms: f64,
    pub(crate) health: String,
    pub(crate) memory_bytes: u64,
    pub(crate) staleness: StalenessHistory,
}

/// `GET /api/v1/cache/tuning`.
#[derive(Deserialize)]
pub(crate) struct Tuning {
    pub(crate) mode: String,
    pub(crate) advice: Vec<Advice>,
    pub(crate) changes: Vec<TuningChange>,
}

#[derive(Deserialize)]
pub(crate) struct Advice {
    pub(crate) kind: String,
    pub(crate) text: String,
}

#[derive(Deserialize)]
pub(crate) struct TuningChange {
    pub(crate) id: u64,
    pub(crate) class: String,
    pub(crate) text: String,
    pub(crate) reason: String,
    pub(crate) at: String,
    pub(crate) is_undone: bool,
}

/// `GET /api/v1/cache/health`, and the part of the detailed health that is the same.
#[derive(Clone, Deserialize)]
pub(crate) struct Health {
    pub(crate) status: String,
    pub(crate) connected: bool,
    pub(crate) latency_ms: Option<f64>,
    pub(crate) reasons: Vec<Reason>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Reason {
    pub(crate) cause: String,
    pub(crate) text: String,
    pub(crate) since: String,
    pub(crate) detail: Option<String>,
}

/// `GET /api/v1/cache/health/detailed`.
#[derive(Deserialize)]
pub(crate) struct DetailedHealth {
    pub(crate) timestamp: String,
    #[serde(flatten)]
    pub(crate) health: Health,
}

/// `POST /api/v1/cache/explain`.
#[derive(Deserialize)]
pub(crate) struct Explained {
    pub(crate) text: String,
    pub(crate) memory: Option<Copy>,
    pub(crate) redis_state: String,
    pub(crate) redis: Option<Copy>,
    pub(crate) leased_until: Option<String>,
    pub(crate) loading: bool,
    pub(crate) last_invalidation: Option<LastInvalidation>,
}

/// An entry in a tier.
#[derive(Deserialize)]
pub(crate) struct Copy {
    pub(crate) absent: bool,
    pub(crate) payload_bytes: u64,
    pub(crate) since: String,
    pub(crate) until: String,
    pub(crate) tags: Vec<Tag>,
    pub(crate) served: bool,
}

#[derive(Deserialize)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) stands: bool,
}

#[derive(Deserialize)]
pub(crate) struct LastInvalidation {
    pub(crate) cause: String,
    pub(crate) named: String,
    pub(crate) at: String,
}

/// `POST /api/v1/cache/invalidate`.
#[derive(Deserialize)]
pub(crate) struct Dropped {
    pub(crate) what: String,
    pub(crate) keys: u64,
    pub(crate) tags: u64,
    pub(crate) patterns: u64,
    pub(crate) delivery: String,
    pub(crate) journalled: bool,
}

/// `POST /api/v1/cache/warm`.
#[derive(Deserialize)]
pub(crate) struct Warmed {
    pub(crate) warmed: Vec<String>,
}

/// A user; the view of other users lacks some fields.
#[derive(Deserialize)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) email: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) full_name: Option<String>,
    pub(crate) role: String,
    pub(crate) is_active: bool,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) version: i64,
}

/// A page of users.
#[derive(Deserialize)]
pub(crate) struct Users {
    pub(crate) items: Vec<User>,
    pub(crate) total: Option<u64>,
    pub(crate) next_cursor: Option<String>,
}
