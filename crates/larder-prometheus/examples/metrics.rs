//! An application whose cache Prometheus reads: `cargo run -p larder-prometheus --example metrics`.
//!
//! The argument is the address (default: `127.0.0.1:0`, a free port). It prints the address on which it listens.

#![allow(clippy::print_stdout, reason = "it prints its address")]

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use larder::{Cache, Class, Error};
use tokio::net::TcpListener;

#[derive(Clone)]
struct App {
    cache: Cache,
    rooms: Class<u32, String>,
}

async fn room(State(app): State<App>, Path(id): Path<u32>) -> Result<String, StatusCode> {
    let load = || async move { Ok::<_, Error>(format!("room {id}")) }; // your query
    let found = app.rooms.get_or_load(&id, load).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    found.map(|room| room.to_string()).ok_or(StatusCode::NOT_FOUND)
}

async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let text = larder_prometheus::text_with_redis(&app.cache).await;
    ([(CONTENT_TYPE, larder_prometheus::CONTENT_TYPE)], text)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cache = Cache::builder("hotel").build().await?;
    let rooms = cache.class("rooms").open()?;
    let app = Router::new()
        .route("/rooms/{id}", get(room))
        .route("/metrics", get(metrics))
        .with_state(App { cache, rooms });
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}
