//! Follows which masters a cluster has, and combines their validity into one.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use rand::seq::IndexedRandom as _;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::clock::Clock;
use crate::condition::Condition;
use crate::error::Error;
use crate::health::Trouble;
use crate::remote::cluster::map::{Map, Member, home_of};
use crate::remote::redis::address::Host;
use crate::remote::redis::membership::{Membership, WaitingKeys};
use crate::remote::redis::topology::{self, Master, Topology};
use crate::remote::redis::trouble::DialError;
use crate::remote::redis::{Dialler, Endpoint, RedisTier, Settings};
use crate::remote::validity::{UnsentInvalidations, Validity, Whole};
use crate::remote::{Listener, Remote as _};

/// How often the nodes are asked which masters there are. A master that names another one is a reason to ask at once.
const TOPOLOGY_INTERVAL: Duration = Duration::from_secs(1);
/// The shortest time between two such questions.
const TOPOLOGY_INTERVAL_MIN: Duration = Duration::from_millis(50);
/// After so many rounds in a row, an older configuration is adopted.
const OUTDATED_MAX: u32 = 10;
/// So many masters are asked: one of them may be cut off from the others, and its answer is then older.
const ASKED: usize = 3;

pub(super) struct Supervisor {
    /// The URL's nodes, and how to connect to any node.
    dialler: Dialler,
    /// What each master's tier gets.
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    listener: Arc<dyn Listener>,
    /// The validity of the cluster.
    pub(super) whole: Arc<Validity>,
    /// The masters. Only `follow_topology` writes it; the lock is held to clone or to replace the `Arc`.
    map: RwLock<Arc<Map>>,
    /// Notified after each change of a master's validity.
    pub(super) changed: Arc<Notify>,
    /// Notified if a key may have another master than the map says.
    pub(super) moved: Arc<Notify>,
    /// Whether each slot has a master that is in use.
    pub(super) has_all: watch::Sender<bool>,
    /// How many times the nodes have been asked.
    pub(super) asked: watch::Sender<u64>,
    /// Queued invalidations of keys that have no master at present. The lock is held for a few statements.
    pub(super) ownerless: Mutex<WaitingKeys>,
    /// Held while the map changes, while an invalidation is queued by the present map, and while unsent invalidations are counted.
    /// So every unsent invalidation is queued at a master of the present map, or in `ownerless`. (Keepers move some between
    /// their queue and their strays without it; see `unconfirmed`.) It is never held across an await. Under it, the locks of
    /// queues are taken.
    changing: Mutex<()>,
    /// The latest configuration of the cluster that was adopted. Relaxed, as it is read and written under `changing`.
    epoch: AtomicU64,
    /// Until `asked` reaches this number, each new master first gets an invalidation of everything; 0: none does. Relaxed: it is
    /// read under `changing`, and an invalidation that sets it is queued, under `changing`, after that.
    pub(super) clears_until: AtomicU64,
    /// How many rounds in a row said less than what was adopted. Relaxed, as one task uses it.
    outdated: AtomicU32,
    /// The masters without slots, as of the last round.
    idle: watch::Sender<Vec<Host>>,
    /// The most bytes of a value that reads return. `SeqCst`: it is set before the map is read, and read again after the map
    /// is replaced, so that no master misses it.
    value_bytes: AtomicUsize,
}

impl Supervisor {
    pub(super) fn new(
        dialler: Dialler,
        settings: Settings,
        clock: Clock,
        listener: Arc<dyn Listener>,
        whole: Arc<Validity>,
    ) -> Self {
        Supervisor {
            dialler,
            settings,
            clock,
            listener,
            whole,
            map: RwLock::new(Arc::new(Map::new(Vec::new()))),
            changed: Arc::default(),
            moved: Arc::default(),
            has_all: watch::Sender::new(false),
            asked: watch::Sender::new(0),
            ownerless: Mutex::default(),
            changing: Mutex::new(()),
            epoch: AtomicU64::new(0),
            clears_until: AtomicU64::new(0),
            outdated: AtomicU32::new(0),
            idle: watch::Sender::new(Vec::new()),
            value_bytes: AtomicUsize::new(0),
        }
    }

    pub(super) fn map(&self) -> Arc<Map> {
        self.map.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until each slot has a master that is in use.
    pub(super) async fn wait_until_all_are_used(&self) {
        // The sender is in `self`, so there is no error.
        let _ = self.has_all.subscribe().wait_for(|has_all| *has_all).await;
    }

    pub(super) fn allow_value_bytes(&self, bytes: usize) {
        self.value_bytes.fetch_max(bytes, Ordering::SeqCst);
        self.map().members.iter().for_each(|member| member.tier.allow_value_bytes(bytes));
    }

    pub(super) fn ownerless(&self) -> MutexGuard<'_, WaitingKeys> {
        self.ownerless.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests the nodes to be asked now, and waits until one has been asked after this call, at most `limit`.
    pub(super) async fn ask_again(&self, limit: Duration) {
        let mut asked = self.asked.subscribe();
        // The round that runs now may have begun before this call; the one after it did not.
        let next = *asked.borrow_and_update() + 2;
        let rounds = async {
            while *asked.borrow_and_update() < next {
                self.moved.notify_one();
                if asked.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = timeout(limit, rounds).await;
    }

    /// Asks which masters there are, until the task is aborted.
    pub(super) async fn follow_topology(self: Arc<Self>) {
        loop {
            match self.topology().await {
                Ok(topology) => {
                    self.adopt(&topology);
                    self.idle.send_replace(topology.idle);
                }
                Err(error) => self.note_unreachable(&error),
            }
            self.asked.send_modify(|asked| *asked += 1);
            sleep(TOPOLOGY_INTERVAL_MIN).await;
            let _ = timeout(TOPOLOGY_INTERVAL, self.moved.notified()).await;
        }
    }

    /// The latest of several nodes' answers.
    async fn topology(&self) -> Result<Topology, DialError> {
        let map = self.map();
        let some: Vec<&Arc<Member>> = map.members.sample(&mut rand::rng(), ASKED).collect();
        let answers = join_all(some.into_iter().map(async |member| {
            member.tier.topology().await.ok().map(|topology| topology.asked_at(&member.master.host))
        }))
        .await;
        if let Some(latest) = latest(answers.into_iter().flatten()) {
            return Ok(latest);
        }
        let others = map.members.iter().map(|member| &member.master.host);
        let nodes: Vec<&Host> = self.dialler.nodes().unwrap_or_default().iter().chain(others).collect();
        let answers = join_all(nodes.into_iter().map(|node| self.ask(node))).await;
        let (answers, mut errors): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        match latest(answers.into_iter().flatten()) {
            Some(latest) => Ok(latest),
            None => Err(errors.pop().and_then(Result::err).unwrap_or_else(|| {
                DialError::Unusable(Trouble::Away, "no node of the cluster answers".to_owned())
            })),
        }
    }

    /// Deletes what arrives at masters that have no slots yet, until the task is aborted: a move that is given up could bring
    /// it back. A node that does not answer delays no other task.
    pub(super) async fn sweep_idle(self: Arc<Self>) {
        loop {
            let idle = self.idle.borrow().clone();
            join_all(idle.iter().map(|node| self.sweep_importing_at(node))).await;
            sleep(TOPOLOGY_INTERVAL).await;
        }
    }

    async fn sweep_importing_at(&self, node: &Host) -> Option<()> {
        let map = self.map();
        let member = map.informed().filter(|member| member.tier.knows_database_since().is_some())?;
        // A node that does not answer is asked again later.
        let (mut connection, _driver) = self.dialler.of_node(node).dial_untracked().await.ok()?;
        let importing = topology::ask(&mut connection).await.ok()?.importing;
        if !importing.is_empty() {
            member.tier.sweep_at(&mut connection, &importing).await.ok()?;
        }
        Some(())
    }

    async fn ask(&self, node: &Host) -> Result<Topology, DialError> {
        let (mut connection, _driver) = self.dialler.of_node(node).dial_untracked().await?;
        Ok(topology::ask(&mut connection).await?.asked_at(node))
    }

    /// Takes over what a node says. A master that is another server than before, or has another home, gets a new tier.
    fn adopt(&self, topology: &Topology) {
        let _changing = self.changing();
        let before = self.map();
        // A node that was cut off may know less than what was adopted before. A cluster that was made again has other masters;
        // and one that says less again and again was put back to a former configuration.
        let is_known = |master: &Master| before.members.iter().any(|member| member.master.id == master.id);
        let is_same_cluster = topology.masters.iter().any(is_known);
        let is_outdated = is_same_cluster && self.epoch.load(Ordering::Relaxed) > topology.epoch;
        if is_outdated && self.outdated.fetch_add(1, Ordering::Relaxed) < OUTDATED_MAX {
            return;
        }
        self.outdated.store(0, Ordering::Relaxed);
        self.epoch.store(topology.epoch, Ordering::Relaxed);
        let mut members = Vec::new();
        for master in &topology.masters {
            let Some(home) = home_of(&master.slots) else { continue };
            let known = before.members.iter().find(|member| member.is_of(master, home));
            match known.map_or_else(|| self.member(master, home), |known| Ok(known.clone())) {
                Ok(member) => members.push((member, master.slots.clone())),
                Err(error) => tracing::warn!(%error, master = %master.host, "a master cannot be used"),
            }
        }
        let map = Arc::new(Map::new(members));
        let has_left = |member: &&Arc<Member>| !map.members.iter().any(|other| Arc::ptr_eq(other, member));
        let retired: Vec<&Arc<Member>> = before.members.iter().filter(has_left).collect();
        // Queued before the map is replaced: a read that finds a key's new master there finds what is unsent there, too.
        for member in &map.members {
            let is_elsewhere = |key: &Bytes| map.owner(key).is_some_and(|owner| !Arc::ptr_eq(owner, member));
            match member.validity.unsent() {
                UnsentInvalidations::Nothing => {}
                UnsentInvalidations::Keys(mut keys) => {
                    keys.retain(is_elsewhere);
                    self.queue_at(&map, &keys);
                }
                UnsentInvalidations::Everything if before.has_lost_slots(member, &map) => {
                    self.queue_everything_at(&map);
                }
                UnsentInvalidations::Everything => {}
            }
            member.membership.hand_over(is_elsewhere, |keys| self.queue_at(&map, keys));
        }
        retired.iter().for_each(|member| self.pass_on(member, &map));
        let ownerless = std::mem::take(&mut *self.ownerless());
        let mut is_everything = ownerless.is_overflowed;
        for member in &before.members {
            is_everything |= member.membership.take_overflow();
        }
        if is_everything {
            self.queue_everything_at(&map);
        }
        self.queue_at(&map, &ownerless.keys.into_iter().collect::<Vec<_>>());
        // Replaced before the others are retired: a read that begins after a retirement finds the new map.
        *self.map.write().unwrap_or_else(PoisonError::into_inner) = map.clone();
        let value_bytes = self.value_bytes.load(Ordering::SeqCst);
        map.members.iter().for_each(|member| member.tier.allow_value_bytes(value_bytes));
        for member in retired {
            tracing::info!(master = %member.master.host, "no longer a master of the Redis Cluster");
            member.membership.set_in_use(false);
            self.whole.revoke();
            member.tier.clear_guarded();
            // Again: its keeper may have put some aside since.
            self.pass_on(member, &map);
        }
        let until = self.clears_until.load(Ordering::Relaxed);
        if map.missing.is_empty() && *self.asked.borrow() >= until {
            // Unless it has been set again meanwhile.
            let _ = self.clears_until.compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
        self.changed.notify_one();
    }

    fn member(&self, master: &Master, home: u16) -> Result<Arc<Member>, Error> {
        let whole = Whole { validity: self.whole.clone(), changed: self.changed.clone() };
        let validity = Arc::new(Validity::part_of(whole));
        let membership = Arc::new(Membership::new(home, self.moved.clone()));
        let condition = Arc::new(Condition::of_part(self.clock.clone()));
        let settings = Settings {
            endpoint: Endpoint::Member(self.dialler.of_node(&master.host)),
            membership: Some(membership.clone()),
            condition: condition.clone(),
            ..self.settings.clone()
        };
        let tier = RedisTier::start(settings, self.clock.clone(), self.listener.clone(), validity.clone())?;
        tier.allow_value_bytes(self.value_bytes.load(Ordering::SeqCst));
        if let Some(sibling) = self.map().informed() {
            tier.learn_database_of(&sibling.tier);
        }
        if self.clears_until.load(Ordering::Relaxed) > 0 {
            tier.queue(&[], true);
        }
        tracing::info!(master = %master.host, slots = %master.slots, "a master of the Redis Cluster");
        Ok(Arc::new(Member { master: master.clone(), home, tier, validity, membership, condition }))
    }

    pub(super) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn latest(topologies: impl Iterator<Item = Topology>) -> Option<Topology> {
    topologies.filter(|topology| !topology.masters.is_empty()).max_by_key(|topology| topology.epoch)
}
