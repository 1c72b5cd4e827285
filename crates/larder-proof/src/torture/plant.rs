//! Faults that are inserted on purpose. If the torture does not find one, the torture is broken.

use std::fmt;
use std::str::FromStr;

use larder::protocol::rules::{ProtocolRule, ProtocolRules};

/// A fault to insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// Breaks one rule of the protocol.
    Without(ProtocolRule),
    /// Breaks all rules.
    Naive,
}

const NAIVE: &str = "naive";

impl Plant {
    /// All faults that the torture can show.
    pub fn all() -> impl Iterator<Item = Plant> {
        // The torture has no memory-only classes, and no load that is long enough for a renewal. The models show these
        // two faults.
        let shows = |rule: &ProtocolRule| {
            !matches!(rule, ProtocolRule::KeepsUnderAnchor | ProtocolRule::RenewsOnlyItsLease)
        };
        ProtocolRule::ALL.into_iter().filter(shows).map(Plant::Without).chain([Plant::Naive])
    }

    /// The text of `--help`.
    pub fn help() -> String {
        let names: Vec<_> = Plant::all().map(|plant| plant.to_string()).collect();
        format!(
            "Breaks a rule on purpose: the run ends when that is caught, and succeeds only then. Where the fault needs a \
             nemesis to show, that one is used. One of {}",
            names.join(", ")
        )
    }

    /// The rules that are not broken.
    pub fn rules(self) -> ProtocolRules {
        match self {
            Plant::Without(rule) => ProtocolRules::without(rule),
            Plant::Naive => ProtocolRules::naive(),
        }
    }

    /// The nemesis that makes the fault visible.
    pub fn nemesis(self) -> &'static str {
        match self {
            Plant::Without(ProtocolRule::UsesOnlyCertified | ProtocolRule::CertifiesAfterReplay) => {
                "restore-redis"
            }
            // This fault shows only if another instance's fill comes between a read and its LEASE.
            Plant::Without(ProtocolRule::InsertsOnlyTracked) => "slow-link",
            Plant::Without(ProtocolRule::AttestsSilence) => "silence-triggers",
            _ => "none",
        }
    }
}

impl fmt::Display for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Plant::Without(rule) => rule.mutant(),
            Plant::Naive => NAIVE,
        })
    }
}

impl FromStr for Plant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Plant::all().find(|plant| plant.to_string() == name).ok_or_else(|| {
            let names: Vec<_> = Plant::all().map(|plant| plant.to_string()).collect();
            format!("allowed are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_the_names_of_the_mutants() {
        assert_eq!("plain-set".parse(), Ok(Plant::Without(ProtocolRule::FillComparesLease)));
        assert_eq!("naive".parse(), Ok(Plant::Naive));
        assert!("rose".parse::<Plant>().unwrap_err().contains("blind-join"));
        assert!(Plant::all().all(|plant| plant.to_string().parse() == Ok(plant)));
    }
}
