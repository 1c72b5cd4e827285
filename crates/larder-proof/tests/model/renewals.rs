//! Loads that take so long that their lease is renewed.

use coherence::Branch;

use super::*;

fn renewals(rules: ProtocolRules) -> Scenarios<Coherence> {
    counted(coherence::scenarios::renewals(rules), |it| it.coverage.clone())
}

#[test]
fn renewals_hold() {
    let untaken = hold(renewals(ProtocolRules::default()), &Branch::ALL);
    assert!(!untaken.iter().any(|branch| Branch::RENEWALS.contains(branch)), "{untaken:?}");
    assert!(!untaken.contains(&Branch::FillRefused), "a fill after a lost renewal");
}

#[test]
fn blind_renewal_is_caught() {
    let rules = ProtocolRules::without(ProtocolRule::RenewsOnlyItsLease);
    catch("blind-renewal", renewals(rules), "redis_is_not_behind");
}
