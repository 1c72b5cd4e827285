//! The model of a slot that moves, and its mutants.

use larder_proof::model::slots::{Branch, ModelRules, Slots};

use super::{Scenarios, catch, counted, hold};

fn slots(own_rules: ModelRules) -> Scenarios<Slots> {
    counted(Slots::all(own_rules), |it| it.coverage.clone())
}

#[test]
fn slots_hold() {
    assert_eq!(hold(slots(ModelRules::default()), &Branch::ALL), []);
}

#[test]
fn an_arrival_that_is_not_emptied_is_found() {
    let own_rules = ModelRules { arrivals_are_emptied: false, ..Default::default() };
    catch("arrivals-stay", slots(own_rules), "position_is_true");
}

#[test]
fn a_poll_that_goes_on_without_its_key_is_found() {
    let own_rules = ModelRules { polls_fail_elsewhere: false, ..Default::default() };
    catch("poll-goes-on", slots(own_rules), "position_is_true");
}

#[test]
fn a_refusal_that_counts_as_a_deletion_is_found() {
    let own_rules = ModelRules { asking_is_no_deletion: false, ..Default::default() };
    catch("asking-deletes", slots(own_rules), "fresh_after_acknowledgement");
}

#[test]
fn an_importing_master_that_keeps_what_arrives_is_found() {
    let own_rules = ModelRules { importing_is_emptied: false, ..Default::default() };
    catch("importing-stays", slots(own_rules), "position_is_true");
}
