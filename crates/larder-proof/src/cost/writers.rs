//! Writers that change random users, each on a connection of its own, as fast as they can.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use larder_server::domain::contact::Email;
use larder_server::domain::identity::Username;
use larder_server::domain::user::NewUser;
use larder_server::store::Store;
use sqlx::postgres::PgPool;
use sqlx::postgres::PgPoolOptions;

/// Writers of one database.
pub(super) struct Writers {
    pool: PgPool,
    ids: Arc<Vec<String>>,
    count: usize,
}

/// Creates users with these numbers, and returns their ids.
pub(super) async fn people(store: &Store, numbers: Range<usize>) -> Result<Vec<String>> {
    let mut new = Vec::with_capacity(numbers.len());
    for number in numbers {
        let email = Email::parse(&format!("user{number}@cost.example"))?;
        new.push(NewUser::new(email, Username::parse(&format!("user{number}"))?));
    }
    Ok(store.insert_many(&new, "-").await?.iter().map(ToString::to_string).collect())
}

impl Writers {
    pub(super) async fn start(url: &str, ids: Vec<String>, count: usize) -> Result<Self> {
        let connections = u32::try_from(count)?;
        let options = PgPoolOptions::new().max_connections(connections).min_connections(connections);
        let pool = options.test_before_acquire(false).connect(url).await?;
        Ok(Writers { pool, ids: Arc::new(ids), count })
    }

    /// Returns writes per second.
    pub(super) async fn write_for(&self, turn: Duration) -> Result<f64> {
        let (is_over, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let started = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..self.count {
            let (pool, ids) = (self.pool.clone(), self.ids.clone());
            let (is_over, writes) = (is_over.clone(), writes.clone());
            tasks.push(tokio::spawn(async move {
                let mut connection = pool.acquire().await?;
                while !is_over.load(Ordering::Relaxed) {
                    let id = &ids[rand::random_range(0..ids.len())];
                    let update = sqlx::query("UPDATE users SET bio = $1 WHERE id = $2");
                    update.bind(rand::random::<u32>().to_string()).bind(id).execute(&mut *connection).await?;
                    writes.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, sqlx::Error>(())
            }));
        }
        tokio::time::sleep(turn).await;
        is_over.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await??;
        }
        Ok(writes.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64())
    }
}
