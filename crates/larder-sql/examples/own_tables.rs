//! A cache in front of tables that other programs write to as well:
//! `DATABASE_URL=postgres://… cargo run -p larder-sql --example own_tables`, on an empty database.

#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::time::Instant;

use anyhow::Result;
use larder::{Cache, Class};
use larder_sql::{CommitExt as _, Dialect, SqlJournal, Table, migration};
use sqlx::{AssertSqlSafe, PgPool};

/// What a change of a row touches.
fn tables() -> Vec<Table> {
    vec![Table::new("products").entry("product_name", ["id"]).unique(["id"])]
}

/// Put the text of `migration` into a migration of your own tool; it runs once.
async fn migrate(pool: &PgPool) -> Result<()> {
    sqlx::raw_sql("CREATE TABLE products (id BIGINT PRIMARY KEY, name TEXT NOT NULL)").execute(pool).await?;
    sqlx::raw_sql(AssertSqlSafe(migration(Dialect::Postgres, &tables())?)).execute(pool).await?;
    sqlx::raw_sql("INSERT INTO products VALUES (1, 'tea')").execute(pool).await?;
    Ok(())
}

async fn name(pool: &PgPool, names: &Class<i64, String>, id: i64) -> Result<String> {
    let query = sqlx::query_scalar("SELECT name FROM products WHERE id = $1").bind(id);
    // The load belongs to the cache, so it has a handle of the pool of its own.
    let pool = pool.clone();
    let name = names.get_or_load(&id, async move || query.fetch_optional(&pool).await).await?;
    Ok(name.map_or_else(|| "none".to_owned(), |name| name.to_string()))
}

#[tokio::main]
async fn main() -> Result<()> {
    let pool = PgPool::connect(&std::env::var("DATABASE_URL")?).await?;
    migrate(&pool).await?;

    let journal = SqlJournal::join(&pool, tables()).await?;
    let cache = Cache::builder("shop").journal(journal.clone()).build().await?;
    let names = cache.class("product_name").open()?;
    journal.verify(&cache).await?;
    println!("cached: {}", name(&pool, &names, 1).await?);

    // A write of this program is seen at once.
    let mut tx = pool.begin().await?;
    sqlx::query("UPDATE products SET name = 'green tea'").execute(&mut *tx).await?;
    println!("own write: {}", cache.commit(tx).await?.delivery());
    println!("after it: {}", name(&pool, &names, 1).await?);

    // A write that larder does not see, as psql would make it: within the staleness bound.
    sqlx::query("UPDATE products SET name = 'coffee'").execute(&pool).await?;
    let written = Instant::now();
    while name(&pool, &names, 1).await? != "coffee" {
        tokio::task::yield_now().await;
    }
    println!("foreign write: seen within 2 s: {}", written.elapsed().as_secs() < 2);
    Ok(())
}
