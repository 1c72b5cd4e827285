//! The proofs: what larder promises, attacked. Nothing here is part of the product.

pub mod model;
#[cfg(not(test))]
pub mod schedules;

// `local` below is the engine's own source, compiled against a scheduler's locks instead of the machine's. It names
// its surroundings through the crate's root, so they stand here. Not for this crate's unit tests: its own would come
// with it, and they need a clock moved by hand.
#[cfg(not(test))]
use larder::{clock, error, policy, protocol, source};

#[cfg(not(test))]
#[path = "../../larder/src/local/mod.rs"]
#[allow(dead_code, reason = "the schedules need a part of it")]
mod local;

#[cfg(not(test))]
mod codec {
    //! The engine's own is not public.

    /// As `larder::codec::AnyValue`.
    pub(crate) type AnyValue = std::sync::Arc<dyn std::any::Any + Send + Sync>;
}

#[cfg(not(test))]
mod sync {
    //! In place of `larder::sync`.

    pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}
