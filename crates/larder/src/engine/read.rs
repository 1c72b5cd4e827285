//! A read asks memory, then runs or joins a flight; the flight asks Redis, then the loader.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use crate::codec::AnyValue;
use crate::engine::flight::Leader;
use crate::engine::{ClassCore, Engine, EntryRef, Tags, owned};
use crate::error::{BoxError, Error};
use crate::key::KeyBuf;
use crate::local::NewFlight;
use crate::local::outcome::{FlightReceiver, FlightResult, LoadOutcome};
use crate::policy::Consistency;
use crate::protocol::flight::JoinDecision;
use crate::source::Source;
use crate::stats::count;
use crate::uncached::is_uncached;

/// The answer of one read.
pub(crate) struct ReadOutcome {
    pub(crate) value: Option<AnyValue>,
    pub(crate) source: Source,
    /// Whether another read of this process led the flight.
    pub(crate) is_shared: bool,
}

impl ReadOutcome {
    fn led(loaded: LoadOutcome) -> Self {
        ReadOutcome { value: loaded.value, source: loaded.source, is_shared: false }
    }
}

impl Engine {
    /// Reads `key` with the given consistency; calls `load` at most once.
    pub(crate) async fn read<L, F>(
        &self,
        class: &ClassCore,
        key: &KeyBuf,
        tags: impl FnOnce() -> Tags,
        consistency: Consistency,
        load: L,
    ) -> Result<ReadOutcome, Error>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<AnyValue>, BoxError>>,
    {
        if !class.is_on(self) || is_uncached() {
            count(&class.common.counters.bypasses);
            let value = self.load(class, load()).await?.value;
            return Ok(ReadOutcome { value, source: Source::Bypass, is_shared: false });
        }
        if consistency == Consistency::Bounded
            && let Some(found) = self.read_memory(class, key)
        {
            return Ok(found);
        }
        self.read_by_flight(class, EntryRef { key: owned(key), tags: tags() }, consistency, load).await
    }

    /// Answers a hit in memory, without an await and without a lock of larder's.
    pub(crate) fn read_memory(&self, class: &ClassCore, key: &[u8]) -> Option<ReadOutcome> {
        let is_guarded = self.is_guarded();
        let copy = self.local.get(key, self.clock.now(), is_guarded)?;
        count(&class.common.counters.memory_hits);
        if copy.value.is_none() {
            count(&class.common.counters.absent_hits);
        }
        if !is_guarded && self.guard.is_some() {
            count(&class.common.counters.outage_hits);
        }
        Some(ReadOutcome { value: copy.value.clone(), source: Source::Memory, is_shared: false })
    }

    /// Returns the value that a tier has under `key` now; never loads.
    pub(crate) async fn peek(
        &self,
        class: &ClassCore,
        key: &KeyBuf,
        tags: impl FnOnce() -> Tags,
    ) -> Option<ReadOutcome> {
        if !class.is_on(self) || is_uncached() {
            return None;
        }
        if let Some(found) = self.read_memory(class, key) {
            return Some(found);
        }
        let found = match self.usable_tier() {
            // Redis holds no values of a memory-only class.
            Some((shared, epoch)) if !class.is_memory_only => {
                let entry_ref = EntryRef { key: owned(key), tags: tags() };
                self.peek_redis(class, &entry_ref, shared, epoch).await.map(ReadOutcome::led)
            }
            _ => None,
        };
        if found.is_none() {
            count(&class.common.counters.get_misses);
        }
        found
    }

    async fn read_by_flight<L, F>(
        &self,
        class: &ClassCore,
        entry_ref: EntryRef,
        consistency: Consistency,
        load: L,
    ) -> Result<ReadOutcome, Error>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<AnyValue>, BoxError>>,
    {
        let (arrival, began) = (self.local.next_flight(), self.clock.now());
        loop {
            let (now, bound) = (self.clock.now(), self.local_bound());
            match self.local.join_or_lead(&entry_ref.key, &entry_ref.tags, consistency, arrival, now, bound) {
                JoinDecision::Join(flight) => {
                    let Ok(outcome) = timeout(self.flight_timeout(), flight.outcome()).await else {
                        return self.load_alone(class, load).await;
                    };
                    // There is no outcome because the leader was cancelled: this read joins or leads another flight.
                    let Some(outcome) = outcome else { continue };
                    let loaded = outcome?;
                    if loaded.is_spoiled() {
                        // The load was spoiled. This read loads outside a flight: otherwise, if all loads of the key
                        // are spoiled, its readers would load one after the other.
                        return self.load_alone(class, load).await;
                    }
                    if consistency == Consistency::Bounded && began >= loaded.valid_until {
                        continue;
                    }
                    count(&class.common.counters.joins);
                    return Ok(ReadOutcome { is_shared: true, ..ReadOutcome::led(loaded) });
                }
                JoinDecision::Wait(flight) => {
                    if timeout(self.flight_timeout(), flight.outcome()).await.is_err() {
                        return self.load_alone(class, load).await;
                    }
                    count(&class.common.counters.passed_flights);
                }
                JoinDecision::Lead(NewFlight { id, receiver, sender }) => {
                    let leader = Leader::new(&self.local, entry_ref.key.clone(), id, sender);
                    let outcome = self.run_flight(class, &entry_ref, &leader, &receiver, load).await;
                    leader.complete(outcome.clone().map(LoadOutcome::shareable));
                    return outcome.map(ReadOutcome::led);
                }
            }
        }
    }

    /// Longer than any flight takes while its task runs: the leader waits for another instance, at most one load
    /// time-out, and then loads, at most another load time-out.
    fn flight_timeout(&self) -> Duration {
        3 * self.limits.load_timeout
    }

    /// Loads without a flight: after the flight time-out, or if the joined load was spoiled. A leader runs in its
    /// caller's task. If that task is not polled, the leader's load time-out does not fire, so followers need a
    /// time-out of their own.
    async fn load_alone<L, F>(&self, class: &ClassCore, load: L) -> Result<ReadOutcome, Error>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<AnyValue>, BoxError>>,
    {
        let loaded = self.load(class, load()).await?;
        Ok(ReadOutcome { source: loaded.beside(), value: loaded.value, is_shared: false })
    }

    async fn run_flight<L, F>(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        leader: &Leader<'_>,
        receiver: &FlightReceiver,
        load: L,
    ) -> FlightResult
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<AnyValue>, BoxError>>,
    {
        match self.usable_tier() {
            Some(validity) if class.is_memory_only => {
                self.read_anchored(class, entry_ref, validity, leader.id(), load).await
            }
            Some(validity) => self.read_redis(class, entry_ref, validity, leader.id(), receiver, load).await,
            None => {
                if self.shared.is_some() {
                    count(&class.common.counters.untiered_loads);
                }
                self.load_into_memory(class, entry_ref, leader.id(), load()).await
            }
        }
    }
}
