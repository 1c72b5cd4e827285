//! The read rule: memory, then a flight; the flight asks Redis, then the loader.

use std::error::Error as StdError;
use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use crate::codec::AnyValue;
use crate::engine::flight::Leader;
use crate::engine::{ClassCore, Engine, Tags, Wanted, owned};
use crate::error::Error;
use crate::key::KeyBuf;
use crate::local::Departure;
use crate::local::landing::{Brought, Landing, Outcome};
use crate::policy::Consistency;
use crate::source::Source;
use crate::stats::count;
use crate::uncached::is_uncached;

/// One read's answer.
pub(crate) struct Found {
    pub(crate) value: Option<AnyValue>,
    pub(crate) source: Source,
    /// Another read of this process led the flight that brought it.
    pub(crate) joined: bool,
}

impl Found {
    fn led(brought: Brought) -> Self {
        Found { value: brought.value, source: brought.source, joined: false }
    }
}

impl Engine {
    /// Reads `key` as strongly as asked, calling `load` at most once.
    pub(crate) async fn read<L, F, E>(
        &self,
        class: &ClassCore,
        key: &KeyBuf,
        tags: impl FnOnce() -> Tags,
        consistency: Consistency,
        load: L,
    ) -> Result<Found, Error>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<AnyValue>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        if !class.is_on(self) || is_uncached() {
            count(&class.common.counters.bypasses);
            let value = self.load(class, load()).await?.value;
            return Ok(Found { value, source: Source::Bypass, joined: false });
        }
        if consistency == Consistency::Bounded
            && let Some(found) = self.read_memory(class, key)
        {
            return Ok(found);
        }
        self.read_by_flight(class, Wanted { key: owned(key), tags: tags() }, consistency, load).await
    }

    /// The hit: no await, no lock of ours.
    pub(crate) fn read_memory(&self, class: &ClassCore, key: &[u8]) -> Option<Found> {
        let is_guarded = self.is_guarded();
        let copy = self.local.get(key, self.clock.now(), is_guarded)?;
        count(&class.common.counters.memory_hits);
        if copy.value.is_none() {
            count(&class.common.counters.absent_hits);
        }
        if !is_guarded && self.guard.is_some() {
            count(&class.common.counters.outage_hits);
        }
        Some(Found { value: copy.value.clone(), source: Source::Memory, joined: false })
    }

    /// What a tier has under `key` now; never loads.
    pub(crate) async fn peek(
        &self,
        class: &ClassCore,
        key: &KeyBuf,
        tags: impl FnOnce() -> Tags,
    ) -> Option<Found> {
        if !class.is_on(self) || is_uncached() {
            return None;
        }
        if let Some(found) = self.read_memory(class, key) {
            return Some(found);
        }
        let found = match self.usable() {
            // Nothing that stands there is a value of a memory-only class.
            Some((shared, stretch)) if !class.memory_only => {
                let wanted = Wanted { key: owned(key), tags: tags() };
                self.peek_redis(class, &wanted, shared, stretch).await.map(Found::led)
            }
            _ => None,
        };
        if found.is_none() {
            count(&class.common.counters.get_misses);
        }
        found
    }

    async fn read_by_flight<L, F, E>(
        &self,
        class: &ClassCore,
        wanted: Wanted,
        consistency: Consistency,
        load: L,
    ) -> Result<Found, Error>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<AnyValue>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        let (arrival, began) = (self.local.next_flight(), self.clock.now());
        loop {
            let (now, bound) = (self.clock.now(), self.bound_here());
            match self.local.depart(&wanted.key, &wanted.tags, consistency, arrival, now, bound) {
                Departure::Join(landing) => {
                    let Ok(outcome) = timeout(self.patience(), landing.outcome()).await else {
                        return self.load_alone(class, load).await;
                    };
                    // No outcome: the leader was cancelled, and this read tries for itself.
                    let Some(outcome) = outcome else { continue };
                    let brought = outcome?;
                    if brought.is_spoiled() {
                        // Its load was spoiled. Not by another flight: readers whose loads are all spoiled would queue up.
                        return self.load_alone(class, load).await;
                    }
                    if consistency == Consistency::Bounded && began >= brought.good_until {
                        continue;
                    }
                    count(&class.common.counters.joins);
                    return Ok(Found { joined: true, ..Found::led(brought) });
                }
                Departure::After(landing) => {
                    if timeout(self.patience(), landing.outcome()).await.is_err() {
                        return self.load_alone(class, load).await;
                    }
                    count(&class.common.counters.passed_flights);
                }
                Departure::Lead(id, landing, flown) => {
                    let leader = Leader::new(&self.local, wanted.key.clone(), id, flown);
                    let outcome = self.fly(class, &wanted, &leader, &landing, load).await;
                    leader.land(outcome.clone().map(Brought::shareable));
                    return outcome.map(Found::led);
                }
            }
        }
    }

    /// Longer than a flight takes whose leader is not itself held up: one that waits for another instance, and then loads.
    fn patience(&self) -> Duration {
        3 * self.limits.load_timeout
    }

    /// The leader is held up by whoever asked it, and its time-out with it: nobody waits for that.
    async fn load_alone<L, F, E>(&self, class: &ClassCore, load: L) -> Result<Found, Error>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<AnyValue>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        let loaded = self.load(class, load()).await?;
        Ok(Found { source: loaded.beside(), value: loaded.value, joined: false })
    }

    async fn fly<L, F, E>(
        &self,
        class: &ClassCore,
        wanted: &Wanted,
        leader: &Leader<'_>,
        landing: &Landing,
        load: L,
    ) -> Outcome
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<AnyValue>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        match self.usable() {
            Some(usable) if class.memory_only => {
                self.read_anchored(class, wanted, usable, leader.id(), load).await
            }
            Some(usable) => self.read_redis(class, wanted, usable, leader.id(), landing, load).await,
            None => {
                if self.shared.is_some() {
                    count(&class.common.counters.untiered_loads);
                }
                self.load_into_memory(class, wanted, leader.id(), load()).await
            }
        }
    }
}
