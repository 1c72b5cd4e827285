//! The database fails over: mutants that only the scenarios with that step show.

use larder::protocol::rules::ProtocolRules;
use larder_proof::model::failover::{self, Branch, Failover, ModelRules};

use super::{Scenarios, catch, counted, hold};

fn successions(own_rules: ModelRules) -> Scenarios<Failover> {
    counted(failover::scenarios::successions(ProtocolRules::default(), own_rules), |it| it.coverage.clone())
}

#[test]
fn successions_hold() {
    let untaken = hold(successions(ModelRules::default()), &Branch::ALL);
    assert!(!untaken.iter().any(|branch| Branch::SUCCESSIONS.contains(branch)), "{untaken:?}");
}

fn catch_succession(mutant: &str, own_rules: ModelRules) {
    catch(mutant, successions(own_rules), "no_lost_write_is_read");
}

#[test]
fn position_without_its_timeline_is_caught() {
    let own_rules = ModelRules { position_names_timeline: false, ..Default::default() };
    catch_succession("position-of-any-timeline", own_rules);
}

#[test]
fn certificate_without_its_timeline_is_caught() {
    let own_rules = ModelRules { certificate_names_timeline: false, ..Default::default() };
    catch_succession("certificate-of-any-timeline", own_rules);
}

#[test]
fn grant_that_outlives_its_timeline_is_caught() {
    let own_rules = ModelRules { another_timeline_revokes: false, ..Default::default() };
    catch_succession("grant-of-any-timeline", own_rules);
}
