//! Tuning: miss-ratio curves from a sample of the keys, advice that rests on them, and changes that a cache makes by itself
//! on request. [`Builder::tuning`](crate::Builder::tuning) switches it on; `docs/tuning.md` says what the figures mean.
//!
//! Nothing here decides whether an answer is current: tuning changes which values memory keeps, and for how long at most,
//! and an invalidation ends each of them as before.

pub(crate) mod advice;
pub(crate) mod advising;
pub(crate) mod changes;
pub(crate) mod curve;
pub(crate) mod limits;
pub(crate) mod sims;
pub(crate) mod window;

pub use advice::Advice;
pub use changes::{Tuned, TuningChange};
pub use limits::{Tuning, TuningMode};

/// Which share of its reads memory would not answer, by the size of the memory.
///
/// All classes share the memory, so the curve of a class says what the class's reads would miss if the entire memory had
/// that size. Reads whose answers memory cannot keep (absent answers without a TTL, values without room) are not counted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MissRatioCurve {
    /// The class; `None`: all classes together.
    pub class: Option<String>,
    /// By size, the smallest first; the sizes are ⅛ to 2 times the [budget](crate::Builder::memory_bytes).
    pub points: Vec<CurvePoint>,
    /// The share of the reads that no memory can answer, from 0 to 1: the first read of a key, and the first after its
    /// invalidation or the end of its TTL.
    pub unavoidable: f64,
    /// How many sampled reads the curve rests on; older reads count less.
    pub samples: u64,
}

/// One point of a [`MissRatioCurve`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CurvePoint {
    /// The budget, in bytes.
    pub memory_bytes: u64,
    /// The share of the reads that memory would not answer, from 0 to 1.
    pub miss_ratio: f64,
}
