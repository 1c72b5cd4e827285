//! Which masters of a Redis Cluster have which slots, as one of its nodes says in `CLUSTER NODES`.
//!
//! Source: <https://redis.io/docs/latest/commands/cluster-nodes/>.

use redis::{ErrorKind, RedisResult};

use crate::protocol::slots::SlotSet;
use crate::remote::redis::address::Host;
use crate::remote::redis::link::Connection;

/// Asks the node at the other end of `connection`.
pub(crate) async fn ask(connection: &mut Connection) -> RedisResult<Topology> {
    let nodes: String = redis::cmd("CLUSTER").arg("NODES").query_async(connection).await?;
    Topology::parse(&nodes)
        .ok_or_else(|| (ErrorKind::UnexpectedReturnType, "the answer to CLUSTER NODES cannot be read").into())
}

/// A master with slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Master {
    /// The name that the node gave itself.
    pub(crate) id: String,
    /// Where its clients connect. Its name is empty if the node that was asked knows no address of itself.
    pub(crate) host: Host,
    /// Its slots.
    pub(crate) slots: SlotSet,
    /// Those that are being moved away or here, if it is the node that was asked: the others do not know.
    moving: SlotSet,
    /// Whether it is the node that was asked.
    is_myself: bool,
}

/// What one node says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Topology {
    /// The masters that have slots.
    pub(crate) masters: Vec<Master>,
    /// The masters that have none. Slots may be on their way to them.
    pub(crate) idle: Vec<Host>,
    /// The slots that are being moved to the node that was asked.
    pub(crate) importing: SlotSet,
    /// The latest configuration of a master with slots: each failover and each moved slot has a newer one.
    pub(crate) epoch: u64,
}

impl Topology {
    /// Reads the answer; `None` if it is none.
    pub(crate) fn parse(nodes: &str) -> Option<Self> {
        let mut topology =
            Topology { masters: Vec::new(), idle: Vec::new(), importing: SlotSet::empty(), epoch: 0 };
        for line in nodes.lines().filter(|line| !line.trim().is_empty()) {
            let words: Vec<&str> = line.split(' ').collect();
            let [id, address, flags, _, _, _, own_epoch, _, slots @ ..] = &words[..] else { return None };
            let has = |flag| flags.split(',').any(|own| own == flag);
            if !has("master") || has("noaddr") || has("handshake") {
                continue;
            }
            let ((slots, moving), host) = (slots_of(slots)?, host(address)?);
            if has("myself") {
                topology.importing = moving.minus(&slots);
            }
            if slots.is_empty() {
                topology.idle.push(host);
                continue;
            }
            topology.epoch = topology.epoch.max(own_epoch.parse().ok()?);
            topology.masters.push(Master {
                id: (*id).to_owned(),
                host,
                slots,
                moving,
                is_myself: has("myself"),
            });
        }
        Some(topology)
    }

    /// The slots of the node that was asked; none if it is no master. A slot that is being moved counts as absent: its keys
    /// are at two masters.
    pub(crate) fn own_slots(&self) -> SlotSet {
        let myself = self.masters.iter().find(|master| master.is_myself);
        myself.map_or_else(SlotSet::empty, |myself| myself.slots.minus(&myself.moving))
    }

    /// This topology, if the node that was asked is at `asked`: a node may not know its own address.
    #[must_use]
    pub(crate) fn asked_at(mut self, asked: &Host) -> Self {
        for myself in self.masters.iter_mut().filter(|master| master.is_myself && master.host.name.is_empty())
        {
            myself.host = asked.clone();
        }
        self
    }
}

/// An address is `ip:port@cport[,hostname]`. The certificate of a server is for its name.
fn host(address: &str) -> Option<Host> {
    let mut parts = address.split(',');
    let (ip, port) = parts.next()?.split('@').next()?.rsplit_once(':')?;
    let name = parts.next().filter(|name| !name.is_empty()).unwrap_or(ip);
    Some(Host { name: name.to_owned(), port: port.parse().ok()? })
}

/// Slots are `first-last` or `slot`; `[slot->-node]` is being moved away, `[slot-<-node]` here. Returns all, and those that
/// are being moved.
fn slots_of(words: &[&str]) -> Option<(SlotSet, SlotSet)> {
    let (mut slots, mut moving) = (SlotSet::empty(), SlotSet::empty());
    for word in words {
        match word.strip_prefix('[') {
            Some(slot) => {
                let slot = slot.split('-').next()?.parse().ok()?;
                moving.insert_range(slot, slot)?;
            }
            None => {
                let (first, last) = word.split_once('-').unwrap_or((word, word));
                slots.insert_range(first.parse().ok()?, last.parse().ok()?)?;
            }
        }
    }
    Some((slots, moving))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: &str = "\
07c3 127.0.0.1:30004@31004,host4 slave e7d1 0 1426238317239 4 connected
67ed 127.0.0.1:30002@31002,,shard-id=5f master - 0 1426238316232 2 connected 5461-10922
292f 127.0.0.1:30003@31003,host3 master,fail - 0 1426238318243 3 connected 10923-16383
6ec2 127.0.0.1:30005@31005 master - 0 1426238316232 5 connected
e7d1 :30001@31001 myself,master - 0 0 1 connected 0-5460 [77-<-67ed] [93->-292f]
";

    #[test]
    fn each_master_with_slots_is_named_with_what_it_has() {
        let topology = Topology::parse(NODES).unwrap();
        let masters: Vec<_> = topology
            .masters
            .iter()
            .map(|master| (&*master.id, master.host.to_string(), master.slots.to_string()))
            .collect();
        assert_eq!(
            masters,
            [
                ("67ed", "127.0.0.1:30002".to_owned(), "5461-10922".to_owned()),
                ("292f", "host3:30003".to_owned(), "10923-16383".to_owned()),
                ("e7d1", ":30001".to_owned(), "0-5460".to_owned()),
            ]
        );
        assert_eq!(topology.epoch, 3, "of masters with slots");
        assert_eq!(topology.idle.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.1:30005"]);
        assert_eq!(topology.own_slots().to_string(), "0-76,78-92,94-5460");
        assert!(topology.importing.is_empty(), "it has both slots itself");
        let importing = NODES.replace("[77-<-67ed]", "[7000-<-67ed]");
        assert_eq!(Topology::parse(&importing).unwrap().importing.to_string(), "7000");
    }

    #[test]
    fn a_replica_has_no_slots_and_nonsense_is_no_topology() {
        let replica = "07c3 127.0.0.1:30004@31004 myself,slave e7d1 0 0 4 connected\n";
        assert!(Topology::parse(replica).unwrap().own_slots().is_empty());
        assert_eq!(Topology::parse("ERR unknown"), None);
    }
}
