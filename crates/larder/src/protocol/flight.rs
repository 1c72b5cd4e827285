//! Which loads in progress a read may join: the rule that keeps single flight from serving the past.

use std::time::Duration;

use crate::clock::Tick;
use crate::policy::Consistency;
use crate::protocol::rules::{Rule, Rules};
use crate::protocol::tag::TagKey;

/// Names one flight among all that this process ever began, in the order in which they began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlightId(pub u64);

/// A load in progress. `H` is how the engine follows it (in production, a channel).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Flight<H> {
    pub id: FlightId,
    pub began: Tick,
    pub tags: std::sync::Arc<[TagKey]>,
    pub handle: H,
}

/// What a read does about the flight it found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Boarding {
    /// Share its result.
    Join,
    /// It may have read before a write that this read must see: wait until it has landed, then look again.
    /// Whoever then begins a flight began it after this read arrived, so all who waited share that one.
    After,
    /// Begin an own flight.
    Lead,
}

/// Decides for a read that arrived when `next` was the id the next flight would get. A flight that was
/// detached by an invalidation is not in the table and so never gets here.
pub fn board<H>(
    flight: Option<&Flight<H>>,
    consistency: Consistency,
    arrival: FlightId,
    now: Tick,
    bound: Duration,
    rules: Rules,
) -> Boarding {
    match (flight, consistency) {
        (None, _) => Boarding::Lead,
        (Some(_), _) if !rules.keep(Rule::JoinsNoPast) => Boarding::Join,
        (Some(flight), _) if flight.id >= arrival => Boarding::Join,
        (Some(flight), Consistency::Bounded) if now.since(flight.began) < bound => Boarding::Join,
        (Some(_), Consistency::Bounded) => Boarding::Lead,
        (Some(_), Consistency::Fresh) => Boarding::After,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(2);

    fn flight(id: u64, began: Tick) -> Flight<()> {
        Flight { id: FlightId(id), began, tags: std::sync::Arc::new([]), handle: () }
    }

    fn board_at(age: Duration, consistency: Consistency, arrival: u64) -> Boarding {
        let began = Tick::from_nanos(5_000_000_000);
        board(
            Some(&flight(7, began)),
            consistency,
            FlightId(arrival),
            began.plus(age),
            BOUND,
            Rules::default(),
        )
    }

    #[test]
    fn a_bounded_read_joins_a_flight_younger_than_the_bound() {
        assert_eq!(board_at(Duration::from_millis(1_999), Consistency::Bounded, 8), Boarding::Join);
        assert_eq!(board_at(BOUND, Consistency::Bounded, 8), Boarding::Lead);
    }

    #[test]
    fn a_fresh_read_never_joins_a_flight_that_began_before_it_arrived() {
        assert_eq!(board_at(Duration::ZERO, Consistency::Fresh, 8), Boarding::After);
        assert_eq!(board_at(Duration::ZERO, Consistency::Fresh, 7), Boarding::Join);
    }

    #[test]
    fn without_a_flight_a_read_leads() {
        let now = Tick::from_nanos(1);
        assert_eq!(
            board::<()>(None, Consistency::Fresh, FlightId(0), now, BOUND, Rules::default()),
            Boarding::Lead
        );
    }
}
