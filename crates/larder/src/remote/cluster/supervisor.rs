//! Follows which masters a cluster has, and combines their validity into one.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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
use crate::remote::redis::membership::Membership;
use crate::remote::redis::topology::{self, Master, Topology};
use crate::remote::redis::trouble::{self, DialError};
use crate::remote::redis::{Dialler, Endpoint, RedisTier, Settings};
use crate::remote::validity::{UnsentInvalidations, Validity, Whole};
use crate::remote::{Listener, Remote as _};

/// How often the nodes are asked which masters there are. A master that names another one is a reason to ask at once.
const TOPOLOGY_INTERVAL: Duration = Duration::from_secs(1);
/// The shortest time between two such questions.
const TOPOLOGY_INTERVAL_MIN: Duration = Duration::from_millis(50);
/// So many masters are asked: one of them may be cut off from the others, and its answer is then older.
const ASKED: usize = 3;
/// How often the validity is combined if no master reports a change. A grant that ends by itself reports none.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// What is still to be sent.
pub(super) enum Owing {
    Nothing,
    /// This master has something to get, or to confirm.
    Member(Arc<Member>),
    /// Only keys that have no master at present.
    Ownerless,
}

pub(super) struct Supervisor {
    /// The URL's nodes, and how to connect to any node.
    dialler: Dialler,
    /// What each master's tier gets.
    settings: Settings,
    pub(super) clock: Clock,
    listener: Arc<dyn Listener>,
    /// The validity of the cluster.
    whole: Arc<Validity>,
    /// The masters. Only `follow_topology` writes it; the lock is held to clone or to replace the `Arc`.
    map: RwLock<Arc<Map>>,
    /// Notified after each change of a master's validity.
    changed: Arc<Notify>,
    /// Notified if a key may have another master than the map says.
    moved: Arc<Notify>,
    /// Whether each slot has a master that is in use.
    has_all: watch::Sender<bool>,
    /// How many times the nodes have been asked.
    asked: watch::Sender<u64>,
    /// Queued invalidations of keys that have no master at present. The lock is held for a few statements.
    ownerless: Mutex<Vec<Bytes>>,
    /// Held while the map changes, and while an invalidation is queued by it or looked for: so each is at a master of the
    /// present map, or without an owner. It is never held across an await. Under it, the locks of queues are taken.
    changing: Mutex<()>,
    /// The latest configuration of the cluster that was adopted. Relaxed, as it is read and written under `changing`.
    epoch: AtomicU64,
    /// If an invalidation of everything has to reach masters that are not known at present: until which number of rounds; 0
    /// otherwise. Relaxed: it is read under
    /// `changing`, and an invalidation that sets it fails and is queued, under `changing`, after that.
    owes_others: AtomicU64,
    /// The most bytes of a value that reads return. Relaxed: no other data depends on it.
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
            owes_others: AtomicU64::new(0),
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
        self.value_bytes.fetch_max(bytes, Ordering::Relaxed);
        self.map().members.iter().for_each(|member| member.tier.allow_value_bytes(bytes));
    }

    pub(super) fn ownerless(&self) -> MutexGuard<'_, Vec<Bytes>> {
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
                    self.empty_idle(&topology.idle).await;
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

    /// Deletes what arrives at masters that have no slots yet: a move that is given up could bring it back.
    async fn empty_idle(&self, idle: &[Host]) {
        let map = self.map();
        let Some(member) = map.informed().filter(|member| member.tier.knows_database()) else { return };
        join_all(idle.iter().map(async |node| {
            // A node that does not answer is asked again in the next round.
            let (mut connection, _driver) = self.dialler.of_node(node).dial_untracked().await.ok()?;
            let importing = topology::ask(&mut connection).await.ok()?.importing;
            if !importing.is_empty() {
                member.tier.sweep_at(&mut connection, &importing).await.ok()?;
            }
            Some(())
        }))
        .await;
    }

    async fn ask(&self, node: &Host) -> Result<Topology, DialError> {
        let (mut connection, _driver) = self.dialler.of_node(node).dial_untracked().await?;
        Ok(topology::ask(&mut connection).await?.asked_at(node))
    }

    /// Takes over what a node says. A master that is another server than before, or has another home, gets a new tier.
    fn adopt(&self, topology: &Topology) {
        let _changing = self.changing();
        let before = self.map();
        // A node that was cut off may know less than what was adopted before. A cluster that was made anew has other masters.
        let is_known = |master: &Master| before.members.iter().any(|member| member.master.id == master.id);
        let is_same_cluster = topology.masters.iter().any(is_known);
        if is_same_cluster && self.epoch.load(Ordering::Relaxed) > topology.epoch {
            return;
        }
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
        self.queue_at(&map, &ownerless);
        // Replaced before the others are retired: a read that begins after a retirement finds the new map.
        *self.map.write().unwrap_or_else(PoisonError::into_inner) = map.clone();
        for member in retired {
            tracing::info!(master = %member.master.host, "no longer a master of the Redis Cluster");
            member.membership.set_in_use(false);
            self.whole.revoke();
            member.tier.clear_guarded();
            // Again: its keeper may have put some aside since.
            self.pass_on(member, &map);
        }
        let owed_since = self.owes_others.load(Ordering::Relaxed);
        if map.missing.is_empty() && *self.asked.borrow() >= owed_since {
            self.owes_others.store(0, Ordering::Relaxed);
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
        tier.allow_value_bytes(self.value_bytes.load(Ordering::Relaxed));
        if let Some(sibling) = self.map().informed() {
            tier.learn_database_of(&sibling.tier);
        }
        if self.owes_others.load(Ordering::Relaxed) > 0 {
            tier.queue(&[], true);
        }
        tracing::info!(master = %master.host, slots = %master.slots, "a master of the Redis Cluster");
        Ok(Arc::new(Member { master: master.clone(), home, tier, validity, membership, condition }))
    }

    /// Queues at the masters of `map` what `member` has not been sent. Sending it twice does no harm.
    fn pass_on(&self, member: &Member, map: &Map) {
        match member.validity.unsent() {
            UnsentInvalidations::Nothing => {}
            UnsentInvalidations::Keys(keys) => self.queue_at(map, &keys),
            UnsentInvalidations::Everything => self.queue_everything_at(map),
        }
        member.membership.hand_over(|_| true, |keys| self.queue_at(map, keys));
    }

    /// Queues the invalidation of `keys`, and of everything, at the present masters.
    pub(super) fn queue(&self, keys: &[Bytes], everything: bool) {
        let _changing = self.changing();
        let map = self.map();
        self.queue_at(&map, keys);
        if everything {
            self.queue_everything_at(&map);
        }
    }

    fn queue_everything_at(&self, map: &Map) {
        if !map.missing.is_empty() {
            self.owe_others();
        }
        map.members.iter().for_each(|member| member.tier.queue(&[], true));
    }

    /// From here on, each master that comes into the map gets an invalidation of everything first; until the nodes have been
    /// asked after this, and each slot has a master.
    pub(super) fn owe_others(&self) {
        // The round that runs now may have begun before, and the next one begins after this.
        self.owes_others.store(*self.asked.borrow() + 2, Ordering::Relaxed);
    }

    fn queue_at(&self, map: &Map, keys: &[Bytes]) {
        let (parts, ownerless) = map.split(keys);
        for part in parts {
            part.member.tier.queue(&part.keys, false);
        }
        if !ownerless.is_empty() {
            self.ownerless().extend(ownerless.into_iter().cloned());
            self.moved.notify_one();
        }
    }

    /// What is still to be sent, or to be confirmed by a grant.
    pub(super) fn owing(&self) -> Owing {
        let _changing = self.changing();
        let map = self.map();
        let has_strays = |member: &Arc<Member>| member.membership.stray_count() > 0;
        match map.members.iter().find(|member| member.validity.is_owed()) {
            Some(member) => Owing::Member(member.clone()),
            None if self.ownerless().is_empty() && !map.members.iter().any(has_strays) => Owing::Nothing,
            None => Owing::Ownerless,
        }
    }

    /// Waits until the nodes have been asked again, at most `limit`.
    pub(super) async fn wait_for_topology(&self, limit: Duration) {
        let mut asked = self.asked.subscribe();
        asked.mark_unchanged();
        let _ = timeout(limit, asked.changed()).await;
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Combines the validity of the masters, until the task is aborted.
    pub(super) async fn watch_validity(self: Arc<Self>) {
        loop {
            while !self.combine() {}
            let _ = timeout(WATCH_INTERVAL, self.changed.notified()).await;
        }
    }

    /// Grants the cluster up to the instant up to which all masters are granted that are valid now. Returns `false` if a
    /// master was lost: then its copies have left memory, and this has to be repeated.
    fn combine(&self) -> bool {
        // The epoch is read first: a master that is lost from here on, or retired, ends it, and nothing is granted.
        let epoch = self.whole.epoch();
        let (map, now) = (self.map(), self.clock.now());
        let mut valid = Vec::new();
        for member in &map.members {
            let until = member.validity.until();
            if now < until {
                valid.push((member, until));
            } else if member.membership.set_in_use(false) {
                self.whole.revoke();
                member.tier.clear_guarded();
                return false;
            }
        }
        // A reply that was asked for before a master came into use may count until later than that master allows: so its coming
        // ends the epoch.
        let mut has_joined = false;
        for (member, _) in &valid {
            has_joined |= member.membership.join();
        }
        if has_joined {
            self.whole.revoke();
            return false;
        }
        // Reported before the grant, so that a task that waits for the grant then sees the matching health.
        self.report(&map);
        let Some(until) = valid.iter().map(|(_, until)| *until).min() else { return true };
        // Granted first: a read of a master that comes into use finds that the cluster's validity depends on it.
        if self.whole.grant(epoch, until) {
            for (member, _) in &valid {
                member.membership.set_in_use(true);
            }
            let is_all = valid.len() == map.members.len() && map.missing.is_empty();
            self.has_all.send_if_modified(|has_all| std::mem::replace(has_all, is_all) != is_all);
        }
        true
    }

    /// Reports the trouble of the first master that has one.
    fn report(&self, map: &Map) {
        if map.members.is_empty() {
            return;
        }
        let condition = &self.settings.condition;
        let present = map.members.iter().find_map(|member| Some((member, member.condition.present()?)));
        let missing = &map.missing;
        match present {
            Some((member, reason)) => {
                let detail = reason.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
                condition.note(reason.trouble, Some(format!("{}{detail}", member.master.host)));
            }
            None if !missing.is_empty() => {
                condition.note(Trouble::ClusterDown, Some(format!("the slots {missing} have no master")));
            }
            None => condition.note_recovery(),
        }
    }

    /// Reports that no node says which masters there are. The masters that are known stay in use while they are granted.
    fn note_unreachable(&self, error: &DialError) {
        if self.map().members.is_empty() {
            let (trouble, detail) = match error {
                DialError::Redis(error) => (trouble::of(error), trouble::words(error)),
                DialError::Unusable(trouble, detail) => (*trouble, detail.clone()),
            };
            self.settings.condition.note(trouble, Some(detail));
        }
    }
}

fn latest(topologies: impl Iterator<Item = Topology>) -> Option<Topology> {
    topologies.filter(|topology| !topology.masters.is_empty()).max_by_key(|topology| topology.epoch)
}
