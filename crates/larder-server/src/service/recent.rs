//! Callers that ask the same question at about the same time share one answer. So the number of questions has a limit,
//! even if unauthenticated clients cause them.
//!
//! Invariants, each a test:
//! - `an_answer_is_at_most_as_old_as_promised_when_its_caller_arrived`;
//! - `at_most_one_question_is_open_for_any_number_of_callers`;
//! - `a_question_outlives_its_caller`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// The greatest age of a shared answer: the time from its question to the arrival of the caller.
pub const RECENT: Duration = Duration::from_millis(500);

/// The last answer, and when its question was asked. Clones share it.
#[derive(Clone)]
pub struct Recent<T> {
    // The lock is held while a question is open, so callers that arrive meanwhile wait for its answer.
    last: Arc<Mutex<Option<(Instant, T)>>>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { last: Arc::default() }
    }
}

impl<T: Clone + Send + 'static> Recent<T> {
    /// Returns the last answer if its question was asked at most [`RECENT`] before this call; otherwise asks
    /// `question`. Also returns how long before this call the question was asked. A caller waits for two questions at
    /// most: the open one and the one after it. `None` if the runtime is shutting down.
    pub async fn ask(&self, question: impl Future<Output = T> + Send + 'static) -> Option<(T, Duration)> {
        let arrived = Instant::now();
        let mut last = self.last.clone().lock_owned().await;
        if let Some((asked, answer)) = &*last {
            // The age is measured at the caller's arrival and not now. Otherwise an answer that took longer than
            // `RECENT` would be too old for every caller that waited for it, and they would ask again, one after the
            // other.
            let age = arrived.saturating_duration_since(*asked);
            if age <= RECENT {
                return Some((answer.clone(), age));
            }
        }
        // The question runs in a task of its own. If the caller disconnects, the question continues, and the next
        // caller uses its answer.
        let answering = tokio::spawn(async move {
            let asked = Instant::now();
            let answer = question.await;
            *last = Some((asked, answer.clone()));
            answer
        });
        match answering.await {
            Ok(answer) => Some((answer, Duration::ZERO)),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::sleep;

    use super::*;

    /// A `Recent` under test. `ask` asks it a question that takes the given time and is answered with the number of
    /// questions that were asked before it.
    #[derive(Clone, Default)]
    struct Bench {
        recent: Recent<u32>,
        asked: Arc<AtomicU32>,
    }

    impl Bench {
        async fn ask(&self, takes: Duration) -> (u32, Duration) {
            let nth = self.asked.clone();
            let question = async move {
                let nth = nth.fetch_add(1, Ordering::SeqCst);
                sleep(takes).await;
                nth
            };
            self.recent.ask(question).await.unwrap()
        }

        fn asked(&self) -> u32 {
            self.asked.load(Ordering::SeqCst)
        }
    }

    const QUICK: Duration = Duration::from_millis(1);
    const SLOW: Duration = Duration::from_secs(6);

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_at_most_as_old_as_promised_when_its_caller_arrived() {
        let bench = Bench::default();
        assert_eq!(bench.ask(QUICK).await, (0, Duration::ZERO));
        sleep(RECENT - QUICK).await;
        assert_eq!(bench.ask(QUICK).await, (0, RECENT), "asked for as long ago as is allowed");
        sleep(QUICK).await;
        assert_eq!(bench.ask(QUICK).await, (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn at_most_one_question_is_open_for_any_number_of_callers() {
        let bench = Bench::default();
        let began = Instant::now();
        let ask_after = |pause: Duration| {
            let bench = bench.clone();
            tokio::spawn(async move {
                sleep(pause).await;
                bench.ask(SLOW).await.0
            })
        };
        let early: Vec<_> = (0..100).map(|_| ask_after(QUICK)).collect();
        // These callers arrive more than `RECENT` after the open question was asked, so they share the next question.
        let late: Vec<_> = (0..100).map(|_| ask_after(2 * RECENT)).collect();
        for (askers, answer) in [(early, 0), (late, 1)] {
            for asker in askers {
                assert_eq!(asker.await.unwrap(), answer);
            }
        }
        assert_eq!((bench.asked(), began.elapsed()), (2, QUICK + 2 * SLOW), "no caller waits for a third");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_outlives_its_caller() {
        let bench = Bench::default();
        for _ in 0..100 {
            // A caller that disconnects.
            let left = tokio::time::timeout(QUICK, bench.ask(RECENT / 2)).await;
            assert!(left.is_err());
        }
        assert_eq!((bench.ask(QUICK).await.0, bench.asked()), (0, 1));
    }
}
