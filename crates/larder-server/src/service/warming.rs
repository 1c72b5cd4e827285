//! Reads that nobody waits for: what is likely to be asked next is loaded beforehand.
//!
//! Invariants: a request is never delayed, for who finds no room is dropped; what is read is read as everybody reads, so
//! that warming takes a lease as others do and never stampedes; after [`Warming::stop`] nothing runs.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// Reads that run at once; more are dropped. A few are enough to keep ahead of people, and leave the database's connections
/// to requests.
const READS: u32 = 4;

/// Runs reads in the background, a few at once, until it is told to stop. Clones share the room.
#[derive(Clone)]
pub struct Warming(Arc<Shared>);

struct Shared {
    room: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
    /// What runs again and again. Guarded by its lock, which nobody holds across a wait.
    schedules: Mutex<Vec<JoinHandle<()>>>,
}

impl Default for Warming {
    fn default() -> Self {
        let (stopping, _) = watch::channel(false);
        let room = Arc::new(Semaphore::new(READS as usize));
        Self(Arc::new(Shared { room, stopping, schedules: Mutex::default() }))
    }
}

impl Warming {
    /// Starts a read and returns at once: whether there was room for it. What it answers is of no interest here, and its
    /// failure neither: whoever asks later is told.
    pub fn soon(&self, read: impl Future<Output = ()> + Send + 'static) -> bool {
        let Ok(room) = self.0.room.clone().try_acquire_owned() else {
            return false;
        };
        let mut stopping = self.0.stopping.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => {}
                () = read => {}
            }
            // Also when the read panics, for then it is dropped with this future.
            drop(room);
        });
        true
    }

    /// Does some work now and then again after a pause that is drawn from `pauses` each time, in the background and without
    /// room of its own among the reads, until it is told to stop.
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
                    biased;
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                    () = once => {}
                }
            }
        });
        self.0.schedules.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    /// Ends the reads that run, waits for their end, and starts no more.
    pub async fn stop(&self) {
        self.0.stopping.send_replace(true);
        let schedules = std::mem::take(&mut *self.0.schedules.lock().unwrap_or_else(PoisonError::into_inner));
        for schedule in schedules {
            // An error means that it panicked, and so has ended too.
            let _ = schedule.await;
        }
        // All the room there is: whoever held some has ended. An error means that it was closed, by an earlier stop.
        if self.0.room.acquire_many(READS).await.is_ok() {
            self.0.room.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn who_finds_no_room_is_dropped_and_nobody_waits() {
        let warming = Warming::default();
        assert!((0..READS).all(|_| warming.soon(pending())));
        assert!(!warming.soon(ready(())));
        warming.stop().await;
        assert!(!warming.soon(ready(())), "it has stopped");
        warming.stop().await;
    }

    #[tokio::test(start_paused = true)]
    async fn work_comes_again_after_a_drawn_pause_until_the_stop() {
        let warming = Warming::default();
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
    async fn room_is_given_back_also_by_who_panics() {
        let warming = Warming::default();
        for round in 0..2 * READS {
            let fails = round % 2 == 0;
            while !warming.soon(async move { assert!(!fails, "on purpose") }) {
                tokio::task::yield_now().await;
            }
        }
        warming.stop().await;
    }

    #[tokio::test]
    async fn after_stop_nothing_runs() {
        struct Running(Arc<AtomicBool>);
        impl Drop for Running {
            fn drop(&mut self) {
                self.0.store(false, Ordering::SeqCst);
            }
        }
        let (warming, runs) = (Warming::default(), Arc::new(AtomicBool::new(true)));
        let running = Running(runs.clone());
        assert!(warming.soon(async move {
            let _running = running;
            pending::<()>().await;
        }));
        warming.stop().await;
        assert!(!runs.load(Ordering::SeqCst));
    }
}
