//! A read asks memory, then leads or joins a flight; see `flight`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::clock::Tick;
use crate::codec::AnyValue;
use crate::engine::call::Loading;
use crate::engine::flight::Leader;
use crate::engine::{ClassCore, Engine, EntryRef, Tags};
use crate::error::Error;
use crate::events::{Event, HitSource, MissReason};
use crate::key::KeyBuf;
use crate::loaded::AnyPrevious;
use crate::local::copy::LocalCopy;
use crate::local::outcome::LoadOutcome;
use crate::policy::Consistency;
use crate::protocol::aging::Age;
use crate::protocol::flight::JoinDecision;
use crate::protocol::rules::ProtocolRule;
use crate::source::Source;
use crate::stats::count;
use crate::uncached::is_uncached;

/// The answer of one read.
pub(crate) struct ReadOutcome {
    pub(crate) value: Option<AnyValue>,
    pub(crate) source: Source,
    /// Whether another read of this process led the flight.
    pub(crate) is_shared: bool,
    /// How long ago the TTL ended; `None` if it has not.
    pub(crate) stale_by: Option<Duration>,
    /// As `LoadOutcome::loaded_at_millis`.
    pub(crate) loaded_at_millis: u64,
    /// The instant at which a copy in memory was valid; [`Tick::PAST`] if memory did not answer.
    pub(crate) began: Tick,
}

impl ReadOutcome {
    fn led(loaded: LoadOutcome) -> Self {
        let LoadOutcome { value, source, stale_by, loaded_at_millis, .. } = loaded;
        ReadOutcome { value, source, is_shared: false, stale_by, loaded_at_millis, began: Tick::PAST }
    }

    /// A value that was loaded beside the tiers.
    fn beside(value: Option<AnyValue>, source: Source) -> Self {
        let (loaded_at_millis, began) = (0, Tick::PAST);
        ReadOutcome { value, source, is_shared: false, stale_by: None, loaded_at_millis, began }
    }
}

/// How one read wants to be answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadOptions {
    /// `None`: the consistency of the class.
    pub(crate) consistency: Option<Consistency>,
    /// How long the read waits for an answer of the tiers or of a flight. `None`: until there is one.
    pub(crate) soft_timeout: Option<Duration>,
}

impl ReadOptions {
    /// The read's own consistency, or else its class's.
    #[inline]
    fn of(self, class: &ClassCore) -> Consistency {
        self.consistency.unwrap_or(class.consistency)
    }

    #[inline]
    pub(crate) fn is_bounded(self, class: &ClassCore) -> bool {
        self.of(class) == Consistency::Bounded
    }
}

/// A copy that may answer a read, and what the read has found out about it.
pub(crate) struct Found {
    copy: Arc<LocalCopy>,
    /// Drawn by lot if the class refreshes early, so a read computes it once.
    age: Age,
    /// The instant at which the copy was valid.
    at: Tick,
    is_guarded: bool,
}

impl Engine {
    /// Answers a read from memory, if the read is bounded and memory has a valid copy that needs no refresh. It is the
    /// path of most reads: it takes no lock of larder's own, allocates nothing and does not await.
    ///
    /// # Errors
    /// If there is no such copy, the one that may answer the read and is to be refreshed; else `None`.
    #[inline]
    pub(crate) fn hit(
        &self,
        class: &ClassCore,
        key: &KeyBuf,
        options: ReadOptions,
    ) -> Result<ReadOutcome, Option<Found>> {
        if !class.caches(self, key) || !options.is_bounded(class) || is_uncached() {
            return Err(None);
        }
        match self.find(class, key) {
            Some(found) if found.age == Age::Fresh => Ok(self.serve_memory(class, key, &found)),
            found => Err(found.filter(|found| found.age == Age::Refresh)),
        }
    }

    /// Reads `key`. If this read has to load the value itself, it calls `begin_load` once and runs the load that
    /// `begin_load` returns.
    pub(crate) async fn read(
        self: &Arc<Self>,
        class: &Arc<ClassCore>,
        key: &KeyBuf,
        tags: impl FnOnce() -> Tags,
        options: ReadOptions,
        begin_load: impl FnOnce(Option<AnyPrevious>) -> Loading,
    ) -> Result<ReadOutcome, Error> {
        match self.hit(class, key, options) {
            Ok(hit) => Ok(hit),
            Err(aged) => self.complete(class, (key, aged), tags, options, begin_load).await,
        }
    }

    /// Completes a read of `key` that [`Engine::hit`] did not answer; `aged` is the copy that it returned.
    pub(crate) async fn complete(
        self: &Arc<Self>,
        class: &Arc<ClassCore>,
        (key, aged): (&KeyBuf, Option<Found>),
        tags: impl FnOnce() -> Tags,
        options: ReadOptions,
        begin_load: impl FnOnce(Option<AnyPrevious>) -> Loading,
    ) -> Result<ReadOutcome, Error> {
        if !class.caches(self, key) || is_uncached() {
            // No soft time-out: this future itself runs the load, so a time-out would end the load and not only the
            // wait.
            count(&class.common.counters.bypasses);
            self.miss(key, MissReason::Bypass);
            let value = self.load(class, key, None, begin_load(None)).await?.value;
            return Ok(ReadOutcome::beside(value, Source::Bypass));
        }
        let entry_ref = EntryRef::new(key, tags());
        if let Some(found) = aged {
            let until = options.soft_timeout.map(|limit| Instant::now() + limit);
            let refresh = self.refresh_until(until, class, entry_ref, &found.copy, begin_load);
            self.budgeted(class, refresh).await;
            return Ok(self.serve_memory(class, key, &found));
        }
        self.budgeted(class, self.read_past_memory(class, entry_ref, options, begin_load)).await
    }

    /// Reads a key of which memory has no answer.
    async fn read_past_memory(
        self: &Arc<Self>,
        class: &Arc<ClassCore>,
        entry_ref: EntryRef,
        options: ReadOptions,
        begin_load: impl FnOnce(Option<AnyPrevious>) -> Loading,
    ) -> Result<ReadOutcome, Error> {
        let is_bounded = options.is_bounded(class);
        let may_be_stale = is_bounded && class.declared_policy.aging().is_stale_if_error();
        let known = may_be_stale.then(|| (entry_ref.clone(), self.known_before(class, &entry_ref)));
        let until = options.soft_timeout.map(|limit| Instant::now() + limit);
        let answer = self.read_by_flight(class, entry_ref, (options.of(class), until), begin_load);
        let answer = match options.soft_timeout {
            None => answer.await,
            // Dropping `answer` ends this read's wait. The load goes on in its own task.
            Some(limit) => timeout(limit, answer).await.unwrap_or_else(|_| {
                count(&class.common.counters.soft_timeouts);
                Err(Error::soft_timeout(&class.name, limit))
            }),
        };
        match (answer, known) {
            (Err(error), Some((entry_ref, before))) => {
                self.last_known(class, &entry_ref, before).await.ok_or(error)
            }
            (answer, _) => answer,
        }
    }

    /// Returns the copy in memory that a read may be answered with, of whatever age.
    #[inline]
    fn find(&self, class: &ClassCore, key: &[u8]) -> Option<Found> {
        // The clock is read once, and first: the answer may be judged at any instant after the read began.
        let at = self.clock.now();
        let is_guarded = self.is_guarded_at(at);
        let copy = self.local.get(key, at, is_guarded)?;
        let age = class.age(&copy, at);
        Some(Found { copy, age, at, is_guarded })
    }

    /// Answers a hit in memory.
    #[inline]
    fn serve_memory(&self, class: &ClassCore, key: &[u8], found: &Found) -> ReadOutcome {
        let (counters, copy) = (&class.common.counters, &found.copy);
        counters.memory_hits.count();
        if copy.value.is_none() {
            count(&counters.absent_hits);
        }
        if self.guard.is_some() && !found.is_guarded {
            count(&counters.outage_hits);
        }
        let stale_by = copy.stale_by(found.at);
        if stale_by.is_some() {
            count(&counters.stale_hits);
        }
        self.events.hit(key, HitSource::Memory, copy.value.is_none(), stale_by.is_some());
        let (value, loaded_at_millis) = (copy.value.clone(), copy.loaded_at_millis);
        let (source, is_shared) = (Source::Memory, false);
        ReadOutcome { value, source, is_shared, stale_by, loaded_at_millis, began: found.at }
    }

    /// Answers from memory, unless the copy has to be loaded again.
    fn read_memory(&self, class: &ClassCore, key: &[u8]) -> Option<ReadOutcome> {
        let found = self.find(class, key).filter(|found| found.age != Age::Reload)?;
        Some(self.serve_memory(class, key, &found))
    }

    /// Returns `None` in production. In a proof that breaks the rule [`ProtocolRule::ServesStaleOnlyValid`], returns
    /// the copy that memory has before the load.
    fn known_before(&self, class: &ClassCore, entry_ref: &EntryRef) -> Option<Found> {
        if self.rules.keeps(ProtocolRule::ServesStaleOnlyValid) {
            return None;
        }
        self.find(class, &entry_ref.key)
    }

    /// Looks up the entry that answers a read whose load failed. The look-up comes after the failure: if an
    /// invalidation removed the entry during the load, the read must not be answered with it.
    async fn last_known(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        before: Option<Found>,
    ) -> Option<ReadOutcome> {
        let found = match before.or_else(|| self.find(class, &entry_ref.key)) {
            Some(found) => Some(self.serve_memory(class, &entry_ref.key, &found)),
            None if class.is_memory_only => None,
            None => {
                let tier = self.usable_tier()?;
                self.peek_redis(class, entry_ref, tier, |_| true).await.map(ReadOutcome::led)
            }
        }?;
        // If another read's load has succeeded meanwhile, the entry is fresh.
        if found.stale_by.is_some() {
            count(&class.common.counters.stale_on_error);
        }
        Some(found)
    }

    /// Returns the value that a tier has under `key` now; never loads. [`Engine::hit`] was asked before; `aged` is the copy
    /// that it returned.
    pub(crate) async fn peek(
        &self,
        class: &ClassCore,
        (key, aged): (&KeyBuf, Option<Found>),
        tags: impl FnOnce() -> Tags,
    ) -> Option<ReadOutcome> {
        if !class.caches(self, key) || is_uncached() {
            return None;
        }
        if let Some(found) = aged {
            return Some(self.serve_memory(class, key, &found));
        }
        let found = match self.usable_tier() {
            // Redis holds no values of a memory-only class.
            Some(tier) if !class.is_memory_only => {
                let entry_ref = EntryRef::new(key, tags());
                let peek = self.peek_redis(class, &entry_ref, tier, |age| age != Age::Reload);
                self.budgeted(class, peek).await.map(ReadOutcome::led)
            }
            _ => None,
        };
        if found.is_none() {
            count(&class.common.counters.get_misses);
            self.miss(key, MissReason::NotCached);
        }
        found
    }

    async fn read_by_flight(
        self: &Arc<Self>,
        class: &Arc<ClassCore>,
        entry_ref: EntryRef,
        (consistency, until): (Consistency, Option<Instant>),
        begin_load: impl FnOnce(Option<AnyPrevious>) -> Loading,
    ) -> Result<ReadOutcome, Error> {
        let (arrival, began) = (self.local.next_flight(), self.clock.now());
        loop {
            let (now, bound) = (self.clock.now(), self.bound_less_resolution());
            match self.local.join_or_lead(&entry_ref.key, &entry_ref.tags, consistency, arrival, now, bound) {
                JoinDecision::Join(flight) => {
                    let Ok(outcome) = timeout(class.flight_timeout(), flight.outcome()).await else {
                        self.miss(&entry_ref.key, MissReason::WaitTimedOut);
                        return self.load_alone(class, &entry_ref.key, begin_load(None)).await;
                    };
                    // There is no outcome, because the flight was cancelled. This read then joins or leads another
                    // flight.
                    let Some(outcome) = outcome else { continue };
                    let loaded = outcome?;
                    if loaded.is_spoiled() {
                        // This read loads outside a flight. If it led another flight, and all loads of the key are
                        // spoiled, the readers of the key would load one after the other.
                        self.miss(&entry_ref.key, MissReason::NotCached);
                        return self.load_alone(class, &entry_ref.key, begin_load(None)).await;
                    }
                    if consistency == Consistency::Bounded && began >= loaded.valid_until {
                        continue;
                    }
                    count(&class.common.counters.joins);
                    let (is_absent, is_stale) = (loaded.value.is_none(), loaded.stale_by.is_some());
                    self.events.hit(&entry_ref.key, HitSource::Flight, is_absent, is_stale);
                    return Ok(ReadOutcome { is_shared: true, ..ReadOutcome::led(loaded) });
                }
                JoinDecision::Wait(flight) => {
                    let Ok(outcome) = timeout(class.flight_timeout(), flight.ended()).await else {
                        self.miss(&entry_ref.key, MissReason::WaitTimedOut);
                        return self.load_alone(class, &entry_ref.key, begin_load(None)).await;
                    };
                    count(&class.common.counters.passed_flights);
                    // A bounded read returns the flight's error, however long ago the flight began. Otherwise each read
                    // that waited would wait for one more load that fails.
                    if let (Consistency::Bounded, Some(Err(error))) = (consistency, outcome) {
                        return Err(error);
                    }
                    // If the flight stored its value in memory, and no invalidation has removed it since, the read
                    // returns it.
                    if consistency == Consistency::Bounded
                        && let Some(found) = self.read_memory(class, &entry_ref.key)
                    {
                        return Ok(found);
                    }
                }
                JoinDecision::Lead(new) => {
                    let leader = Leader::new(self.local.clone(), entry_ref.key.clone(), new);
                    let outcome = self.lead(class, entry_ref, leader, (consistency, until), begin_load).await;
                    return outcome.map(ReadOutcome::led);
                }
            }
        }
    }

    pub(super) fn miss(&self, key: &[u8], reason: MissReason) {
        self.events.send_of_read(|events| Event::Miss { entry: events.entry(key), reason });
    }

    /// Loads without a flight: after the flight time-out, or if the joined load was spoiled. Followers have a time-out
    /// of their own, because a loader that blocks its thread also stops the flight's own time-out.
    async fn load_alone(
        &self,
        class: &ClassCore,
        key: &[u8],
        loading: Loading,
    ) -> Result<ReadOutcome, Error> {
        let loaded = self.load(class, key, None, loading).await?;
        let source = loaded.beside();
        Ok(ReadOutcome::beside(loaded.value, source))
    }
}

impl ClassCore {
    /// How long a read waits for a flight. A flight whose task can run takes less: it waits for another instance for at
    /// most one load time-out, and its own load takes at most one more.
    fn flight_timeout(&self) -> Duration {
        self.load_timeout.saturating_mul(3)
    }
}
