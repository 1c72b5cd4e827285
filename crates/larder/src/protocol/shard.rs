//! What one shard lock guards: the sequence that fences inserts, the flights in progress, and the permits that are out.
//!
//! Invariants, each borne by a test of its name:
//! - `no_insert_after_a_push`: an in-process copy is inserted only if no invalidation reached its shard since
//!   the read that brought it was sent.
//! - `a_detached_flight_inserts_nothing`: a load that an invalidation overtook leaves nothing behind.
//! - `a_void_permit_puts_nothing`: nor does a computation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Tick;
use crate::policy::Consistency;
use crate::protocol::flight::{Flight, FlightId, JoinDecision, decide_join};
use crate::protocol::permit::{PermitId, Permits};
use crate::protocol::rules::{ProtocolRule, ProtocolRules};
use crate::protocol::tag::TagKey;

/// Counts the invalidations that reached a shard. Compared by equality only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Seq(u64);

/// One shard's state. Whoever touches it, and whoever inserts a copy on its word, holds the shard's lock.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Shard<H> {
    seq: u64,
    flights: BTreeMap<Bytes, Flight<H>>,
    permits: Permits,
    rules: ProtocolRules,
}

impl<H: Clone> Shard<H> {
    pub fn new(rules: ProtocolRules) -> Self {
        Shard { seq: 0, flights: BTreeMap::new(), permits: Permits::default(), rules }
    }

    /// The sequence as of now: taken before a read is sent, compared when its reply is inserted.
    pub fn seq(&self) -> Seq {
        Seq(self.seq)
    }

    /// Whether a copy read since `seen` may still be inserted.
    pub fn may_insert(&self, seen: Seq) -> bool {
        self.seq == seen.0 || !self.rules.keeps(ProtocolRule::InsertsNothingLate)
    }

    /// An invalidation of some key of this shard arrived; returns the key's flight, to be told of it.
    pub fn apply_push(&mut self, key: &[u8]) -> Option<H> {
        self.seq += 1;
        self.permits.void(key);
        self.flights.get(key).map(|flight| flight.handle.clone())
    }

    /// Everything this shard knows may be old: nothing in progress may insert any more.
    pub fn detach_all(&mut self) -> Vec<H> {
        self.seq += 1;
        self.permits.void_all();
        std::mem::take(&mut self.flights).into_values().map(|flight| flight.handle).collect()
    }

    /// This instance changed `key` itself: nobody who comes later may join its flight.
    pub fn detach(&mut self, key: &[u8]) -> Option<H> {
        self.seq += 1;
        self.permits.void(key);
        if !self.rules.keeps(ProtocolRule::JoinsNoPast) {
            return self.flights.get(key).map(|flight| flight.handle.clone());
        }
        self.flights.remove(key).map(|flight| flight.handle)
    }

    /// This instance invalidated `tag`: the same for every flight that builds on it. Returns their keys too,
    /// whose leases have become worthless.
    pub fn detach_tagged(&mut self, tag: &TagKey) -> Vec<(Bytes, H)> {
        self.detach_if(|_, tags| tags.contains(tag))
    }

    /// The same for every flight whose key is among those meant.
    pub fn detach_matching(&mut self, is_match: impl Fn(&[u8]) -> bool) -> Vec<(Bytes, H)> {
        self.detach_if(|key, _| is_match(key))
    }

    /// Counts as an invalidation of the shard: a tracked read of a key that is meant may be under way without a flight
    /// on the table.
    fn detach_if(&mut self, is_match: impl Fn(&[u8], &[TagKey]) -> bool) -> Vec<(Bytes, H)> {
        self.seq += 1;
        self.permits.void_if(&is_match);
        if !self.rules.keeps(ProtocolRule::JoinsNoPast) {
            return Vec::new();
        }
        let meant = self.flights.extract_if(.., |key, flight| is_match(key, &flight.tags));
        meant.map(|(key, flight)| (key, flight.handle)).collect()
    }

    /// Counts anew, together with all that anybody has `seen`: sequences are compared by equality only, so a model may
    /// take states for one that differ in the numbers alone.
    #[cfg(feature = "proof")]
    pub fn renumber<'a>(&mut self, seen: impl Iterator<Item = &'a mut Seq>) {
        for seen in seen {
            *seen = Seq(u64::from(seen.0 == self.seq));
        }
        self.seq = 1;
    }

    /// How a read that missed goes on. On `Lead` the caller begins a flight under the same lock.
    pub fn decide_join(
        &self,
        key: &[u8],
        consistency: Consistency,
        arrival: FlightId,
        now: Tick,
        bound: Duration,
    ) -> JoinDecision<H> {
        match decide_join(self.flights.get(key), consistency, arrival, now, bound, self.rules) {
            JoinDecision::Join(handle) => JoinDecision::Join(handle.clone()),
            JoinDecision::Wait(handle) => JoinDecision::Wait(handle.clone()),
            JoinDecision::Lead(()) => JoinDecision::Lead(()),
        }
    }

    /// Puts a flight on the table, in place of one that grew too old to join.
    pub fn begin_flight(&mut self, key: Bytes, id: FlightId, began: Tick, tags: Arc<[TagKey]>, handle: H) {
        self.flights.insert(key, Flight { id, began, tags, handle });
    }

    /// Whether this flight is still the one on the table: not detached, cleared or replaced.
    pub fn is_attached(&self, key: &[u8], id: FlightId) -> bool {
        self.flights.get(key).is_some_and(|flight| flight.id == id)
    }

    /// Whether a flight of `key` is on the table.
    pub fn is_loading(&self, key: &[u8]) -> bool {
        self.flights.contains_key(key)
    }

    /// Draws a permit for `key`: what is computed from now on may be kept by [`Shard::redeem`]. No read joins it, and it
    /// hides no flight.
    pub fn draw(&mut self, key: Bytes, id: PermitId, tags: Arc<[TagKey]>) {
        self.permits.draw(key, id, tags);
    }

    /// Whether the permit is out and not void.
    #[cfg(test)]
    pub fn is_permitted(&self, key: &[u8], id: PermitId) -> bool {
        self.permits.is_valid(key, id)
    }

    /// Whether the caller may put the permit's value, under this same lock. If so, nothing that is under way for the key
    /// enters after it: other permits, the flight and tracked reads of the key began with what stood there before. `rule`
    /// names what a proof breaks here.
    pub fn redeem(&mut self, key: &[u8], id: PermitId, rule: ProtocolRule) -> bool {
        if !self.permits.is_valid(key, id) && self.rules.keeps(rule) {
            return false;
        }
        self.seq += 1;
        self.permits.void(key);
        self.flights.remove(key);
        true
    }

    /// A load put a value under `key`: permits drawn before would put an older one in its place.
    pub fn void_permits(&mut self, key: &[u8]) {
        self.permits.void(key);
    }

    /// Takes a permit off the table that is not used.
    pub fn give_up(&mut self, key: &[u8], id: PermitId) {
        self.permits.give_up(key, id);
    }

    /// How many permits are out and not void.
    #[cfg(test)]
    pub fn permits(&self) -> usize {
        self.permits.count()
    }

    /// Takes a flight off the table, if it is still there.
    pub fn end_flight(&mut self, key: &[u8], id: FlightId) {
        if self.is_attached(key, id) {
            self.flights.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(2);
    const NOW: Tick = Tick::PAST;

    fn departed(tags: &[TagKey]) -> Shard<&'static str> {
        let mut shard = Shard::new(ProtocolRules::default());
        shard.begin_flight(Bytes::from("k"), FlightId(1), NOW, tags.into(), "first");
        shard
    }

    #[test]
    fn no_insert_after_a_push() {
        let mut shard = departed(&[]);
        let seen = shard.seq();
        assert!(shard.may_insert(seen));
        assert_eq!(shard.apply_push(b"k"), Some("first"));
        assert!(!shard.may_insert(seen));
        assert!(shard.is_attached(b"k", FlightId(1)), "a push fences the insert, not the flight");

        let seen = shard.seq();
        shard.detach_all();
        assert!(!shard.may_insert(seen), "clearing fences every insert in progress");
    }

    #[test]
    fn a_detached_flight_inserts_nothing() {
        let tag = TagKey::from(Bytes::from("users"));
        let detach: [fn(&mut Shard<&'static str>, &TagKey); 3] = [
            |shard, _| assert_eq!(shard.detach(b"k"), Some("first")),
            |shard, tag| assert_eq!(shard.detach_tagged(tag), [(Bytes::from("k"), "first")]),
            |shard, _| assert_eq!(shard.detach_all(), ["first"]),
        ];
        for detach in detach {
            let mut shard = departed(std::slice::from_ref(&tag));
            detach(&mut shard, &tag);
            assert!(!shard.is_attached(b"k", FlightId(1)));
            let next = shard.decide_join(b"k", Consistency::Bounded, FlightId(2), NOW, BOUND);
            assert!(matches!(next, JoinDecision::Lead(())), "who comes later loads anew");
        }
    }

    #[test]
    fn a_void_permit_puts_nothing() {
        const RULE: ProtocolRule = ProtocolRule::PutsUnderPermit;
        const ID: PermitId = PermitId(1);
        let tag = TagKey::from(Bytes::from_static(b"users"));
        let void: [fn(&mut Shard<&'static str>, &TagKey); 7] = [
            |shard, _| assert!(shard.apply_push(b"k").is_some()),
            |shard, _| assert!(shard.detach(b"k").is_some()),
            |shard, tag| drop(shard.detach_tagged(tag)),
            |shard, _| drop(shard.detach_matching(|key| key == b"k")),
            |shard, _| drop(shard.detach_all()),
            |shard, _| shard.void_permits(b"k"),
            |shard, _| shard.give_up(b"k", ID),
        ];
        for void in void {
            let mut shard = departed(std::slice::from_ref(&tag));
            shard.draw(Bytes::from("k"), ID, [tag.clone()].into());
            assert!(
                shard.is_permitted(b"k", ID) && shard.is_attached(b"k", FlightId(1)),
                "neither hides the other"
            );
            void(&mut shard, &tag);
            assert!(!shard.redeem(b"k", ID, RULE) && shard.permits() == 0);
        }
        let mut shard = departed(&[]);
        shard.draw(Bytes::from("k"), ID, [].into());
        shard.draw(Bytes::from("k"), PermitId(2), [].into());
        shard.detach(b"other");
        shard.detach_tagged(&tag);
        let seen = shard.seq();
        assert!(shard.redeem(b"k", ID, RULE), "what touches neither key nor tag voids nothing");
        assert!(!shard.redeem(b"k", PermitId(2), RULE), "of two permits the first put wins");
        assert!(
            !shard.is_attached(b"k", FlightId(1)) && !shard.may_insert(seen),
            "what is under way enters no more"
        );
    }

    #[test]
    fn delete_twice_leaves_the_first_flight_nothing_to_land_on() {
        let mut shard = departed(&[]);
        shard.detach(b"k");
        shard.begin_flight(Bytes::from("k"), FlightId(2), NOW, [].into(), "second");
        assert!(!shard.is_attached(b"k", FlightId(1)) && shard.is_attached(b"k", FlightId(2)));
        shard.end_flight(b"k", FlightId(1));
        assert!(shard.is_attached(b"k", FlightId(2)), "the first flight's landing leaves the second alone");
    }
}
