//! What tuning advises and has changed, on the page of an application that signs its viewers in by itself.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::request::Parts;
use axum::response::Response;
use larder::cache::Cache;
use larder::policy::Policy;
use larder::tuning::Tuning;
use larder_http::admin::{Access, AdminHooks, AdminPage};
use tokio::runtime::Runtime;

use super::PATH;
use super::mouse::{confirmed, looks_right};
use crate::support::browser::Browser;
use crate::support::eventually;

struct Everybody;

impl AdminHooks for Everybody {
    type Caller = ();

    async fn admit(&self, _: &mut Parts, _: Access) -> Result<(), Response> {
        Ok(())
    }

    fn may_see_keys(&self, (): &(), _: &str) -> bool {
        true
    }
}

/// Serves the page of a cache whose entries end by their TTL of a second while they are in use.
async fn serve() -> (Cache, SocketAddr) {
    let cache = Cache::builder("hotel").tuning(Tuning::apply()).build().await.unwrap();
    let short = Duration::from_secs(1);
    let policy = Policy::ttl(short).jitter(0.0);
    let rooms = cache.class::<u64, u64>("rooms").policy(policy).tune_ttl_up_to(2 * short).open().unwrap();
    tokio::spawn(async move {
        loop {
            for key in 0..3_000 {
                rooms.get_or_load(&key, || async move { Ok::<_, Infallible>(key) }).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    let page = AdminPage::new(&cache, Everybody);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().merge(page.router(PATH))).await });
    (cache, at)
}

#[test]
fn what_tuning_changed_is_shown_and_undone() {
    let runtime = Runtime::new().unwrap();
    let (cache, at) = runtime.block_on(serve());
    eventually("the TTL is raised", || !cache.tuning_changes().is_empty());
    let id = cache.tuning_changes()[0].id;
    let change = format!("[data-change=\"{id}\"]");
    let mut browser = Browser::start(1280, 900);
    browser.open(at, PATH);
    browser.wait("document.getElementById('live').innerText === 'Live'");
    browser.wait(&format!("document.querySelector('{change}')?.innerText.includes('TTL 2s, 1s before')"));
    browser.wait("document.querySelector('#curve').innerText.includes('MiB')");
    looks_right(&mut browser);
    confirmed(&mut browser, &format!("{change} button"), &format!("Change {id} of rooms is undone"));
    browser.wait(&format!("document.querySelector('{change} .pill').checkVisibility()"));
    assert_eq!(browser.eval(&format!("document.querySelector('{change} button').checkVisibility()")), false);
    assert!(cache.tuning_changes()[0].is_undone);
    assert!(browser.complaints().is_empty(), "{:#?}", browser.complaints());
}
