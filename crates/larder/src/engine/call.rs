//! Calls of loaders. A call loads one key, or the missing keys of a batch; each of its keys has a [`Loading`].

use std::future::{Future, ready};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::clock::Clock;
use crate::codec::AnyValue;
use crate::engine::ClassCore;
use crate::error::BoxError;
use crate::loaded::{AnyLoaded, Loaded};

/// How many reads of a batch begin, or end, in one poll, which takes a few microseconds for each and must not keep other
/// tasks waiting. Their round trips go to Redis before the next reads begin, so that one MGET, and the fills of one load,
/// do not delay other reads on the Redis connection.
pub(super) const READS_AT_ONCE: usize = 250;

/// The future of a loader, with its types erased.
type LoadFuture = Pin<Box<dyn Future<Output = Result<AnyLoaded, BoxError>> + Send>>;

/// The load of one key.
pub(crate) struct Loading(LoadStage);

enum LoadStage {
    /// The loader was called.
    Begun(LoadFuture, LoaderCall),
    /// The batch that reads the key calls the loader later, or drops the sender when it is given up.
    Awaited(oneshot::Receiver<Loading>),
}

impl Loading {
    /// A load of one key by a call of its own.
    pub(crate) fn of(load: impl Future<Output = Result<AnyLoaded, BoxError>> + Send + 'static) -> Self {
        Loading(LoadStage::Begun(Box::pin(load), LoaderCall::Single))
    }

    /// The load of one of the keys of `call`.
    pub(crate) fn of_batch(
        load: impl Future<Output = Result<AnyLoaded, BoxError>> + Send + 'static,
        call: &Arc<BatchCall>,
    ) -> Self {
        Loading(LoadStage::Begun(Box::pin(load), LoaderCall::Batch(call.clone())))
    }

    /// A load that fails before its loader is called.
    pub(crate) fn refused(error: BoxError) -> Self {
        Loading(LoadStage::Begun(Box::pin(ready(Err(error))), LoaderCall::None))
    }

    /// A value that no loader returns.
    pub(crate) fn put(value: AnyValue) -> Self {
        Loading(LoadStage::Begun(Box::pin(ready(Ok(Loaded::new(value)))), LoaderCall::None))
    }

    /// The loads of `keys` keys of a batch, one for each, after the application's closure panicked.
    pub(super) fn panicked(keys: usize) -> Vec<Self> {
        let call = Arc::default();
        // The panic itself goes on in the caller; here it ends the flight.
        let panic = || async { resume_unwind(Box::new("the call of the batch's loader panicked")) };
        (0..keys).map(|_| Loading::of_batch(panic(), &call)).collect()
    }

    /// The load that `sender` supplies later.
    pub(super) fn awaited() -> (oneshot::Sender<Loading>, Self) {
        let (sender, begun) = oneshot::channel();
        (sender, Loading(LoadStage::Awaited(begun)))
    }

    /// Whether a batch loads the key.
    pub(super) fn is_of_batch(&self) -> bool {
        matches!(self.0, LoadStage::Awaited(_) | LoadStage::Begun(_, LoaderCall::Batch(_)))
    }

    /// Waits until the loader was called. `None`: it will not be, because the batch's caller left.
    pub(super) async fn begun(self) -> Option<(LoadFuture, LoaderCall)> {
        let mut stage = self.0;
        loop {
            match stage {
                LoadStage::Begun(load, call) => return Some((load, call)),
                LoadStage::Awaited(begun) => stage = begun.await.ok()?.0,
            }
        }
    }
}

/// What the breaker counts as one.
pub(super) enum LoaderCall {
    /// No loader was called, so the breaker is not asked and counts nothing.
    None,
    Single,
    Batch(Arc<BatchCall>),
}

/// A call that loads several keys: the breaker admits it once, and counts its end once. Each of its keys asks and reports
/// in a task of its own.
pub(crate) struct BatchCall {
    is_admitted: OnceLock<bool>,
    has_failed: OnceLock<bool>,
    /// Relaxed order is enough: it guards no other data, and one swap alone returns `false`.
    is_counted: AtomicBool,
    /// One for each value that is being stored.
    places: Arc<Semaphore>,
}

/// The right to store one value of a batch call. A drop lets another value of the same call be stored.
pub(crate) type StoringPlace = OwnedSemaphorePermit;

impl Default for BatchCall {
    fn default() -> Self {
        BatchCall {
            is_admitted: OnceLock::new(),
            has_failed: OnceLock::new(),
            is_counted: AtomicBool::new(false),
            places: Arc::new(Semaphore::new(READS_AT_ONCE)),
        }
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

    /// Waits until few other values of the call are being stored: the fills of a long batch would delay other reads on
    /// the Redis connection.
    pub(super) async fn storing_place(&self) -> Option<StoringPlace> {
        match self {
            // The semaphore is never closed.
            LoaderCall::Batch(call) => call.places.clone().acquire_owned().await.ok(),
            LoaderCall::None | LoaderCall::Single => None,
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
    fn few_values_of_one_call_are_stored_at_once() {
        let call = Arc::<BatchCall>::default();
        let place = || LoaderCall::Batch(call.clone()).storing_place().now_or_never();
        let mut places: Vec<_> = (0..READS_AT_ONCE).map(|_| place()).collect();
        assert!(places.iter().all(|place| matches!(place, Some(Some(_)))));
        assert!(place().is_none(), "the next one waits");
        places.pop();
        assert!(matches!(place(), Some(Some(_))));
        assert!(matches!(LoaderCall::Single.storing_place().now_or_never(), Some(None)));
    }
}
