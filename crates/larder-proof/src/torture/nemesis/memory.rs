//! Nemeses of Redis's memory.

use anyhow::{Context, Result};

use crate::torture::stage::Stage;

/// Sets Redis's memory limit below what Redis uses without any key, so that it refuses every command that stores.
pub(super) fn refuse(stage: &mut Stage) -> Result<()> {
    limit(stage, "noeviction", "1mb")
}

/// Sets Redis's memory limit to what Redis uses now, so that it evicts a key for each one that it stores.
pub(super) fn evict(stage: &mut Stage) -> Result<()> {
    let info = stage.redis()?.command(&["INFO", "memory"])?;
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).context("used_memory")?;
    let used = used.trim().to_owned();
    limit(stage, "allkeys-lru", &used)
}

fn limit(stage: &mut Stage, policy: &str, bytes: &str) -> Result<()> {
    configure(stage, "maxmemory-policy", policy)?;
    configure(stage, "maxmemory", bytes)?;
    stage.outlast_the_bound();
    configure(stage, "maxmemory", "0")
}

pub(super) fn small_tracking(stage: &mut Stage) -> Result<()> {
    configure(stage, "tracking-table-max-keys", "5")?;
    stage.outlast_the_bound();
    configure(stage, "tracking-table-max-keys", "1000000")
}

fn configure(stage: &mut Stage, name: &str, value: &str) -> Result<()> {
    stage.redis()?.command(&["CONFIG", "SET", name, value]).map(drop)
}
