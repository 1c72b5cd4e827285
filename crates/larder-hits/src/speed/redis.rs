//! Reads that go to Redis: larder beside a bare `GET`, and misses beside the round trips that they need.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use larder::{Cache, Class, Policy};
use larder_testbed::Redis;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, cmd};

use crate::speed::Subject;

const KEYS: u64 = 1_000;
const VALUE_BYTES: usize = 600;

async fn load() -> Result<String, Infallible> {
    Ok("v".repeat(VALUE_BYTES))
}

/// Everything that is measured against `redis`.
pub(crate) async fn subjects(redis: &Redis) -> Result<Vec<Subject>> {
    let connection = Client::open(redis.url())?.get_multiplexed_async_connection().await?;
    let mut bare = connection.clone();
    for key in 0..KEYS {
        let () = bare.set(format!("bare:{key}"), "v".repeat(VALUE_BYTES)).await?;
    }
    let cache = Cache::builder("bench").redis(redis.url()).installation("bench").build().await?;
    let policy = Policy::ttl(Duration::from_hours(24));
    let class: Class<u64, String> = cache.class("values").policy(policy).open()?;
    for key in 0..KEYS {
        class.get_or_load(&key, load).await?;
    }
    ensure!(class.stats().loads == KEYS, "each key is loaded once: {:?}", class.stats());
    let mut subjects = Vec::new();
    for (work, tasks) in [("hit in Redis, 1 task", 1), ("hit in Redis, 64 tasks", 64)] {
        subjects.push(gets(work, tasks, &connection));
        subjects.push(hits(work, tasks, &cache, &class));
    }
    subjects.extend(misses(&connection, &cache, &class));
    Ok(subjects)
}

/// Runs `operation` `times` times in all, by `tasks` tasks. Returns the wall time of one, in nanoseconds.
async fn by_tasks<F: Future<Output = Result<()>> + Send + 'static>(
    tasks: u64,
    times: u64,
    operation: impl Fn(u64) -> F + Clone + Send + 'static,
) -> Result<f64> {
    let each = times.div_ceil(tasks);
    let began = Instant::now();
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let operation = operation.clone();
            tokio::spawn(async move {
                for nth in 0..each {
                    operation((task + nth * tasks) % KEYS).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in running {
        task.await??;
    }
    Ok(began.elapsed().as_nanos() as f64 / (each * tasks) as f64)
}

fn gets(work: &'static str, tasks: u64, connection: &MultiplexedConnection) -> Subject {
    let connection = connection.clone();
    Subject::new(work, "redis-rs `GET`", move |times| {
        let connection = connection.clone();
        by_tasks(tasks, times, move |key| {
            let mut connection = connection.clone();
            async move {
                let value: Vec<u8> = connection.get(format!("bare:{key}")).await?;
                ensure!(value.len() == VALUE_BYTES, "the value of key {key} is missing");
                Ok(())
            }
        })
    })
}

fn hits(work: &'static str, tasks: u64, cache: &Cache, class: &Class<u64, String>) -> Subject {
    let (cache, class) = (cache.clone(), class.clone());
    Subject::new(work, "larder, fresh read", move |times| {
        let (cache, class) = (cache.clone(), class.clone());
        async move {
            let before = class.stats();
            let reader = class.clone();
            let nanos = by_tasks(tasks, times, move |key| {
                let class = reader.clone();
                async move {
                    class.read(&key).fresh().or_load(load).await?;
                    Ok(())
                }
            });
            let (nanos, stats) = (nanos.await?, class.stats().since(&before));
            ensure!(100 * stats.loads <= times, "more than a hundredth was loaded: {stats:?}");
            drop(cache);
            Ok(nanos)
        }
    })
}

/// Misses of one task beside the three round trips that each takes: the read, the lease and the fill.
fn misses(connection: &MultiplexedConnection, cache: &Cache, class: &Class<u64, String>) -> [Subject; 2] {
    const MISS: &str = "miss with load, Redis behind";
    let (connection, cache, class) = (connection.clone(), cache.clone(), class.clone());
    let next = Arc::new(AtomicU64::new(KEYS));
    [
        Subject::new(MISS, "three `PING`s", move |times| {
            let connection = connection.clone();
            by_tasks(1, times, move |_| {
                let mut connection = connection.clone();
                async move {
                    for _ in 0..3 {
                        let _: String = cmd("PING").query_async(&mut connection).await?;
                    }
                    Ok(())
                }
            })
        }),
        Subject::new(MISS, "larder", move |times| {
            let (cache, class, next) = (cache.clone(), class.clone(), next.clone());
            by_tasks(1, times, move |_| {
                let (_cache, class, key) =
                    (cache.clone(), class.clone(), next.fetch_add(1, Ordering::Relaxed));
                async move {
                    class.get_or_load(&key, load).await?;
                    Ok(())
                }
            })
        }),
    ]
}
