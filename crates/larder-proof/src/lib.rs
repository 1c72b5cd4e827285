//! The proofs: what larder promises, attacked. Nothing here is part of the product.

pub mod model;
pub mod schedules;

// `local` below is the engine's own source, compiled against a scheduler's locks instead of the machine's. It names
// its surroundings through the crate's root, so they stand here.
use larder::{clock, error, policy, protocol, source};

#[path = "../../larder/src/local/mod.rs"]
#[allow(dead_code, reason = "the schedules need a part of it")]
mod local;

mod codec {
    //! The engine's own is not public.

    /// As `larder::codec::AnyValue`.
    pub(crate) type AnyValue = std::sync::Arc<dyn std::any::Any + Send + Sync>;
}

mod sync {
    //! In place of `larder::sync`.

    pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}
