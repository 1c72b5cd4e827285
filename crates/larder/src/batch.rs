//! What one invalidation removes, as keys, tags and patterns of this namespace.

use bytes::Bytes;

use crate::journal::Touch;
use crate::key::Namespace;
use crate::key_text::Target;
use crate::pattern::Pattern;
use crate::protocol::tag::TagKey;

/// An invalidation with more patterns invalidates everything: each pattern would cost one search through all keys of
/// Redis.
const PATTERNS_MAX: usize = 16;

/// The keys, tags and patterns that one invalidation removes.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) keys: Vec<Bytes>,
    /// Each tag once, apart from slot ranges.
    pub(crate) tags: Vec<TagKey>,
    pub(crate) patterns: Vec<Pattern>,
    /// If true, all entries are invalidated, and the other fields add nothing.
    pub(crate) everything: bool,
}

/// What a search through the keys of Redis has to find, so that it can be unlinked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sweep<'a> {
    /// Every entry whose text matches the pattern.
    Matching(&'a Pattern),
    /// Every key of the namespace except those that `Namespace::reserves`.
    Everything,
}

impl Batch {
    /// Translates journalled touches into keys, tags and patterns. A touch whose class name is not allowed is skipped:
    /// no class can have that name, so no entry exists for it.
    pub(crate) fn of(namespace: &Namespace, touches: &[Touch]) -> Self {
        let (mut batch, mut invalid) = (Batch::default(), 0);
        for touch in touches {
            match namespace.target(touch) {
                Ok(Target::Key(key)) => batch.keys.push(key),
                Ok(Target::Tag(tag)) => batch.tags.push(tag),
                Ok(Target::Matching(pattern)) => batch.patterns.push(pattern),
                Ok(Target::Everything) => batch.everything = true,
                Err(_) => invalid += 1,
            }
        }
        if invalid > 0 {
            tracing::warn!(
                touches = invalid,
                "skipped journalled touches: their class names or patterns are not allowed"
            );
        }
        batch.everything |= batch.patterns.len() > PATTERNS_MAX;
        batch
    }

    /// The keys that Redis can unlink by name.
    pub(crate) fn unlinks(&self, namespace: &Namespace) -> Vec<Bytes> {
        let of_tags = self.tags.iter().flat_map(|tag| namespace.all_of_tag(tag));
        self.keys.iter().cloned().chain(of_tags.map(|tag| tag.to_bytes())).collect()
    }

    /// The parts that Redis can find only by a search through its keys.
    pub(crate) fn sweeps(&self) -> Vec<Sweep<'_>> {
        if self.everything {
            return vec![Sweep::Everything];
        }
        self.patterns.iter().map(Sweep::Matching).collect()
    }
}
