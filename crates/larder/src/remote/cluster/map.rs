//! Which masters a cluster has, and which of them has a key.

use std::sync::Arc;

use bytes::Bytes;

use crate::condition::Condition;
use crate::protocol::slots::{SLOTS, SlotSet, slot_of};
use crate::remote::redis::RedisTier;
use crate::remote::redis::membership::Membership;
use crate::remote::redis::topology::Master;
use crate::remote::validity::Validity;
use crate::remote::{Fault, Remote as _};

/// No member has the slot.
const NONE: u16 = u16::MAX;

/// A master, with a tier of its own: connection, keeper, relay, certificate, watermark and position.
pub(super) struct Member {
    pub(super) master: Master,
    /// The slot of the keys of larder's own protocol.
    pub(super) home: u16,
    pub(super) tier: RedisTier,
    pub(super) validity: Arc<Validity>,
    pub(super) membership: Arc<Membership>,
    pub(super) condition: Arc<Condition>,
}

impl Member {
    /// Whether this is the same server, with its protocol keys in the same slot.
    pub(super) fn is_of(&self, master: &Master, home: u16) -> bool {
        (&self.master.id, &self.master.host, self.home) == (&master.id, &master.host, home)
    }
}

/// The masters at one time.
pub(super) struct Map {
    pub(super) members: Vec<Arc<Member>>,
    /// For each slot the index of its member.
    owners: Box<[u16]>,
    /// The slots without a member.
    pub(super) missing: SlotSet,
}

impl Map {
    /// `members`, each with its slots.
    pub(super) fn new(members: Vec<(Arc<Member>, SlotSet)>) -> Self {
        let mut owners = vec![NONE; SLOTS].into_boxed_slice();
        let mut missing = SlotSet::all();
        for (index, (_, slots)) in members.iter().enumerate() {
            missing = missing.minus(slots);
            for slot in slots.iter() {
                owners[usize::from(slot)] = u16::try_from(index).unwrap_or(NONE);
            }
        }
        Map { members: members.into_iter().map(|(member, _)| member).collect(), owners, missing }
    }

    /// The name of `key` in Redis. It is the same at each master, unless one of them has not noticed yet that the database
    /// has another identity; that one refuses most keys.
    pub(super) fn name(&self, key: &Bytes) -> Bytes {
        self.informed().map_or_else(|| key.clone(), |member| member.tier.redis_key(key))
    }

    /// The member that was the last to learn which database it is, if one knows: a member that is away learns of no change.
    pub(super) fn informed(&self) -> Option<&Arc<Member>> {
        self.members.iter().max_by_key(|member| member.tier.knows_database_since())
    }

    pub(super) fn owner(&self, key: &Bytes) -> Option<&Arc<Member>> {
        let index = *self.owners.get(usize::from(slot_of(&self.name(key))))?;
        self.members.get(usize::from(index))
    }

    /// As [`Map::owner`], for an operation that needs one. A key without a master is no fault of a server that could be asked
    /// again.
    pub(super) fn member(&self, key: &Bytes) -> Result<&Arc<Member>, Fault> {
        self.owner(key).ok_or(Fault::Refused)
    }

    /// Whether `member` has fewer slots in `later` than here.
    pub(super) fn has_lost_slots(&self, member: &Arc<Member>, later: &Map) -> bool {
        let has = |map: &Map, slot: usize| {
            let owner = map.owners.get(slot).and_then(|index| map.members.get(usize::from(*index)));
            owner.is_some_and(|owner| Arc::ptr_eq(owner, member))
        };
        (0..SLOTS).any(|slot| has(self, slot) && !has(later, slot))
    }

    /// The keys of each member, with their places among `keys`; and those that have none.
    pub(super) fn split<'a>(&self, keys: &'a [Bytes]) -> (Vec<Part<'_>>, Vec<&'a Bytes>) {
        let mut parts: Vec<Part<'_>> = Vec::new();
        let mut ownerless = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            let Some(member) = self.owner(key) else {
                ownerless.push(key);
                continue;
            };
            let same = |part: &&mut Part<'_>| Arc::ptr_eq(part.member, member);
            match parts.iter_mut().find(same) {
                Some(part) => part.add(place, key),
                None => {
                    let mut part = Part { member, places: Vec::new(), keys: Vec::new() };
                    part.add(place, key);
                    parts.push(part);
                }
            }
        }
        (parts, ownerless)
    }
}

/// The keys of one member.
pub(super) struct Part<'a> {
    pub(super) member: &'a Arc<Member>,
    pub(super) places: Vec<usize>,
    pub(super) keys: Vec<Bytes>,
}

impl Part<'_> {
    fn add(&mut self, place: usize, key: &Bytes) {
        self.places.push(place);
        self.keys.push(key.clone());
    }
}

/// The slot for the protocol keys of a master with these slots. It is chosen by a fixed order of all slots, so that all
/// instances choose the same, and so that it rarely changes when slots are moved.
pub(super) fn home_of(slots: &SlotSet) -> Option<u16> {
    slots
        .iter()
        .min_by_key(|slot| u32::from(*slot).wrapping_add(1).wrapping_mul(2_654_435_761).rotate_left(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_stays_while_other_slots_are_moved() {
        let slots = SlotSet::parse("0-5460").unwrap();
        let home = home_of(&slots).unwrap();
        for slot in (0..5_461).filter(|slot| *slot != home) {
            let mut moved = SlotSet::empty();
            moved.insert_range(slot, slot).unwrap();
            assert_eq!(home_of(&slots.minus(&moved)), Some(home));
        }
        assert_eq!(home_of(&SlotSet::empty()), None);
    }
}
