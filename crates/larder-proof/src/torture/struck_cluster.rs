//! A Redis Cluster under torture: what breaks in it, and how it heals.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use larder_testbed::{Redis, RedisCluster};

/// How many masters it has.
const MASTERS: usize = 3;
/// The longest time until a replica has taken over.
const TAKE_OVER: Duration = Duration::from_secs(30);

/// The cluster, and the master that the nemesis strikes.
pub(super) struct StruckCluster {
    cluster: RedisCluster,
    struck: usize,
}

impl StruckCluster {
    /// Starts masters with a replica each, and `user`.
    pub(super) fn start(user: &str) -> Result<Self> {
        Ok(StruckCluster { cluster: RedisCluster::start(MASTERS, true, &[("user", user)])?, struck: 0 })
    }

    pub(super) fn url(&self) -> String {
        self.cluster.url()
    }

    /// Chooses the master that the next nemesis strikes.
    pub(super) fn choose(&mut self) -> Result<()> {
        let masters = self.cluster.masters()?;
        self.struck = masters[rand::random_range(0..masters.len())];
        Ok(())
    }

    pub(super) fn struck(&mut self) -> &mut Redis {
        &mut self.cluster.nodes[self.struck]
    }

    /// Kills the master, whose replica lacks the last writes and takes over. Then the former master returns without its
    /// contents, as a replica.
    pub(super) fn fail_over(&mut self) -> Result<()> {
        let replica = self.replica()?;
        self.cluster.nodes[replica].pause()?;
        thread::sleep(Duration::from_millis(rand::random_range(50..300)));
        self.struck().kill()?;
        self.cluster.nodes[replica].resume()?;
        self.wait_for_take_over(replica)?;
        self.struck().restart()?;
        self.cluster.wait_until_whole()
    }

    /// Stops the master until its replica has taken over, and lets it go on: it finds out that it is none.
    pub(super) fn cut_off(&mut self) -> Result<()> {
        let replica = self.replica()?;
        self.struck().pause()?;
        self.wait_for_take_over(replica)?;
        self.struck().resume()?;
        self.cluster.wait_until_whole()
    }

    /// Stops all masters but the struck one for `span`: no replica can take over, and the one that is left refuses to answer.
    pub(super) fn lose_majority(&mut self, span: Duration) -> Result<()> {
        let others = self.others()?;
        others.iter().try_for_each(|other| self.cluster.nodes[*other].pause())?;
        thread::sleep(span);
        others.iter().try_for_each(|other| self.cluster.nodes[*other].resume())?;
        self.cluster.wait_until_whole()
    }

    /// Moves `slots` slots with all of their keys from the master to another one. They are slots of present keys.
    pub(super) fn move_slots(&mut self, slots: usize) -> Result<()> {
        let others = self.others()?;
        let target = others[rand::random_range(0..others.len())];
        for _ in 0..slots {
            let name = self.struck().command(&["RANDOMKEY"])?;
            if name != "(nil)" && self.cluster.owner_of(&name)? == self.struck {
                let pause = Duration::from_millis(rand::random_range(0..100));
                self.cluster.move_slot_of(&name, target, || thread::sleep(pause))?;
            }
        }
        Ok(())
    }

    /// Resets the master, contents and all: its replica takes over, and it joins again as a replica.
    pub(super) fn reset(&mut self) -> Result<()> {
        let replica = self.replica()?;
        self.cluster.reset(self.struck)?;
        // The others know its former name no longer by an address, so they do not find that it has failed.
        self.cluster.take_over(replica)?;
        self.wait_for_take_over(replica)?;
        self.cluster.join(self.struck, replica)?;
        self.cluster.wait_until_whole()
    }

    fn replica(&self) -> Result<usize> {
        self.cluster.replica_of(self.struck)?.context("the master has no replica")
    }

    fn others(&self) -> Result<Vec<usize>> {
        Ok(self.cluster.masters()?.into_iter().filter(|master| *master != self.struck).collect())
    }

    fn wait_for_take_over(&self, replica: usize) -> Result<()> {
        let deadline = Instant::now() + TAKE_OVER;
        while !self.cluster.masters()?.contains(&replica) {
            if Instant::now() > deadline {
                let nodes = self.cluster.nodes[replica].command(&["CLUSTER", "NODES"])?;
                bail!("the replica had not taken over after {TAKE_OVER:?}; it says\n{nodes}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
