//! The hash slots of a Redis Cluster: each key belongs to one of 16,384, and each master has some of them.
//!
//! Source: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>, "Key distribution model" and "Hash
//! tags".

use std::fmt;
use std::sync::LazyLock;

/// How many slots a cluster has.
pub const SLOTS: usize = 16_384;

const WORDS: usize = SLOTS / 64;

/// Into so many ranges of equal length the slots are divided. A tag that is not about one key has a token in each range. So
/// an entry's tag is at the master of the entry, except in a range that belongs to two masters; and no master is asked for
/// all entries of a class. An invalidation of the tag deletes the tokens of all ranges, so they are few.
pub const SLOT_RANGES: u16 = 16;

/// The slot range of `slot`.
pub fn slot_range_of(slot: u16) -> u16 {
    slot / (SLOTS as u16 / SLOT_RANGES)
}

/// A text in the first slot of `slot_range`; see [`hash_tag`].
pub fn hash_tag_of_slot_range(slot_range: u16) -> &'static str {
    hash_tag(slot_range * (SLOTS as u16 / SLOT_RANGES))
}

/// The slot of `key`: CRC16 of its hash tag, which is the part between the first `{` and the next `}`; or of the entire key,
/// if there is no such part or it is empty.
pub fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        (close > 0).then(|| &rest[..close])
    });
    crc16(tag.unwrap_or(key)) % SLOTS as u16
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    static TABLE: LazyLock<[u16; 256]> = LazyLock::new(|| {
        std::array::from_fn(|byte| {
            (0..8).fold((byte as u16) << 8, |crc, _| (crc << 1) ^ if crc & 0x8000 != 0 { 0x1021 } else { 0 })
        })
    });
    bytes.iter().fold(0, |crc, byte| (crc << 8) ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)])
}

/// A short text in `slot`: as a hash tag it puts a key into that slot.
pub fn hash_tag(slot: u16) -> &'static str {
    static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let mut tags = vec![String::new(); SLOTS];
        let mut missing = SLOTS;
        for number in 0_u64.. {
            let text = format!("{number:x}");
            let tag = &mut tags[usize::from(slot_of(text.as_bytes()))];
            if tag.is_empty() {
                *tag = text;
                missing -= 1;
                if missing == 0 {
                    break;
                }
            }
        }
        tags
    });
    TAGS.get(usize::from(slot)).map_or("", String::as_str)
}

/// A set of slots. Its text is that of Redis: `0-5460,5462`; `-` if it is empty.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SlotSet(Box<[u64; WORDS]>);

impl SlotSet {
    /// No slot.
    pub fn empty() -> Self {
        SlotSet(Box::new([0; WORDS]))
    }

    /// All slots.
    pub fn all() -> Self {
        SlotSet(Box::new([u64::MAX; WORDS]))
    }

    /// Reads a text; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut slots = SlotSet::empty();
        if text == "-" {
            return Some(slots);
        }
        for range in text.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            slots.insert_range(first.parse().ok()?, last.parse().ok()?)?;
        }
        Some(slots)
    }

    /// Inserts the slots from `first` to `last`; `None` if these are no slots.
    pub fn insert_range(&mut self, first: u16, last: u16) -> Option<()> {
        if first > last || usize::from(last) >= SLOTS {
            return None;
        }
        (first..=last).for_each(|slot| self.0[usize::from(slot) / 64] |= 1 << (slot % 64));
        Some(())
    }

    /// Whether `slot` is in the set.
    pub fn contains(&self, slot: u16) -> bool {
        self.0.get(usize::from(slot) / 64).is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }

    /// The slots of both sets.
    #[must_use]
    pub fn and(&self, other: &SlotSet) -> SlotSet {
        self.with(other, |mine, theirs| mine & theirs)
    }

    /// The slots of either set.
    #[must_use]
    pub fn or(&self, other: &SlotSet) -> SlotSet {
        self.with(other, |mine, theirs| mine | theirs)
    }

    /// The slots that `other` has not.
    #[must_use]
    pub fn minus(&self, other: &SlotSet) -> SlotSet {
        self.with(other, |mine, theirs| mine & !theirs)
    }

    /// Whether there is no slot.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The slots, in their order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..SLOTS as u16).filter(|slot| self.contains(*slot))
    }

    fn with(&self, other: &SlotSet, word: impl Fn(u64, u64) -> u64) -> SlotSet {
        SlotSet(Box::new(std::array::from_fn(|nth| word(self.0[nth], other.0[nth]))))
    }
}

impl fmt::Display for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        let mut slots = self.iter().peekable();
        let mut is_first = true;
        while let Some(first) = slots.next() {
            let mut last = first;
            while let Some(next) = slots.next_if_eq(&(last + 1)) {
                last = next;
            }
            f.write_str(if std::mem::take(&mut is_first) { "" } else { "," })?;
            if first == last { write!(f, "{first}")? } else { write!(f, "{first}-{last}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotSet({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those of `CLUSTER KEYSLOT`.
    #[test]
    fn a_key_has_the_slot_that_redis_says() {
        for (key, slot) in
            [("", 0), ("123456789", 12_739), ("foo", 12_182), ("{foo}bar", 12_182), ("a{foo}{bar}", 12_182)]
        {
            assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
        }
        assert_ne!(slot_of(b"{}a"), slot_of(b"{}b"), "an empty tag is none");
        assert_ne!(slot_of(b"{a"), slot_of(b"{b"), "an open brace is no tag");
    }

    #[test]
    fn each_slot_has_a_hash_tag() {
        for slot in 0..SLOTS as u16 {
            assert_eq!(slot_of(format!("ns:@live{{{}}}", hash_tag(slot)).as_bytes()), slot);
        }
    }

    #[test]
    fn a_written_set_parses_to_an_equal_one() {
        for text in ["-", "0", "0-16383", "0-5460,5462,16383", "63-64,127-128"] {
            let slots = SlotSet::parse(text).unwrap();
            assert_eq!(slots.to_string(), text);
        }
        assert_eq!(SlotSet::parse("3,1-2").unwrap().to_string(), "1-3");
        for text in ["", "16384", "2-1", "a", "1-"] {
            assert_eq!(SlotSet::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sets_are_compared_slot_by_slot() {
        let (low, high) = (SlotSet::parse("0-100").unwrap(), SlotSet::parse("90-200").unwrap());
        assert_eq!(low.and(&high).to_string(), "90-100");
        assert_eq!(low.minus(&high).to_string(), "0-89");
        assert_eq!(
            (low.or(&high).to_string(), low.or(&SlotSet::all())),
            ("0-200".to_owned(), SlotSet::all())
        );
        assert!(low.contains(100) && !low.contains(101) && !low.minus(&low).contains(0));
    }
}
