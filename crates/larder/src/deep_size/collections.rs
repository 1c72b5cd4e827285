//! What the collections of std allocate for their parts.

use crate::allocation::heap_bytes;

/// The parts of a collection that was decoded.
#[derive(Clone, Copy, Default)]
pub(super) struct Parts {
    /// How many there are.
    pub(super) count: usize,
    /// The size of an element, or of a key of a map.
    pub(super) key_bytes: usize,
    /// The size of a value of a map, without padding between key and value.
    pub(super) value_bytes: usize,
    /// How many of the values serde buffers until it knows their type.
    pub(super) buffered: usize,
    pub(super) is_map: bool,
    /// How many parts the codec announced before the first.
    pub(super) announced: Option<usize>,
}

impl Parts {
    pub(super) fn note_value<V>(&mut self) {
        self.value_bytes = size_of::<V>();
        self.buffered += usize::from(std::any::type_name::<V>().contains("::Content<"));
    }

    /// The size of one part. If key and value together are larger than 8 bytes, they count as aligned to 8 bytes.
    fn bytes(&self) -> usize {
        let both = self.key_bytes + self.value_bytes;
        if both > 8 { both.next_multiple_of(8) } else { both }
    }
}

/// What the collection named `name` allocates for `parts`.
pub(super) fn collection_bytes(name: &str, parts: &Parts) -> u64 {
    if parts.count == 0 || parts.bytes() == 0 {
        return 0;
    }
    if name.starts_with("alloc::collections::btree::") || name == "serde_json::value::Value" && parts.is_map {
        return tree_bytes(parts);
    }
    let is_table = name.starts_with("std::collections::hash::") || name.starts_with("hashbrown::");
    if is_table || parts.is_map { table_bytes(parts) } else { array_bytes(parts) }
}

/// Serde buffers the parts that no other field of a struct takes, for the field that has `flatten`. That field is a map
/// whose type is unknown here, so each of its pairs counts as one and a half parts of the buffer, 48 bytes.
pub(super) fn buffered_bytes(parts: &Parts) -> u64 {
    heap_bytes(parts.buffered * parts.value_bytes * 3 / 2)
}

/// An array that serde filled: it begins with room for the announced parts, at most 1 MiB, and doubles when it is full.
fn array_bytes(parts: &Parts) -> u64 {
    let size = parts.bytes();
    let mut room = parts.announced.unwrap_or(0).min((1 << 20) / size);
    let least = match size {
        1 => 8,
        2..=1024 => 4,
        _ => 1,
    };
    while room < parts.count {
        room = (2 * room).max(least);
    }
    heap_bytes(room * size)
}

/// A hash table: a power of two of buckets, at most 7/8 of them full, and one byte of control for each.
fn table_bytes(parts: &Parts) -> u64 {
    let buckets = match parts.count {
        ..4 => 4,
        4..8 => 8,
        8..15 => 16,
        count => (count * 8 / 7).next_power_of_two(),
    };
    heap_bytes((buckets * parts.bytes()).next_multiple_of(16) + buckets + 16)
}

/// A B-tree whose keys arrived in order. A node with 11 parts is full: its split leaves 6 parts in it and moves one up.
fn tree_bytes(parts: &Parts) -> u64 {
    let leaf = (11 * parts.bytes() + 12).next_multiple_of(8);
    let (mut nodes, mut moved) = nodes(parts.count);
    let mut bytes = nodes * heap_bytes(leaf);
    while nodes > 1 {
        (nodes, moved) = self::nodes(moved);
        bytes += nodes * heap_bytes(leaf + 12 * size_of::<usize>());
    }
    bytes
}

/// How many nodes hold `count` parts, and how many parts they moved up.
fn nodes(count: usize) -> (u64, usize) {
    let splits = if count < 12 { 0 } else { (count - 12) / 7 + 1 };
    (splits as u64 + 1, splits)
}
