//! Entries that aged: refreshes, reads that load before they answer, loads that fail, and reads that are dropped.

use coherence::Branch;

use super::*;

fn aging(rules: ProtocolRules) -> Scenarios<Coherence> {
    counted(coherence::scenarios::aging(rules), |it| it.coverage.clone())
}

#[test]
fn aging_holds() {
    let untaken = hold(aging(ProtocolRules::default()), &Branch::ALL);
    assert!(!untaken.iter().any(|branch| Branch::AGED.contains(branch)), "{untaken:?}");
}

#[test]
fn refresh_that_sets_blindly_is_caught() {
    let rules = ProtocolRules::without(ProtocolRule::PutsUnderPermit);
    catch("blind-put", aging(rules), "redis_is_not_behind");
    catch("blind-put", aging(rules), "own_writes_are_read");
    catch("blind-put", aging(rules), "fresh_after_acknowledgement");
    let refreshed =
        || counted(Memory::refreshed(rules, memory::ModelRules::default()), |it| it.coverage.clone());
    catch("blind-put", refreshed(), "memory_applied_what_its_guard_certifies");
    catch("blind-put", refreshed(), "own_writes_are_read");
}

#[test]
fn last_known_entry_of_before_an_invalidation_is_caught() {
    let rules = ProtocolRules::without(ProtocolRule::ServesStaleOnlyValid);
    catch("stale-grace", aging(rules), "own_writes_are_read");
}

/// A load that goes on in the background sets its value blindly. Only reads that are dropped show it.
#[test]
fn abandoned_load_that_fills_blindly_is_caught() {
    let scenarios = |departures: fn(u8) -> u8| {
        let all = coherence::scenarios::aging(ProtocolRules::default()).into_iter();
        let blind = move |(name, it): (_, Coherence)| {
            let departures = departures(it.departures);
            (name, Coherence { left_loads_compare: false, departures, ..it })
        };
        counted(all.filter(|(_, it)| it.departures > 0).map(blind).collect(), |it| it.coverage.clone())
    };
    catch("blind-completion", scenarios(|some| some), "redis_is_not_behind");
    hold(scenarios(|_| 0), &Branch::ALL);
}
