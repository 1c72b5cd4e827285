//! A repository that exists, and a cached one around it: `DATABASE_URL=postgres://… cargo run -p larder-sql --example
//! repository`, on an empty database.

#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::sync::Arc;

use anyhow::Result;
use larder::{Cache, Class, Receipt, cached};
use larder_sql::{CommitExt as _, Dialect, SqlJournal, Table, migration};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

#[derive(Debug, Serialize, Deserialize, sqlx::FromRow)]
struct Customer {
    id: i64,
    email: String,
    name: String,
}

/// What the application had before: it knows nothing of a cache.
#[derive(Clone)]
struct Customers {
    pool: PgPool,
}

impl Customers {
    async fn find(&self, id: i64) -> Result<Option<Customer>, sqlx::Error> {
        let query = sqlx::query_as("SELECT id, email, name FROM customers WHERE id = $1").bind(id);
        query.fetch_optional(&self.pool).await
    }

    async fn find_by_email(&self, email: &str) -> Result<Option<Customer>, sqlx::Error> {
        let query = sqlx::query_as("SELECT id, email, name FROM customers WHERE email = $1").bind(email);
        query.fetch_optional(&self.pool).await
    }

    async fn change_email(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        id: i64,
        email: &str,
    ) -> Result<(), sqlx::Error> {
        let update = sqlx::query("UPDATE customers SET email = $2 WHERE id = $1").bind(id).bind(email);
        update.execute(&mut **tx).await.map(drop)
    }
}

/// The same methods, cached. A write names no key: the journal does.
#[derive(Clone)]
struct CachedCustomers {
    inner: Customers,
    cache: Cache,
    by_id: Class<i64, Customer>,
    by_email: Class<String, Customer>,
}

impl CachedCustomers {
    fn tables() -> Vec<Table> {
        let customers =
            Table::new("customers").entry("customer", ["id"]).entry("customer_by_email", ["email"]);
        vec![customers.unique(["id"]).unique(["email"])]
    }

    async fn around(inner: Customers) -> Result<Self> {
        let journal = SqlJournal::join(&inner.pool, Self::tables()).await?;
        let cache = Cache::builder("crm").journal(journal.clone()).build().await?;
        let (by_id, by_email) = (cache.class("customer").open()?, cache.class("customer_by_email").open()?);
        journal.verify(&cache).await?;
        Ok(Self { inner, cache, by_id, by_email })
    }

    // A load belongs to the cache, so `#[cached]` gives the body clones of `self` and of its arguments. By hand it would be
    // `let (inner, address) = (self.inner.clone(), email.to_owned());` and
    // `self.by_email.get_or_load(email, async move || inner.find_by_email(&address).await).await`.
    #[cached(class = self.by_id)]
    async fn find(&self, id: i64) -> Result<Option<Arc<Customer>>> {
        Ok(self.inner.find(id).await?.map(Arc::new))
    }

    #[cached(class = self.by_email)]
    async fn find_by_email(&self, email: &str) -> Result<Option<Arc<Customer>>> {
        Ok(self.inner.find_by_email(email).await?.map(Arc::new))
    }

    async fn change_email(&self, id: i64, email: &str) -> Result<Receipt> {
        let mut tx = self.inner.pool.begin().await?;
        self.inner.change_email(&mut tx, id, email).await?;
        Ok(self.cache.commit(tx).await?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let pool = PgPool::connect(&std::env::var("DATABASE_URL")?).await?;
    let schema =
        "CREATE TABLE customers (id BIGINT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL);
        INSERT INTO customers VALUES (1, 'ann@example.com', 'Ann')";
    sqlx::raw_sql(schema).execute(&pool).await?;
    let journal = migration(Dialect::Postgres, &CachedCustomers::tables())?;
    sqlx::raw_sql(AssertSqlSafe(journal)).execute(&pool).await?;

    let customers = CachedCustomers::around(Customers { pool }).await?;
    println!("before: {:?}", customers.find(1).await?);
    let receipt = customers.change_email(1, "ann@example.org").await?;
    println!("{}, {} keys", receipt.delivery(), receipt.keys());
    println!("by the old address: {:?}", customers.find_by_email("ann@example.com").await?);
    println!("by the new address: {:?}", customers.find_by_email("ann@example.org").await?);
    println!("{}", customers.find(1).await?.is_some_and(|customer| customer.email.ends_with(".org")));
    Ok(())
}
