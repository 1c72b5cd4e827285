//! The answer of a read that never loads.

use std::sync::Arc;

/// What the tiers have for a key; see [`Class::get`](crate::Class::get).
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<V> {
    /// A tier has this value.
    Hit(Arc<V>),
    /// A loader found no such value, and no change has touched the key since.
    Absent,
    /// The tiers know nothing of the key. The database may have a value.
    Miss,
}

impl<V> Lookup<V> {
    /// The value; `None` for [`Lookup::Absent`] and [`Lookup::Miss`].
    pub fn value(self) -> Option<Arc<V>> {
        match self {
            Lookup::Hit(value) => Some(value),
            Lookup::Absent | Lookup::Miss => None,
        }
    }

    /// Whether there is a value in a tier.
    pub fn is_hit(&self) -> bool {
        matches!(self, Lookup::Hit(_))
    }

    /// Whether it is known that there is no such value.
    pub fn is_absent(&self) -> bool {
        matches!(self, Lookup::Absent)
    }

    /// Whether the tiers know nothing of the key.
    pub fn is_miss(&self) -> bool {
        matches!(self, Lookup::Miss)
    }
}

impl<V> Clone for Lookup<V> {
    fn clone(&self) -> Self {
        match self {
            Lookup::Hit(value) => Lookup::Hit(value.clone()),
            Lookup::Absent => Lookup::Absent,
            Lookup::Miss => Lookup::Miss,
        }
    }
}
