//! `cargo xtask bench redis-cluster`: what a Redis Cluster of one, two and three masters carries.
//!
//! The processors of this machine are shared by all servers and by larder, so each master gets the same small share of one
//! (the kernel's CPU controller): then the masters are the bottleneck, as they are where each has a machine of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use larder::cache::{Cache, Health};
use larder::class::Class;
use larder::policy::Policy;
use larder_testbed::RedisCluster;

/// The numbers of masters.
const MASTERS: [usize; 3] = [1, 2, 3];
/// The kernel's period, in microseconds, of which each master gets its share.
const PERIOD: u64 = 100_000;
/// The bytes of a value.
const VALUE_BYTES: usize = 600;
/// How many reads or invalidations are on their way at once.
const TASKS: usize = 64;
/// Where the CPU controller is mounted, of the kernel's first and second kind.
const CONTROLLERS: [&str; 2] = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup"];

#[derive(Args)]
pub(crate) struct Options {
    /// How long each of the two works is measured in a round
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// How many rounds; the masters take turns, and the medians count
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// The share of one processor that each master gets, in percent
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=100))]
    share: u64,
    /// How many keys there are
    #[arg(long, default_value_t = 2_000)]
    keys: u32,
}

/// A control group, whose members share a limit. Its drop removes it; the processes in it have to be gone.
struct Group(PathBuf);

impl Group {
    fn create(name: &str, percent: u64) -> Result<Self> {
        let root =
            CONTROLLERS.iter().map(Path::new).find(|root| root.is_dir()).context("no control groups")?;
        let path = root.join(name);
        fs::create_dir(&path).with_context(|| format!("creating {}: it takes root", path.display()))?;
        let group = Group(path);
        let quota = PERIOD * percent / 100;
        let (period_file, quota_file) = (group.0.join("cpu.cfs_period_us"), group.0.join("cpu.cfs_quota_us"));
        if period_file.is_file() {
            fs::write(period_file, PERIOD.to_string())?;
            fs::write(quota_file, quota.to_string())?;
        } else {
            fs::write(group.0.join("cpu.max"), format!("{} {PERIOD}", quota))?;
        }
        Ok(group)
    }

    fn add(&self, pid: u32) -> Result<()> {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).context("adding a server to its group")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel needs a moment after the last process has ended.
        let deadline = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A cluster with an instance that has its keys in it.
struct Bench {
    // Fields drop in this order: the cache, its servers, and last their groups.
    values: Class<u32, Vec<u8>>,
    cache: Cache,
    _cluster: RedisCluster,
    _groups: Vec<Group>,
}

impl Bench {
    async fn start(masters: usize, options: &Options) -> Result<Self> {
        let cluster = RedisCluster::start(masters, false, &[])?;
        let cache = Cache::builder("bench")
            .redis(cluster.url())
            .redis_timeout(Duration::from_millis(500))
            .redis_budget(Duration::from_secs(10))
            .installation("bench")
            .build()
            .await?;
        let values = cache.class("values").policy(Policy::ttl(Duration::from_secs(3_600))).open()?;
        let bench = Bench { values, cache, _cluster: cluster, _groups: Vec::new() };
        for key in 0..options.keys {
            bench.read(key).await?;
        }
        // The share is limited only now, so that filling takes no longer than it has to.
        let mut groups = Vec::new();
        for (nth, node) in bench._cluster.nodes.iter().enumerate() {
            let group =
                Group::create(&format!("larder-{}-{masters}-{nth}", std::process::id()), options.share)?;
            group.add(node.pid())?;
            groups.push(group);
        }
        ensure!(bench.cache.health() == Health::Working, "{:?}", bench.cache.health_report());
        Ok(Bench { _groups: groups, ..bench })
    }

    /// A read that memory does not answer.
    async fn read(&self, key: u32) -> Result<()> {
        let load =
            move || async move { Ok::<_, std::convert::Infallible>(Some(vec![key as u8; VALUE_BYTES])) };
        self.values.read(&key).fresh().or_load(load).await?;
        Ok(())
    }

    async fn invalidate(&self, key: u32) -> Result<()> {
        let _ = self.cache.invalidation().key(&self.values, &key).send().await;
        Ok(())
    }

    /// How many operations a second end.
    async fn rate(self: &Arc<Self>, work: Work, options: &Options) -> Result<f64> {
        let (done, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let span = Duration::from_secs(options.seconds);
        let keys = options.keys;
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (bench, done) = (self.clone(), done.clone());
                tokio::spawn(async move {
                    while began.elapsed() < span {
                        let key = rand::random_range(0..keys);
                        match work {
                            Work::Reads => bench.read(key).await?,
                            Work::Invalidations => bench.invalidate(key).await?,
                        }
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        Ok(done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
    }
}

#[derive(Clone, Copy)]
enum Work {
    Reads,
    Invalidations,
}

/// Measures, and prints a table.
pub(crate) async fn measure(options: &Options) -> Result<()> {
    let mut benches = Vec::new();
    for masters in MASTERS {
        println!("{masters} masters: starting, and filling {} keys", options.keys);
        benches.push(Arc::new(Bench::start(masters, options).await?));
    }
    let mut rates = vec![[Vec::new(), Vec::new()]; MASTERS.len()];
    for round in 1..=options.rounds {
        for (bench, [reads, invalidations]) in benches.iter().zip(&mut rates) {
            reads.push(bench.rate(Work::Reads, options).await?);
            invalidations.push(bench.rate(Work::Invalidations, options).await?);
        }
        println!("round {round} of {}", options.rounds);
    }
    let medians: Vec<[f64; 2]> = rates.into_iter().map(|rates| rates.map(median)).collect();
    println!(
        "\nEach master has {} % of a processor; {TASKS} tasks, values of {VALUE_BYTES} bytes, medians of {} rounds.\n\n\
         | masters | reads/s from Redis | of one master | invalidations/s | of one master |\n|---|---|---|---|---|",
        options.share, options.rounds
    );
    for (masters, [reads, invalidations]) in MASTERS.iter().zip(&medians) {
        let [one_reads, one_invalidations] = medians[0];
        println!(
            "| {masters} | {reads:.0} | {:.2} × | {invalidations:.0} | {:.2} × |",
            reads / one_reads,
            invalidations / one_invalidations
        );
    }
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}
