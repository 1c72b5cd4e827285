//! Two instances of a service share Redis, and a write of one is seen by the other:
//! `DATABASE_URL=postgres://… REDIS_URL=redis://… cargo run -p larder-sql --example two_instances`, on an empty database.
//!
//! Both instances run in this process here; each has its own memory, journal and connections.

#![allow(clippy::print_stdout, reason = "it shows what it does")]

use anyhow::Result;
use larder::{Cache, Class, Receipt};
use larder_sql::{CommitExt as _, Dialect, SqlJournal, Table, migration};
use sqlx::{AssertSqlSafe, PgPool};

fn tables() -> Vec<Table> {
    vec![Table::new("stock").entry("stock", ["product_id"]).unique(["product_id"])]
}

struct Instance {
    pool: PgPool,
    cache: Cache,
    stock: Class<i64, i64>,
}

impl Instance {
    async fn start(database: &str, redis: &str) -> Result<Self> {
        let pool = PgPool::connect(database).await?;
        let journal = SqlJournal::join(&pool, tables()).await?;
        let cache = Cache::builder("shop").redis(redis).journal(journal.clone()).build().await?;
        let stock = cache.class("stock").open()?;
        journal.verify(&cache).await?;
        Ok(Self { pool, cache, stock })
    }

    /// `fresh` skips memory: it returns every write that was acknowledged as sent, on any instance.
    async fn stock(&self, product_id: i64) -> Result<i64> {
        let query = sqlx::query_scalar("SELECT pieces FROM stock WHERE product_id = $1").bind(product_id);
        let pool = self.pool.clone();
        let load = async move || query.fetch_optional(&pool).await;
        let answer = self.stock.read(&product_id).fresh().or_load(load).await?;
        Ok(answer.value.map_or(0, |pieces| *pieces))
    }

    async fn sell(&self, product_id: i64) -> Result<Receipt> {
        let mut tx = self.pool.begin().await?;
        let sale = sqlx::query("UPDATE stock SET pieces = pieces - 1 WHERE product_id = $1").bind(product_id);
        sale.execute(&mut *tx).await?;
        Ok(self.cache.commit(tx).await?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let (database, redis) = (std::env::var("DATABASE_URL")?, std::env::var("REDIS_URL")?);
    let pool = PgPool::connect(&database).await?;
    sqlx::raw_sql("CREATE TABLE stock (product_id BIGINT PRIMARY KEY, pieces BIGINT NOT NULL)")
        .execute(&pool)
        .await?;
    sqlx::raw_sql(AssertSqlSafe(migration(Dialect::Postgres, &tables())?)).execute(&pool).await?;
    sqlx::raw_sql("INSERT INTO stock VALUES (1, 10)").execute(&pool).await?;

    let (here, there) =
        (Instance::start(&database, &redis).await?, Instance::start(&database, &redis).await?);
    println!("both have {} and {}", here.stock(1).await?, there.stock(1).await?);
    for _ in 0..3 {
        let receipt = here.sell(1).await?;
        println!("one sells ({}), the other has {}", receipt.delivery(), there.stock(1).await?);
    }
    Ok(())
}
