//! Invalidation by hand, now and then, of every kind: it may cost hits, never freshness.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::torture::instance::Instance;
use crate::torture::keys::ITEMS;

/// What is invalidated by hand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hand {
    /// One entry.
    Key,
    /// Everything under a tag.
    Tag,
    /// A whole class.
    Class,
    /// Whatever matches a pattern.
    Matching,
    /// All there is.
    Everything,
}

const HANDS: [Hand; 5] = [Hand::Key, Hand::Tag, Hand::Class, Hand::Matching, Hand::Everything];

/// Invalidates for as long as the process lives. Seldom: what is invalidated is healed of whatever was wrong with it.
pub(super) async fn invalidate_on(instance: Arc<Instance>) {
    loop {
        tokio::time::sleep(Duration::from_millis(rand::random_range(500..8_000))).await;
        if !instance.is_calm.load(Ordering::Relaxed) {
            let hand = HANDS[rand::random_range(0..HANDS.len())];
            if let Err(error) = instance.caches.invalidate(hand, rand::random_range(0..ITEMS)).await {
                tracing::error!(%error, ?hand, "an invalidation by hand was refused");
            }
        }
    }
}
