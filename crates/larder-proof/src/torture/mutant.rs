//! Faults that are inserted on purpose. If the torture does not find one, the torture is broken.

use std::fmt;
use std::str::FromStr;

use larder::protocol::rules::{ProtocolRule, ProtocolRules};

/// A fault to insert, as in mutation testing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Breaks one rule of the protocol.
    Without(ProtocolRule),
    /// Breaks all rules.
    Naive,
}

const NAIVE: &str = "naive";

impl Mutant {
    /// All faults that the torture can show.
    pub fn all() -> impl Iterator<Item = Mutant> {
        // The torture has no memory-only classes, and no load that is long enough for a renewal. The models show these
        // two faults.
        let shows = |rule: &ProtocolRule| {
            !matches!(rule, ProtocolRule::KeepsUnderAnchor | ProtocolRule::RenewsOnlyItsLease)
        };
        ProtocolRule::ALL.into_iter().filter(shows).map(Mutant::Without).chain([Mutant::Naive])
    }

    /// The text of `--help`.
    pub fn help() -> String {
        let names: Vec<_> = Mutant::all().map(|mutant| mutant.to_string()).collect();
        format!(
            "Breaks a rule on purpose: the run ends when that is caught, and succeeds only then. Where the fault needs a \
             nemesis to show, that one is used. One of {}",
            names.join(", ")
        )
    }

    /// The rules that are not broken.
    pub fn rules(self) -> ProtocolRules {
        match self {
            Mutant::Without(rule) => ProtocolRules::without(rule),
            Mutant::Naive => ProtocolRules::naive(),
        }
    }

    /// The nemesis that makes the fault visible.
    pub fn nemesis(self) -> &'static str {
        match self {
            Mutant::Without(ProtocolRule::UsesOnlyCertified | ProtocolRule::CertifiesAfterReplay) => {
                "restore-redis"
            }
            // This fault shows only if another instance's fill comes between a read and its LEASE.
            Mutant::Without(ProtocolRule::InsertsOnlyTracked) => "slow-link",
            Mutant::Without(ProtocolRule::AttestsSilence) => "silence-triggers",
            _ => "none",
        }
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mutant::Without(rule) => rule.mutant(),
            Mutant::Naive => NAIVE,
        })
    }
}

impl FromStr for Mutant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Mutant::all().find(|mutant| mutant.to_string() == name).ok_or_else(|| {
            let names: Vec<_> = Mutant::all().map(|mutant| mutant.to_string()).collect();
            format!("allowed are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_the_names_of_the_mutants() {
        assert_eq!("plain-set".parse(), Ok(Mutant::Without(ProtocolRule::FillComparesLease)));
        assert_eq!("naive".parse(), Ok(Mutant::Naive));
        assert!("rose".parse::<Mutant>().unwrap_err().contains("blind-join"));
        assert!(Mutant::all().all(|mutant| mutant.to_string().parse() == Ok(mutant)));
    }
}
