//! Turns: who wants what somebody else has waits without a connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

type Queue = tokio::sync::Mutex<()>;

/// One queue for each name that somebody has or waits for. Guarded by a lock of its own, never held while waiting.
#[derive(Default)]
pub(crate) struct KeyedMutex(Mutex<Queues>);

#[derive(Default)]
struct Queues {
    by_name: HashMap<String, Weak<Queue>>,
    /// With so many names those whom nobody wants any more are forgotten: at twice what was left the last time, so that it
    /// costs each caller next to nothing.
    prune_at: usize,
}

/// Fewer names are no crowd.
const PRUNE_MIN: usize = 64;

/// Ends when dropped; the next in the queue has it then.
pub(crate) type KeyGuard = OwnedMutexGuard<()>;

impl KeyedMutex {
    /// Waits until nobody who came before wants `name`.
    pub(crate) async fn lock(&self, name: &str) -> KeyGuard {
        self.queue(name).lock_owned().await
    }

    fn queue(&self, name: &str) -> Arc<Queue> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.by_name.len() >= queues.prune_at {
            queues.by_name.retain(|_, queue| queue.strong_count() > 0);
            queues.prune_at = PRUNE_MIN.max(2 * queues.by_name.len());
        }
        if let Some(queue) = queues.by_name.get(name).and_then(Weak::upgrade) {
            return queue;
        }
        let queue = Arc::default();
        queues.by_name.insert(name.to_owned(), Arc::downgrade(&queue));
        queue
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn each_name_has_a_queue_as_long_as_somebody_is_in_it() {
        let row_locks = KeyedMutex::default();
        let (first, other) = (row_locks.lock("a").await, row_locks.lock("b").await);
        let mut second = Box::pin(row_locks.lock("a"));
        let now = tokio::time::timeout(Duration::ZERO, &mut second).await;
        assert!(now.is_err(), "it is the first one's");
        drop(first);
        let second = second.await;
        drop((second, other));
        for number in 0..10 * PRUNE_MIN {
            row_locks.lock(&number.to_string()).await;
            assert!(row_locks.0.lock().unwrap().by_name.len() <= PRUNE_MIN);
        }
    }
}
