//! Runs the loader, and stores its value in memory if the flight does not go through Redis.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::select;
use tokio::time::{sleep, timeout_at};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::clock::Tick;
use crate::codec::AnyValue;
use crate::engine::call::{BatchPlaces, Loading, StoringPlace};
use crate::engine::plan::{LeaseHold, LoadBegin, LoadPlan, LoadStart, MemoryRight};
use crate::engine::{ClassCore, Engine, EntryRef, SharedTier};
use crate::error::{Error, ErrorKind};
use crate::events::{Event, LoadEnd};
use crate::loaded::{AnyLoaded, AnyPrevious, Loaded, LoadedKind};
use crate::loading::run_load;
use crate::local::copy::{CopyKey, LocalCopy, TagCells};
use crate::local::origin::Origin;
use crate::local::outcome::{FlightResult, LoadOutcome};
use crate::local::permit::LocalPermit;
use crate::local::tag_cell::TagCell;
use crate::protocol::rules::ProtocolRule;
use crate::remote::Unchanged;
use crate::source::{NotStoredReason, Placement, Source};
use crate::stats::{count, count_nth};

/// The result of a loader.
pub(crate) struct LoadedValue {
    pub(crate) value: Option<AnyValue>,
    /// If true, the value must not be stored, and only the read whose loader returned it gets it.
    pub(crate) is_spoiled: bool,
    /// The TTL that the loader asked for.
    pub(crate) ttl: Option<Duration>,
    /// The version that the loader named.
    pub(crate) version: Option<Arc<str>>,
    /// How long the load took.
    pub(crate) took: Duration,
    /// Held until the value is stored.
    pub(crate) place: Option<StoringPlace>,
}

/// The condition under which the value of a running load can be stored.
pub(super) enum StoreCondition<'a> {
    /// This lease is in Redis, and what must be unchanged beside it is unchanged.
    Lease(&'a SharedTier, &'a LeaseHold, Unchanged<'a>),
    /// This permit is valid, and so is each of these cells, for a copy of this origin.
    Permit(&'a LocalPermit, &'a [Arc<TagCell>]),
    /// The flight is attached, and this instant, the end of the residence, has not passed.
    Memory(Tick),
    /// The value is never stored.
    Never,
}

/// The interval at which a running load renews its lease, or checks its condition if it has no lease. A lease lives for
/// 3 s, so two renewals in a row may fail.
const RENEW_INTERVAL: Duration = Duration::from_secs(1);

impl LoadedValue {
    /// The source of an answer whose load ran in parallel to another one.
    pub(crate) fn beside(&self) -> Source {
        let why = if self.is_spoiled { NotStoredReason::Spoiled } else { NotStoredReason::Parallel };
        Source::Load { placement: Placement::Nowhere(why) }
    }
}

impl Engine {
    /// Runs the loader within the class's load time-out, unless the class's breaker is open. `previous` is the value
    /// that the loader may call unchanged.
    pub(crate) async fn load(
        &self,
        class: &ClassCore,
        key: &[u8],
        previous: Option<&AnyPrevious>,
        loading: Loading,
    ) -> Result<LoadedValue, Error> {
        let (began, limit) = (Instant::now(), class.load_timeout);
        let (deadline, places) = ((began + limit).into(), loading.places());
        let Ok(begun) = timeout_at(deadline, loading.begun()).await else {
            // The batch of the key makes no progress, so its loader was not called and the breaker counts nothing.
            count(&class.common.counters.loads);
            count(&class.common.counters.load_failures);
            return Err(Error::load_timeout(&class.name, limit));
        };
        let Some((loading, call)) = begun else { return Err(Error::load_ended()) };
        if !call.is_admitted(class, &self.clock) {
            count(&class.common.counters.breaker_refusals);
            return Err(Error::breaker_open(&class.name));
        }
        count(&class.common.counters.loads);
        let mut end = LoadNote::new(self, class, key);
        let running = run_load(loading, self.journal.clone()).instrument(end.span.clone());
        // A panic goes on to the read, and the breaker counts it.
        let panicked = PanicNote(|| call.note_end(class, &self.clock, true));
        let mut loaded = match timeout_at(deadline, running).await {
            Ok((Ok(loaded), spoiled)) => {
                resolve(&class.name, loaded, previous).map(|(value, ttl, version)| LoadedValue {
                    value,
                    is_spoiled: spoiled.inspect(|reason| class.note_spoiled(reason)).is_some(),
                    ttl,
                    version: version.filter(|version| class.keeps_version(version)),
                    took: began.elapsed(),
                    place: None,
                })
            }
            Ok((Err(error), _)) => Err(Error::load(&class.name, error)),
            Err(_) => Err(Error::load_timeout(&class.name, limit)),
        };
        drop(panicked);
        end.outcome = Some(match &loaded {
            Ok(LoadedValue { value: Some(_), .. }) => LoadEnd::Value,
            Ok(_) => LoadEnd::Absent,
            Err(error) => LoadEnd::Failed(error.kind()),
        });
        drop(end);
        if loaded.is_err() {
            count(&class.common.counters.load_failures);
        }
        call.note_end(class, &self.clock, loaded.is_err());
        if let Ok(loaded) = &mut loaded {
            loaded.place = match places {
                Some(places) => places.storing_place().await,
                None => None,
            };
        }
        loaded
    }

    /// Runs the loader. Each second it renews the load's lease, so that no other instance loads the same meanwhile, and
    /// checks whether the value can still be stored. If not, the flight is detached, so that waiting reads can begin
    /// another one, and the load is stopped once no read waits for its value.
    pub(super) async fn load_while(
        &self,
        class: &ClassCore,
        begin: &LoadBegin,
        condition: StoreCondition<'_>,
        loading: Loading,
    ) -> Result<LoadedValue, Error> {
        let places = loading.places();
        select! {
            // The check comes first: a loader that is always ready would use up the task's budget, and the timer of
            // the check would never fire.
            biased;
            () = self.until_useless(class, begin, condition, places.as_deref()) => Err(Error::load_ended()),
            loaded = self.load(class, &begin.entry_ref.key, begin.previous.as_ref(), loading) => loaded,
        }
    }

    /// Returns when the value of a load can neither be stored nor reach a read.
    async fn until_useless(
        &self,
        class: &ClassCore,
        begin: &LoadBegin,
        condition: StoreCondition<'_>,
        places: Option<&BatchPlaces>,
    ) {
        loop {
            sleep(RENEW_INTERVAL).await;
            if !self.renew_or_check(class, begin, &condition, places).await {
                self.local.end_flight(&begin.entry_ref.key, begin.flight);
                begin.receiver.detach();
                return begin.receiver.abandoned().await;
            }
        }
    }

    /// Renews the load's lease, or checks its other condition. Returns whether the value can still be stored.
    async fn renew_or_check(
        &self,
        class: &ClassCore,
        begin: &LoadBegin,
        condition: &StoreCondition<'_>,
        places: Option<&BatchPlaces>,
    ) -> bool {
        let key = &begin.entry_ref.key;
        if !class.is_on(self) {
            return false;
        }
        match condition {
            // A renewal never sets a lease: if the lease is gone, an invalidation may have removed it, and the fill must
            // be refused. After a fault the lease may still be there: the next renewal shows it.
            StoreCondition::Lease(shared, hold, unchanged) => {
                let Some(key) = hold.key() else { return false };
                let _place = match places {
                    Some(places) => places.renewing_place().await,
                    None => None,
                };
                shared.remote.renew(key, hold.token, *unchanged).await.unwrap_or_else(|fault| {
                    shared.note(fault);
                    true
                })
            }
            StoreCondition::Permit(permit, tags) => {
                let is_guarded = self.is_guarded();
                permit.is_valid() && tags.iter().all(|tag| tag.is_current(Origin::Anchored, is_guarded))
            }
            StoreCondition::Memory(until) => {
                self.local.is_attached(key, begin.flight) && self.clock.now() < *until
            }
            StoreCondition::Never => false,
        }
    }

    /// The plan of a load that does not go through Redis. The tags' tokens are taken before the load begins: if one of
    /// them is invalidated meanwhile, no read serves the copy.
    pub(super) fn plan_memory(&self, entry_ref: &EntryRef) -> LoadPlan {
        LoadPlan::Memory(MemoryRight::Flight, self.local.take_tokens(&entry_ref.tags, self.is_guarded()))
    }

    /// Runs a load that does not go through Redis. Memory stores its value, unless an invalidation by this process or
    /// from the journal ended the right. If no guard reports the copy's changes now, the copy stays no longer than the
    /// staleness bound, counted from the START of the load; see [`Engine::loaded_residence`].
    pub(super) async fn load_into_memory(
        &self,
        class: &ClassCore,
        begin: &LoadBegin,
        (right, tags): (MemoryRight, TagCells),
        loading: Loading,
    ) -> FlightResult {
        let LoadBegin { entry_ref, flight, start, .. } = begin;
        let longest = start.at.plus(self.loaded_residence(class.policy().longest()).1);
        let condition = match &right {
            MemoryRight::Flight => StoreCondition::Memory(longest),
            MemoryRight::Permit(permit) => StoreCondition::Permit(permit, &tags),
        };
        let loaded = self.load_while(class, begin, condition, loading).await?;
        let residence = |total| self.loaded_residence(total);
        self.keep_in_memory(class, *start, loaded, (tags, residence), |copy| {
            let kept = match right {
                MemoryRight::Flight => self.local.insert_loaded(&entry_ref.key, *flight, copy),
                MemoryRight::Permit(permit) => permit.redeem(copy, ProtocolRule::PutsUnderPermit),
            };
            kept.inspect_err(|why| class.note_overtaken_fill(*why))
        })
    }

    /// Stores a loaded value in memory with `insert`, which checks the right. `residence` returns the copy's origin and
    /// how long a copy that could stay so long stays.
    pub(super) fn keep_in_memory(
        &self,
        class: &ClassCore,
        start: LoadStart,
        loaded: LoadedValue,
        (tags, residence_of): (TagCells, impl FnOnce(Duration) -> (Origin, Duration)),
        insert: impl FnOnce(LocalCopy) -> Result<(), NotStoredReason>,
    ) -> FlightResult {
        let valid_until = start.at.plus(self.bound_less_resolution());
        let residence = class.residence(self, &loaded);
        let LoadedValue { value, is_spoiled, version, took, place: _place, .. } = loaded;
        let not_kept = |value, why| Ok(LoadOutcome::not_stored(value, why, valid_until));
        if is_spoiled {
            return not_kept(value, NotStoredReason::Spoiled);
        }
        let Some(residence) = residence else { return not_kept(value, NotStoredReason::Policy) };
        let storable = match self.timed(class, || class.storable(value.as_ref())) {
            Ok(storable) => storable,
            Err(why) => return not_kept(value, why),
        };
        let (payload_bytes, footprint) = (storable.payload_bytes(), storable.footprint);
        let value = storable.value;
        let (origin, total) = residence_of(residence.total());
        let life = start.life(residence, total, took);
        if life.ends <= self.clock.now() {
            return not_kept(value, class.note_expired(took));
        }
        let copy = LocalCopy {
            value: value.clone(),
            tags,
            deadline: life.ends,
            key: CopyKey::default(),
            origin,
            payload_bytes,
            footprint,
            class: class.common.number,
            loaded_at_millis: start.at_millis,
            // A copy whose stay is cut is not refreshed: it only bridges an outage.
            aging: (total >= residence.ttl).then(|| class.copy_aging(life, version)).flatten(),
        };
        match insert(copy) {
            Ok(()) => Ok(LoadOutcome::loaded(value, Placement::Memory, valid_until)),
            Err(why) => {
                // Each caller counts an overtaken value by what it is: a fill, an insert or a put.
                if matches!(why, NotStoredReason::NoRoom | NotStoredReason::NotAdmitted) {
                    class.note_not_inserted(why);
                }
                not_kept(value, why)
            }
        }
    }
}

/// Notes the end of a load, in its span and as an event, however it ends.
struct LoadNote<'a> {
    engine: &'a Engine,
    key: &'a [u8],
    began: Instant,
    span: Span,
    /// `None` while the load runs.
    outcome: Option<LoadEnd>,
}

impl<'a> LoadNote<'a> {
    fn new(engine: &'a Engine, class: &ClassCore, key: &'a [u8]) -> Self {
        // The key is left out: it may be personal data. The status is OpenTelemetry's.
        let span = tracing::debug_span!(
            "larder.load",
            larder.class = class.name,
            larder.outcome = Empty,
            otel.status_code = Empty
        );
        LoadNote { engine, key, began: Instant::now(), span, outcome: None }
    }
}

impl Drop for LoadNote<'_> {
    fn drop(&mut self) {
        let outcome = self.outcome.unwrap_or(match std::thread::panicking() {
            true => LoadEnd::Failed(ErrorKind::LoadPanicked),
            false => LoadEnd::Stopped,
        });
        self.span.record("larder.outcome", outcome.as_str());
        if matches!(outcome, LoadEnd::Failed(_)) {
            self.span.record("otel.status_code", "ERROR");
        }
        let (key, took) = (self.key, self.began.elapsed());
        self.engine.events.send_of_read(|events| Event::Load { entry: events.entry(key), took, outcome });
    }
}

/// Calls its function if it is dropped by a panic.
struct PanicNote<F: Fn()>(F);

impl<F: Fn()> Drop for PanicNote<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)();
        }
    }
}

/// The loader's value, TTL and version. An unchanged value is the previous one.
type Resolved = (Option<AnyValue>, Option<Duration>, Option<Arc<str>>);

fn resolve(class: &str, loaded: AnyLoaded, previous: Option<&AnyPrevious>) -> Result<Resolved, Error> {
    let Loaded { answer, ttl, version } = loaded;
    match (answer, previous) {
        (LoadedKind::Value(value), _) => Ok((Some(value), ttl, version)),
        (LoadedKind::Absent, _) => Ok((None, ttl, version)),
        (LoadedKind::Unchanged, Some(previous)) => {
            Ok((Some(previous.value.clone()), ttl, version.or_else(|| previous.version.clone())))
        }
        (LoadedKind::Unchanged, None) => {
            Err(Error::load(class, "the loader answered `unchanged`, but it got no previous value".into()))
        }
        (LoadedKind::Failed(failure), _) => Err(Error::load_failed(class, failure.into_error())),
    }
}

impl ClassCore {
    /// Counts a fill that an invalidation overtook.
    pub(super) fn note_overtaken_fill(&self, why: NotStoredReason) {
        if why == NotStoredReason::Overtaken {
            count(&self.common.counters.fills_refused);
        }
    }

    /// Counts and logs a value that could stay no longer than its load took.
    pub(super) fn note_expired(&self, took: Duration) -> NotStoredReason {
        if count_nth(&self.common.counters.expired).is_power_of_two() {
            tracing::warn!(class = self.name, ?took, "a load took as long as its value may stay, not stored");
        }
        NotStoredReason::Expired
    }

    /// Whether a loader's version is stored. Counts and logs one that is too long.
    fn keeps_version(&self, version: &str) -> bool {
        let (bytes, most) = (version.len(), Loaded::<()>::VERSION_BYTES_MAX);
        if bytes > most && count_nth(&self.common.counters.versions_dropped).is_power_of_two() {
            tracing::warn!(class = self.name, bytes, most, "a loader's version is too long, not stored");
        }
        bytes <= most
    }

    /// Counts a spoiled load. The first one of the class is logged.
    fn note_spoiled(&self, reason: &str) {
        // Relaxed: the counter guards no other data, and only the first increment returns 0.
        if self.common.counters.loads_spoiled.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                class = self.name,
                reason,
                "a load is spoiled: not stored, not shared; logged once a class, counted in loads_spoiled"
            );
        }
    }
}
