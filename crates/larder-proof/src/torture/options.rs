//! The options of a torture run.

use clap::Args;

use crate::torture::nemesis::Choice;
use crate::torture::setup::Setup;

/// The options of a run.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Everything but the faults.
    #[command(flatten)]
    pub setup: Setup,
    /// Which faults are made: all of them, none, or one by name
    #[arg(long, default_value = "all", long_help = Choice::help())]
    pub nemesis: Choice,
}
