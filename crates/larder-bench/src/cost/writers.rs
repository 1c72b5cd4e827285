//! Writers that change random users, each on a connection of its own, as fast as they can.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use larder_server::domain::audit::Actor;
use larder_server::domain::contact::Email;
use larder_server::domain::identity::Username;
use larder_server::domain::user::NewUser;
use larder_server::store::Store;
use larder_server::store::writing::ByJournal;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::runtime::Runtime;

/// The name of the writing threads, which distinguishes their processor time from the relay's.
pub(super) const THREADS: &str = "cost-writers";
const APPLICATION: &str = "cost-writers";

/// Writers of one database.
pub(super) struct Writers {
    pool: PgPool,
    ids: Arc<Vec<String>>,
    count: usize,
    /// `None` only during the drop.
    runtime: Option<Runtime>,
}

/// Creates users with these numbers, and returns their ids.
pub(super) async fn people(store: &Store, numbers: Range<usize>) -> Result<Vec<String>> {
    let mut new = Vec::with_capacity(numbers.len());
    for number in numbers {
        let email = Email::parse(&format!("user{number}@cost.example"))?;
        new.push(NewUser::new(email, Username::parse(&format!("user{number}"))?));
    }
    let insert =
        store.write(Actor::Nobody, ByJournal, move |tx| async move { tx.insert_many(&new, "-").await });
    Ok(insert.await?.0.iter().map(ToString::to_string).collect())
}

impl Writers {
    pub(super) async fn start(url: &str, ids: Vec<String>, count: usize) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().thread_name(THREADS).enable_all().build()?;
        let connections = u32::try_from(count)?;
        let options = PgPoolOptions::new().max_connections(connections).min_connections(connections);
        let database = url.parse::<PgConnectOptions>()?.application_name(APPLICATION);
        let connecting = options.test_before_acquire(false).connect_with(database);
        let pool = runtime.spawn(connecting).await??;
        Ok(Writers { pool, ids: Arc::new(ids), count, runtime: Some(runtime) })
    }

    /// The processes of PostgreSQL that serve these writers.
    pub(super) async fn backends(&self) -> Result<HashSet<u32>> {
        let query =
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1";
        let pids: Vec<i32> = sqlx::query_scalar(query).bind(APPLICATION).fetch_all(&self.pool).await?;
        Ok(pids.into_iter().map(i32::unsigned_abs).collect())
    }

    /// Returns writes per second.
    pub(super) async fn write_for(&self, turn: Duration) -> Result<f64> {
        let (writes, took) = self.count_for(turn).await?;
        Ok(writes as f64 / took.as_secs_f64())
    }

    /// Returns how many writes there were, and in which time.
    pub(super) async fn count_for(&self, turn: Duration) -> Result<(u64, Duration)> {
        // `Relaxed` for both: no other data depends on them, and `writes` is read after the tasks have been joined.
        let (is_over, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let started = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..self.count {
            let (pool, ids) = (self.pool.clone(), self.ids.clone());
            let (is_over, writes) = (is_over.clone(), writes.clone());
            let write = async move {
                let mut connection = pool.acquire().await?;
                while !is_over.load(Ordering::Relaxed) {
                    let id = &ids[rand::random_range(0..ids.len())];
                    let update = sqlx::query("UPDATE users SET bio = $1 WHERE id = $2");
                    update.bind(rand::random::<u32>().to_string()).bind(id).execute(&mut *connection).await?;
                    writes.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, sqlx::Error>(())
            };
            tasks.extend(self.runtime.as_ref().map(|runtime| runtime.spawn(write)));
        }
        tokio::time::sleep(turn).await;
        is_over.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await??;
        }
        Ok((writes.load(Ordering::Relaxed), started.elapsed()))
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        // A task of another runtime drops this value. A plain drop of a runtime waits for its threads, and tokio panics
        // if a task does that.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
