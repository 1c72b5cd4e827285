//! What an entry takes in memory.

use std::sync::Arc;

use crate::allocation::{arc_bytes, heap_bytes};
use crate::local::copy::{CopyAging, CopyKey, LocalCopy};
use crate::local::entries::ROW_BYTES;
use crate::local::samples::{Sample, SampleKind};
use crate::local::tag_cell::TagCell;
use crate::local::tokens::Tokens;

impl LocalCopy {
    /// The copy as it enters memory under `key`, with a note of what it takes there.
    pub(super) fn settled(mut self, key: &[u8]) -> Arc<Self> {
        self.key = CopyKey::from_slice(key);
        let tokens = self.tags.iter().map(Tokens::share_bytes).sum::<u64>();
        // Short keys and few tags are in the copy itself.
        let key_bytes = if self.key.spilled() { heap_bytes(self.key.capacity()) } else { 0 };
        let room_for_tags = self.tags.capacity() * size_of::<Arc<TagCell>>();
        let tag_bytes = if self.tags.spilled() { heap_bytes(room_for_tags) } else { 0 };
        let aging = self.aging.as_ref().map_or(0, |_| arc_bytes(size_of::<CopyAging>()));
        let copy_bytes = arc_bytes(size_of::<LocalCopy>()) + key_bytes + tag_bytes + tokens + aging;
        self.footprint.entry_bytes = (ROW_BYTES + copy_bytes).saturating_add(self.footprint.value_bytes);
        Arc::new(self)
    }

    /// A sample of what happened to the copy.
    pub(super) fn sample(&self, key: u32, kind: SampleKind) -> Sample {
        let bytes = u32::try_from(self.footprint.entry_bytes).unwrap_or(u32::MAX);
        Sample { key, class: self.class, bytes, kind }
    }
}
