//! Runs the loader, and stores its value in memory if the flight does not go through Redis.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;

use crate::codec::AnyValue;
use crate::engine::flight::{LoadBegin, LoadPlan};
use crate::engine::{ClassCore, Engine, EntryRef};
use crate::error::{BoxError, Error};
use crate::loading::run_load;
use crate::local::copy::LocalCopy;
use crate::local::outcome::{FlightResult, LoadOutcome};
use crate::protocol::tag::TagToken;
use crate::source::{NotStoredReason, Placement, Source};
use crate::stats::count;

/// The future of a loader, with its types erased.
pub(crate) type Loading = Pin<Box<dyn Future<Output = Result<Option<AnyValue>, BoxError>> + Send>>;

/// The result of a loader.
pub(crate) struct LoadedValue {
    pub(crate) value: Option<AnyValue>,
    /// If true, the value must not be stored, and only the read whose loader returned it gets it.
    pub(crate) is_spoiled: bool,
}

impl LoadedValue {
    /// The source of an answer whose load ran in parallel to another one.
    pub(crate) fn beside(&self) -> Source {
        let why = if self.is_spoiled { NotStoredReason::Spoiled } else { NotStoredReason::Beside };
        Source::Load { placement: Placement::Nowhere(why) }
    }
}

impl Engine {
    /// Runs the loader within the class's load time-out.
    pub(crate) async fn load(&self, class: &ClassCore, loading: Loading) -> Result<LoadedValue, Error> {
        count(&class.common.counters.loads);
        let limit = class.load_timeout;
        let loaded = match tokio::time::timeout(limit, run_load(loading)).await {
            Ok((Ok(value), spoiled)) => {
                let is_spoiled = spoiled.is_some();
                spoiled.into_iter().for_each(|reason| class.note_spoiled(&reason));
                return Ok(LoadedValue { value, is_spoiled });
            }
            Ok((Err(error), _)) => Err(Error::load(&class.name, error)),
            Err(_) => Err(Error::load_timeout(&class.name, limit)),
        };
        count(&class.common.counters.load_failures);
        loaded
    }

    /// The plan of a load that does not go through Redis. The tags' tokens are taken before the load begins: if one of
    /// them is invalidated meanwhile, no read serves the copy.
    pub(super) fn plan_memory(&self, entry_ref: &EntryRef) -> LoadPlan {
        LoadPlan::Memory(self.local.take_tokens(&entry_ref.tags, self.is_guarded()))
    }

    /// Runs a load that does not go through Redis. Memory stores its value, unless an invalidation by this process or
    /// from the journal detached the flight. If no guard reports the copy's changes now, the copy stays no longer than
    /// the staleness bound, counted from the START of the load; see [`Engine::loaded_residence`].
    pub(super) async fn load_into_memory(
        &self,
        class: &ClassCore,
        LoadBegin { entry_ref, flight, started, started_at_millis }: &LoadBegin,
        tags: Vec<TagToken>,
        loading: Loading,
    ) -> FlightResult {
        let LoadedValue { value, is_spoiled } = self.load(class, loading).await?;
        let valid_until = started.plus(self.local_bound());
        let not_kept = |value, why| Ok(LoadOutcome::not_stored(value, why, valid_until));
        if is_spoiled {
            return not_kept(value, NotStoredReason::Spoiled);
        }
        let Some(ttl) = class.policy.residence(value.is_none(), rand::random()) else {
            return not_kept(value, NotStoredReason::Policy);
        };
        let storable = match class.storable(value.as_ref()) {
            Ok(storable) => storable,
            Err(why) => return not_kept(value, why),
        };
        let payload_bytes = storable.payload_bytes();
        let value = storable.value;
        let (origin, residence) = self.loaded_residence(ttl);
        let deadline = started.plus(residence);
        let copy = LocalCopy {
            value: value.clone(),
            tags,
            deadline,
            origin,
            payload_bytes,
            loaded_at_millis: *started_at_millis,
        };
        match self.local.insert_loaded(&entry_ref.key, *flight, copy) {
            Ok(()) => {
                Ok(LoadOutcome { value, source: Source::Load { placement: Placement::Memory }, valid_until })
            }
            Err(why) => {
                if why == NotStoredReason::Overtaken {
                    count(&class.common.counters.fills_refused);
                }
                not_kept(value, why)
            }
        }
    }
}

impl ClassCore {
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
