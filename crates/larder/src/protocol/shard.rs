//! The state that one shard lock guards: the sequence (the number of invalidations, which decides whether a copy may be
//! inserted), the flights in progress, and the valid permits.
//!
//! Invariants, each checked by the test of the same name:
//! - `no_insert_after_a_push`: a copy from Redis is inserted only if no invalidation reached its shard since the read
//!   that returned it was sent.
//! - `a_detached_flight_inserts_nothing`: a loaded value is inserted only if no invalidation detached its flight.
//! - `a_void_permit_puts_nothing`: a value is put only if its permit is valid; every invalidation of its key or tags
//!   voids it.

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

/// The number of invalidations that reached a shard. Two sequences are compared by equality only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Seq(u64);

/// The state of one shard. The caller holds the shard's lock during each call, and until it has inserted or removed the
/// copy that the call decided about. So no invalidation comes between the decision and the insertion.
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

    /// The present sequence. A reader notes it before it sends a read; when the reply arrives, [`Shard::may_insert`]
    /// compares it with the sequence at that time.
    pub fn seq(&self) -> Seq {
        Seq(self.seq)
    }

    /// Whether the reply of a read may be inserted. `seen` is the sequence before the read was sent: if it has changed,
    /// an invalidation came since.
    pub fn may_insert(&self, seen: Seq) -> bool {
        self.seq == seen.0 || !self.rules.keeps(ProtocolRule::InsertsNothingLate)
    }

    /// Applies a push that named `key`: voids the key's permits, and keeps the tracked reads in progress in this shard
    /// from inserting their replies. The key's flight stays attached, because Redis compares the lease at its fill.
    /// Returns the flight's handle, so that the caller can wake a leader that waits for this push.
    pub fn apply_push(&mut self, key: &[u8]) -> Option<H> {
        self.seq += 1;
        self.permits.void(key);
        self.flight(key)
    }

    /// The handle of the key's flight.
    pub fn flight(&self, key: &[u8]) -> Option<H> {
        self.flights.get(key).map(|flight| flight.handle.clone())
    }

    /// Call it if any key may have changed: from now on no read, flight or permit in progress inserts anything. Returns
    /// the handles of the detached flights.
    pub fn detach_all(&mut self) -> Vec<H> {
        self.seq += 1;
        self.permits.void_all();
        std::mem::take(&mut self.flights).into_values().map(|flight| flight.handle).collect()
    }

    /// Applies this instance's invalidation of `key`: from now on no read joins the key's flight, and the flight
    /// inserts nothing.
    pub fn detach(&mut self, key: &[u8]) -> Option<H> {
        self.seq += 1;
        self.permits.void(key);
        if !self.rules.keeps(ProtocolRule::JoinsNoPast) {
            return self.flight(key);
        }
        self.flights.remove(key).map(|flight| flight.handle)
    }

    /// Applies this instance's invalidation of a tag, which `meant` name: detaches every flight whose key has one of them.
    /// Also returns the keys, so that the caller can unlink the flights' leases: other reads would wait for fills that are
    /// invalid from the start.
    pub fn detach_tagged(&mut self, meant: &[TagKey]) -> Vec<(Bytes, H)> {
        self.detach_if(|_, tags| tags.iter().any(|tag| meant.contains(tag)))
    }

    /// Detaches every flight whose key satisfies `is_match`.
    pub fn detach_matching(&mut self, is_match: impl Fn(&[u8]) -> bool) -> Vec<(Bytes, H)> {
        self.detach_if(|key, _| is_match(key))
    }

    /// Advances the sequence even if no flight matches: a tracked read of a matching key may be in progress without a
    /// flight in the table.
    fn detach_if(&mut self, is_match: impl Fn(&[u8], &[TagKey]) -> bool) -> Vec<(Bytes, H)> {
        self.seq += 1;
        self.permits.void_if(&is_match);
        if !self.rules.keeps(ProtocolRule::JoinsNoPast) {
            return Vec::new();
        }
        let matching = self.flights.extract_if(.., |key, flight| is_match(key, &flight.tags));
        matching.map(|(key, flight)| (key, flight.handle)).collect()
    }

    /// Renumbers the sequence and all noted sequences in `seen`. Sequences are compared by equality only, so the model
    /// treats states as equal that differ only in these numbers.
    #[cfg(feature = "proof")]
    pub fn renumber<'a>(&mut self, seen: impl Iterator<Item = &'a mut Seq>) {
        for seen in seen {
            *seen = Seq(u64::from(seen.0 == self.seq));
        }
        self.seq = 1;
    }

    /// Decides what a read does if it found no copy in memory. On `Lead` the caller begins a flight under the same
    /// lock, so that at most one read leads.
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

    /// Adds a flight to the table.
    pub fn begin_flight(&mut self, key: Bytes, id: FlightId, began: Tick, tags: Arc<[TagKey]>, handle: H) {
        self.flights.insert(key, Flight { id, began, tags, handle });
    }

    /// Whether this flight is in the table: neither ended, nor detached, nor replaced.
    pub fn is_attached(&self, key: &[u8], id: FlightId) -> bool {
        self.flights.get(key).is_some_and(|flight| flight.id == id)
    }

    /// Whether a flight of `key` is in the table.
    pub fn is_loading(&self, key: &[u8]) -> bool {
        self.flights.contains_key(key)
    }

    /// Draws a permit for `key`: [`Shard::redeem`] exchanges it for the right to put a value that is computed from now
    /// on. A permit is not a flight: no read joins it, and the key may have a flight at the same time.
    pub fn draw(&mut self, key: Bytes, id: PermitId, tags: Arc<[TagKey]>) {
        self.permits.draw(key, id, tags);
    }

    /// Whether the permit is valid.
    pub fn is_permitted(&self, key: &[u8], id: PermitId) -> bool {
        self.permits.is_valid(key, id)
    }

    /// Whether the caller may put the permit's value now, under the same lock. If so, other permits, the flight and
    /// tracked reads of the key insert nothing later, because their values may be older. `rule` is the rule that a
    /// proof breaks here.
    pub fn redeem(&mut self, key: &[u8], id: PermitId, rule: ProtocolRule) -> bool {
        if !self.permits.is_valid(key, id) && self.rules.keeps(rule) {
            return false;
        }
        self.seq += 1;
        self.permits.void(key);
        self.flights.remove(key);
        true
    }

    /// A value was inserted under `key`: voids the permits of `key`, which would put an older value in its place.
    pub fn void_permits(&mut self, key: &[u8]) {
        self.permits.void(key);
    }

    /// Removes a permit that is not used.
    pub fn give_up(&mut self, key: &[u8], id: PermitId) {
        self.permits.give_up(key, id);
    }

    /// The number of valid permits.
    #[cfg(test)]
    pub fn permits(&self) -> usize {
        self.permits.count()
    }

    /// Removes a flight from the table, if it is still there; a flight that replaced it remains.
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

    fn shard_with_flight(tags: &[TagKey]) -> Shard<&'static str> {
        let mut shard = Shard::new(ProtocolRules::default());
        shard.begin_flight(Bytes::from("k"), FlightId(1), NOW, tags.into(), "first");
        shard
    }

    #[test]
    fn no_insert_after_a_push() {
        let mut shard = shard_with_flight(&[]);
        let seen = shard.seq();
        assert!(shard.may_insert(seen));
        assert_eq!(shard.apply_push(b"k"), Some("first"));
        assert!(!shard.may_insert(seen));
        assert!(shard.is_attached(b"k", FlightId(1)), "a push fences the insert, not the flight");

        let seen = shard.seq();
        shard.detach_all();
        assert!(!shard.may_insert(seen), "detach_all fences every insert in progress");
    }

    #[test]
    fn a_detached_flight_inserts_nothing() {
        let tag = TagKey::from(Bytes::from("users"));
        let detach: [fn(&mut Shard<&'static str>, &TagKey); 3] = [
            |shard, _| assert_eq!(shard.detach(b"k"), Some("first")),
            |shard, tag| {
                assert_eq!(shard.detach_tagged(std::slice::from_ref(tag)), [(Bytes::from("k"), "first")])
            },
            |shard, _| assert_eq!(shard.detach_all(), ["first"]),
        ];
        for detach in detach {
            let mut shard = shard_with_flight(std::slice::from_ref(&tag));
            detach(&mut shard, &tag);
            assert!(!shard.is_attached(b"k", FlightId(1)));
            let next = shard.decide_join(b"k", Consistency::Bounded, FlightId(2), NOW, BOUND);
            assert!(matches!(next, JoinDecision::Lead(())), "a later read leads a new flight");
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
            |shard, tag| drop(shard.detach_tagged(std::slice::from_ref(tag))),
            |shard, _| drop(shard.detach_matching(|key| key == b"k")),
            |shard, _| drop(shard.detach_all()),
            |shard, _| shard.void_permits(b"k"),
            |shard, _| shard.give_up(b"k", ID),
        ];
        for void in void {
            let mut shard = shard_with_flight(std::slice::from_ref(&tag));
            shard.draw(Bytes::from("k"), ID, [tag.clone()].into());
            assert!(
                shard.is_permitted(b"k", ID) && shard.is_attached(b"k", FlightId(1)),
                "a permit and a flight of one key coexist"
            );
            void(&mut shard, &tag);
            assert!(!shard.redeem(b"k", ID, RULE) && shard.permits() == 0);
        }
        let mut shard = shard_with_flight(&[]);
        shard.draw(Bytes::from("k"), ID, [].into());
        shard.draw(Bytes::from("k"), PermitId(2), [].into());
        shard.detach(b"other");
        shard.detach_tagged(std::slice::from_ref(&tag));
        let seen = shard.seq();
        assert!(shard.redeem(b"k", ID, RULE), "an invalidation of another key or tag does not void it");
        assert!(!shard.redeem(b"k", PermitId(2), RULE), "of two permits the first put wins");
        assert!(
            !shard.is_attached(b"k", FlightId(1)) && !shard.may_insert(seen),
            "the flight and tracked reads in progress insert nothing"
        );
    }

    #[test]
    fn a_detached_flight_does_not_end_the_flight_that_follows_it() {
        let mut shard = shard_with_flight(&[]);
        shard.detach(b"k");
        shard.begin_flight(Bytes::from("k"), FlightId(2), NOW, [].into(), "second");
        assert!(!shard.is_attached(b"k", FlightId(1)) && shard.is_attached(b"k", FlightId(2)));
        shard.end_flight(b"k", FlightId(1));
        assert!(shard.is_attached(b"k", FlightId(2)), "the first flight's end leaves the second attached");
    }
}
