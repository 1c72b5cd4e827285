//! Requests an immediate poll from the relays or the consumer of this process, before the next regular poll. Also keeps how
//! the journal has answered this process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::condition::Condition;
use crate::event_sender::EventSender;
use crate::health::Trouble;
use crate::journal::{Failure, Journal, JournalFault, POLL_INTERVAL};

/// Numbered requests to the tasks of this process that poll the journal: the relay of each Redis, or the consumer. No
/// correctness depends on them: a caller whose time limit ends continues without the poll.
pub(crate) struct PollRequests {
    /// The number of the last request.
    asked: watch::Sender<u64>,
    /// The number of the last request that each polling task has served: a poll that began after this request is complete.
    served: watch::Sender<HashMap<u64, u64>>,
    next_poller: AtomicU64,
    /// Only for the health report; no read depends on it. The lock is held for a few statements, and never together with
    /// another lock.
    answers: Mutex<Answers>,
    failed_prunes: AtomicU64,
    report: Option<JournalReport>,
}

/// Logs the troubles of the journal, and sends them to subscribers. Each has a condition of its own: one that lasts, such
/// as a renamed column, hides no other.
struct JournalReport {
    journal: Arc<dyn Journal>,
    conditions: [Condition; 3],
}

/// How the journal has answered.
#[derive(Default)]
struct Answers {
    /// The failure of the last poll, and since when every poll has failed.
    failure: Option<JournalFault>,
    failed_episodes: u64,
}

impl PollRequests {
    pub(crate) fn new() -> Self {
        PollRequests {
            asked: watch::Sender::new(0),
            served: watch::Sender::default(),
            next_poller: AtomicU64::new(0),
            answers: Mutex::default(),
            failed_prunes: AtomicU64::new(0),
            report: None,
        }
    }

    /// Also logs and sends what is wrong with `journal`, if there is one, as of each poll.
    pub(crate) fn reporting(
        self,
        journal: Option<&Arc<dyn Journal>>,
        clock: &Clock,
        events: &Arc<EventSender>,
    ) -> Self {
        let condition = |_| Condition::new(clock.clone()).reporting_to(events.clone());
        let report = |journal: &Arc<dyn Journal>| JournalReport {
            journal: journal.clone(),
            conditions: [0, 1, 2].map(condition),
        };
        PollRequests { report: journal.map(report), ..self }
    }

    /// Requests a poll that begins after this call from each polling task, and waits until all are complete, at most
    /// `limit`. Returns whether they are.
    pub(crate) async fn poll_within(&self, limit: Duration) -> bool {
        let mut request = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            request = *asked;
        });
        let mut served = self.served.subscribe();
        let is_served = |served: &HashMap<u64, u64>| {
            !served.is_empty() && served.values().all(|served| *served >= request)
        };
        matches!(timeout(limit, served.wait_for(is_served)).await, Ok(Ok(_)))
    }

    /// A polling task, until the result is dropped.
    pub(crate) fn poller(self: &Arc<Self>) -> Poller {
        // Relaxed: only the number has to be another one each time.
        let id = self.next_poller.fetch_add(1, Ordering::Relaxed);
        self.served.send_modify(|served| {
            served.insert(id, 0);
        });
        Poller { requests: self.clone(), id }
    }

    /// For a polling task: notes whether the journal has answered, and reports what is wrong with it.
    pub(crate) fn noted<T>(&self, answer: Result<T, Failure>) -> Result<T, Failure> {
        let mut answers = self.answers();
        match &answer {
            Ok(_) => answers.failure = None,
            Err(error) => {
                let since = answers.failure.as_ref().map(|failure| failure.since);
                answers.failed_episodes += u64::from(since.is_none());
                let since = since.unwrap_or_else(SystemTime::now);
                answers.failure = Some(JournalFault { reasons: vec![error.to_string()], since });
            }
        }
        drop(answers);
        if let Some(JournalReport { journal, conditions }) = &self.report {
            for (condition, (trouble, fault)) in conditions.iter().zip(self.faults(&**journal)) {
                match fault {
                    Some(fault) => condition.note(trouble, Some(fault.reasons.join("; "))),
                    None => condition.note_recovery(),
                }
            }
        }
        answer
    }

    /// What is wrong with `journal`, by trouble, the cause of the others first.
    pub(crate) fn faults(&self, journal: &dyn Journal) -> [(Trouble, Option<JournalFault>); 3] {
        let incomplete = journal.incompleteness();
        // An incomplete journal fails every poll, so the failed poll is no trouble of its own.
        let silent = if incomplete.is_some() { None } else { self.failure() };
        [
            (Trouble::IncompleteJournal, incomplete),
            (Trouble::SilentJournal, silent),
            (Trouble::ImpreciseJournal, journal.imprecision()),
        ]
    }

    /// Why the last poll failed, if it did.
    fn failure(&self) -> Option<JournalFault> {
        self.answers().failure.clone()
    }

    /// How many times polls began to fail.
    pub(crate) fn failed_episodes(&self) -> u64 {
        self.answers().failed_episodes
    }

    /// Counts a prune of the journal that failed.
    pub(crate) fn note_failed_prune(&self) {
        // Relaxed, here and below: the counter orders no other memory.
        self.failed_prunes.fetch_add(1, Ordering::Relaxed);
    }

    /// How many prunes of the journal failed.
    pub(crate) fn failed_prunes(&self) -> u64 {
        self.failed_prunes.load(Ordering::Relaxed)
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that polls the journal. Its drop ends its part: requests no longer wait for it.
pub(crate) struct Poller {
    requests: Arc<PollRequests>,
    id: u64,
}

impl Poller {
    /// The number of the last request, to be read before a poll begins.
    pub(crate) fn last_request(&self) -> u64 {
        *self.requests.asked.borrow()
    }

    /// Whether a request up to `last` still waits for a poll of this task.
    pub(crate) fn has_waiters(&self, last: u64) -> bool {
        self.requests.served.borrow().get(&self.id).is_some_and(|served| *served < last)
    }

    /// Records that a poll is complete that began when `last` was the last request. It serves all requests up to it.
    pub(crate) fn complete(&self, last: u64) {
        self.requests.served.send_modify(|served| {
            served.insert(self.id, last);
        });
    }

    /// From here on, until the next poll of this task is complete, requests do not wait for it.
    pub(crate) fn leave(&self) {
        self.requests.served.send_modify(|served| {
            served.remove(&self.id);
        });
    }

    /// Waits until the next poll is due, or requested after `last`.
    pub(crate) async fn wait_until_due(&self, last: u64) {
        let _ = timeout(POLL_INTERVAL, self.requests.asked.subscribe().wait_for(|asked| *asked > last)).await;
    }

    /// Notes whether the journal has answered; see [`PollRequests::noted`].
    pub(crate) fn noted<T>(&self, answer: Result<T, Failure>) -> Result<T, Failure> {
        self.requests.noted(answer)
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_poll_that_began_before_a_request_does_not_serve_it() {
        let polls = Arc::new(PollRequests::new());
        let (one, other) = (polls.poller(), polls.poller());
        let began = one.last_request();
        let waiting = {
            let polls = polls.clone();
            tokio::spawn(async move { polls.poll_within(Duration::from_secs(20)).await })
        };
        polls.asked.subscribe().wait_for(|asked| *asked > began).await.unwrap();
        one.complete(began);
        other.complete(other.last_request());
        assert!(one.has_waiters(one.last_request()) && !waiting.is_finished());
        assert!(!other.has_waiters(one.last_request()));
        one.complete(one.last_request());
        assert!(waiting.await.unwrap());
        other.leave();
        let waiting = {
            let polls = polls.clone();
            tokio::spawn(async move { polls.poll_within(Duration::from_secs(20)).await })
        };
        polls.asked.subscribe().wait_for(|asked| *asked > 1).await.unwrap();
        one.complete(2);
        assert!(waiting.await.unwrap(), "without the task that left");
        drop((one, other));
        assert!(!polls.poll_within(Duration::ZERO).await, "no task polls");
    }
}
