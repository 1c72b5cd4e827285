//! Handlers that are tested without Redis and without a database: `cargo test -p larder-sql --example handlers`.
//!
//! The handler takes the cache and a trait for what it loads. A test gives it a cache on memory alone, with the same
//! operations, and a clock that it moves.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use larder::{Cache, Class};

/// What the application loads; in production with a query.
#[async_trait::async_trait]
trait Rooms: Send + Sync {
    async fn name(&self, id: u32) -> anyhow::Result<Option<String>>;
}

#[derive(Clone)]
struct App {
    rooms: Arc<dyn Rooms>,
    names: Class<u32, String>,
}

async fn room(State(app): State<App>, Path(id): Path<u32>) -> Result<String, StatusCode> {
    let name = app.names.get_or_load(&id, async move || app.rooms.name(id).await).await;
    let name = name.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    name.map(|name| name.to_string()).ok_or(StatusCode::NOT_FOUND)
}

fn routes(cache: &Cache, rooms: Arc<dyn Rooms>) -> Result<Router, larder::Error> {
    let names =
        cache.class("room").ttl(Duration::from_mins(10)).absent_for(Duration::from_secs(30)).open()?;
    Ok(Router::new().route("/rooms/{id}", get(room)).with_state(App { rooms, names }))
}

/// No room exists.
struct NoRooms;

#[async_trait::async_trait]
impl Rooms for NoRooms {
    async fn name(&self, _id: u32) -> anyhow::Result<Option<String>> {
        Ok(None)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cache = Cache::builder("hotel").build().await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    Ok(axum::serve(listener, routes(&cache, Arc::new(NoRooms))?).await?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use larder::testing::ManualClock;
    use tower::ServiceExt as _;

    use super::*;

    /// Room 7 exists, room 9 cannot be loaded, and there is no other.
    #[derive(Default)]
    struct OneRoom {
        loads: AtomicUsize,
    }

    #[async_trait::async_trait]
    impl Rooms for OneRoom {
        async fn name(&self, id: u32) -> anyhow::Result<Option<String>> {
            self.loads.fetch_add(1, Ordering::Relaxed);
            anyhow::ensure!(id != 9, "the database is away");
            Ok((id == 7).then(|| "sea view".to_owned()))
        }
    }

    async fn ask(routes: &Router, id: u32) -> (u16, String) {
        let request = Request::get(format!("/rooms/{id}")).body(Body::empty()).unwrap();
        let answer = routes.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), 1000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_room_is_loaded_once() {
        let rooms = Arc::new(OneRoom::default());
        let cache = Cache::builder("test").build().await.unwrap();
        let routes = routes(&cache, rooms.clone()).unwrap();
        for _ in 0..3 {
            assert_eq!(ask(&routes, 7).await, (200, "sea view".to_owned()));
        }
        assert_eq!(rooms.loads.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_missing_room_is_remembered_for_half_a_minute() {
        let (rooms, clock) = (Arc::new(OneRoom::default()), ManualClock::new());
        let cache = Cache::builder("test").manual_clock(&clock).build().await.unwrap();
        let routes = routes(&cache, rooms.clone()).unwrap();
        for loads in [1, 1, 2] {
            assert_eq!(ask(&routes, 8).await.0, 404);
            assert_eq!(rooms.loads.load(Ordering::Relaxed), loads);
            clock.advance(Duration::from_secs(20));
        }
    }

    #[tokio::test]
    async fn an_error_is_not_cached() {
        let rooms = Arc::new(OneRoom::default());
        let cache = Cache::builder("test").build().await.unwrap();
        let routes = routes(&cache, rooms.clone()).unwrap();
        for _ in 0..2 {
            assert_eq!(ask(&routes, 9).await.0, 503);
        }
        assert_eq!(rooms.loads.load(Ordering::Relaxed), 2);
    }
}
