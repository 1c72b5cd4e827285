//! `larder users`: users of a running instance, and files of users.

pub(crate) mod accounts;
mod files;

use std::path::Path;

use clap::{Args, Subcommand};

use crate::cli::{run, settings};

/// The arguments of `larder users`.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Users,
}

#[derive(Subcommand)]
enum Users {
    #[command(flatten)]
    // Boxed, because it is several times as large as the other.
    Accounts(Box<accounts::Accounts>),
    #[command(flatten)]
    Files(files::Files),
}

impl Arguments {
    pub(crate) fn run(self, config: Option<&Path>) -> anyhow::Result<()> {
        match self.command {
            Users::Accounts(accounts) => run(accounts.run(config)),
            Users::Files(command) => {
                settings::read(config).and_then(|settings| run(files::run(command, settings)))
            }
        }
    }
}
