//! The read rule: memory, then a flight; the flight asks Redis, then the loader.

use std::error::Error as StdError;
use std::future::Future;

use bytes::Bytes;

use crate::codec::AnyValue;
use crate::engine::flight::Leader;
use crate::engine::{ClassCore, Engine, owned};
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
        consistency: Consistency,
        load: L,
    ) -> Result<Found, Error>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<AnyValue>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        if !class.is_on(self) || is_uncached() {
            count(&class.counters.bypasses);
            let value = self.load(class, load()).await?;
            return Ok(Found { value, source: Source::Bypass, joined: false });
        }
        if consistency == Consistency::Bounded
            && let Some(found) = self.read_memory(class, key)
        {
            return Ok(found);
        }
        self.read_by_flight(class, owned(key), consistency, load).await
    }

    /// The hit: no await, no lock of ours.
    pub(crate) fn read_memory(&self, class: &ClassCore, key: &[u8]) -> Option<Found> {
        let copy = self.local.get(key, self.clock.now(), self.is_guarded())?;
        count(&class.counters.memory_hits);
        Some(Found { value: copy.value.clone(), source: Source::Memory, joined: false })
    }

    /// What a tier has under `key` now; never loads.
    pub(crate) async fn peek(&self, class: &ClassCore, key: &KeyBuf) -> Option<Found> {
        if !class.is_on(self) || is_uncached() {
            return None;
        }
        if let Some(found) = self.read_memory(class, key) {
            return Some(found);
        }
        let shared = self.usable()?;
        self.peek_redis(class, &owned(key), shared).await.map(Found::led)
    }

    async fn read_by_flight<L, F, E>(
        &self,
        class: &ClassCore,
        key: Bytes,
        consistency: Consistency,
        load: L,
    ) -> Result<Found, Error>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<AnyValue>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        let arrival = self.local.next_flight();
        loop {
            let (now, bound) = (self.clock.now(), self.bound_here());
            match self.local.depart(&key, &class.tags, consistency, arrival, now, bound) {
                Departure::Join(landing) => {
                    // No outcome: the leader was cancelled, and this read tries for itself.
                    let Some(outcome) = landing.outcome().await else { continue };
                    let brought = outcome?;
                    count(&class.counters.joins);
                    return Ok(Found { joined: true, ..Found::led(brought) });
                }
                Departure::After(landing) => {
                    landing.outcome().await;
                }
                Departure::Lead(id, landing, flown) => {
                    let leader = Leader::new(&self.local, key.clone(), id, flown);
                    let outcome = self.fly(class, &key, &leader, &landing, load).await;
                    leader.land(outcome.clone());
                    return outcome.map(Found::led);
                }
            }
        }
    }

    async fn fly<L, F, E>(
        &self,
        class: &ClassCore,
        key: &Bytes,
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
            Some(shared) => self.read_redis(class, key, shared, leader.id(), landing, load).await,
            None => self.load_into_memory(class, key, leader.id(), load()).await,
        }
    }
}
