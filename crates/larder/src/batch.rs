//! What one write touched, spelled.

use bytes::Bytes;

use crate::journal::Touch;
use crate::key::Namespace;
use crate::key_text::Target;
use crate::pattern::Pattern;
use crate::protocol::tag::TagKey;

/// More patterns at once than this count as everything.
const PATTERNS_MAX: usize = 16;

/// What is to be dropped.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) keys: Vec<Bytes>,
    pub(crate) tags: Vec<TagKey>,
    pub(crate) patterns: Vec<Pattern>,
    /// Everything, and therefore also the rest.
    pub(crate) everything: bool,
}

/// What has to be searched for to be dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sweep<'a> {
    /// Every entry that the pattern means.
    Matching(&'a Pattern),
    /// All of the namespace but what the protocol keeps for itself.
    Everything,
}

impl Batch {
    /// Spells what the journal told. What cannot be spelled, because no class can have that name, has no entry.
    pub(crate) fn of(namespace: &Namespace, touches: &[Touch]) -> Self {
        let (mut batch, mut strange) = (Batch::default(), 0);
        for touch in touches {
            match namespace.target(touch) {
                Ok(Target::Key(key)) => batch.keys.push(key),
                Ok(Target::Tag(tag)) => batch.tags.push(tag),
                Ok(Target::Matching(pattern)) => batch.patterns.push(pattern),
                Ok(Target::Everything) => batch.everything = true,
                Err(_) => strange += 1,
            }
        }
        if strange > 0 {
            tracing::warn!(touches = strange, "the journal names what cannot be cached");
        }
        // Each is a search through all that Redis holds.
        batch.everything |= batch.patterns.len() > PATTERNS_MAX;
        batch
    }

    /// The keys in Redis that are to be unlinked by name.
    pub(crate) fn unlinks(&self) -> Vec<Bytes> {
        self.keys.iter().cloned().chain(self.tags.iter().map(TagKey::to_bytes)).collect()
    }

    /// What of it has to be searched for.
    pub(crate) fn sweeps(&self) -> Vec<Sweep<'_>> {
        if self.everything {
            return vec![Sweep::Everything];
        }
        self.patterns.iter().map(Sweep::Matching).collect()
    }
}
