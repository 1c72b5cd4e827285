//! Shared by the tests over HTTP: it serves an application on a free port, and has a client that shows headers.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use larder::cache::{Cache, Health};
use larder_testbed::Redis;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) async fn cache(redis: Option<&Redis>) -> Cache {
    let mut builder = Cache::builder("hotel");
    if let Some(redis) = redis {
        // A busy machine may need more than the default of 50 ms.
        builder = builder.redis(redis.url()).installation("hotel").redis_budget(TIMEOUT / 4);
    }
    let cache = builder.build().await.unwrap();
    assert_eq!(cache.health() == Health::Working, redis.is_some());
    cache
}

/// Serves on a free port until the test ends.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    at
}

/// An answer as a client receives it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) cache_status: Option<String>,
    pub(crate) invalidation: Option<String>,
    pub(crate) body: Value,
}

pub(crate) async fn request(at: SocketAddr, method: &str, path: &str, body: Value) -> Reply {
    let sending = async {
        let io = TokioIo::new(TcpStream::connect(at).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "hotel")
            .header("content-type", "application/json");
        let response = sender.send_request(request.body(Full::new(body)).unwrap()).await.unwrap();
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (cache_status, invalidation) = (header("cache-status"), header("cache-invalidation"));
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Reply { status, cache_status, invalidation, body }
    };
    within(sending).await
}

pub(crate) async fn get(at: SocketAddr, path: &str) -> Reply {
    request(at, "GET", path, Value::Null).await
}

/// Fails the test if `work` hangs.
pub(crate) async fn within<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(TIMEOUT, work).await.expect("hangs")
}

/// Polls until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < TIMEOUT, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
