//! The keys: a small number of hot items, and lists that depend on several items.

use std::ops::Range;
use std::time::Duration;

use crate::history::{Instance, Key, Nanos, Version};

/// The number of items. Their keys begin at 0.
pub const ITEMS: Key = 64;

/// The number of teams. Each has a list, whose version is the sum of its items' versions.
pub const TEAMS: Key = 8;

/// The number of items of a team.
pub const TEAM_ITEMS: Key = 2;

/// Items below this key are on a list; the others are on none.
pub const LISTED: Key = TEAMS * TEAM_ITEMS;

/// The items that are read and written most.
pub const HOT: Range<Key> = LISTED..LISTED + 8;

/// The items whose entries age within a run and are refreshed.
pub const AGING: Range<Key> = HOT.end..HOT.end + 8;

/// The items whose entries age within a run, and whose loads fail at times.
pub const FALTERING: Range<Key> = AGING.end..AGING.end + 8;

/// The key of the first team's list.
const FIRST_LIST: Key = 1_000;

/// The team of an item.
pub fn team_of(item: Key) -> Option<Key> {
    (item < LISTED).then_some(item / TEAM_ITEMS)
}

/// The key of a team's list in the history.
pub fn list_of(team: Key) -> Key {
    FIRST_LIST + team
}

/// The team whose list has this key; `None` for the key of an item.
pub fn team_of_list(key: Key) -> Option<Key> {
    key.checked_sub(FIRST_LIST)
}

/// All versions in the second database are above this; those in the first never reach it.
pub const SECOND: Version = 1 << 30;

/// The versions of each timeline of PostgreSQL begin at a multiple of this. So a version of a later timeline is above all
/// of an earlier one, also above those that a fail-over has lost.
pub const TIMELINE: Version = 1 << 20;

/// All keys of the history.
pub fn all() -> impl Iterator<Item = Key> {
    (0..ITEMS).chain((0..TEAMS).map(list_of))
}

/// How an instance uses a key for some time.
///
/// A stale copy is visible only until the instance replaces it: a fresh read gives memory a new copy, and a write of
/// the instance removes the old one. So that stale copies stay long enough to be seen, an instance leaves some keys alone
/// during each interval: it does not write them, or does not read them with `fresh`. Chance decides for each key,
/// instance and interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habit {
    /// The instance writes the key.
    pub writes: bool,
    /// The instance makes some of its reads of the key `fresh`.
    pub reads_fresh: bool,
}

/// The habit of an instance with a key at an instant. Each interval lasts three times the staleness bound.
pub fn habit(key: Key, instance: Instance, now: Nanos, bound: Duration) -> Habit {
    let stretch = Duration::from_nanos(now).as_millis() / (3 * bound.as_millis()).max(1);
    let seed = u64::from(key) << 48 | u64::from(instance) << 32 | (stretch as u64 & u64::from(u32::MAX));
    let luck = scatter(seed);
    Habit { writes: luck & 1 == 0, reads_fresh: luck & 2 == 0 }
}

/// Mixes the seed: every bit of the result depends on every bit of the seed (splitmix64).
fn scatter(seed: u64) -> u64 {
    let mut word = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_has_items_and_every_item_at_most_one_list() {
        for team in 0..TEAMS {
            assert_eq!((0..ITEMS).filter(|item| team_of(*item) == Some(team)).count(), 2);
            assert_eq!(team_of_list(list_of(team)), Some(team));
        }
        assert_eq!(all().count(), usize::from(ITEMS + TEAMS));
        assert!((0..ITEMS).all(|item| team_of_list(item).is_none()));
    }

    #[test]
    fn habits_last_and_then_change() {
        let bound = Duration::from_secs(1);
        let at = |key, second: u64| habit(key, 1, second * 1_000_000_000, bound);
        assert!((0..ITEMS).all(|key| at(key, 3) == at(key, 5)));
        assert!((0..ITEMS).any(|key| at(key, 5) != at(key, 6)));
        let writing = (0..ITEMS).filter(|key| at(*key, 3).writes).count();
        assert!((16..=48).contains(&writing), "{writing}");
    }
}
