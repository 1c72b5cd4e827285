//! One instance of an application as a separate process: readers and writers of one cache.
//!
//! It executes the orders on its standard input ([`Order`]), confirms each on its standard output, and ends when the
//! input ends.
#![allow(clippy::print_stdout, reason = "this is how it talks to the orchestrator")]

mod by_hand;
pub mod caches;
mod loader;
pub mod order;
mod readers;
mod release;
mod writers;

use std::fs::File;
use std::io::BufRead as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use larder_sql::database::Database;
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::sync::mpsc;

use crate::history::Instance as Number;
use crate::history::record::Recorder;
use crate::torture::instance::caches::Caches;
use crate::torture::instance::loader::Loader;
use crate::torture::instance::order::{Order, READY};
use crate::torture::mutant::Mutant;

/// Many readers with long pauses: on a slow link most of them wait, and the others must still read.
const READERS: usize = 96;
const WRITERS: usize = 6;

/// The interval at which records are flushed.
const FLUSH: Duration = Duration::from_millis(100);

/// The settings of an instance.
#[derive(clap::Args)]
pub struct Settings {
    /// The folder into which the instance writes its history
    #[arg(long)]
    pub folder: PathBuf,
    /// The number of this process; an instance that is started again gets another
    #[arg(long)]
    pub number: Number,
    /// The database's URL
    #[arg(long)]
    pub database: String,
    /// Redis's URL; none for memory alone
    #[arg(long)]
    pub redis: Option<String>,
    /// The file with the certificate of the authority to trust for it
    #[arg(long)]
    pub redis_ca: Option<PathBuf>,
    /// The token of a Redis over REST
    #[arg(long)]
    pub redis_token: Option<String>,
    /// The staleness bound
    #[arg(long)]
    pub bound_ms: u64,
    /// How many releases of the application run side by side
    #[arg(long, default_value_t = 1)]
    pub releases: u16,
    /// Use the second database
    #[arg(long)]
    pub second: bool,
    /// A rule to break
    #[arg(long)]
    pub mutant: Option<Mutant>,
}

impl Settings {
    /// The staleness bound.
    pub fn bound(&self) -> Duration {
        Duration::from_millis(self.bound_ms)
    }
}

/// The state that the tasks of an instance share.
struct Instance {
    number: Number,
    bound: Duration,
    caches: Caches,
    database: Database,
    loader: Loader,
    reads: Recorder,
    writes: Recorder,
    /// Whether the writers of this instance, and its invalidations by hand, pause. This flag and the next are
    /// `Relaxed`, because no other data depends on them.
    is_calm: AtomicBool,
    /// Whether the process kills itself after the next commit.
    is_doomed: AtomicBool,
    /// Whether this instance uses the second database.
    is_second: bool,
    failures: Failures,
}

/// Counts failed requests and wrong answers. The counters are `Relaxed`, because no other data depends on them.
#[derive(Default)]
struct Failures {
    /// Failures of the database that the cache returned.
    database: AtomicU64,
    /// Failures of the cache itself: there must be none.
    cache: AtomicU64,
    /// Load time-outs that were reported late: see `readers::CUT_OFF_LATE`.
    late: AtomicU64,
    /// Reads of one key that returned the value of another key.
    crossed: AtomicU64,
    /// Reads that returned a value of the other database.
    mixed: AtomicU64,
}

/// Runs an instance until its standard input ends.
///
/// # Errors
///
/// The cache, the database or the folder cannot be used.
pub fn run(settings: &Settings) -> Result<()> {
    // An instance that a nemesis has stopped (SIGSTOP) does not see the end of its input, so the kernel must kill it
    // when the orchestrator ends. The kernel sends the signal when the thread ends that started this process; that
    // thread lives as long as the orchestrator.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let log = File::create(settings.folder.join(format!("log-{}", settings.number)))?;
    tracing_subscriber::fmt().with_ansi(false).with_writer(Mutex::new(log)).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(live(settings));
    runtime.shutdown_background();
    outcome
}

async fn live(settings: &Settings) -> Result<()> {
    let instance = Arc::new(open(settings).await?);
    // The second database's instances only have to disturb the others, so a few tasks are enough.
    let share = if settings.second { 4 } else { 1 };
    for _ in 0..READERS / share {
        tokio::spawn(readers::read_on(instance.clone()));
    }
    for _ in 0..WRITERS / share {
        tokio::spawn(writers::write_on(instance.clone()));
    }
    tokio::spawn(by_hand::invalidate_on(instance.clone()));
    tokio::spawn(flush_on(instance.clone()));
    println!("{READY}");
    let mut orders = orders();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Calm => instance.is_calm.store(true, Ordering::Relaxed),
            Order::Write => instance.is_calm.store(false, Ordering::Relaxed),
            Order::DieAfterCommit | Order::Count => {}
            Order::ReadAll => readers::read_all(&instance).await,
        }
        instance.flush();
        println!("{READY} {}", instance.counts());
        if order == Order::DieAfterCommit {
            // Set it only after the answer is printed. Otherwise a writer could commit and kill the process first, and
            // the nemesis, which waits for the answer, would get an error.
            instance.is_doomed.store(true, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// How long an instance repeats its start, as a service does whose database does not answer in time.
const START: Duration = Duration::from_secs(20);

async fn open(settings: &Settings) -> Result<Instance> {
    let began = Instant::now();
    loop {
        match Instance::open(settings).await {
            Err(error) if began.elapsed() < START => tracing::warn!("the start is repeated: {error:#}"),
            opened => return opened,
        }
        tokio::time::sleep(FLUSH).await;
    }
}

impl Instance {
    async fn open(settings: &Settings) -> Result<Self> {
        let (folder, number) = (&settings.folder, settings.number);
        release::choose(number, settings.releases);
        let database = Database::connect(&settings.database).await.context("the instance's database")?;
        Ok(Instance {
            number,
            bound: settings.bound(),
            caches: Caches::open(settings, &database).await?,
            loader: Loader::open(settings, &database).await?,
            database,
            reads: Recorder::create(&folder.join(format!("reads-{number}")))?,
            writes: Recorder::create(&folder.join(format!("writes-{number}")))?,
            is_calm: AtomicBool::new(false),
            is_doomed: AtomicBool::new(false),
            is_second: settings.second,
            failures: Failures::default(),
        })
    }

    fn flush(&self) {
        self.reads.flush();
        self.writes.flush();
    }

    /// All counters as `name=count`.
    fn counts(&self) -> String {
        let Failures { database, cache, late, crossed, mixed } = &self.failures;
        let own = [
            ("failed_database", database),
            ("failed_cache", cache),
            ("failed_late", late),
            ("crossed", crossed),
            ("mixed", mixed),
        ];
        let own = own.map(|(name, count)| format!("{name}={}", count.load(Ordering::Relaxed)));
        format!("{} {}", own.join(" "), self.caches.counts())
    }
}

async fn flush_on(instance: Arc<Instance>) {
    loop {
        tokio::time::sleep(FLUSH).await;
        instance.flush();
    }
}

/// The orders on the standard input. A thread reads them, because the blocking read must not occupy the runtime.
fn orders() -> mpsc::Receiver<Order> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let Ok(order) = line.parse() else { return };
            if sender.blocking_send(order).is_err() {
                return;
            }
        }
    });
    receiver
}
