//! Which load in progress a read may join.
//!
//! Invariant: a fresh read joins a flight only if the flight began after the read arrived. A bounded read also joins an
//! earlier flight that is younger than the staleness bound. With plain single flight, a read could join a load whose
//! query ran before a write that the read must see.
//!
//! A read that may not join a flight waits for its end, and looks into the tiers again. So the loads of one key run one
//! after another, however long they take. There are two exceptions. An invalidation detaches the running flight, so
//! that another one may begin. A read loads outside a flight if its wait takes longer than three load time-outs, or if
//! it joined a spoiled load.

use std::time::Duration;

use crate::clock::Tick;
use crate::policy::Consistency;
use crate::protocol::rules::{ProtocolRule, ProtocolRules};
use crate::protocol::tag::TagKey;

/// Names one flight of this process. Ids increase in the order in which the flights begin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlightId(pub u64);

/// A load in progress. `H` is the handle by which the engine follows it (in production, a channel).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Flight<H> {
    pub id: FlightId,
    pub began: Tick,
    pub tags: std::sync::Arc<[TagKey]>,
    pub handle: H,
}

/// What a read does if it found no copy in memory. `H` is the handle of the flight in progress; `L` is what a leader
/// gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinDecision<H, L = ()> {
    /// Share the result of the flight in progress.
    Join(H),
    /// Wait until the flight in progress ends, then read memory again and decide again: the flight may have read the
    /// database before a write that this read must see. The next flight begins after the wait, and so after this read
    /// arrived: all reads that waited can join it.
    Wait(H),
    /// Begin a flight.
    Lead(L),
}

/// Decides what a read does if it found no copy in memory. `arrival` is the id of the next flight at the time when the
/// read arrived, so a flight with `id >= arrival` began after that. `flight` is never a detached flight: an
/// invalidation removes the flights that it detaches from the table. A bounded read that joined also compares the
/// `valid_until` of the outcome with its own beginning; see `engine/read.rs`.
pub fn decide_join<H>(
    flight: Option<&Flight<H>>,
    consistency: Consistency,
    arrival: FlightId,
    now: Tick,
    bound: Duration,
    rules: ProtocolRules,
) -> JoinDecision<&H> {
    let Some(flight) = flight else { return JoinDecision::Lead(()) };
    let handle = &flight.handle;
    match consistency {
        _ if !rules.keeps(ProtocolRule::JoinsNoPast) => JoinDecision::Join(handle),
        _ if flight.id >= arrival => JoinDecision::Join(handle),
        Consistency::Bounded if now.since(flight.began) < bound => JoinDecision::Join(handle),
        Consistency::Bounded | Consistency::Fresh => JoinDecision::Wait(handle),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(2);

    fn flight(id: u64, began: Tick) -> Flight<()> {
        Flight { id: FlightId(id), began, tags: std::sync::Arc::new([]), handle: () }
    }

    fn decide_at(age: Duration, consistency: Consistency, arrival: u64) -> JoinDecision<()> {
        let began = Tick::from_nanos(5_000_000_000);
        let (flight, now) = (flight(7, began), began.plus(age));
        match decide_join(Some(&flight), consistency, FlightId(arrival), now, BOUND, ProtocolRules::default())
        {
            JoinDecision::Join(()) => JoinDecision::Join(()),
            JoinDecision::Wait(()) => JoinDecision::Wait(()),
            JoinDecision::Lead(()) => JoinDecision::Lead(()),
        }
    }

    #[test]
    fn a_bounded_read_joins_a_flight_younger_than_the_bound_and_waits_for_an_older_one() {
        assert_eq!(decide_at(Duration::from_millis(1_999), Consistency::Bounded, 8), JoinDecision::Join(()));
        assert_eq!(decide_at(BOUND, Consistency::Bounded, 8), JoinDecision::Wait(()));
    }

    #[test]
    fn a_fresh_read_never_joins_a_flight_that_began_before_it_arrived() {
        assert_eq!(decide_at(Duration::ZERO, Consistency::Fresh, 8), JoinDecision::Wait(()));
        assert_eq!(decide_at(Duration::ZERO, Consistency::Fresh, 7), JoinDecision::Join(()));
    }

    #[test]
    fn without_a_flight_a_read_leads() {
        let now = Tick::from_nanos(1);
        assert_eq!(
            decide_join::<()>(None, Consistency::Fresh, FlightId(0), now, BOUND, ProtocolRules::default()),
            JoinDecision::Lead(())
        );
    }
}
