//! What an allocation takes in memory: allocators keep a header for each, and round its size.

/// The memory that an allocation of `bytes` takes, by the rule of glibc's `malloc`: 8 bytes more for a header, rounded
/// up to a multiple of 16, and at least 32. The size classes of jemalloc and mimalloc differ from this rule by some per
/// cent. No allocation is made for 0 bytes.
pub(crate) const fn heap_bytes(bytes: usize) -> u64 {
    let chunk = (bytes as u64).saturating_add(8).next_multiple_of(16);
    match (bytes, chunk) {
        (0, _) => 0,
        (_, 16) => 32,
        (_, chunk) => chunk,
    }
}

/// The memory that an `Arc` of `bytes` takes: its two counts come before the value.
pub(crate) const fn arc_bytes(bytes: usize) -> u64 {
    heap_bytes(bytes + 16)
}
