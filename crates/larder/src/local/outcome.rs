//! How followers wait for a flight: they get its result when it ends, or `None` if its leader was cancelled.

use std::sync::Arc;

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
}

impl LoadOutcome {
    /// The outcome of a load whose value no tier stores.
    pub(crate) fn not_stored(value: Option<AnyValue>, why: NotStoredReason, valid_until: Tick) -> Self {
        LoadOutcome { value, source: Source::Load { placement: Placement::Nowhere(why) }, valid_until }
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
    /// Notified when Redis reports a change of the flight's key or this instance invalidates the key. A leader that
    /// waits for another instance's lease then reads again.
    pub(crate) changed: Notify,
}

/// The side of a flight that its leader holds. If it is dropped without an outcome, every follower tries again.
pub(crate) struct FlightSender(watch::Sender<Option<FlightResult>>);

impl FlightReceiver {
    pub(crate) fn new() -> (Arc<FlightReceiver>, FlightSender) {
        let (sender, outcome) = watch::channel(None);
        (Arc::new(FlightReceiver { outcome, changed: Notify::new() }), FlightSender(sender))
    }

    /// Waits for the flight's outcome; `None` if its leader was cancelled before it had one.
    pub(crate) async fn outcome(&self) -> Option<FlightResult> {
        let mut outcome = self.outcome.clone();
        let result = outcome.wait_for(Option::is_some).await.ok()?;
        result.clone()
    }
}

impl FlightSender {
    pub(crate) fn send(self, outcome: FlightResult) {
        // An error means that no follower waits, which is no fault.
        let _ = self.0.send(Some(outcome));
    }
}
