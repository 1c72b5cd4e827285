//! How followers wait for a flight: they get its result when it ends, or `None` if its leader was cancelled.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::select;
use tokio::sync::{Notify, watch};

use crate::clock::Tick;
use crate::codec::AnyValue;
use crate::error::Error;
use crate::source::{NotStoredReason, Placement, Source};

/// The result of a flight: the value, or the knowledge that there is none, and its source.
#[derive(Clone)]
pub(crate) struct LoadOutcome {
    pub(crate) value: Option<AnyValue>,
    pub(crate) source: Source,
    /// A bounded read may take this outcome only if the read began before this instant. If the process was stopped
    /// (SIGSTOP), a flight can end long after it read its value, and reads that began after this instant can have
    /// joined: the value is too old for them.
    pub(crate) valid_until: Tick,
    /// How long ago the TTL ended; `None` if it has not.
    pub(crate) stale_by: Option<Duration>,
    /// Wall time at the start of the load of the entry that a tier served, in milliseconds since 1970; 0 for a value that
    /// was loaded now.
    pub(crate) loaded_at_millis: u64,
}

impl LoadOutcome {
    /// An entry of Redis: its value, the start of its load, and how long ago its TTL ended.
    pub(crate) fn of_redis(
        value: Option<AnyValue>,
        (loaded_at_millis, stale_by): (u64, Option<Duration>),
        valid_until: Tick,
    ) -> Self {
        LoadOutcome { value, source: Source::Redis, valid_until, stale_by, loaded_at_millis }
    }

    /// The outcome of a load of this flight. `placement` says where the value is stored.
    pub(crate) fn loaded(value: Option<AnyValue>, placement: Placement, valid_until: Tick) -> Self {
        LoadOutcome {
            value,
            source: Source::Load { placement },
            valid_until,
            stale_by: None,
            loaded_at_millis: 0,
        }
    }

    /// The outcome of a load whose value no tier stores.
    pub(crate) fn not_stored(value: Option<AnyValue>, why: NotStoredReason, valid_until: Tick) -> Self {
        LoadOutcome::loaded(value, Placement::Nowhere(why), valid_until)
    }

    /// Whether the load was spoiled; see `loading`.
    pub(crate) fn is_spoiled(&self) -> bool {
        self.source == Source::Load { placement: Placement::Nowhere(NotStoredReason::Spoiled) }
    }

    /// The outcome as followers get it. A spoiled load's value is removed, because its transaction may roll back.
    pub(crate) fn shareable(self) -> Self {
        if self.is_spoiled() { LoadOutcome { value: None, ..self } } else { self }
    }
}

pub(crate) type FlightResult = Result<LoadOutcome, Error>;

/// The side of a flight that its followers hold.
pub(crate) struct FlightReceiver {
    outcome: watch::Receiver<Option<FlightResult>>,
    /// Notified when Redis reports a change of the flight's key or the flight is detached. A leader that waits for
    /// another instance's lease then reads again.
    pub(crate) changed: Notify,
    /// Whether the flight left the table before its end.
    is_detached: AtomicBool,
    /// Notified when the flight is detached.
    detached: Notify,
    /// How many reads wait for the flight's result: the leading read while its load runs, reads that joined, and reads
    /// that wait for the end.
    followers: AtomicUsize,
    /// Notified when the last of these reads leaves.
    left: Notify,
}

/// Counts as one read that waits for a flight, until it is dropped.
pub(crate) struct Following(Arc<FlightReceiver>);

impl Drop for Following {
    fn drop(&mut self) {
        // `SeqCst`: `abandoned` reads the count after it was notified, and must see this decrement.
        if self.0.followers.fetch_sub(1, Ordering::SeqCst) == 1 {
            // All waiters: the task of a load can wait for this in two places.
            self.0.left.notify_waiters();
        }
    }
}

/// The side of a flight that publishes its outcome. `engine::flight::Leader` holds it. If it is dropped without an
/// outcome, every follower tries again.
pub(crate) struct FlightSender(watch::Sender<Option<FlightResult>>);

impl FlightReceiver {
    pub(crate) fn new() -> (Arc<FlightReceiver>, FlightSender) {
        let (sender, outcome) = watch::channel(None);
        let receiver = FlightReceiver {
            outcome,
            changed: Notify::new(),
            is_detached: AtomicBool::new(false),
            detached: Notify::new(),
            followers: AtomicUsize::new(0),
            left: Notify::new(),
        };
        (Arc::new(receiver), FlightSender(sender))
    }

    /// Waits for the flight's outcome; `None` if its leader was cancelled before it had one.
    pub(crate) async fn outcome(self: Arc<Self>) -> Option<FlightResult> {
        let _following = self.follow();
        let mut outcome = self.outcome.clone();
        let result = outcome.wait_for(Option::is_some).await.ok()?;
        result.clone()
    }
}

impl FlightReceiver {
    /// Counts one more read that waits, until the returned value is dropped.
    pub(crate) fn follow(self: &Arc<Self>) -> Following {
        self.followers.fetch_add(1, Ordering::SeqCst);
        Following(self.clone())
    }

    /// Records that the flight has left the table: its value will not be stored.
    pub(crate) fn detach(&self) {
        // `SeqCst`: `ended` registers with `detached` and then reads this flag, so it misses no detachment.
        self.is_detached.store(true, Ordering::SeqCst);
        self.detached.notify_waiters();
        self.changed.notify_one();
    }

    /// Waits until the flight ends or is detached: then another flight can begin. Returns the outcome if there is one.
    pub(crate) async fn ended(self: Arc<Self>) -> Option<FlightResult> {
        let mut detached = pin!(self.detached.notified());
        detached.as_mut().enable();
        if self.is_detached.load(Ordering::SeqCst) {
            return None;
        }
        select! {
            () = detached => None,
            outcome = self.clone().outcome() => outcome,
        }
    }

    /// Returns once no read waits for the flight. If a read joins between this return and the end of the flight, it
    /// gets no outcome and tries again.
    pub(crate) async fn abandoned(&self) {
        loop {
            // Registered before the check, so that no departure is missed.
            let mut left = pin!(self.left.notified());
            left.as_mut().enable();
            if self.followers.load(Ordering::SeqCst) == 0 {
                return;
            }
            left.await;
        }
    }
}

impl FlightSender {
    pub(crate) fn send(self, outcome: FlightResult) {
        // An error means that no follower waits, which is no fault.
        let _ = self.0.send(Some(outcome));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;

    /// A load waits for this twice: once until its caller has left, and once more after its flight was detached.
    #[tokio::test]
    async fn every_waiter_learns_that_the_last_read_has_left() {
        let (flight, _sender) = FlightReceiver::new();
        let reads = [flight.follow(), flight.follow()];
        let leave = async {
            yield_now().await;
            drop(reads);
        };
        let wait = async { tokio::join!(flight.abandoned(), flight.abandoned(), leave) };
        timeout(Duration::from_secs(5), wait).await.expect("both waiters return");
    }
}
