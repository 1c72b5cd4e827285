//! Asking the loader, and keeping what it brought where no Redis fences it.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::atomic::Ordering;

use crate::codec::AnyValue;
use crate::engine::{ClassCore, Engine, EntryRef};
use crate::error::Error;
use crate::loading::run_load;
use crate::local::copy::LocalCopy;
use crate::local::outcome::{FlightResult, LoadOutcome};
use crate::protocol::flight::FlightId;
use crate::source::{NotStoredReason, Placement, Source};
use crate::stats::count;

/// What a loader brought.
pub(crate) struct LoadedValue {
    pub(crate) value: Option<AnyValue>,
    /// It must not be kept, nor go to anyone but the read whose loader brought it.
    pub(crate) is_spoiled: bool,
}

impl LoadedValue {
    /// Where the answer of a load that ran beside another one came from.
    pub(crate) fn beside(&self) -> Source {
        let why = if self.is_spoiled { NotStoredReason::Spoiled } else { NotStoredReason::Beside };
        Source::Load { placement: Placement::Nowhere(why) }
    }
}

impl Engine {
    /// Asks the loader, within the load time-out.
    pub(crate) async fn load<F, E>(&self, class: &ClassCore, load: F) -> Result<LoadedValue, Error>
    where
        F: Future<Output = Result<Option<AnyValue>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        count(&class.common.counters.loads);
        let limit = self.limits.load_timeout;
        let loaded = match tokio::time::timeout(limit, run_load(load)).await {
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

    /// A flight that does not go through Redis: memory keeps what it brings unless an invalidation that this process
    /// made, or heard of from the journal, detached the flight. While the guard is out of touch, the copy stays no
    /// longer than the staleness bound, counted from the START of the load.
    pub(crate) async fn load_into_memory<F, E>(
        &self,
        class: &ClassCore,
        entry_ref: &EntryRef,
        flight: FlightId,
        load: F,
    ) -> FlightResult
    where
        F: Future<Output = Result<Option<AnyValue>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        let tags = self.local.take_tokens(&entry_ref.tags, self.is_guarded());
        let (started, loaded_at_millis) = (self.clock.now(), self.clock.unix_millis());
        let loaded = self.load(class, load).await?;
        let valid_until = started.plus(self.local_bound());
        let LoadedValue { value, is_spoiled } = loaded;
        let not_kept = |value, why| {
            Ok(LoadOutcome {
                value,
                source: Source::Load { placement: Placement::Nowhere(why) },
                valid_until,
            })
        };
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
        let copy =
            LocalCopy { value: value.clone(), tags, deadline, origin, payload_bytes, loaded_at_millis };
        match self.local.insert_loaded(&entry_ref.key, flight, copy) {
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
    /// Counts a spoiled load, and logs the class's first.
    fn note_spoiled(&self, reason: &str) {
        // Relaxed: it only counts, and of two at once exactly one is the first.
        if self.common.counters.loads_spoiled.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                class = self.name,
                reason,
                "a load is not kept, nor shared; logged once a class, counted in loads_spoiled"
            );
        }
    }
}
