//! A Redis Cluster of temporary servers.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::ports::free_port;
use crate::redis::Redis;

/// How many slots a cluster has.
const SLOTS: u16 = 16_384;
/// Time-out of a change that the nodes have to agree upon.
const AGREEMENT: Duration = Duration::from_secs(30);

/// Masters with equal shares of the slots, each with a replica if they are asked for. A drop stops all of them.
///
/// A master counts as failed after 1 s (`cluster-node-timeout`); the others then keep answering for their own slots
/// (`cluster-require-full-coverage no`).
pub struct RedisCluster {
    /// The nodes: first the masters as they were at the start, then their replicas in the same order.
    pub nodes: Vec<Redis>,
}

/// A slot that is being moved.
pub struct MovingSlot {
    slot: String,
    source: usize,
    target: usize,
}

impl RedisCluster {
    /// Starts `masters` servers, each with a replica if `has_replicas`, and returns when all of them agree. `directives` are
    /// those of `redis.conf`.
    ///
    /// # Errors
    ///
    /// As [`Redis::start_with`], or if the nodes do not agree within 30 s.
    pub fn start(masters: usize, has_replicas: bool, directives: &[(&str, &str)]) -> Result<Self> {
        let count = if has_replicas { 2 * masters } else { masters };
        let nodes: Vec<Redis> = (0..count).map(|_| start_node(directives)).collect::<Result<_>>()?;
        let cluster = RedisCluster { nodes };
        let share = usize::from(SLOTS).div_ceil(masters);
        for (nth, node) in cluster.nodes.iter().enumerate() {
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(nth + 1).to_string()])?;
            if nth < masters {
                let last = ((nth + 1) * share).min(usize::from(SLOTS)) - 1;
                let range = [(nth * share).to_string(), last.to_string()];
                node.command(&["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]])?;
            }
        }
        for node in &cluster.nodes[1..] {
            let [port, bus] =
                [cluster.nodes[0].port(), bus_port(&cluster.nodes[0])?].map(|port| port.to_string());
            node.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
        }
        cluster.wait("every node knows every other", |nodes| {
            nodes.lines().count() == count && !nodes.contains("handshake")
        })?;
        for nth in masters..count {
            let master = cluster.id(nth - masters)?;
            cluster.nodes[nth].command(&["CLUSTER", "REPLICATE", &master])?;
        }
        cluster.wait("every replica is known", |nodes| nodes.matches("slave").count() == count - masters)?;
        cluster.wait_until_whole()?;
        Ok(cluster)
    }

    /// `redis-cluster://` with the address of each node.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis-cluster://{}", hosts.join(","))
    }

    /// The places of the nodes that are masters with slots now, as most nodes that answer say.
    ///
    /// # Errors
    ///
    /// If no node answers.
    pub fn masters(&self) -> Result<Vec<usize>> {
        let is_master = |line: &&str| {
            let words: Vec<&str> = line.split(' ').collect();
            let flags: Vec<&str> = words.get(2).unwrap_or(&"").split(',').collect();
            flags.contains(&"master") && !flags.contains(&"fail") && words.len() > 8
        };
        let nodes = self.nodes.iter().filter_map(|node| node.command(&["CLUSTER", "NODES"]).ok());
        let views: Vec<Vec<usize>> = nodes
            .map(|nodes| {
                let ports = nodes.lines().filter(is_master).filter_map(port_in);
                let mut places: Vec<usize> = ports.filter_map(|port| self.place_of(port)).collect();
                places.sort_unstable();
                places
            })
            .collect();
        let votes = |view: &Vec<usize>| views.iter().filter(|other| *other == view).count();
        views.iter().max_by_key(|view| votes(view)).cloned().context("no node of the cluster answers")
    }

    /// The place of a replica of the master at `master`, if it has one.
    ///
    /// # Errors
    ///
    /// As [`Redis::command`].
    pub fn replica_of(&self, master: usize) -> Result<Option<usize>> {
        let id = self.id(master)?;
        let replicas = self.nodes[master].command(&["CLUSTER", "REPLICAS", &id])?;
        Ok(replicas.lines().filter_map(port_in).find_map(|port| self.place_of(port)))
    }

    /// Waits until all nodes agree on the masters and on the epoch, each node is a master with slots or a replica in touch with
    /// its master, and all slots have a master. A replica that does not know the latest epoch would take over with one that
    /// the others refuse. So the masters' epochs have to differ, too: of two that are equal, one master raises its own later.
    ///
    /// # Errors
    ///
    /// If that is not so after 30 s, or a node does not answer.
    pub fn wait_until_whole(&self) -> Result<()> {
        wait("all slots have a master", || {
            let masters = self.masters()?;
            let mut epochs = HashSet::new();
            for (nth, node) in self.nodes.iter().enumerate() {
                let info = node.command(&["CLUSTER", "INFO"])?;
                epochs.extend(
                    info.lines().find(|line| line.starts_with("cluster_current_epoch:")).map(str::to_owned),
                );
                let replication = node.command(&["INFO", "replication"])?;
                let is_in_place = match masters.contains(&nth) {
                    true => replication.contains("role:master"),
                    false => replication.contains("master_link_status:up"),
                };
                let has_all = info.contains("cluster_slots_ok:16384") && info.contains("cluster_state:ok");
                if !is_in_place || !has_all || !have_distinct_epochs(&node.command(&["CLUSTER", "NODES"])?) {
                    return Ok(false);
                }
            }
            Ok(epochs.len() == 1)
        })
    }

    /// Removes all contents of the node at `node`, its slots and its name: the others no longer know it.
    ///
    /// # Errors
    ///
    /// As [`Redis::command`].
    pub fn reset(&self, node: usize) -> Result<()> {
        wait("the node is reset", || {
            // A master with keys cannot be reset, and clients write until then.
            self.nodes[node].command(&["FLUSHALL"])?;
            Ok(self.nodes[node].command(&["CLUSTER", "RESET", "HARD"]).is_ok())
        })
    }

    /// Lets the replica at `replica` take the slots of its master without asking the others, as an operator does whose master is
    /// gone and is not found to have failed.
    ///
    /// # Errors
    ///
    /// As [`Redis::command`].
    pub fn take_over(&self, replica: usize) -> Result<()> {
        self.nodes[replica].command(&["CLUSTER", "FAILOVER", "TAKEOVER"]).map(drop)
    }

    /// Lets the node at `node`, which was reset, join again as a replica of the master at `master`.
    ///
    /// # Errors
    ///
    /// As [`Redis::command`], or if the nodes do not know each other after 30 s.
    pub fn join(&self, node: usize, master: usize) -> Result<()> {
        let [port, bus] =
            [self.nodes[master].port(), bus_port(&self.nodes[master])?].map(|port| port.to_string());
        self.nodes[node].command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
        let id = self.id(master)?;
        wait("the node that was reset knows the master", || {
            // An error means that it does not.
            Ok(self.nodes[node].command(&["CLUSTER", "REPLICATE", &id]).is_ok())
        })
    }

    fn place_of(&self, port: u16) -> Option<usize> {
        self.nodes.iter().position(|node| node.port() == port)
    }

    /// The place of the node that has the slot of `key` now, as the nodes that answer say.
    ///
    /// # Errors
    ///
    /// If no node that answers has it.
    pub fn owner_of(&self, key: &str) -> Result<usize> {
        for (nth, node) in self.nodes.iter().enumerate() {
            // A node that does not have it answers MOVED; a replica does so, too.
            if node.command(&["EXISTS", key]).is_ok() {
                return Ok(nth);
            }
        }
        bail!("no node has the slot of {key}")
    }

    /// The slot of `key`, as a node says.
    ///
    /// # Errors
    ///
    /// If the first node does not answer.
    pub fn slot_of(&self, key: &str) -> Result<u16> {
        Ok(self.nodes[0].command(&["CLUSTER", "KEYSLOT", key])?.parse()?)
    }

    /// Moves the slot of `key`, with all of its keys, to the node at `target`, as `redis-cli --cluster reshard` does.
    /// `between` runs when the keys have gone, and the slot has not.
    ///
    /// # Errors
    ///
    /// As [`Redis::command`].
    pub fn move_slot_of(&self, key: &str, target: usize, between: impl FnOnce()) -> Result<()> {
        let moving = self.begin_move_of(key, target)?;
        between();
        self.end_move(&moving)
    }

    /// Begins to move the slot of `key` to the node at `target`, and moves all of its keys.
    ///
    /// # Errors
    ///
    /// As [`Redis::command`].
    pub fn begin_move_of(&self, key: &str, target: usize) -> Result<MovingSlot> {
        let source = self.owner_of(key)?;
        let slot = self.nodes[source].command(&["CLUSTER", "KEYSLOT", key])?;
        let (from, to) = (self.id(source)?, self.id(target)?);
        self.nodes[target].command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from])?;
        self.nodes[source].command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to])?;
        let moving = MovingSlot { slot, source, target };
        self.migrate(&moving.slot, source, target)?;
        Ok(moving)
    }

    /// Gives the slot to its target, after the keys that it got since.
    ///
    /// # Errors
    ///
    /// As [`Redis::command`].
    pub fn end_move(&self, MovingSlot { slot, source, target }: &MovingSlot) -> Result<()> {
        self.migrate(slot, *source, *target)?;
        let to = self.id(*target)?;
        for nth in [*target, *source] {
            self.nodes[nth].command(&["CLUSTER", "SETSLOT", slot, "NODE", &to])?;
        }
        for node in &self.nodes {
            // A node that is down, or a replica, learns it from the others.
            let _ = node.command(&["CLUSTER", "SETSLOT", slot, "NODE", &to]);
        }
        Ok(())
    }

    /// Moves the keys back, and leaves the slot where it was.
    ///
    /// # Errors
    ///
    /// As [`Redis::command`].
    pub fn give_up_move(&self, MovingSlot { slot, source, target }: &MovingSlot) -> Result<()> {
        // The source takes keys back only while the slot is its own and not being moved.
        self.nodes[*source].command(&["CLUSTER", "SETSLOT", slot, "STABLE"])?;
        self.migrate(slot, *target, *source)?;
        self.nodes[*target].command(&["CLUSTER", "SETSLOT", slot, "STABLE"]).map(drop)
    }

    /// Moves all keys of `slot` from one node to another.
    fn migrate(&self, slot: &str, from: usize, to: usize) -> Result<()> {
        let port = self.nodes[to].port().to_string();
        loop {
            let keys = self.nodes[from].command(&["CLUSTER", "GETKEYSINSLOT", slot, "100"])?;
            let keys: Vec<&str> = keys.lines().filter(|key| !key.is_empty()).collect();
            if keys.is_empty() {
                return Ok(());
            }
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "REPLACE", "KEYS"];
            migrate.extend(keys);
            self.nodes[from].command(&migrate)?;
        }
    }

    fn id(&self, nth: usize) -> Result<String> {
        self.nodes[nth].command(&["CLUSTER", "MYID"])
    }

    /// Waits until each node's `CLUSTER NODES` is as `is_right` says.
    fn wait(&self, what: &str, is_right: impl Fn(&str) -> bool) -> Result<()> {
        for node in &self.nodes {
            wait(what, || Ok(is_right(&node.command(&["CLUSTER", "NODES"])?)))?;
        }
        Ok(())
    }
}

fn start_node(directives: &[(&str, &str)]) -> Result<Redis> {
    let bus = free_port()?.to_string();
    let mut own = vec![
        ("cluster-enabled", "yes"),
        ("cluster-port", bus.as_str()),
        ("cluster-node-timeout", "1000"),
        ("cluster-require-full-coverage", "no"),
        // A replica may take over however long its link was broken: the tests break it on purpose.
        ("cluster-replica-validity-factor", "0"),
    ];
    own.extend(directives);
    Redis::start_with(&own)
}

/// The port of a line of `CLUSTER NODES`.
fn port_in(line: &str) -> Option<u16> {
    line.split(' ').nth(1)?.split('@').next()?.rsplit(':').next()?.parse().ok()
}

fn bus_port(node: &Redis) -> Result<u16> {
    let nodes = node.command(&["CLUSTER", "NODES"])?;
    let own = nodes.lines().find(|line| line.contains("myself")).context("no line of its own")?;
    let bus = own.split('@').nth(1).and_then(|rest| rest.split([',', ' ']).next()).context("no bus port")?;
    Ok(bus.parse()?)
}

fn wait(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + AGREEMENT;
    while !condition()? {
        if Instant::now() > deadline {
            bail!("not after {AGREEMENT:?}: {what}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Whether no two masters of an answer to CLUSTER NODES have the same epoch. Names without an address are of nodes that were
/// reset.
fn have_distinct_epochs(nodes: &str) -> bool {
    let fields = nodes.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let masters = fields
        .filter(|fields| fields.len() > 6 && fields[2].contains("master") && !fields[2].contains("noaddr"));
    let mut seen = HashSet::new();
    masters.map(|fields| fields[6].to_owned()).all(|epoch| seen.insert(epoch))
}
