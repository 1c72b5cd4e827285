//! The options of a run of the torture.

use clap::Args;

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
}
