//! What the in-process tier synchronises by, named in one place: a proof compiles `local` against a scheduler's own.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
