//! A SQLite database of one's own, and a foreign writer into it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::programs::{Program, find};

/// A path for a SQLite database in a temporary folder; dropped, the folder is removed.
pub struct Sqlite {
    _folder: TempDir,
    file: PathBuf,
}

impl Sqlite {
    /// Makes the folder. The file itself is made by whoever opens it first.
    ///
    /// # Errors
    ///
    /// When the temporary folder cannot be made.
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

    /// Runs SQL as software that has never heard of larder would: in the sqlite3 shell, waiting up to 5 s for
    /// a lock.
    ///
    /// Returns the rows, one a line, columns separated by `|`.
    ///
    /// # Errors
    ///
    /// When sqlite3 is not installed (the error names the package) or a statement fails (it holds SQLite's
    /// words).
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
