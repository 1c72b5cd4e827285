//! A flight, from its beginning until its outcome is published. The read that leads it asks the tiers. If a load is
//! needed, that runs in a task of its own, so a caller that leaves does not stop it.
//!
//! Invariant: however a flight ends, no follower waits forever.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use tokio::select;
use tokio::time::Instant;
use tracing::Instrument;

use crate::engine::budget::carried;
use crate::engine::call::Loading;
use crate::engine::load::StoreCondition;
use crate::engine::plan::{FlightStep, LoadBegin, LoadPlan, LoadStart};
use crate::engine::{ClassCore, Engine, EntryRef};
use crate::error::{Error, ErrorKind};
use crate::events::{Event, MissReason};
use crate::loaded::AnyPrevious;
use crate::local::outcome::{FlightReceiver, FlightResult, FlightSender, LoadOutcome};
use crate::local::{LocalTier, NewFlight};
use crate::policy::Consistency;
use crate::protocol::flight::FlightId;
use crate::source::{Placement, Source};
use crate::stats::{count, count_nth};

impl Engine {
    /// Asks the tiers, in the task of the read that leads the flight. If that read is dropped meanwhile, a follower
    /// leads another flight.
    async fn ask_tiers(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        receiver: &FlightReceiver,
    ) -> FlightStep {
        match self.usable_tier() {
            Some(tier) if class.is_memory_only => {
                FlightStep::Load(self.plan_anchored(class, entry_ref, tier).await, None)
            }
            Some(tier) => self.read_redis(class, entry_ref, tier, receiver).await,
            None => {
                if self.shared.is_some() {
                    count(&class.common.counters.untiered_loads);
                }
                // Memory may have an aged copy, which the load is to replace.
                let copy = self.local.get(&entry_ref.key, self.clock.now(), self.is_guarded());
                FlightStep::Load(self.plan_memory(entry_ref), copy.and_then(|copy| copy.previous()))
            }
        }
    }

    /// Runs a flight, and returns its result to the read that leads it. That read waits until the instant for what is no
    /// part of its answer.
    pub(super) async fn lead(
        self: &Arc<Self>,
        class: &Arc<ClassCore>,
        entry_ref: EntryRef,
        leader: Leader,
        (consistency, until): (Consistency, Option<Instant>),
        begin_load: impl FnOnce(Option<AnyPrevious>) -> Loading,
    ) -> FlightResult {
        let (plan, previous) = match self.ask_tiers(class, &entry_ref, &leader.receiver).await {
            FlightStep::Served(loaded, aged) => {
                leader.complete(Ok(loaded.clone()));
                if let Some(copy) = aged {
                    self.refresh_until(until, class, entry_ref, &copy, begin_load).await;
                }
                return Ok(loaded);
            }
            FlightStep::Load(plan, previous) => (plan, previous),
        };
        self.miss(&entry_ref.key, self.miss_reason(class, &plan, previous.is_some(), consistency));
        let (flight, receiver) = (leader.id, leader.receiver.clone());
        let begin = self.begin(entry_ref, flight, receiver, previous.clone());
        // From here on the flight belongs to the cache: if this read is dropped, its task goes on. `begin_load` is
        // called after the plan and the start were fixed, because it may already read.
        let _following = leader.receiver.follow();
        let flight = LoadTask { engine: self.clone(), class: class.clone(), begin, plan, leader };
        // The loader's events belong to the span of the read that leads, and the fill to that read's budget: the read
        // waits for it. The fills of a batch have budgets of their own.
        //
        // Boxed: tokio aligns its tasks to 128 bytes, and glibc's malloc does not merge what an aligned allocation leaves
        // over. A large task for each load would leave more memory unused than a small entry takes.
        let loading = begin_load(previous);
        let own = self.shared.as_ref().filter(|_| loading.is_of_batch()).map(|shared| shared.budget);
        let load = Box::pin(carried(flight.run_while_wanted(loading), own));
        let task = tokio::spawn(load.in_current_span());
        // The task is not cancelled while this read follows it, except at the end of its runtime.
        task.await.unwrap_or_else(|error| match error.is_panic() {
            true => Err(Error::load_panicked()),
            false => Err(Error::load_ended()),
        })
    }

    /// Why the tiers gave no answer to the read that leads.
    fn miss_reason(
        &self,
        class: &ClassCore,
        plan: &LoadPlan,
        is_aged: bool,
        consistency: Consistency,
    ) -> MissReason {
        let is_memory_alone = class.is_memory_only || self.shared.is_none();
        match plan {
            LoadPlan::Parallel => MissReason::WaitTimedOut,
            LoadPlan::Memory(..) if !is_memory_alone => MissReason::RedisAway,
            _ if is_memory_alone && consistency == Consistency::Fresh => MissReason::Fresh,
            _ if is_aged => MissReason::Aged,
            _ => MissReason::NotCached,
        }
    }

    /// The present instant.
    pub(super) fn start(&self) -> LoadStart {
        LoadStart { at: self.clock.now(), at_millis: self.clock.unix_millis() }
    }

    /// A load that begins now.
    pub(super) fn begin(
        &self,
        entry_ref: EntryRef,
        flight: FlightId,
        receiver: Arc<FlightReceiver>,
        previous: Option<AnyPrevious>,
    ) -> LoadBegin {
        LoadBegin { entry_ref, flight, receiver, start: self.start(), previous }
    }

    /// Runs the load of a plan, and stores its value where the plan says.
    pub(super) async fn run_plan(
        &self,
        class: &ClassCore,
        begin: &LoadBegin,
        plan: LoadPlan,
        loading: Loading,
    ) -> FlightResult {
        let outcome = match (plan, &self.shared) {
            (LoadPlan::Fill(hold, tags), Some(shared)) => {
                self.load_and_fill(class, begin, shared, (hold, tags), loading).await
            }
            (LoadPlan::Replace(right), Some(shared)) => {
                self.load_and_replace(class, begin, shared, right, loading).await
            }
            (LoadPlan::Anchored(right), _) => self.load_under_anchor(class, begin, right, loading).await,
            (LoadPlan::Memory(right, tags), _) => {
                self.load_into_memory(class, begin, (right, tags), loading).await
            }
            (LoadPlan::Parallel | LoadPlan::Fill(..) | LoadPlan::Replace(..), _) => {
                let valid_until = begin.start.at.plus(self.bound_less_resolution());
                let loaded = self.load_while(class, begin, StoreCondition::Never, loading).await;
                loaded.map(|loaded| LoadOutcome {
                    source: loaded.beside(),
                    value: loaded.value,
                    valid_until,
                    stale_by: None,
                    loaded_at_millis: 0,
                })
            }
        };
        self.note_stored(&begin.entry_ref.key, &outcome);
        outcome
    }

    /// Sends an event if a loaded value was not stored.
    pub(super) fn note_stored(&self, key: &[u8], outcome: &FlightResult) {
        if let Ok(LoadOutcome { source: Source::Load { placement: Placement::Nowhere(reason) }, .. }) =
            outcome
        {
            self.events
                .send_of_read(|events| Event::FillRefused { entry: events.entry(key), reason: *reason });
        }
    }
}

/// The part of a flight that runs in a task of its own: the load, and what is done with its value.
struct LoadTask {
    engine: Arc<Engine>,
    class: Arc<ClassCore>,
    begin: LoadBegin,
    plan: LoadPlan,
    leader: Leader,
}

impl LoadTask {
    async fn run_while_wanted(self, loading: Loading) -> FlightResult {
        let (class, receiver, called) = (self.class.clone(), self.leader.receiver.clone(), loading.called());
        let mut running = pin!(self.run(loading));
        select! {
            result = &mut running => return result,
            () = receiver.abandoned() => {}
        }
        // A batch calls its loader later. Until then nothing is loaded, so nothing needs a place. `running` itself waits
        // for the call, so each poll of it finds out.
        let ended = poll_fn(|context| match (running.as_mut().poll(context), called.get()) {
            (Poll::Ready(result), _) => Poll::Ready(Err(result)),
            (Poll::Pending, Some(call)) => Poll::Ready(Ok(call)),
            (Poll::Pending, None) => Poll::Pending,
        });
        let call = match ended.await {
            Ok(call) => call,
            Err(result) => return result,
        };
        // Meanwhile a read may have joined: then it is a load as any other.
        select! {
            biased;
            () = receiver.abandoned() => {}
            result = &mut running => return result,
        }
        match call.abandoned_place(&class.common.abandoned) {
            // A read may join again, and it gets the value; the load keeps its place until its end.
            Some(_place) => running.await,
            // No read gets this error. Dropping the run ends the flight and releases its lease.
            None => {
                if call.is_newly_stopped() {
                    class.note_stopped();
                }
                Err(Error::load_ended())
            }
        }
    }

    async fn run(self, loading: Loading) -> FlightResult {
        let LoadTask { engine, class, begin, plan, leader } = self;
        let outcome = engine.run_plan(&class, &begin, plan, loading).await;
        match &outcome {
            // The load was given up before its end, so it has no outcome: followers try again.
            Err(error) if error.kind() == ErrorKind::LoadEnded => drop(leader),
            _ => leader.complete(outcome.clone().map(LoadOutcome::shareable)),
        }
        outcome
    }
}

impl ClassCore {
    /// Counts an abandoned load that is stopped, and logs it if the class would finish others.
    fn note_stopped(&self) {
        let most = self.common.declaration.abandonment.most();
        if count_nth(&self.common.counters.abandoned_stopped).is_power_of_two() && most > 0 {
            tracing::warn!(
                class = self.name,
                most,
                "the class has too many loads that their readers left, stopped one"
            );
        }
    }
}

/// The side of a flight that ends it. The read that leads the flight holds it until a load begins; then it moves into
/// the load's task. If it is dropped before `complete`, it removes the flight from the table and
/// wakes the followers: with an error if the loader panicked, or without an outcome if the flight was cancelled, so
/// that they try again.
pub(super) struct Leader {
    local: Arc<LocalTier>,
    key: Bytes,
    id: FlightId,
    receiver: Arc<FlightReceiver>,
    sender: Option<FlightSender>,
}

impl Leader {
    pub(super) fn new(local: Arc<LocalTier>, key: Bytes, flight: NewFlight) -> Self {
        let NewFlight { id, receiver, sender } = flight;
        Leader { local, key, id, receiver, sender: Some(sender) }
    }

    pub(super) fn complete(mut self, outcome: FlightResult) {
        // Removed from the table first: a later read must not join a flight that has ended.
        self.local.end_flight(&self.key, self.id);
        if let Some(sender) = self.sender.take() {
            sender.send(outcome);
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let Some(sender) = self.sender.take() else { return };
        self.local.end_flight(&self.key, self.id);
        if std::thread::panicking() {
            sender.send(Err(Error::load_panicked()));
        }
    }
}
