//! However a request ends (failure, panic, disconnect), the entries that it may have changed are dropped and the drop
//! is logged.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

mod support;

use std::convert::Infallible;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::Router;
use axum::http::{HeaderValue, StatusCode};
use axum::routing::post;
use http::{Request, Response};
use larder::cache::Cache;
use larder::class::Class;
use larder_http::invalidation::layer::InvalidationLayer;
use larder_http::invalidation::rules::{Rule, Rules};
use larder_testbed::Redis;
use tokio::sync::Semaphore;
use tower::{Layer, Service};

use crate::support::{cache, eventually, request, serve, within};

/// A room whose price is cached, and one handler for each way to end.
#[derive(Clone)]
struct House {
    cache: Cache,
    rooms: Class<u32, u64>,
    price: Arc<AtomicU64>,
    arrived: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl House {
    async fn new(redis: Option<&Redis>) -> Self {
        let cache = cache(redis).await;
        House {
            rooms: cache.class("rooms").open().unwrap(),
            cache,
            price: Arc::new(AtomicU64::new(1)),
            arrived: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
        }
    }

    fn commit(&self) {
        self.price.fetch_add(1, Ordering::SeqCst);
    }

    async fn read(&self) -> u64 {
        let price = self.price.clone();
        let load = async move || Ok::<_, Infallible>(price.load(Ordering::SeqCst));
        *within(self.rooms.get_or_load(&7, load)).await.unwrap().unwrap()
    }

    async fn is_cached(&self) -> bool {
        self.rooms.contains(&7).await
    }

    fn layer(&self) -> InvalidationLayer {
        let rule = Rule::new("/rooms/").unwrap().classes(["rooms"]).unwrap();
        InvalidationLayer::new(&self.cache, Rules::new([rule]).unwrap())
    }

    async fn serve(&self) -> SocketAddr {
        let ends = |status: u16| {
            let house = self.clone();
            post(async move || {
                house.commit();
                StatusCode::from_u16(status).unwrap()
            })
        };
        let (panics, held, says) = (self.clone(), self.clone(), self.clone());
        let app = Router::new()
            .route("/rooms/500", ends(500))
            .route("/rooms/408", ends(408))
            .route("/rooms/302", ends(302))
            .route("/rooms/409", post(async || StatusCode::CONFLICT))
            .route(
                "/rooms/panic",
                post(async move || {
                    panics.commit();
                    if panics.price.load(Ordering::SeqCst) > 0 {
                        panic!("as the test wants it");
                    }
                }),
            )
            .route(
                "/rooms/held",
                post(async move || {
                    held.arrived.add_permits(1);
                    held.open.acquire().await.unwrap().forget();
                    held.commit();
                }),
            )
            .route(
                "/rooms/says",
                post(async move || {
                    says.commit();
                    [("cache-invalidation", HeaderValue::from_static("queued"))]
                }),
            );
        serve(app.layer(self.layer())).await
    }
}

#[tokio::test]
async fn entries_are_dropped_before_the_answer_to_a_possible_write() {
    let redis = Redis::start().unwrap();
    for redis in [Some(&redis), None] {
        let house = House::new(redis).await;
        let at = house.serve().await;
        for status in [302, 408, 500] {
            let before = house.read().await;
            let reply = request(at, "POST", &format!("/rooms/{status}"), serde_json::Value::Null).await;
            assert_eq!((reply.status, reply.invalidation.as_deref()), (status, Some("sent")));
            assert_eq!(house.read().await, before + 1, "{status}");
        }
        house.read().await;
        let reply = request(at, "POST", "/rooms/409", serde_json::Value::Null).await;
        assert_eq!((reply.status, reply.invalidation), (409, None));
        assert!(house.is_cached().await);
        let reply = request(at, "POST", "/rooms/says", serde_json::Value::Null).await;
        assert_eq!(
            reply.invalidation.as_deref(),
            Some("queued"),
            "the application's own header promised less"
        );
    }
}

/// Sends a request without waiting for an answer.
fn send(at: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at).unwrap();
    let request = format!("POST {path} HTTP/1.1\r\nhost: house\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

#[tokio::test]
async fn entries_are_dropped_after_a_handler_panics() {
    let house = House::new(None).await;
    let at = house.serve().await;
    assert_eq!(house.read().await, 1);
    let _stream = send(at, "/rooms/panic");
    eventually("dropped", async || house.read().await == 2).await;
}

#[tokio::test]
async fn entries_are_dropped_at_once_and_again_after_a_client_disconnects() {
    let redis = Redis::start().unwrap();
    for redis in [Some(&redis), None] {
        let house = House::new(redis).await;
        let at = house.serve().await;
        let stream = send(at, "/rooms/held");
        within(house.arrived.acquire()).await.unwrap().forget();
        house.read().await;
        let before = house.rooms.stats().invalidations;
        drop(stream);
        eventually("the entries are dropped at once", async || {
            house.rooms.stats().invalidations == before + 1
        })
        .await;
        assert_eq!(house.read().await, 1, "nothing was written yet");
        house.open.add_permits(1);
        eventually("the handler runs to its end", async || house.price.load(Ordering::SeqCst) == 2).await;
        eventually("the entries are dropped again", async || house.read().await == 2).await;
        assert_eq!(house.rooms.stats().invalidations, before + 2);
    }
}

/// A service without axum that has its own body type and fails.
#[derive(Clone)]
struct Fails(House);

impl Service<Request<u8>> for Fails {
    type Response = Response<String>;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Response<String>, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<u8>) -> Self::Future {
        self.0.commit();
        std::future::ready(Err("as the test wants it"))
    }
}

#[tokio::test]
async fn an_error_instead_of_an_answer_drops_too() {
    let house = House::new(None).await;
    assert_eq!(house.read().await, 1);
    let mut service = house.layer().layer(Fails(house.clone()));
    let request = Request::post("/rooms/7").body(1).unwrap();
    assert_eq!(service.call(request).await.unwrap_err(), "as the test wants it");
    assert_eq!(house.read().await, 2);
    let request = Request::post("/halls/7").body(1).unwrap();
    assert!(service.call(request).await.is_err());
    assert!(house.is_cached().await, "no rule matches it");
}

/// The captured log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_invalidation_is_logged_with_its_rule_and_without_the_path() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let house = House::new(None).await;
    let mut service = house.layer().layer(Fails(house.clone()));
    let request = Request::post("/rooms/ada@example.com?name=ada").body(1).unwrap();
    assert!(service.call(request).await.is_err());
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let line = text.lines().find(|line| line.contains("cache_invalidation")).unwrap();
    for part in ["cause=failed", "method=POST", "rules=\"/rooms/\"", "dropped=\"rooms\"", "delivery=sent"] {
        assert!(line.contains(part), "{line}");
    }
    assert!(!text.contains("ada"), "{text}");
}
