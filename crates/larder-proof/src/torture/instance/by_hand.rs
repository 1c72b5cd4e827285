//! Invalidations by hand of every kind, every 0.5 to 8 s: they may cost hits, but never freshness.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::torture::instance::Instance;
use crate::torture::keys::ITEMS;

/// What an invalidation by hand invalidates.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope {
    /// One entry.
    Key,
    /// Every entry with a tag.
    Tag,
    /// All entries of a class.
    Class,
    /// Every entry that matches a pattern.
    Matching,
    /// Everything.
    Everything,
}

const SCOPES: [Scope; 5] = [Scope::Key, Scope::Tag, Scope::Class, Scope::Matching, Scope::Everything];

/// Invalidates while the process lives. The pauses are long, because an invalidation may remove a stale entry before a
/// read finds it.
pub(super) async fn invalidate_on(instance: Arc<Instance>) {
    loop {
        tokio::time::sleep(Duration::from_millis(rand::random_range(500..8_000))).await;
        if !instance.is_calm.load(Ordering::Relaxed) {
            let scope = SCOPES[rand::random_range(0..SCOPES.len())];
            if let Err(error) = instance.caches.invalidate(scope, rand::random_range(0..ITEMS)).await {
                tracing::error!(%error, ?scope, "an invalidation by hand was refused");
            }
        }
    }
}
