//! The engine's in-process tier under every schedule: its own source, compiled against a scheduler's locks instead of the
//! machine's. Test-only.

pub mod schedules;

// `local` names its surroundings through the crate's root, so they stand here.
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
