//! What a run of the torture consists of, apart from its faults.

use std::time::Duration;

use clap::{Args, ValueEnum};
use larder::protocol::rules::ProtocolRule;

use crate::torture::deployment::Deployment;
use crate::torture::mutant::Mutant;

/// The servers, the instances and their settings.
#[derive(Args, Clone, Debug)]
pub struct Setup {
    /// How long faults are made; start, quiet time and judgement come on top
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// How many instances there are, from 1 to 8
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=8))]
    pub instances: u16,
    /// What is behind the cache
    #[arg(long, default_value = "postgres")]
    pub database: Kind,
    /// Whether the instances share a Redis; without, they share the database alone
    #[arg(long, default_value = "on")]
    pub redis: Switch,
    /// How the instances reach their Redis
    #[arg(long, default_value = "plain")]
    pub deployment: Deployment,
    /// How many releases of the application run side by side, 1 or 2: the second declares the value's fields in another
    /// order
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=2))]
    pub releases: u16,
    /// Whether two more instances over another database, with the same keys and other values, share the Redis and the
    /// namespace
    #[arg(long, default_value = "on")]
    pub second_database: Switch,
    /// Breaks a rule on purpose: the run ends when that is caught, and succeeds only then
    #[arg(long, alias = "plant", long_help = Mutant::help())]
    pub mutant: Option<Mutant>,
    /// The staleness bound D, in milliseconds, from 500 to 60000
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(500..=60_000))]
    pub bound_ms: u64,
}

impl Setup {
    /// The staleness bound.
    pub fn bound(&self) -> Duration {
        Duration::from_millis(self.bound_ms)
    }

    /// How many releases run side by side. Some mutants need two.
    pub fn releases(&self) -> u16 {
        let needs_two = self.mutant == Some(Mutant::Without(ProtocolRule::ComparesDigests));
        if needs_two { 2 } else { self.releases }
    }

    /// Whether there is a second database. Without a Redis it would share nothing with the first one.
    pub fn has_second_database(&self) -> bool {
        self.has_redis() && self.second_database == Switch::On
    }

    /// Whether a proxy is between each instance and its Redis.
    pub fn has_links(&self) -> bool {
        self.has_redis() && self.deployment.has_links()
    }

    /// Whether there is a Redis.
    pub fn has_redis(&self) -> bool {
        self.redis == Switch::On
    }
}

/// A database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// PostgreSQL.
    Postgres,
    /// SQLite: the instances share its file.
    Sqlite,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}
