//! The synchronisation primitives of the memory tier, named in one place: a proof compiles `local` with those of a
//! scheduler instead.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
