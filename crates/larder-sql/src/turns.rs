//! Turns: who wants what somebody else has waits without a connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

type Queue = tokio::sync::Mutex<()>;

/// One queue for each name that somebody has or waits for.
#[derive(Default)]
pub(crate) struct Turns(
    /// Guarded by a lock of its own, never held while waiting.
    Mutex<HashMap<String, Weak<Queue>>>,
);

/// Ends when dropped; the next in the queue has it then.
pub(crate) type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// Waits until nobody who came before wants `name`.
    pub(crate) async fn take(&self, name: &str) -> Turn {
        self.queue(name).lock_owned().await
    }

    fn queue(&self, name: &str) -> Arc<Queue> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // As many as there are writers at this moment, so looking through them costs little.
        queues.retain(|_, queue| queue.strong_count() > 0);
        if let Some(queue) = queues.get(name).and_then(Weak::upgrade) {
            return queue;
        }
        let queue = Arc::default();
        queues.insert(name.to_owned(), Arc::downgrade(&queue));
        queue
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn each_name_has_a_queue_as_long_as_somebody_is_in_it() {
        let turns = Turns::default();
        let (first, other) = (turns.take("a").await, turns.take("b").await);
        let mut second = Box::pin(turns.take("a"));
        let now = tokio::time::timeout(Duration::ZERO, &mut second).await;
        assert!(now.is_err(), "it is the first one's");
        drop(first);
        let second = second.await;
        drop((second, other));
        let _third = turns.take("c").await;
        assert_eq!(turns.0.lock().unwrap().len(), 1);
    }
}
