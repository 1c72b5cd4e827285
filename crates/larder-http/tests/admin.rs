//! The admin page in an application of its own: who may look and act, and when it samples.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use larder::cache::Cache;
use larder_http::admin::{Access, AdminHooks, AdminPage};
use larder_testbed::Redis;
use serde_json::{Value, json};
use support::{eventually, within};
use tokio::net::TcpStream;

/// Admits by the word in `Authorization`: `look`, or `act` for both. `is_open` ends all sessions.
struct Hooks {
    is_open: Arc<AtomicBool>,
}

impl AdminHooks for Hooks {
    type Caller = ();

    async fn admit(&self, head: &mut Parts, access: Access) -> Result<(), Response> {
        let word = head.headers.get("authorization").and_then(|word| word.to_str().ok()).unwrap_or_default();
        match (word, access) {
            _ if !self.is_open.load(Ordering::Relaxed) => Err(StatusCode::UNAUTHORIZED.into_response()),
            ("act", _) | ("look", Access::Look) => Ok(()),
            ("look", Access::Act) => Err(StatusCode::FORBIDDEN.into_response()),
            _ => Err(StatusCode::UNAUTHORIZED.into_response()),
        }
    }

    fn may_see_keys(&self, (): &(), class: &str) -> bool {
        class == "rooms"
    }

    fn instance(&self) -> String {
        "hotel-1".to_owned()
    }
}

struct Hotel {
    cache: Cache,
    page: AdminPage<Hooks>,
    is_open: Arc<AtomicBool>,
    at: SocketAddr,
}

async fn hotel(redis: Option<&Redis>) -> Hotel {
    let cache = support::cache(redis).await;
    let is_open = Arc::new(AtomicBool::new(true));
    let page = AdminPage::new(&cache, Hooks { is_open: is_open.clone() });
    let at = support::serve(Router::new().merge(page.router("/admin/cache"))).await;
    Hotel { cache, page, is_open, at }
}

async fn send(
    at: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Value,
) -> hyper::Response<Incoming> {
    let sending = async {
        let io = TokioIo::new(TcpStream::connect(at).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let mut request = hyper::Request::builder().method(method).uri(path).header("host", at.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        sender.send_request(request.body(Full::new(Bytes::from(body.to_string()))).unwrap()).await.unwrap()
    };
    within(sending).await
}

const PAGE: [(&str, &str); 3] =
    [("content-type", "application/json"), ("x-larder-page", "1"), ("authorization", "act")];

async fn posted(at: SocketAddr, path: &str, body: Value) -> (u16, Value) {
    let response = send(at, "POST", path, &PAGE, body).await;
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Reads a stream until it has an event that `is_wanted` accepts; returns it, and what was read.
async fn event(body: &mut Incoming, is_wanted: impl Fn(&str, &Value) -> bool) -> Value {
    let reading = async {
        let mut text = String::new();
        loop {
            let frame = body.frame().await.expect("the stream has ended").unwrap();
            text += std::str::from_utf8(&frame.into_data().unwrap()).unwrap();
            while let Some((whole, rest)) = text.split_once("\n\n") {
                let (name, data) = whole.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
                let data: Value = serde_json::from_str(data).unwrap();
                if is_wanted(name, &data) {
                    return data;
                }
                text = rest.to_owned();
            }
        }
    };
    within(reading).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_admitted_by_the_application() {
    let hotel = hotel(None).await;
    for (method, path) in [
        ("GET", "stream"),
        ("GET", "history?since=60"),
        ("GET", "tuning"),
        ("POST", "undo"),
        ("POST", "explain"),
        ("POST", "clear"),
        ("POST", "switch"),
        ("POST", "warm"),
    ] {
        let path = format!("/admin/cache/{path}");
        let answer = send(hotel.at, method, &path, &PAGE[..2], Value::Null).await;
        assert_eq!(answer.status(), 401, "{path}");
    }
    let look = [PAGE[0], PAGE[1], ("authorization", "look")];
    let answer = send(hotel.at, "POST", "/admin/cache/clear", &look, json!({ "everything": true })).await;
    assert_eq!(answer.status(), 403, "who may look may not act");
    let answer = send(hotel.at, "GET", "/admin/cache/history?since=3600", &look, Value::Null).await;
    assert_eq!(answer.status(), 200);
    assert!(!hotel.page.is_sampling());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_another_site_changes_nothing() {
    let hotel = hotel(None).await;
    let rooms = hotel.cache.class::<u32, String>("rooms").open().unwrap();
    let load = || async { Ok::<_, std::io::Error>("sea view".to_owned()) };
    rooms.get_or_load(&7, load).await.unwrap();
    let act = PAGE[2];
    for headers in [
        vec![act, PAGE[0]],
        vec![act, PAGE[0], PAGE[1], ("sec-fetch-site", "cross-site")],
        vec![act, PAGE[0], PAGE[1], ("origin", "https://evil.example")],
        vec![act, PAGE[1], ("content-type", "text/plain")],
    ] {
        let answer =
            send(hotel.at, "POST", "/admin/cache/clear", &headers, json!({ "everything": true })).await;
        assert_eq!(answer.status(), 403, "{headers:?}");
    }
    assert!(!rooms.get(&7).await.is_miss(), "it was cleared");
    let (status, cleared) = posted(hotel.at, "/admin/cache/clear", json!({ "class": "rooms" })).await;
    assert_eq!((status, &cleared["tags"]), (200, &json!(1)), "{cleared}");
    assert!(rooms.get(&7).await.is_miss());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controls_do_what_they_say_and_refuse_what_is_wrong() {
    let hotel = hotel(None).await;
    let rooms = hotel.cache.class::<u32, String>("rooms").open().unwrap();
    let guests = hotel.cache.class::<u32, String>("guests").open().unwrap();
    let load = || async { Ok::<_, std::io::Error>("Ada".to_owned()) };
    rooms.get_or_load(&7, load).await.unwrap();
    guests.get_or_load(&8, load).await.unwrap();
    let post = async |path: &str, body| posted(hotel.at, &format!("/admin/cache/{path}"), body).await;
    let (status, seven) = post("explain", json!({ "class": "rooms", "key": ["7"] })).await;
    assert_eq!((status, &seven["memory"]["is_served"]), (200, &json!(true)), "{seven}");
    let (status, hidden) = post("explain", json!({ "class": "guests", "key": ["8"] })).await;
    assert_eq!((status, &hidden["code"]), (403, &json!("keys_hidden")));

    let off = json!({ "class": "rooms", "on": false, "instance": "hotel-1" });
    let mut elsewhere = off.clone();
    elsewhere["instance"] = "hotel-2".into();
    assert_eq!(post("switch", elsewhere).await.0, 409, "a switch for another instance");
    assert!(!rooms.get(&7).await.is_miss());
    assert_eq!(post("switch", off).await.0, 200);
    assert!(rooms.get(&7).await.is_miss());

    for (path, body, status) in [
        ("clear", json!({ "class": "no_class" }), 422),
        ("clear", json!({ "pattern": "" }), 422),
        ("clear", json!({ "everything": false }), 422),
        ("clear", json!({ "everything": true, "class": "rooms" }), 422),
        ("clear", json!({ "pattern": "x".repeat(20_000) }), 422),
        ("switch", json!({ "class": "no_class", "on": true, "instance": "hotel-1" }), 422),
        ("explain", json!({ "class": "rooms" }), 422),
        ("warm", json!(null), 404),
    ] {
        let (found, problem) = post(path, body.clone()).await;
        assert_eq!(found, status, "{path} {body}: {problem}");
        assert!(problem["detail"].is_string(), "{path} {body}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sampler_serves_all_viewers_and_stops_with_the_last() {
    let redis = Redis::start().unwrap();
    let hotel = hotel(Some(&redis)).await;
    let rooms = hotel.cache.class::<u32, String>("rooms").open().unwrap();
    let guests = hotel.cache.class::<u32, String>("guests").open().unwrap();
    // A PING is a part of each sample, and of nothing else.
    let pings = || {
        let stats = redis.command(&["INFO", "commandstats"]).unwrap();
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_ping:calls="));
        line.and_then(|rest| rest.split(',').next()).map_or(0, |calls| calls.parse::<u64>().unwrap())
    };
    let viewer = async || send(hotel.at, "GET", "/admin/cache/stream", &PAGE, Value::Null).await.into_body();
    assert!(!hotel.page.is_sampling());
    let (mut one, mut other) = (viewer().await, viewer().await);
    let hello = event(&mut one, |name, _| name == "hello").await;
    assert_eq!(hello["instance"], "hotel-1");
    let sample = event(&mut one, |name, data| name == "sample" && data["redis"]["state"] == "answers").await;
    assert_eq!(sample["health"], "working");
    event(&mut other, |name, _| name == "sample").await;
    assert!(hotel.page.is_sampling());

    let _receipts = (rooms.invalidate(&7).await, guests.invalidate(&8).await);
    let log = event(&mut other, |name, lines| {
        name == "log" && lines.as_array().unwrap().iter().any(|line| line["text"] == "guests:…")
    });
    let log = log.await;
    assert!(log.as_array().unwrap().iter().any(|line| line["text"] == "rooms:7"), "{log}");
    assert!(!log.to_string().contains("guests:8"), "{log}");

    drop(one);
    event(&mut other, |name, _| name == "sample").await;
    assert!(hotel.page.is_sampling(), "the other viewer looks");
    drop(other);
    eventually("the sampling stops", async || !hotel.page.is_sampling()).await;
    let asked = pings();
    assert!(asked >= 1);
    // That nothing happens takes time to see: two periods of the sampler.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(pings(), asked, "Redis is asked while no viewer looks");
    let mut again = viewer().await;
    event(&mut again, |name, _| name == "sample").await;
    assert!(pings() > asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_session_and_with_the_application() {
    let hotel = hotel(None).await;
    let ended = async |mut body: Incoming| {
        within(async { while body.frame().await.is_some_and(|frame| frame.is_ok()) {} }).await;
    };
    let stream = async || send(hotel.at, "GET", "/admin/cache/stream", &PAGE, Value::Null).await;
    let viewer = stream().await.into_body();
    hotel.is_open.store(false, Ordering::Relaxed);
    // The application is asked again within 10 s.
    ended(viewer).await;
    assert_eq!(stream().await.status(), 401);
    hotel.is_open.store(true, Ordering::Relaxed);
    let viewer = stream().await.into_body();
    hotel.page.stop();
    ended(viewer).await;
    ended(stream().await.into_body()).await;
    eventually("the sampling stops", async || !hotel.page.is_sampling()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_where_its_links_are_and_has_a_policy() {
    let hotel = hotel(None).await;
    let moved = send(hotel.at, "GET", "/admin/cache", &[], Value::Null).await;
    assert_eq!((moved.status().as_u16(), moved.headers()["location"].to_str().unwrap()), (308, "cache/"));
    for file in ["", "page.js", "page.css", "uplot.js", "uplot.css", "settings"] {
        let answer = send(hotel.at, "GET", &format!("/admin/cache/{file}"), &[], Value::Null).await;
        assert_eq!(answer.status(), 200, "{file}");
        if file != "settings" {
            let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        }
    }
}
