//! The options of a run of the torture.

use clap::{Args, ValueEnum};

use crate::torture::nemesis::Choice;
use crate::torture::setup::Setup;

/// A run.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What the faults happen to
    #[command(flatten)]
    pub setup: Setup,
    /// Which faults are made: all of them, none, or one by name
    #[arg(long, default_value = "all", long_help = Choice::help())]
    pub nemesis: Choice,
    /// With a mutant: what has to find it, by which the run ends
    #[arg(long, default_value = "judge")]
    pub finder: Finder,
}

/// What finds a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Finder {
    /// The judge, which has the records of all processes.
    Judge,
    /// The auditor of an instance, which has only what the instance itself reads.
    Auditor,
}
