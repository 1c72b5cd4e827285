//! A temporary SQLite database, and a writer that does not use larder.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::programs::{Program, find};

/// A path for a SQLite database in a temporary folder. A drop removes the folder.
pub struct Sqlite {
    _folder: TempDir,
    file: PathBuf,
}

impl Sqlite {
    /// Creates the folder. The first program that opens the file creates it.
    ///
    /// # Errors
    ///
    /// If the temporary folder cannot be created.
    pub fn fresh() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("larder-sqlite-").tempdir()?;
        let file = folder.path().join("larder.db");
        Ok(Self { _folder: folder, file })
    }

    /// `sqlite:///…/larder.db`, without options: a client that does not create missing files adds
    /// `?mode=rwc`.
    pub fn url(&self) -> String {
        format!("sqlite://{}", self.file.display())
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// Runs SQL as a program that does not use larder: in the sqlite3 shell, which waits up to 5 s for a
    /// lock.
    ///
    /// Returns the rows, one a line, columns separated by `|`.
    ///
    /// # Errors
    ///
    /// If sqlite3 is not installed (the error names the package) or a statement fails (the error contains
    /// SQLite's text).
    pub fn sql(&self, statement: &str) -> Result<String> {
        let output = Command::new(find(Program::Sqlite3)?)
            .args(["-batch", "-bail", "-init", "/dev/null", "-cmd", ".timeout 5000"])
            .arg(&self.file)
            .arg(statement)
            .stdin(Stdio::null())
            .output()
            .context("starting sqlite3")?;
        if !output.status.success() {
            bail!("sqlite3: {}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }
}
