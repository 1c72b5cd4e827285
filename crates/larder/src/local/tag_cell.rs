//! A tag's token in memory.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::local::origin::Origin;
use crate::protocol::tag::TagKey;
use crate::protocol::token::Token;
use crate::sync::{AtomicBool, Ordering};

/// A tag's token, from the moment at which it enters memory until it leaves memory. The copies that depend on the token
/// and the loads that took it hold the cell, so a hit looks no tag up: it asks the cells that its copy holds.
///
/// Invariant, checked by the test of the same name:
/// - `an_ended_cell_is_never_current_again`: if the same token enters memory again, it gets a new cell. So a copy that
///   was invalidated stays invalid, even if another program writes the earlier token back to Redis.
pub(crate) struct TagCell {
    name: TagKey,
    token: Token,
    origin: Origin,
    /// Whether the token has left memory while a copy or a load held the cell. It is set under the lock of the token's row in
    /// [`Tokens`], with the removal of the row, so no new holder finds the cell. Reads take no lock: `Acquire` and
    /// `Release`, so that a read which begins after an invalidation has been applied finds the cell ended.
    ///
    /// [`Tokens`]: crate::local::tokens::Tokens
    has_ended: AtomicBool,
}

impl TagCell {
    pub(super) fn new(name: TagKey, token: Token, origin: Origin) -> Arc<Self> {
        Arc::new(TagCell { name, token, origin, has_ended: AtomicBool::new(false) })
    }

    pub(crate) fn name(&self) -> &TagKey {
        &self.name
    }

    pub(super) fn token(&self) -> Token {
        self.token
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// Whether a copy of this origin that holds the cell is still valid, as far as this tag is concerned. A token that
    /// Redis reports counts only while the guard is valid; an anchored copy needs such a token.
    #[inline]
    pub(crate) fn is_current(&self, of_copy: Origin, is_guarded: bool) -> bool {
        let is_reported = match of_copy {
            Origin::Anchored => self.is_guarded(is_guarded),
            Origin::Guarded | Origin::Timed => self.is_known(is_guarded),
        };
        is_reported && !self.has_ended.load(Ordering::Acquire)
    }

    /// Whether the guard reports the token's changes now.
    #[inline]
    pub(super) fn is_guarded(&self, is_guarded: bool) -> bool {
        self.origin == Origin::Guarded && is_guarded
    }

    /// Whether all changes of the token are known now.
    #[inline]
    pub(super) fn is_known(&self, is_guarded: bool) -> bool {
        self.origin == Origin::Timed || is_guarded
    }

    /// Ends the cell: the token leaves memory. The caller holds the lock of its row.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }
}

/// The row of a cell: a set finds it by the tag's name.
pub(super) struct TagRow(pub(super) Arc<TagCell>);

impl TagRow {
    /// How many copies and loads hold the cell.
    pub(super) fn holders(cell: &Arc<TagCell>) -> usize {
        Arc::strong_count(cell).saturating_sub(1)
    }
}

impl Borrow<[u8]> for TagRow {
    fn borrow(&self) -> &[u8] {
        self.0.name.as_bytes()
    }
}

/// As that of the name's bytes, by which the set is asked.
impl Hash for TagRow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.as_bytes().hash(state);
    }
}

impl PartialEq for TagRow {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for TagRow {}
