//! One answer for all who ask the same at about the same time, so that strangers cannot have it asked at will.
//!
//! Invariants, each a test:
//! - `nobody_gets_an_answer_that_was_older_than_promised_when_they_asked`;
//! - `however_many_ask_one_question_is_open`;
//! - `a_question_outlives_whoever_asked_it`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long ago an answer may have been asked for when somebody else wants it.
pub const RECENT: Duration = Duration::from_millis(500);

/// The last answer, and when it was asked for. Clones share it.
#[derive(Clone)]
pub struct Recent<T> {
    // Held while the question is open: who comes meanwhile waits for its answer.
    last: Arc<Mutex<Option<(Instant, T)>>>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { last: Arc::default() }
    }
}

impl<T: Clone + Send + 'static> Recent<T> {
    /// The last answer if it was asked for at most [`RECENT`] before this call, else a new one; and how long before.
    /// Whoever has to wait does so for two questions at most. `None` when the runtime is going down.
    pub async fn ask(&self, question: impl Future<Output = T> + Send + 'static) -> Option<(T, Duration)> {
        let arrived = Instant::now();
        let mut last = self.last.clone().lock_owned().await;
        if let Some((asked, answer)) = &*last {
            // Held against the arrival: of those who waited for a slow answer all but one would ask again, one by one.
            let age = arrived.saturating_duration_since(*asked);
            if age <= RECENT {
                return Some((answer.clone(), age));
            }
        }
        // A task of its own: a caller who hangs up would end the question, and the next one would ask it anew.
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

    /// A question that takes a while, and is answered with how many were asked before.
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
    async fn nobody_gets_an_answer_that_was_older_than_promised_when_they_asked() {
        let bench = Bench::default();
        assert_eq!(bench.ask(QUICK).await, (0, Duration::ZERO));
        sleep(RECENT - QUICK).await;
        assert_eq!(bench.ask(QUICK).await, (0, RECENT), "asked for as long ago as is allowed");
        sleep(QUICK).await;
        assert_eq!(bench.ask(QUICK).await, (1, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_ask_one_question_is_open() {
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
        // Too late for the question that is open: they share the next one.
        let late: Vec<_> = (0..100).map(|_| ask_after(2 * RECENT)).collect();
        for (askers, answer) in [(early, 0), (late, 1)] {
            for asker in askers {
                assert_eq!(asker.await.unwrap(), answer);
            }
        }
        assert_eq!((bench.asked(), began.elapsed()), (2, QUICK + 2 * SLOW), "nobody waits for a third");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_outlives_whoever_asked_it() {
        let bench = Bench::default();
        for _ in 0..100 {
            // One that hangs up.
            let left = tokio::time::timeout(QUICK, bench.ask(RECENT / 2)).await;
            assert!(left.is_err());
        }
        assert_eq!((bench.ask(QUICK).await.0, bench.asked()), (0, 1));
    }
}
