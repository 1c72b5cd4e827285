//! A worker without HTTP, which reads prices through the cache while it empties a queue of orders:
//! `DATABASE_URL=postgres://… cargo run -p larder-sql --example worker`, on an empty database.

#![allow(clippy::print_stdout, reason = "it shows what it does")]

use anyhow::{Context as _, Result};
use larder::{Cache, Class};
use larder_sql::{CommitExt as _, Dialect, SqlJournal, Table, migration};
use sqlx::{AssertSqlSafe, PgPool};

const SCHEMA: &str = "
    CREATE TABLE prices (product_id BIGINT PRIMARY KEY, cents BIGINT NOT NULL);
    CREATE TABLE orders (id BIGINT PRIMARY KEY, product_id BIGINT NOT NULL, total_cents BIGINT);
    INSERT INTO prices SELECT n, 100 * n FROM generate_series(1, 5) AS n;
    INSERT INTO orders (id, product_id) SELECT n, 1 + n % 5 FROM generate_series(1, 1000) AS n;";

/// Only prices are cached, so only they need a declaration.
fn tables() -> Vec<Table> {
    vec![Table::new("prices").entry("price", ["product_id"]).unique(["product_id"])]
}

struct Worker {
    pool: PgPool,
    cache: Cache,
    price: Class<i64, i64>,
}

impl Worker {
    async fn price(&self, product_id: i64) -> Result<i64> {
        // The statement runs on a connection of its own, not in the order's transaction: see docs/loaders.md.
        let query = sqlx::query_scalar("SELECT cents FROM prices WHERE product_id = $1").bind(product_id);
        let pool = self.pool.clone();
        let price =
            self.price.get_or_load(&product_id, async move || query.fetch_optional(&pool).await).await?;
        price.map(|cents| *cents).context("the product has no price")
    }

    /// Returns whether there was an order.
    async fn settle_one(&self) -> Result<bool> {
        let mut tx = self.pool.begin().await?;
        let next = "SELECT id, product_id FROM orders WHERE total_cents IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED";
        let Some((id, product_id)) = sqlx::query_as::<_, (i64, i64)>(next).fetch_optional(&mut *tx).await?
        else {
            return Ok(false);
        };
        let settle = sqlx::query("UPDATE orders SET total_cents = $2 WHERE id = $1").bind(id);
        settle.bind(self.price(product_id).await?).execute(&mut *tx).await?;
        // No reader waits for this write, so what its receipt promises is of no use here.
        let _receipt = self.cache.commit(tx).await?;
        Ok(true)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let pool = PgPool::connect(&std::env::var("DATABASE_URL")?).await?;
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;
    sqlx::raw_sql(AssertSqlSafe(migration(Dialect::Postgres, &tables())?)).execute(&pool).await?;

    let journal = SqlJournal::join(&pool, tables()).await?;
    let cache = Cache::builder("worker").journal(journal.clone()).build().await?;
    let price = cache.class("price").open()?;
    journal.verify(&cache).await?;
    let worker = Worker { pool, cache, price };
    let mut orders = 0;
    while worker.settle_one().await? {
        orders += 1;
    }
    let stats = worker.price.stats();
    println!("{orders} orders, {} prices from memory, {} loads", stats.memory_hits, stats.loads);
    Ok(())
}
