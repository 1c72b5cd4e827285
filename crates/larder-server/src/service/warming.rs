//! Background reads, which load entries that are likely to be read next, and other work that ends with the service.
//!
//! Invariants:
//! - no request waits for a background read: a read that finds no free slot is dropped;
//! - background reads are ordinary reads: they join flights and take leases, so one key is loaded once at a time;
//! - after [`BackgroundReads::stop`] returns, no background read runs.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// How many background reads run at the same time; further ones are dropped. Four are enough to load the next page
/// before a person's next click, and they leave most database connections to requests.
const READS: u32 = 4;

/// Runs at most `READS` reads at the same time in the background, until it is stopped. Clones share the slots.
#[derive(Clone)]
pub struct BackgroundReads(Arc<Shared>);

struct Shared {
    slots: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
    /// The tasks of [`BackgroundReads::again_and_again`] and [`BackgroundReads::until_the_stop`]. The lock is never held across an `await`.
    schedules: Mutex<Vec<JoinHandle<()>>>,
}

impl Default for BackgroundReads {
    fn default() -> Self {
        let (stopping, _) = watch::channel(false);
        let slots = Arc::new(Semaphore::new(READS as usize));
        Self(Arc::new(Shared { slots, stopping, schedules: Mutex::default() }))
    }
}

impl BackgroundReads {
    /// Starts `read` in the background if a slot is free, and returns whether it did. It never waits. The result is
    /// ignored; a later read of the same entry returns its error to its own caller.
    pub fn soon(&self, read: impl Future<Output = ()> + Send + 'static) -> bool {
        let Ok(slot) = self.0.slots.clone().try_acquire_owned() else {
            return false;
        };
        let mut stopping = self.0.stopping.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                // Biased: once the stop is requested, the read makes no further step.
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => {}
                () = read => {}
            }
            // If the read panics, the slot is dropped with this future.
            drop(slot);
        });
        true
    }

    /// Runs `work` now, and again after each pause, until [`BackgroundReads::stop`]. Each pause is drawn from `pauses`. The
    /// work runs in the background and takes no slot of the reads.
    pub fn again_and_again<F>(&self, pauses: Range<Duration>, work: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let mut stopping = self.0.stopping.subscribe();
        let task = tokio::spawn(async move {
            loop {
                let once = async {
                    work().await;
                    tokio::time::sleep(rand::random_range(pauses.clone())).await;
                };
                tokio::select! {
                    // Biased: once the stop is requested, the work makes no further step.
                    biased;
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                    () = once => {}
                }
            }
        });
        self.0.schedules.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    /// Runs the work that `begin` returns. The work ends by itself once the future that `begin` gets is ready: at
    /// [`BackgroundReads::stop`], which waits for it. It takes no slot of the reads.
    pub fn until_the_stop<F>(&self, begin: impl FnOnce(BoxFuture<'static, ()>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut stopping = self.0.stopping.subscribe();
        let stop = async move {
            // An error means that the sender is gone, and it goes only with the service.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        };
        let task = tokio::spawn(begin(stop.boxed()));
        self.0.schedules.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    /// Ends the running reads, waits for their end, and starts no more.
    pub async fn stop(&self) {
        self.0.stopping.send_replace(true);
        let schedules = std::mem::take(&mut *self.0.schedules.lock().unwrap_or_else(PoisonError::into_inner));
        for schedule in schedules {
            // An error means that the task panicked, so it has ended too.
            let _ = schedule.await;
        }
        // Acquires all slots, so every read that held one has ended. An error means that an earlier stop closed the
        // semaphore.
        if self.0.slots.acquire_many(READS).await.is_ok() {
            self.0.slots.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_read_without_a_free_slot_is_dropped_and_no_caller_waits() {
        let warming = BackgroundReads::default();
        assert!((0..READS).all(|_| warming.soon(pending())));
        assert!(!warming.soon(ready(())));
        warming.stop().await;
        assert!(!warming.soon(ready(())), "it has stopped");
        warming.stop().await;
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_repeated_after_a_drawn_pause_until_the_stop() {
        let warming = BackgroundReads::default();
        let times = Arc::new(Mutex::new(Vec::new()));
        let noted = times.clone();
        let pauses = Duration::from_secs(300)..Duration::from_secs(600);
        warming.again_and_again(pauses.clone(), move || {
            let noted = noted.clone();
            async move { noted.lock().unwrap().push(tokio::time::Instant::now()) }
        });
        tokio::time::sleep(Duration::from_secs(6_000)).await;
        warming.stop().await;
        let seen = times.lock().unwrap().clone();
        assert!((11..=21).contains(&seen.len()), "{}", seen.len());
        let between: Vec<_> = seen.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(between.iter().all(|pause| pauses.contains(pause)), "{between:?}");
        assert!(between.iter().any(|pause| *pause != between[0]), "they are drawn");
        tokio::time::sleep(Duration::from_secs(6_000)).await;
        assert_eq!(times.lock().unwrap().len(), seen.len(), "it has stopped");
    }

    #[tokio::test]
    async fn a_read_that_panics_gives_its_slot_back() {
        let warming = BackgroundReads::default();
        for round in 0..2 * READS {
            let fails = round % 2 == 0;
            while !warming.soon(async move { assert!(!fails, "on purpose") }) {
                tokio::task::yield_now().await;
            }
        }
        warming.stop().await;
    }

    #[tokio::test]
    async fn after_stop_no_read_runs() {
        struct Running(Arc<AtomicBool>);
        impl Drop for Running {
            fn drop(&mut self) {
                self.0.store(false, Ordering::SeqCst);
            }
        }
        let (warming, runs) = (BackgroundReads::default(), Arc::new(AtomicBool::new(true)));
        let running = Running(runs.clone());
        assert!(warming.soon(async move {
            let _running = running;
            pending::<()>().await;
        }));
        warming.stop().await;
        assert!(!runs.load(Ordering::SeqCst));
    }
}
