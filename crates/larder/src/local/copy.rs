//! What memory holds: copies, each with its own deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

use crate::clock::Tick;
use crate::codec::AnyValue;
use crate::local::origin::Origin;
use crate::local::tag_cell::TagCell;
use crate::protocol::aging::Life;

/// A key of up to so many bytes is in its copy, without an allocation of its own: most keys are shorter.
pub(super) const COPY_KEY_BYTES: usize = 56;
/// So many cells are in the copy, without an allocation of their own: of its class, and of one tag more.
pub(super) const COPY_TAGS: usize = 2;

/// The key of a copy in memory.
pub(crate) type CopyKey = SmallVec<[u8; COPY_KEY_BYTES]>;

/// The cells of an entry's tags.
pub(crate) type TagCells = SmallVec<[Arc<TagCell>; COPY_TAGS]>;

/// A decoded entry. It has its own deadline, because Redis can delete an expired key, and report it, much later.
#[derive(Clone)]
pub(crate) struct LocalCopy {
    /// `None`: the database has no value.
    pub(crate) value: Option<AnyValue>,
    /// The cell of each of its tags. The copy is valid only while all of them are current.
    pub(crate) tags: TagCells,
    pub(crate) deadline: Tick,
    /// Empty until the copy is offered to memory.
    pub(crate) key: CopyKey,
    pub(crate) origin: Origin,
    pub(crate) payload_bytes: u32,
    pub(crate) footprint: Footprint,
    /// The number of its class; see `local::samples`.
    pub(crate) class: u16,
    /// Wall time at the start of its load, in milliseconds since 1970. It is only displayed.
    pub(crate) loaded_at_millis: u64,
    /// How the copy ages; `None` if it is never refreshed. All clones of the copy share it, so that only one of their
    /// reads claims the refresh.
    pub(crate) aging: Option<Arc<CopyAging>>,
}

/// What a copy takes in memory.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Footprint {
    /// What its value takes; see `DecodedValue::memory_bytes`.
    pub(super) value_bytes: u64,
    /// What the entry takes with everything that belongs to it. It is set once, when the copy enters memory.
    pub(super) entry_bytes: u64,
}

impl Footprint {
    pub(crate) fn of_value(value_bytes: u64) -> Self {
        Footprint { value_bytes, entry_bytes: 0 }
    }

    /// What the entry takes in memory; 0 before it is there.
    pub(crate) fn entry_bytes(&self) -> u64 {
        self.entry_bytes
    }
}

/// How a copy ages.
pub(crate) struct CopyAging {
    pub(crate) life: Life,
    /// The version that the loader named.
    pub(crate) version: Option<Arc<str>>,
    /// In nanoseconds: before this instant no read checks whether the copy has aged, so none begins a refresh. The read that
    /// begins one sets a later instant, which keeps the other reads of this process from beginning it too. `Relaxed`: no other data depends on
    /// it.
    quiet_until: AtomicU64,
}

impl CopyAging {
    pub(crate) fn new(life: Life, version: Option<Arc<str>>, quiet_until: Tick) -> Self {
        CopyAging { life, version, quiet_until: AtomicU64::new(quiet_until.nanos()) }
    }

    pub(crate) fn is_quiet(&self, now: Tick) -> bool {
        now.nanos() < self.quiet_until.load(Ordering::Relaxed)
    }

    /// Claims the refresh until `until`: of all reads at once, one gets `true`.
    pub(crate) fn claim(&self, now: Tick, until: Tick) -> bool {
        let claim = |quiet| (quiet <= now.nanos()).then_some(until.nanos());
        self.quiet_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim).is_ok()
    }

    /// Ends a claim: from `until` on, a read may claim the refresh again.
    pub(crate) fn retry_at(&self, until: Tick) {
        self.quiet_until.fetch_min(until.nanos(), Ordering::Relaxed);
    }
}

impl LocalCopy {
    /// Whether a read at `now` may be answered with this copy. `is_guarded` says whether the guard's validity lasts.
    #[inline]
    pub(crate) fn may_serve(&self, now: Tick, is_guarded: bool) -> bool {
        now < self.deadline
            && (self.origin == Origin::Timed || is_guarded)
            && self.tags.iter().all(|tag| tag.is_current(self.origin, is_guarded))
    }
}
