//! Requests an immediate poll from the relay or consumer of this process, before the next regular poll. Also keeps how the
//! journal has answered this process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::condition::Condition;
use crate::event_sender::EventSender;
use crate::health::Trouble;
use crate::journal::{Failure, Journal, JournalFault, POLL_INTERVAL};

/// Numbered requests to the one task of this process that polls the journal. No correctness depends on them: a caller
/// whose time limit ends continues without the poll.
pub(crate) struct PollRequests {
    asked: AtomicU64,
    poll_at_once: Notify,
    /// The number of the last request that is served: a poll that began after this request is complete.
    served: watch::Sender<u64>,
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
            asked: AtomicU64::new(0),
            poll_at_once: Notify::new(),
            served: watch::Sender::new(0),
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

    /// Requests a poll that begins after this call, and waits until it is complete, at most `limit`. Returns whether it
    /// is complete.
    pub(crate) async fn poll_within(&self, limit: Duration) -> bool {
        // SeqCst, and before `notify_one`: if the polling task reads this number, it begins its poll after the request.
        let request = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.poll_at_once.notify_one();
        let mut served = self.served.subscribe();
        matches!(timeout(limit, served.wait_for(|served| *served >= request)).await, Ok(Ok(_)))
    }

    /// For the polling task: the number of requests, to be read before a poll begins.
    pub(crate) fn requests(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// For the polling task: whether any of `requests` still waits for a poll.
    pub(crate) fn has_waiters(&self, requests: u64) -> bool {
        *self.served.borrow() < requests
    }

    /// For the polling task: records that a poll is complete that began when `requests` requests had been made. It
    /// serves all of them.
    pub(crate) fn complete(&self, requests: u64) {
        self.served.send_replace(requests);
    }

    /// For the polling task: notes whether the journal has answered, and reports what is wrong with it.
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

    /// For the polling task: waits until the next poll is due or requested.
    pub(crate) async fn wait_until_due(&self) {
        // `Notify` stores one notification: after a request during the last poll, the wait ends at once.
        let _ = timeout(POLL_INTERVAL, self.poll_at_once.notified()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_poll_that_began_before_a_request_does_not_serve_it() {
        let polls = Arc::new(PollRequests::new());
        let began = polls.requests();
        let waiting = {
            let polls = polls.clone();
            tokio::spawn(async move { polls.poll_within(Duration::from_secs(20)).await })
        };
        polls.wait_until_due().await;
        polls.complete(began);
        assert!(polls.has_waiters(polls.requests()) && !waiting.is_finished());
        polls.complete(polls.requests());
        assert!(waiting.await.unwrap());
        assert!(!polls.poll_within(Duration::ZERO).await, "no task polls");
    }
}
