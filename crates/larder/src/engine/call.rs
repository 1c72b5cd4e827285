//! Calls of loaders. A call loads one key, or the missing keys of a batch; each of its keys has a [`Loading`].

use std::future::{Future, ready};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, oneshot};

use crate::clock::Clock;
use crate::codec::AnyValue;
use crate::engine::ClassCore;
use crate::error::BoxError;
use crate::loaded::{AnyLoaded, Loaded};

/// How many reads of a batch begin, or end, in one poll, which takes a few microseconds for each and must not keep other
/// tasks waiting. It is also how many keys of a batch ask Redis at the same time, how many of its values are stored and how
/// many of its leases are renewed, and how many leases of all reads are released, so that one batch does not delay other
/// reads on the Redis connection. Its reads may go together with those of others; `joint_reads` has the limit of that.
pub(super) const READS_AT_ONCE: usize = 250;

/// The future of a loader, with its types erased.
type LoadFuture = Pin<Box<dyn Future<Output = Result<AnyLoaded, BoxError>> + Send>>;

/// The load of one key.
pub(crate) struct Loading {
    stage: LoadStage,
    called: Called,
    /// The places of the batch that reads the key.
    places: Option<Arc<BatchPlaces>>,
}

/// The call that loads a key, once the loader was called.
pub(super) type Called = Arc<OnceLock<LoaderCall>>;

enum LoadStage {
    /// The loader was called.
    Begun(LoadFuture),
    /// The batch that reads the key calls the loader later, or drops the sender when it is given up.
    Awaited(oneshot::Receiver<Loading>),
}

impl Loading {
    fn begin(
        load: impl Future<Output = Result<AnyLoaded, BoxError>> + Send + 'static,
        call: LoaderCall,
    ) -> Self {
        Loading { stage: LoadStage::Begun(Box::pin(load)), called: Arc::new(call.into()), places: None }
    }

    /// A load of one key by a call of its own.
    pub(crate) fn of(load: impl Future<Output = Result<AnyLoaded, BoxError>> + Send + 'static) -> Self {
        Loading::begin(load, LoaderCall::Single)
    }

    /// The load of one of the keys of `call`.
    pub(crate) fn of_batch(
        load: impl Future<Output = Result<AnyLoaded, BoxError>> + Send + 'static,
        call: &Arc<BatchCall>,
    ) -> Self {
        Loading::begin(load, LoaderCall::Batch(call.clone()))
    }

    /// A load that fails before its loader is called.
    pub(crate) fn refused(error: BoxError) -> Self {
        Loading::begin(ready(Err(error)), LoaderCall::None)
    }

    /// A value that no loader returns.
    pub(crate) fn put(value: AnyValue) -> Self {
        Loading::begin(ready(Ok(Loaded::new(value))), LoaderCall::None)
    }

    /// The loads of `keys` keys of a batch, one for each, after the application's closure panicked.
    pub(super) fn panicked(keys: usize) -> Vec<Self> {
        let call = Arc::default();
        // The panic itself goes on in the caller; here it ends the flight.
        let panic = || async { resume_unwind(Box::new("the call of the batch's loader panicked")) };
        (0..keys).map(|_| Loading::of_batch(panic(), &call)).collect()
    }

    /// The load of a key of the batch with these places, which `sender` supplies later.
    pub(super) fn awaited(places: &Arc<BatchPlaces>) -> (oneshot::Sender<Loading>, Self) {
        let (sender, begun) = oneshot::channel();
        let (stage, places) = (LoadStage::Awaited(begun), Some(places.clone()));
        (sender, Loading { stage, called: Called::default(), places })
    }

    /// Whether a batch loads the key.
    pub(super) fn is_of_batch(&self) -> bool {
        self.places.is_some() || matches!(self.called.get(), Some(LoaderCall::Batch(_)))
    }

    pub(super) fn called(&self) -> Called {
        self.called.clone()
    }

    pub(super) fn places(&self) -> Option<Arc<BatchPlaces>> {
        self.places.clone()
    }

    /// Waits until the loader was called. `None`: it will not be, because the batch's caller left.
    pub(super) async fn begun(self) -> Option<(LoadFuture, LoaderCall)> {
        let mut loading = self;
        let called = loading.called();
        loop {
            match loading.stage {
                LoadStage::Begun(load) => {
                    let call = loading.called.get()?;
                    return Some((load, called.get_or_init(|| call.clone()).clone()));
                }
                LoadStage::Awaited(begun) => loading = begun.await.ok()?,
            }
        }
    }
}

/// What the breaker counts as one.
#[derive(Clone)]
pub(super) enum LoaderCall {
    /// No loader was called, so the breaker is not asked and counts nothing.
    None,
    Single,
    Batch(Arc<BatchCall>),
}

/// A call that loads several keys: the breaker admits it once, and counts its end once. Each of its keys asks and reports
/// in a task of its own. If all their readers have left, it has one place among the abandoned loads of its class.
#[derive(Default)]
pub(crate) struct BatchCall {
    is_admitted: OnceLock<bool>,
    has_failed: OnceLock<bool>,
    /// Relaxed order is enough, here and below: it guards no other data, and one swap alone returns `false`.
    is_counted: AtomicBool,
    /// The place that the keys without readers share. The lock is held to look at it or to take one, so that the keys,
    /// whose tasks run at the same time, take one place together.
    abandoned: Mutex<Weak<OwnedSemaphorePermit>>,
    /// Whether the load of a key was stopped because there was no place.
    is_stopped: AtomicBool,
}

/// The place of a load that goes on without a reader. Its drop lets another one go on.
pub(super) type AbandonedPlace = Arc<OwnedSemaphorePermit>;

/// What the keys of one batch may do in Redis at the same time while they are loaded.
pub(super) struct BatchPlaces {
    /// One for each value that is being stored.
    storing: Arc<Semaphore>,
    /// One for each lease that is being renewed. They are others than those above: a lease has to be renewed while its
    /// value waits to be stored.
    renewing: Semaphore,
}

/// The right to store one value of a batch call. A drop lets another value of the same batch be stored.
pub(crate) type StoringPlace = OwnedSemaphorePermit;

impl Default for BatchPlaces {
    fn default() -> Self {
        let (storing, renewing) = (Arc::new(Semaphore::new(READS_AT_ONCE)), Semaphore::new(READS_AT_ONCE));
        BatchPlaces { storing, renewing }
    }
}

impl BatchPlaces {
    /// Waits until few other values of the batch are being stored.
    pub(super) async fn storing_place(&self) -> Option<StoringPlace> {
        // The semaphores are never closed.
        self.storing.clone().acquire_owned().await.ok()
    }

    /// Waits until few other leases of the batch are being renewed.
    pub(super) async fn renewing_place(&self) -> Option<SemaphorePermit<'_>> {
        self.renewing.acquire().await.ok()
    }
}

impl BatchCall {
    /// The loader has returned. Without this the call ends as the first of its loads does: by a time-out or a panic.
    pub(crate) fn end(&self, has_failed: bool) {
        // The loader returns once.
        let _ = self.has_failed.set(has_failed);
    }
}

impl LoaderCall {
    /// Whether the class's breaker lets the call go on.
    pub(super) fn is_admitted(&self, class: &ClassCore, clock: &Clock) -> bool {
        let may_load = || class.common.breaker.may_load(clock);
        match self {
            LoaderCall::None => true,
            LoaderCall::Single => may_load(),
            LoaderCall::Batch(call) => *call.is_admitted.get_or_init(may_load),
        }
    }

    /// The call's place among the loads that go on without a reader; `None` if the class has too many of them.
    pub(super) fn abandoned_place(&self, places: &Arc<Semaphore>) -> Option<AbandonedPlace> {
        let take = || places.clone().try_acquire_owned().ok().map(Arc::new);
        let LoaderCall::Batch(call) = self else { return take() };
        let mut shared = call.abandoned.lock().unwrap_or_else(PoisonError::into_inner);
        let place = shared.upgrade().or_else(take)?;
        *shared = Arc::downgrade(&place);
        Some(place)
    }

    /// Whether this is the first key of the call whose load is stopped.
    pub(super) fn is_newly_stopped(&self) -> bool {
        match self {
            LoaderCall::Batch(call) => !call.is_stopped.swap(true, Ordering::Relaxed),
            LoaderCall::None | LoaderCall::Single => true,
        }
    }

    /// Reports to the class's breaker that the load of one key has ended.
    pub(super) fn note_end(&self, class: &ClassCore, clock: &Clock, has_failed: bool) {
        let has_failed = match self {
            LoaderCall::None => return,
            LoaderCall::Single => has_failed,
            LoaderCall::Batch(call) if call.is_counted.swap(true, Ordering::Relaxed) => return,
            LoaderCall::Batch(call) => call.has_failed.get().copied().unwrap_or(has_failed),
        };
        match has_failed {
            true => class.common.breaker.note_failure(&class.name, clock.now()),
            false => class.common.breaker.note_success(&class.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    // Outside of a runtime, because one would let only 128 of these futures end in one poll.
    #[test]
    fn few_values_of_one_batch_are_stored_at_once() {
        let batch = BatchPlaces::default();
        let place = || batch.storing_place().now_or_never();
        let mut places: Vec<_> = (0..READS_AT_ONCE).map(|_| place()).collect();
        assert!(places.iter().all(|place| matches!(place, Some(Some(_)))));
        assert!(place().is_none(), "the next one waits");
        assert!(
            matches!(batch.renewing_place().now_or_never(), Some(Some(_))),
            "their leases can be renewed"
        );
        places.pop();
        assert!(matches!(place(), Some(Some(_))));
    }
}
