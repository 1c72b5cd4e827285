//! Everything that a nemesis can break.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use larder_testbed::{Proxy, Redis};
use tempfile::TempDir;

use crate::history::Instance as Number;
use crate::torture::child::Child;
use crate::torture::deployment::SharedRedis;
use crate::torture::instance::order::Order;
use crate::torture::observers::Observers;
use crate::torture::servers::{Base, Endurance};
use crate::torture::setup::Setup;

/// The longest time until each instance uses a promoted standby.
const KNOWN: Duration = Duration::from_secs(20);
/// How many instances the second database has.
const NEIGHBOURS: usize = 2;

/// The servers and the instances on them.
pub struct Stage {
    // Fields drop in this order: instances, observers, servers, and last the folder.
    pub(super) children: Vec<Child>,
    /// Two more instances, which use the second database.
    neighbours: Vec<Child>,
    pub(super) observers: Observers,
    pub(super) proxies: Vec<Proxy>,
    redis: Option<SharedRedis>,
    second: Option<Base>,
    pub(super) base: Base,
    pub(super) folder: TempDir,
    pub(super) bound: Duration,
    setup: Setup,
    program: PathBuf,
    next: Number,
}

impl Stage {
    /// Starts servers, observers and instances. `endurance`: what the database's server has to bear.
    pub(super) fn set(setup: &Setup, program: &Path, endurance: Endurance) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("larder-torture-").tempdir()?;
        let base = Base::fresh(setup.database, endurance)?;
        let second = if setup.has_second_database() { Some(base.beside()?) } else { None };
        let observers = Observers::start(&base.url(), folder.path())?;
        let redis = match setup.has_redis() {
            true => Some(SharedRedis::start(setup.deployment, folder.path())?),
            false => None,
        };
        let mut stage = Stage {
            children: Vec::new(),
            neighbours: Vec::new(),
            observers,
            proxies: Vec::new(),
            redis,
            second,
            base,
            folder,
            bound: setup.bound(),
            setup: setup.clone(),
            program: program.to_owned(),
            next: 0,
        };
        for nth in 0..usize::from(setup.instances) {
            stage.open_link()?;
            let child = stage.start(nth)?;
            stage.children.push(child);
        }
        stage.start_neighbours()?;
        stage.observers.let_write(true);
        Ok(stage)
    }

    fn open_link(&mut self) -> Result<()> {
        if let Some(redis) = self.redis.as_ref().filter(|_| self.setup.has_links()) {
            self.proxies.push(Proxy::start(redis.port())?);
        }
        Ok(())
    }

    /// Starts the neighbours. They use the last proxies. These proxies also follow each promoted Redis, but no nemesis
    /// disturbs them.
    fn start_neighbours(&mut self) -> Result<()> {
        let Some(second) = &self.second else { return Ok(()) };
        let urls: Vec<String> =
            (self.next..).take(NEIGHBOURS).map(|number| second.instance_url(number)).collect();
        // Their history goes to another folder, because the first database's writes do not apply to it.
        let folder = self.folder.path().join("second");
        fs::create_dir(&folder)?;
        for url in urls {
            self.open_link()?;
            let mut settings = self.settings(&url, self.proxies.len().saturating_sub(1));
            settings.push("--second".to_owned());
            let child = Child::start(&self.program, &folder, self.next, &settings)?;
            self.next += 1;
            self.neighbours.push(child);
        }
        Ok(())
    }

    /// The arguments of an instance with `database` and the nth proxy.
    fn settings(&self, database: &str, nth: usize) -> Vec<String> {
        let bound_ms = self.setup.bound_ms.to_string();
        let mut settings =
            vec!["--database".to_owned(), database.to_owned(), "--bound-ms".to_owned(), bound_ms];
        if let Some(redis) = &self.redis {
            settings.extend(redis.arguments(self.proxies.get(nth).map(Proxy::port)));
        }
        settings.extend(["--releases".to_owned(), self.setup.releases().to_string()]);
        if let Some(mutant) = self.setup.mutant {
            settings.extend(["--mutant".to_owned(), mutant.to_string()]);
        }
        settings
    }

    /// Starts the nth instance with the nth proxy.
    fn start(&mut self, nth: usize) -> Result<Child> {
        let number = self.next;
        let settings = self.settings(&self.base.instance_url(number), nth);
        self.next += 1;
        Child::start(&self.program, self.folder.path(), number, &settings)
    }

    /// Replaces the nth instance by a new one with an empty memory, and kills the old one.
    pub(super) fn replace(&mut self, nth: usize) -> Result<()> {
        let child = self.start(nth)?;
        self.children[nth] = child;
        Ok(())
    }

    /// The Redis that all instances share: with Sentinels, the present master; in a cluster, the master that the nemesis
    /// strikes.
    pub(super) fn redis(&mut self) -> Result<&mut Redis> {
        Ok(self.shared_redis()?.redis())
    }

    /// Chooses which server the next nemesis strikes, if there are several.
    pub(super) fn choose_redis(&mut self) -> Result<()> {
        self.redis.as_mut().map_or(Ok(()), SharedRedis::choose)
    }

    /// That Redis with all that belongs to its deployment.
    pub(super) fn shared_redis(&mut self) -> Result<&mut SharedRedis> {
        self.redis.as_mut().context("this nemesis needs a Redis")
    }

    /// Keeps the folder with the history. Returns its path.
    pub(super) fn keep(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }

    /// Redirects all instances to another Redis and stops the old one. `another` has the port at which instances reach
    /// it.
    pub(super) fn replace_redis(&mut self, another: (Redis, u16)) -> Result<()> {
        for proxy in &self.proxies {
            proxy.redirect(another.1);
        }
        self.shared_redis()?.replace(another)
    }

    /// The index of a random instance.
    pub(super) fn any(&self) -> usize {
        rand::random_range(0..self.children.len())
    }

    /// Sends an order to all instances.
    pub(super) fn order_all(&mut self, order: Order) -> Result<Vec<String>> {
        self.children.iter_mut().chain(&mut self.neighbours).map(|child| child.order(order)).collect()
    }

    /// Sleeps longer than the staleness bound: an instance that was cut off from Redis for so long may not serve its
    /// guarded copies.
    pub(super) fn outlast_the_bound(&self) {
        thread::sleep(self.bound.mul_f64(1.5));
    }

    /// Waits until each instance and the observers have had a connection to the promoted standby.
    pub(super) fn wait_until_all_know_the_successor(&mut self) -> Result<()> {
        let deadline = Instant::now() + KNOWN;
        let instances = self.children.len() + self.neighbours.len();
        while self.base.instances_on_standby()? < instances {
            ensure!(
                Instant::now() < deadline,
                "an instance does not use the promoted standby after {KNOWN:?}"
            );
            thread::sleep(Duration::from_millis(20));
        }
        // An observer that does not know the successor would write into the former primary when that is back, and each of
        // these writes would count as one that no read has seen in time.
        while self.observers.look().is_err() {
            ensure!(Instant::now() < deadline, "no observer reaches the promoted standby after {KNOWN:?}");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Lets the instances work for a random time that is shorter than the bound.
    pub(super) fn work_a_while(&self) {
        thread::sleep(self.bound.mul_f64(0.3 + 0.5 * rand::random::<f64>()));
    }
}
