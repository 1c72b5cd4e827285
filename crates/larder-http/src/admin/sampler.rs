//! One task that samples the cache each second for all viewers of this process, while there is a viewer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use futures_util::FutureExt as _;
use larder::cache::Cache;
use larder::introspection::RedisAnswer;
use tokio::sync::watch;
use tokio::task::{JoinHandle, unconstrained};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::admin::log::Log;
use crate::admin::snapshot::Snapshot;

/// The time between two samples.
const PERIOD: Duration = Duration::from_secs(1);
/// The time between two looks at the events: 4,096 events fit in between, which is 16,000 a second. A viewer gets them with the
/// next sample, and each look costs a wake of the task.
const NOTED: Duration = Duration::from_millis(250);
/// The longest wait for Redis, within the period: a Redis that hangs is shown as away, and a sample is taken all the same.
const REDIS_WAIT: Duration = Duration::from_millis(500);

/// Samples a cache while it is watched.
pub(super) struct Sampler {
    cache: Cache,
    pub(super) log: Log,
    /// The newest sample, as JSON; empty before the first.
    samples: watch::Sender<Bytes>,
    /// Guards: there is a task if and only if there is a viewer. It is never held across an `await`.
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    viewers: usize,
    task: Option<JoinHandle<()>>,
}

/// A viewer; the sampling ends with the last of them.
pub(super) struct Viewing {
    sampler: Arc<Sampler>,
    samples: watch::Receiver<Bytes>,
}

impl Sampler {
    pub(super) fn new(cache: &Cache) -> Arc<Self> {
        let (cache, samples) = (cache.clone(), watch::Sender::new(Bytes::new()));
        Arc::new(Self { cache, log: Log::default(), samples, running: Mutex::default() })
    }

    /// Begins to watch. The first viewer starts the task.
    pub(super) fn watch(self: &Arc<Self>) -> Viewing {
        let mut running = self.lock();
        running.viewers += 1;
        // A task that panicked is followed by another.
        if running.task.as_ref().is_none_or(JoinHandle::is_finished) {
            self.log.restart();
            self.samples.send_replace(Bytes::new());
            let sampler = self.clone();
            running.task = Some(tokio::spawn(async move { sampler.run().await }));
        }
        let mut samples = self.samples.subscribe();
        // A viewer that joins others gets the newest sample at once.
        samples.mark_changed();
        Viewing { sampler: self.clone(), samples }
    }

    /// Whether the task runs.
    pub(super) fn is_sampling(&self) -> bool {
        self.lock().task.is_some()
    }

    /// Notes events and takes samples, until the task is aborted or the cache ends.
    async fn run(&self) {
        // Without reads: they are counted, and most events of a busy cache are theirs.
        let mut events = self.cache.events_without_reads();
        let noting = async {
            let mut ticks = every(NOTED);
            loop {
                ticks.tick().await;
                // Each wake of the task would cost more than the event, so it takes all that have come, and is not woken by
                // the next. Unconstrained: tokio would end this loop after 128 events as if there were no more.
                while let Some(event) = unconstrained(events.next()).now_or_never() {
                    match event {
                        Some(event) => self.log.note(event),
                        None => return,
                    }
                }
            }
        };
        let sampling = async {
            let mut ticks = every(PERIOD);
            loop {
                ticks.tick().await;
                let redis = timeout(REDIS_WAIT, self.cache.redis_info()).await;
                let redis = redis.unwrap_or(RedisAnswer::Away);
                let snapshot = Snapshot::of(&self.cache, &redis, self.log.causes());
                // Only a map with keys that are no strings fails, and a snapshot has none.
                self.samples.send_replace(serde_json::to_vec(&snapshot).unwrap_or_default().into());
            }
        };
        tokio::select! {
            () = noting => {}
            () = sampling => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        // The count and the task change together, without a panic between them.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ticks at this period. After a pause of the machine there is one tick, and not one for each that was missed.
fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

impl Viewing {
    /// The next sample, as JSON; a viewer that was slow gets the newest only.
    pub(super) async fn next(&mut self) -> Bytes {
        loop {
            // The sampler has the sender, and this value the sampler, so there is no error.
            let _ = self.samples.changed().await;
            let sample = self.samples.borrow_and_update().clone();
            if !sample.is_empty() {
                return sample;
            }
        }
    }
}

impl Drop for Viewing {
    fn drop(&mut self) {
        let mut running = self.sampler.lock();
        running.viewers -= 1;
        if running.viewers == 0
            && let Some(task) = running.task.take()
        {
            task.abort();
        }
    }
}
