//! Tests the engine's in-process tier under many schedules (orders of its threads' steps). The source of
//! `larder::local` is compiled here with a scheduler's locks and atomics in place of std's.

pub mod schedules;

// The source of `local` imports these modules by `crate::`, so this root has to have them.
use larder::{clock, error, policy, protocol, source};

#[path = "../../larder/src/local/mod.rs"]
#[allow(dead_code, reason = "the schedules need a part of it")]
mod local;

#[path = "../../larder/src/allocation.rs"]
mod allocation;

mod codec {
    //! Replaces `larder::codec`, whose `AnyValue` is not public.

    /// The same type as `larder::codec::AnyValue`.
    pub(crate) type AnyValue = std::sync::Arc<dyn std::any::Any + Send + Sync>;
}

mod sync {
    //! Replaces `larder::sync`.

    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    pub(crate) use shuttle::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub(crate) use std::sync::PoisonError;
}
