//! An axum service on PostgreSQL and Redis, with lists by tag and writes:
//! `DATABASE_URL=postgres://… REDIS_URL=redis://… cargo run -p larder-sql --example axum`, on an empty database.
//!
//! The argument is the address (default: `127.0.0.1:0`, a free port). It prints the address on which it listens.

#![allow(clippy::print_stdout, reason = "it prints its address")]

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use larder::{Cache, Class, Key, tag};
use larder_sql::{CommitExt as _, Dialect, SqlJournal, Table, migration};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgPool};

const SCHEMA: &str = "
    CREATE TABLE products (id BIGINT PRIMARY KEY, category_id BIGINT NOT NULL, name TEXT NOT NULL, cents BIGINT NOT NULL);
    INSERT INTO products SELECT n, n % 3, 'product ' || n, 100 * n FROM generate_series(1, 100) AS n;";

#[derive(Clone, Serialize, Deserialize, sqlx::FromRow)]
struct Product {
    id: i64,
    category_id: i64,
    name: String,
    cents: i64,
}

#[derive(Key)]
struct Page {
    category_id: i64,
    page: i64,
}

#[derive(Clone)]
struct App {
    pool: PgPool,
    cache: Cache,
    product: Class<i64, Product>,
    page: Class<Page, Vec<Product>>,
}

/// A change of a product touches its entry, and the pages of its category: of the former one too, if it moves.
fn tables() -> Vec<Table> {
    vec![Table::new("products").entry("product", ["id"]).tag_by("category", ["category_id"]).unique(["id"])]
}

async fn open(database: &str, redis: &str) -> anyhow::Result<App> {
    let pool = PgPool::connect(database).await?;
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;
    // Put this text into a migration of your own tool.
    sqlx::raw_sql(AssertSqlSafe(migration(Dialect::Postgres, &tables())?)).execute(&pool).await?;

    let journal = SqlJournal::join(&pool, tables()).await?;
    let cache = Cache::builder("shop").redis(redis).journal(journal.clone()).build().await?;
    let product =
        cache.class("product").ttl(Duration::from_mins(10)).absent_for(Duration::from_secs(30)).open()?;
    let page = cache.class("page").tagged_by(|page: &Page| tag("category", &page.category_id)).open()?;
    journal.verify(&cache).await?;
    Ok(App { pool, cache, product, page })
}

async fn product(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<Arc<Product>>, Failure> {
    let query = sqlx::query_as("SELECT id, category_id, name, cents FROM products WHERE id = $1").bind(id);
    let load = async move || query.fetch_optional(&app.pool).await;
    let product = app.product.get_or_load(&id, load).await?;
    product.map(Json).ok_or(Failure::NotFound)
}

async fn page(
    State(app): State<App>,
    Path((category_id, page)): Path<(i64, i64)>,
) -> Result<Json<Arc<Vec<Product>>>, Failure> {
    let query = "SELECT id, category_id, name, cents FROM products WHERE category_id = $1 ORDER BY id LIMIT 10 OFFSET $2";
    let query = sqlx::query_as(query).bind(category_id).bind(10 * page);
    let load = async move || query.fetch_all(&app.pool).await;
    let products = app.page.get_or_load(&Page { category_id, page }, load).await?;
    products.map(Json).ok_or(Failure::NotFound)
}

/// The body is the name. The answer is `sent` or `queued`: what the write's acknowledgement promises to other readers.
async fn rename(State(app): State<App>, Path(id): Path<i64>, name: String) -> Result<String, Failure> {
    let mut tx = app.pool.begin().await?;
    let update = sqlx::query("UPDATE products SET name = $2 WHERE id = $1").bind(id).bind(name);
    if update.execute(&mut *tx).await?.rows_affected() == 0 {
        return Err(Failure::NotFound);
    }
    Ok(app.cache.commit(tx).await?.delivery().to_string())
}

enum Failure {
    NotFound,
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND.into_response(),
            Self::Other(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let app = open(&std::env::var("DATABASE_URL")?, &std::env::var("REDIS_URL")?).await?;
    let routes = Router::new()
        .route("/products/{id}", get(product).put(rename))
        .route("/categories/{id}/products/{page}", get(page))
        .with_state(app);
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, routes).await?)
}
