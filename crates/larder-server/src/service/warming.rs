//! Reads that nobody waits for: what is likely to be asked next is loaded beforehand.
//!
//! Invariants: a request is never delayed, for who finds no room is dropped; what is read is read as everybody reads, so
//! that warming takes a lease as others do and never stampedes; after [`Warming::stop`] nothing runs.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

/// Reads that run at once; more are dropped. A few are enough to keep ahead of people, and leave the database's connections
/// to requests.
const READS: u32 = 4;

/// Runs reads in the background, a few at once, until it is told to stop. Clones share the room.
#[derive(Clone)]
pub struct Warming(Arc<Shared>);

struct Shared {
    room: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

impl Default for Warming {
    fn default() -> Self {
        let (stopping, _) = watch::channel(false);
        Self(Arc::new(Shared { room: Arc::new(Semaphore::new(READS as usize)), stopping }))
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

    /// Ends the reads that run, waits for their end, and starts no more.
    pub async fn stop(&self) {
        self.0.stopping.send_replace(true);
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
