//! The user of servers that refuse to run as root.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::geteuid;

/// The user that a server runs as.
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// `postgres` if this process runs as root; else `None`, and servers run as the same user as this process.
    pub(crate) fn for_servers() -> Result<Option<Self>> {
        if geteuid().is_root() { Self::named("postgres").map(Some) } else { Ok(None) }
    }

    /// Makes the account the owner of a file or folder.
    pub(crate) fn own(&self, path: &Path) -> Result<()> {
        Ok(chown(path, Some(self.uid), Some(self.gid))?)
    }

    /// Makes a command run as the account.
    pub(crate) fn run(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    fn named(name: &str) -> Result<Self> {
        let passwd = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
        Self::parse(&passwd, name).with_context(|| {
            format!(
                "there is no user {name}, which root needs to run PostgreSQL; on Debian: apt-get install postgresql"
            )
        })
    }

    fn parse(passwd: &str, name: &str) -> Option<Self> {
        let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let user = fields.into_iter().find(|fields| fields.first() == Some(&name))?;
        Some(Self { uid: user.get(2)?.parse().ok()?, gid: user.get(3)?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_complete_name() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104:,,,:/:/bin/sh\n";
        let account = Account::parse(passwd, "postgres").unwrap();
        assert_eq!((account.uid, account.gid), (101, 104));
        assert!(Account::parse(passwd, "nobody").is_none());
    }
}
