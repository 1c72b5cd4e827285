//! How waiters follow a flight: its result when it lands, nothing when its leader is gone.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::clock::Tick;
use crate::codec::AnyValue;
use crate::error::Error;
use crate::source::{NotStoredReason, Placement, Source};

/// What a flight brought: the value, or the knowledge that there is none, and where it came from.
#[derive(Clone)]
pub(crate) struct LoadOutcome {
    pub(crate) value: Option<AnyValue>,
    pub(crate) source: Source,
    /// A bounded read that began before may take it. A flight lands some time after it looked, for as long as its
    /// process is stopped, and reads that joined it meanwhile began later than what it saw was certified for.
    pub(crate) valid_until: Tick,
}

impl LoadOutcome {
    /// Its load was spoiled.
    pub(crate) fn is_spoiled(&self) -> bool {
        self.source == Source::Load { placement: Placement::Nowhere(NotStoredReason::Spoiled) }
    }

    /// What waiters may have of it: of a spoiled load no value, for it may be of a transaction that is rolled back.
    pub(crate) fn shareable(self) -> Self {
        if self.is_spoiled() { LoadOutcome { value: None, ..self } } else { self }
    }
}

pub(crate) type FlightResult = Result<LoadOutcome, Error>;

/// The waiters' end of a flight.
pub(crate) struct FlightReceiver {
    outcome: watch::Receiver<Option<FlightResult>>,
    /// Told when Redis pushes the flight's key, or this instance drops it: time to look again.
    pub(crate) changed: Notify,
}

/// The leader's end. Dropping it unsent frees every waiter to try again.
pub(crate) struct FlightSender(watch::Sender<Option<FlightResult>>);

impl FlightReceiver {
    pub(crate) fn new() -> (Arc<FlightReceiver>, FlightSender) {
        let (sender, outcome) = watch::channel(None);
        (Arc::new(FlightReceiver { outcome, changed: Notify::new() }), FlightSender(sender))
    }

    /// The flight's outcome, or `None` when its leader was cancelled before it had one.
    pub(crate) async fn outcome(&self) -> Option<FlightResult> {
        let mut outcome = self.outcome.clone();
        let landed = outcome.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }
}

impl FlightSender {
    pub(crate) fn send(self, outcome: FlightResult) {
        // Nobody may be waiting, which is no fault.
        let _ = self.0.send(Some(outcome));
    }
}
