//! Runs the schedules of the shard lock: in each order of steps that is tried, no copy remains that is older than the
//! last invalidation.

use std::panic::catch_unwind;

use larder::protocol::rules::{ProtocolRule, ProtocolRules};
use larder_schedules::schedules::{
    insert_against_clear, insert_against_push, load_against_clear, load_against_drop_key,
    load_against_drop_matching, load_against_drop_tag, put_against_clear, put_against_drop_key,
    put_against_drop_matching, put_against_drop_tag, put_against_push, refresh_against_clear,
    refresh_against_drop_key, tag_against_push,
};

/// Tries 3,000 random schedules, and 3,000 by thread priorities (PCT) at each of two depths.
///
/// An invalidation of all of memory takes many locks. A random schedule practically never runs it without interruption
/// between two steps of the other thread (0 of 150,000 tries). PCT at depth 2, which forces one switch, does so in one
/// schedule of about thirty. Depth 3 forces two switches, and finds faults that need two; it misses the faults of depth
/// 2 in one exploration of eight.
fn explore(scenario: fn(ProtocolRules), rules: ProtocolRules) {
    shuttle::check_random(move || scenario(rules), 3_000);
    for depth in [2, 3] {
        shuttle::check_pct(move || scenario(rules), 3_000, depth);
    }
}

#[test]
fn no_old_copy_remains_after_a_push() {
    explore(insert_against_push, ProtocolRules::default());
}

#[test]
fn no_copy_is_served_after_the_push_of_its_tag() {
    explore(tag_against_push, ProtocolRules::default());
}

#[test]
fn no_old_copy_remains_after_a_clear() {
    explore(insert_against_clear, ProtocolRules::default());
}

#[test]
fn no_old_copy_remains_after_a_write_of_the_key() {
    explore(load_against_drop_key, ProtocolRules::default());
}

#[test]
fn no_old_copy_remains_after_a_write_of_the_tag() {
    explore(load_against_drop_tag, ProtocolRules::default());
}

#[test]
fn no_old_copy_remains_after_a_pattern_or_a_clear_overtook_its_load() {
    explore(load_against_drop_matching, ProtocolRules::default());
    explore(load_against_clear, ProtocolRules::default());
}

#[test]
fn no_old_copy_remains_after_an_invalidation_overtook_its_permit() {
    let scenarios = [
        put_against_drop_key,
        put_against_push,
        put_against_drop_matching,
        put_against_clear,
        put_against_drop_tag,
    ];
    for scenario in scenarios {
        explore(scenario, ProtocolRules::default());
    }
}

#[test]
fn one_read_refreshes_and_no_old_copy_remains_after_an_invalidation_overtook_it() {
    for scenario in [refresh_against_drop_key, refresh_against_clear] {
        explore(scenario, ProtocolRules::default());
    }
}

#[test]
fn a_refresh_without_its_permit_is_found() {
    let rules = ProtocolRules::without(ProtocolRule::PutsUnderPermit);
    for scenario in [refresh_against_drop_key, refresh_against_clear] {
        assert!(catch_unwind(|| explore(scenario, rules)).is_err(), "no schedule found the blind refresh");
    }
}

#[test]
fn a_put_without_its_permit_is_found() {
    let rules = ProtocolRules::without(ProtocolRule::PutsUnderPermit);
    for scenario in [put_against_drop_key, put_against_push, put_against_drop_matching, put_against_clear] {
        assert!(
            catch_unwind(|| explore(scenario, rules)).is_err(),
            "no schedule found the put without its permit"
        );
    }
}

#[test]
fn a_late_insert_is_found() {
    let rules = ProtocolRules::without(ProtocolRule::InsertsNothingLate);
    for scenario in [insert_against_push, insert_against_clear, tag_against_push] {
        assert!(catch_unwind(|| explore(scenario, rules)).is_err(), "no schedule found the late insert");
    }
}

#[test]
fn an_insert_by_a_detached_load_is_found() {
    let rules = ProtocolRules::without(ProtocolRule::JoinsNoPast);
    assert!(
        catch_unwind(|| explore(load_against_drop_key, rules)).is_err(),
        "no schedule found the detached load"
    );
}
