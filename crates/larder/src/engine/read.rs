//! A read asks memory, then leads or joins a flight; see `flight`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::codec::AnyValue;
use crate::engine::flight::Leader;
use crate::engine::load::Loading;
use crate::engine::{ClassCore, Engine, EntryRef, Tags, owned};
use crate::error::Error;
use crate::key::KeyBuf;
use crate::local::outcome::LoadOutcome;
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

/// How one read wants to be answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadOptions {
    pub(crate) consistency: Consistency,
    /// How long the read waits for an answer of the tiers or of a flight. `None`: until there is one.
    pub(crate) soft_timeout: Option<Duration>,
}

impl Engine {
    /// Reads `key`. If a load is needed that no other read has begun, calls `begin_load` once, and runs what it returns.
    pub(crate) async fn read(
        self: &Arc<Self>,
        class: &Arc<ClassCore>,
        key: &KeyBuf,
        tags: impl FnOnce() -> Tags,
        options: ReadOptions,
        begin_load: impl FnOnce() -> Loading,
    ) -> Result<ReadOutcome, Error> {
        let may_store = class.is_on(self) && !is_uncached();
        if may_store
            && options.consistency == Consistency::Bounded
            && let Some(found) = self.read_memory(class, key)
        {
            return Ok(found);
        }
        if !may_store {
            // This load belongs to its reader, so it has no soft time-out, which would end it.
            count(&class.common.counters.bypasses);
            let value = self.load(class, begin_load()).await?.value;
            return Ok(ReadOutcome { value, source: Source::Bypass, is_shared: false });
        }
        let entry_ref = EntryRef { key: owned(key), tags: tags() };
        // Boxed, so that the future of a hit stays small.
        let answer = Box::pin(self.read_by_flight(class, entry_ref, options.consistency, begin_load));
        let Some(limit) = options.soft_timeout else { return answer.await };
        // Dropping `answer` ends this read's wait. The load goes on in its own task.
        timeout(limit, answer).await.unwrap_or_else(|_| {
            count(&class.common.counters.soft_timeouts);
            Err(Error::soft_timeout(&class.name, limit))
        })
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

    async fn read_by_flight(
        self: &Arc<Self>,
        class: &Arc<ClassCore>,
        entry_ref: EntryRef,
        consistency: Consistency,
        begin_load: impl FnOnce() -> Loading,
    ) -> Result<ReadOutcome, Error> {
        let (arrival, began) = (self.local.next_flight(), self.clock.now());
        loop {
            let (now, bound) = (self.clock.now(), self.local_bound());
            match self.local.join_or_lead(&entry_ref.key, &entry_ref.tags, consistency, arrival, now, bound) {
                JoinDecision::Join(flight) => {
                    let Ok(outcome) = timeout(class.flight_timeout(), flight.outcome()).await else {
                        return self.load_alone(class, begin_load()).await;
                    };
                    // There is no outcome because the flight was cancelled: this read joins or leads another flight.
                    let Some(outcome) = outcome else { continue };
                    let loaded = outcome?;
                    if loaded.is_spoiled() {
                        // The load was spoiled. This read loads outside a flight: otherwise, if all loads of the key
                        // are spoiled, its readers would load one after the other.
                        return self.load_alone(class, begin_load()).await;
                    }
                    if consistency == Consistency::Bounded && began >= loaded.valid_until {
                        continue;
                    }
                    count(&class.common.counters.joins);
                    return Ok(ReadOutcome { is_shared: true, ..ReadOutcome::led(loaded) });
                }
                JoinDecision::Wait(flight) => {
                    let Ok(outcome) = timeout(class.flight_timeout(), flight.ended()).await else {
                        return self.load_alone(class, begin_load()).await;
                    };
                    count(&class.common.counters.passed_flights);
                    // An error has no age. Otherwise each read that waited would wait for one more load that fails.
                    if let (Consistency::Bounded, Some(Err(error))) = (consistency, outcome) {
                        return Err(error);
                    }
                    // The flight may have stored its value in memory, and no invalidation has removed it since.
                    if consistency == Consistency::Bounded
                        && let Some(found) = self.read_memory(class, &entry_ref.key)
                    {
                        return Ok(found);
                    }
                }
                JoinDecision::Lead(new) => {
                    let leader = Leader::new(self.local.clone(), entry_ref.key.clone(), new);
                    let outcome = self.lead(class, entry_ref, leader, begin_load).await;
                    return outcome.map(ReadOutcome::led);
                }
            }
        }
    }

    /// Loads without a flight: after the flight time-out, or if the joined load was spoiled. A loader that blocks its
    /// thread stops the flight's own time-out too, so followers need a time-out of their own.
    async fn load_alone(&self, class: &ClassCore, loading: Loading) -> Result<ReadOutcome, Error> {
        let loaded = self.load(class, loading).await?;
        Ok(ReadOutcome { source: loaded.beside(), value: loaded.value, is_shared: false })
    }
}

impl ClassCore {
    /// Longer than any flight takes while its task runs: it waits for another instance, at most one load time-out, and
    /// then loads, at most another load time-out.
    fn flight_timeout(&self) -> Duration {
        self.load_timeout.saturating_mul(3)
    }
}
