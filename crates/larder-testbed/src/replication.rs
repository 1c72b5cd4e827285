//! Copies of a Redis: replicas that can be promoted, snapshots that can be restored.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::redis::Redis;

/// How long a first synchronisation may take.
const SYNC: Duration = Duration::from_secs(20);

/// Everything a Redis held at one instant.
#[derive(Clone)]
pub struct Snapshot(Vec<u8>);

impl Redis {
    /// Makes this server a replica of the one that answers on a port of 127.0.0.1, perhaps a proxy's, and waits until
    /// it has everything.
    ///
    /// # Errors
    ///
    /// When it is not synchronised after 20 s.
    pub fn replicate(&self, port: u16) -> Result<()> {
        self.command(&["REPLICAOF", "127.0.0.1", &port.to_string()])?;
        let deadline = Instant::now() + SYNC;
        while !self.command(&["INFO", "replication"])?.contains("master_link_status:up") {
            if Instant::now() > deadline {
                bail!("the replica was not synchronised after {SYNC:?}");
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Makes a replica a master of its own, with what it has received so far.
    ///
    /// # Errors
    ///
    /// As [`Redis::command`].
    pub fn promote(&self) -> Result<()> {
        self.command(&["REPLICAOF", "NO", "ONE"]).map(drop)
    }

    /// Takes down everything it holds.
    ///
    /// # Errors
    ///
    /// As [`Redis::command`].
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.command(&["SAVE"])?;
        Ok(Snapshot(fs::read(self.dump()).context("reading the dump of Redis")?))
    }

    /// Kills the server if it runs and starts it again with what a snapshot holds: same port, same directives.
    ///
    /// # Errors
    ///
    /// As [`Redis::restart`].
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.kill()?;
        fs::write(self.dump(), &snapshot.0).context("writing the dump of Redis")?;
        self.boot_again()
    }
}
