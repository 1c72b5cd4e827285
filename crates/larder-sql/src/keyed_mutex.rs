//! A keyed mutex: writers of one row queue for its lock before they take a database connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

type Queue = tokio::sync::Mutex<()>;

/// One queue for each name that a task has locked or waits for. No task holds the outer lock across an await, so a
/// blocking mutex is enough.
#[derive(Default)]
pub(crate) struct KeyedMutex(Mutex<Queues>);

#[derive(Default)]
struct Queues {
    by_name: HashMap<String, Weak<Queue>>,
    /// When the table holds this many names, [`KeyedMutex::queue`] removes the unused queues. The number is twice the
    /// number of names in use at the last prune, so a prune costs each caller O(1) on average.
    prune_at: usize,
}

/// The table is pruned only if it holds at least this many names.
const PRUNE_MIN: usize = 64;

/// Holds the lock of one name. A drop passes the lock to the next task in the queue.
pub(crate) type KeyGuard = OwnedMutexGuard<()>;

impl KeyedMutex {
    /// Locks `name`. The queue is fair: tasks get the lock in the order of their calls.
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
    async fn a_name_has_a_queue_only_while_it_is_locked() {
        let row_locks = KeyedMutex::default();
        let (first, other) = (row_locks.lock("a").await, row_locks.lock("b").await);
        let mut second = Box::pin(row_locks.lock("a"));
        let now = tokio::time::timeout(Duration::ZERO, &mut second).await;
        assert!(now.is_err(), "the first task holds the lock");
        drop(first);
        let second = second.await;
        drop((second, other));
        for number in 0..10 * PRUNE_MIN {
            row_locks.lock(&number.to_string()).await;
            assert!(row_locks.0.lock().unwrap().by_name.len() <= PRUNE_MIN);
        }
    }
}
