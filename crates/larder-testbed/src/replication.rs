//! Copies of a Redis: replicas, which can be promoted, and snapshots, which can be restored.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::redis::Redis;

/// Time-out of the first synchronisation.
const SYNC: Duration = Duration::from_secs(20);

/// The contents of a Redis at one instant.
#[derive(Clone)]
pub struct Snapshot(Vec<u8>);

impl Redis {
    /// Makes this server a replica of the server on a port of 127.0.0.1, which may be a proxy's, and waits until it
    /// is synchronised.
    ///
    /// # Errors
    ///
    /// If it is not synchronised after 20 s.
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

    /// Waits until this replica has received everything that `master` has written.
    ///
    /// # Errors
    ///
    /// If it has not after 20 s.
    pub fn catch_up(&self, master: &Redis) -> Result<()> {
        let offset = |redis: &Redis, name: &str| -> Result<u64> {
            let state = redis.command(&["INFO", "replication"])?;
            let offset = state.lines().find_map(|line| line.strip_prefix(name));
            Ok(offset.with_context(|| format!("no {name}"))?.trim().parse()?)
        };
        // `WAIT` would not do: it waits for the writes of its own connection.
        let written = offset(master, "master_repl_offset:")?;
        let deadline = Instant::now() + SYNC;
        while offset(self, "slave_repl_offset:")? < written {
            if Instant::now() > deadline {
                bail!("the replica had not caught up after {SYNC:?}");
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Promotes a replica to a master with the contents that it has received so far.
    ///
    /// # Errors
    ///
    /// As [`Redis::command`].
    pub fn promote(&self) -> Result<()> {
        self.command(&["REPLICAOF", "NO", "ONE"]).map(drop)
    }

    /// Saves and returns the contents.
    ///
    /// # Errors
    ///
    /// As [`Redis::command`].
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.command(&["SAVE"])?;
        Ok(Snapshot(fs::read(self.dump()).context("reading the dump of Redis")?))
    }

    /// Kills the server if it runs and starts it again with a snapshot's contents: same port, same directives.
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
