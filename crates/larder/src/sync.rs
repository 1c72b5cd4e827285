//! The locks and atomics of the memory tier, in one place: `larder-schedules` compiles `local` with a scheduler's locks
//! instead.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
