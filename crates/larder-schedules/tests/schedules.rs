//! Runs the schedules of the shard lock: no copy older than the last invalidation remains, in any order of steps tried.

use std::panic::catch_unwind;

use larder::protocol::rules::{ProtocolRule, ProtocolRules};
use larder_schedules::schedules::{
    insert_against_clear, insert_against_push, load_against_clear, load_against_drop_key,
    load_against_drop_matching, load_against_drop_tag, put_against_clear, put_against_drop_key,
    put_against_drop_matching, put_against_drop_tag, put_against_push,
};

/// By chance, and by changing priorities at few points, which finds what takes few unlucky switches.
fn explore(scenario: fn(ProtocolRules), rules: ProtocolRules) {
    shuttle::check_random(move || scenario(rules), 3_000);
    shuttle::check_pct(move || scenario(rules), 3_000, 3);
}

#[test]
fn no_old_copy_remains_after_a_push() {
    explore(insert_against_push, ProtocolRules::default());
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
fn blind_put_is_found() {
    let rules = ProtocolRules::without(ProtocolRule::PutsUnderPermit);
    for scenario in [put_against_drop_key, put_against_push, put_against_drop_matching, put_against_clear] {
        assert!(catch_unwind(|| explore(scenario, rules)).is_err(), "a put without its permit goes unseen");
    }
}

#[test]
fn late_insert_is_found() {
    let rules = ProtocolRules::without(ProtocolRule::InsertsNothingLate);
    for scenario in [insert_against_push, insert_against_clear] {
        assert!(catch_unwind(|| explore(scenario, rules)).is_err(), "a late insert goes unseen");
    }
}

#[test]
fn blind_join_is_found() {
    let rules = ProtocolRules::without(ProtocolRule::JoinsNoPast);
    assert!(catch_unwind(|| explore(load_against_drop_key, rules)).is_err(), "a detached load goes unseen");
}
