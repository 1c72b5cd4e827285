//! The admin page in a real Chromium, against two instances over one Redis, under load.
//!
//! With `LARDER_SCREENSHOTS` set to a folder, the first test writes the pictures of docs/admin.md into it.

mod cost;
mod keyboard;
mod mouse;
mod signing_in;
mod tuned;
mod watching;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use serde_json::json;

use crate::support::app::{ADMIN_EMAIL, ADMIN_PASSWORD, Stack, TestApp};
use crate::support::browser::Browser;
use crate::support::client::{Client, Request};

const PATH: &str = "/admin/cache";

/// Two instances and clients that read and write on both until the drop.
struct Loaded {
    a: TestApp,
    b: TestApp,
    stopping: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Loaded {
    fn start() -> Self {
        let stack = Stack::sqlite_redis().with_setting("LARDER_AUDITOR_RATE", "0.05");
        let a = stack.start();
        let b = a.second_instance();
        let stopping = Arc::new(AtomicBool::new(false));
        let ann = a.user("ann");
        let clients = [a.here(&ann), b.here(&ann)];
        let clients = clients.map(|client| {
            let stopping = stopping.clone();
            thread::spawn(move || read_and_write(&client, &stopping))
        });
        Self { a, b, stopping, clients: clients.into() }
    }

    fn invalidate_on_b(&self) {
        self.b.admin().post("/api/v1/cache/invalidate", &json!({ "class": "user_list" })).expect(200);
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // Relaxed: the flag guards no data.
        self.stopping.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            // A client that panicked has failed already; a second panic would hide the first.
            let _ = client.join();
        }
    }
}

fn read_and_write(client: &Client, stopping: &AtomicBool) {
    for round in 0.. {
        if stopping.load(Ordering::Relaxed) {
            return;
        }
        for path in ["/api/v1/users/me", "/api/v1/users/me/profile", "/api/v1/statistics/dashboard"] {
            client.raw(Request::new("GET", path));
        }
        client.raw(Request::new("GET", &format!("/api/v1/users?limit={}", 5 + round % 5)));
        if round % 10 == 0 {
            let bio = json!({ "bio": format!("round {round}") });
            client.raw(Request::new("PATCH", "/api/v1/users/me").json(&bio));
        }
    }
}

/// Signs in with the mouse, and waits for the first samples.
fn sign_in(browser: &mut Browser) {
    submit(browser, ADMIN_EMAIL, ADMIN_PASSWORD);
    is_live(browser);
}

/// Fills in the form and submits it.
fn submit(browser: &mut Browser, email: &str, password: &str) {
    browser.wait("document.querySelector('#sign-in:not([hidden]) #sign-in-form:not([hidden])')");
    for (field, text) in [("#email", email), ("#password", password)] {
        browser.click(field);
        browser.eval("document.activeElement.select()");
        browser.type_text(text);
    }
    browser.click("#sign-in-form button");
}

fn is_live(browser: &mut Browser) {
    browser.wait("document.getElementById('live').innerText === 'Live'");
    browser.wait("[...document.querySelectorAll('.plot')].every((plot) => Number(plot.dataset.points) >= 2)");
}

/// The page asked no other host, its policy was never broken, and its console is empty.
#[track_caller]
fn is_clean(browser: &Browser, apps: &[&TestApp]) {
    assert!(browser.complaints().is_empty(), "{:#?}", browser.complaints());
    assert!(!browser.requests().is_empty(), "the page asks its instance, or nothing is noted");
    for url in browser.requests() {
        let own = apps.iter().any(|app| url.starts_with(&format!("http://{}/", app.address)));
        assert!(own || url.starts_with("data:"), "asked {url}");
    }
}
