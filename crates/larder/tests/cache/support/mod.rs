//! Shared by the engine's tests: instances on one Redis, and a database whose loads a test can hold.

pub(crate) mod batch;
pub(crate) mod disguise;
pub(crate) mod entries;
pub(crate) mod journal;
pub(crate) mod logged;
pub(crate) mod refusal;
#[cfg(feature = "upstash")]
pub(crate) mod rest;

/// A key of namespace `test` as it is spelled in Redis, for the installation `test` without a journal.
macro_rules! in_redis {
    ($key:literal) => {
        concat!("test:56230f8a12a72cd6:", $key)
    };
}

/// The same for the database of a [`journal::Ledger`].
macro_rules! in_redis_of_ledger {
    ($key:literal) => {
        concat!("test:bd6b5d7421ca247e:", $key)
    };
}

pub(crate) use {in_redis, in_redis_of_ledger};

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use larder::cache::{Cache, Health};
use larder::class::Class;
use larder::policy::Policy;
use larder_testbed::Redis;
use tokio::sync::Semaphore;

/// How long an operation can take before a test fails as hung.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// How often the given commands were called in total, by a reply to `INFO commandstats`.
pub(crate) fn calls(stats: &str, commands: &[&str]) -> u64 {
    let of = |line: &str| {
        let (name, figures) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        commands.contains(&name).then(|| figures.split(',').next()?.parse::<u64>().ok())?
    };
    stats.lines().filter_map(of).sum()
}

/// One instance of the application, with its own cache and connection.
#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) cache: Cache,
    pub(crate) values: Class<u32, u64>,
    /// A class whose entries depend on many rows.
    pub(crate) lists: Class<str, Vec<u64>>,
}

/// A cache whose requests wait for Redis as long as they need: on a busy machine, the default budget of 50 ms would let
/// some go on without Redis, and these tests count loads. The tests of the budget itself are in `budgets`.
pub(crate) fn builder() -> larder::Builder {
    Cache::builder("test").redis_budget(TIMEOUT / 2)
}

pub(crate) async fn instance(redis: &Redis) -> Instance {
    let cache = builder().redis(redis.url()).installation("test").build().await.unwrap();
    assert_eq!(cache.health(), Health::Working);
    classes(cache)
}

pub(crate) async fn memory_instance() -> Instance {
    classes(Cache::builder("test").build().await.unwrap())
}

pub(crate) fn classes(cache: Cache) -> Instance {
    let policy = Policy::ttl(Duration::from_secs(600)).absent_for(Duration::from_secs(600));
    let values = cache.class("values").policy(policy).open().unwrap();
    let lists = cache.class("lists").policy(policy).tagged("everything").open().unwrap();
    Instance { cache, values, lists }
}

/// A table of versions that behaves like a database: a load sees the rows at the time of its statement.
#[derive(Default)]
pub(crate) struct Table {
    rows: Mutex<HashMap<u32, u64>>,
    pub(crate) loads: AtomicUsize,
}

impl Table {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn write(&self, key: u32, version: u64) {
        self.rows.lock().unwrap().insert(key, version);
    }

    pub(crate) fn load(&self, key: u32) -> Result<Option<u64>, Infallible> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        Ok(self.rows.lock().unwrap().get(&key).copied())
    }

    /// The row, without a load.
    pub(crate) fn row(&self, key: u32) -> Option<u64> {
        self.rows.lock().unwrap().get(&key).copied()
    }

    pub(crate) fn all(&self) -> Result<Vec<u64>, Infallible> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        let mut all: Vec<u64> = self.rows.lock().unwrap().values().copied().collect();
        all.sort_unstable();
        Ok(all)
    }

    /// A loader of the row under `key`.
    pub(crate) fn loader(
        self: &Arc<Self>,
        key: u32,
    ) -> impl FnOnce() -> Ready<Result<Option<u64>, Infallible>> {
        let table = self.clone();
        move || ready(table.load(key))
    }

    /// A loader of all rows.
    pub(crate) fn loader_of_all(self: &Arc<Self>) -> impl FnOnce() -> Ready<Result<Vec<u64>, Infallible>> {
        let table = self.clone();
        move || ready(table.all())
    }

    pub(crate) fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }
}

/// Holds a load between its statement and its return: stale sets happen in this gap.
pub(crate) struct Gate {
    arrived: Semaphore,
    open: Semaphore,
}

impl Gate {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Gate { arrived: Semaphore::new(0), open: Semaphore::new(0) })
    }

    /// Called by the loader after its read: waits until the gate opens.
    pub(crate) async fn wait(&self) {
        self.arrived.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }

    /// Waits until a loader is held at the gate.
    pub(crate) async fn arrival(&self) {
        within(self.arrived.acquire()).await.unwrap().forget();
    }

    pub(crate) fn open(&self) {
        self.open.add_permits(1);
    }
}

/// Fails the test with a time-out instead of hanging.
pub(crate) async fn within<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(TIMEOUT, work).await.expect("hangs")
}

/// Polls until `condition` holds; the engine's own tasks run meanwhile.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < TIMEOUT, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

impl Instance {
    pub(crate) async fn read(&self, table: &Arc<Table>, key: u32) -> Option<u64> {
        within(self.values.get_or_load(&key, table.loader(key))).await.unwrap().map(|v| *v)
    }

    pub(crate) async fn read_fresh(&self, table: &Arc<Table>, key: u32) -> Option<u64> {
        let read = self.values.read(&key).fresh().or_load(table.loader(key));
        within(read).await.unwrap().value.map(|v| *v)
    }

    pub(crate) async fn list(&self, table: &Arc<Table>, name: &str) -> Vec<u64> {
        let read = self.lists.get_or_load(name, table.loader_of_all());
        within(read).await.unwrap().map(|list| list.to_vec()).unwrap()
    }

    /// Begins a load that reads now and returns when the gate opens.
    pub(crate) fn held_read(
        &self,
        table: &Arc<Table>,
        key: u32,
        gate: &Arc<Gate>,
    ) -> tokio::task::JoinHandle<Option<u64>> {
        let (values, table, gate) = (self.values.clone(), table.clone(), gate.clone());
        tokio::spawn(async move {
            let load = || async move {
                let read = table.load(key);
                gate.wait().await;
                read
            };
            values.get_or_load(&key, load).await.unwrap().map(|v| *v)
        })
    }

    pub(crate) fn held_list(
        &self,
        table: &Arc<Table>,
        name: &'static str,
        gate: &Arc<Gate>,
    ) -> tokio::task::JoinHandle<Vec<u64>> {
        let (lists, table, gate) = (self.lists.clone(), table.clone(), gate.clone());
        tokio::spawn(async move {
            let load = || async move {
                let read = table.all();
                gate.wait().await;
                read
            };
            lists.get_or_load(name, load).await.unwrap().map(|list| list.to_vec()).unwrap()
        })
    }

    /// Commits, invalidates and acknowledges.
    pub(crate) async fn write(&self, table: &Table, key: u32, version: u64) -> larder::receipt::Delivery {
        within(self.change(table, key, version).send()).await.delivery()
    }

    /// As [`Self::write`], and waits for the delivery if Redis cannot be used at once.
    pub(crate) async fn write_and_wait(
        &self,
        table: &Table,
        key: u32,
        version: u64,
    ) -> larder::receipt::Delivery {
        within(self.change(table, key, version).wait().send()).await.delivery()
    }

    /// Commits; returns what the commit invalidates.
    fn change(&self, table: &Table, key: u32, version: u64) -> larder::invalidation::Invalidation {
        table.write(key, version);
        self.cache.invalidation().key(&self.values, &key).class(&self.lists)
    }

    /// Reads until memory answers, so that a tracked copy is certain.
    pub(crate) async fn warm(&self, table: &Arc<Table>, key: u32) {
        eventually("memory has a copy", async || {
            let hits = self.values.stats().memory_hits;
            self.read(table, key).await;
            self.values.stats().memory_hits > hits
        })
        .await;
    }
}
