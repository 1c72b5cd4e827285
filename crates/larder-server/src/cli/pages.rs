//! `larder completions` and `larder man`: what shells and `man` read about the commands.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use clap_complete::Shell;

use crate::cli::command;

/// The arguments of `larder completions`.
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command(), "larder", &mut script);
        say!("{}", String::from_utf8_lossy(&script).trim_end())
    }
}

/// The arguments of `larder man`.
#[derive(Args)]
pub(crate) struct Man {
    /// The folder for the pages; it is created if it does not exist
    folder: PathBuf,
}

impl Man {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let folder = self.folder.display();
        std::fs::create_dir_all(&self.folder).with_context(|| format!("{folder} cannot be created"))?;
        clap_mangen::generate_to(command(), &self.folder)
            .with_context(|| format!("{folder} cannot be written"))?;
        say!("The pages are in {folder}; read one with `man -l {folder}/larder.1`.")
    }
}
