//! The load of the demo: requests ask for some users far more often than for others, and one request in a hundred
//! writes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use hdrhistogram::Histogram;
use hyper::{Method, StatusCode};
use indicatif::{ProgressBar, ProgressStyle};
use larder::stats::Stats;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};
use tokio::task::JoinSet;

use crate::cli::demo::client::Client;
use crate::cli::demo::people::{ADMIN_EMAIL, Crowd, PASSWORD};
use crate::domain::user::User;
use crate::service::Service;

/// How many clients send requests; each has one request in flight.
const CLIENTS: u64 = 32;
/// How many users log in. A request comes from one of them, or from the admin.
const SESSIONS: usize = 64;
/// The exponent of Zipf's law; web traffic shows values near 1 (Breslau et al., INFOCOM 1999).
const SKEW: f64 = 1.0;

/// A load that can run several times.
pub(crate) struct Load {
    address: SocketAddr,
    scene: Arc<Scene>,
}

struct Scene {
    crowd: Crowd,
    admin: String,
    sessions: Vec<String>,
}

/// What one run of the load measured.
pub(crate) struct Measured {
    pub(crate) elapsed: Duration,
    pub(crate) latency_micros: Histogram<u64>,
    pub(crate) statements: u64,
    pub(crate) stats: Stats,
}

impl Measured {
    pub(crate) fn requests(&self) -> u64 {
        self.latency_micros.len()
    }
}

impl Load {
    /// Logs in the users that will send requests.
    pub(crate) async fn prepare(address: SocketAddr, crowd: Crowd) -> anyhow::Result<Self> {
        let mut client = Client::connect(address).await?;
        let admin = client.login(ADMIN_EMAIL, PASSWORD).await?;
        let logins = crowd.users.len().min(SESSIONS);
        let bar = ProgressBar::new(logins as u64);
        bar.set_style(ProgressStyle::with_template("logging in    {bar:40} {pos}/{len}")?);
        let mut sessions = Vec::with_capacity(logins);
        for user in &crowd.users[..logins] {
            sessions.push(client.login(user.email.as_str(), PASSWORD).await?);
            bar.inc(1);
        }
        bar.finish();
        Ok(Self { address, scene: Arc::new(Scene { crowd, admin, sessions }) })
    }

    pub(crate) fn crowd_size(&self) -> usize {
        self.scene.crowd.users.len()
    }

    /// Sends requests for `span`. The run fails at an answer with another status than 200.
    pub(crate) async fn drive(
        &self,
        name: &str,
        service: &Service,
        span: Duration,
    ) -> anyhow::Result<Measured> {
        let bar = ProgressBar::new(span.as_millis() as u64);
        bar.set_style(ProgressStyle::with_template("{msg:13} {bar:40} {elapsed}")?);
        bar.set_message(name.to_owned());
        let statements = service.store().statements();
        let stats = service.cache().stats();
        let start = Instant::now();
        let mut clients = JoinSet::new();
        for seed in 0..CLIENTS {
            let scene = self.scene.clone();
            let client = Client::connect(self.address).await?;
            clients.spawn(async move { scene.play(client, seed, start + span).await });
        }
        let mut latency_micros = histogram()?;
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        while !clients.is_empty() {
            tokio::select! {
                Some(played) = clients.join_next() => latency_micros.add(played??)?,
                _ = tick.tick() => bar.set_position(start.elapsed().as_millis() as u64),
            }
        }
        bar.finish();
        Ok(Measured {
            elapsed: start.elapsed(),
            latency_micros,
            statements: service.store().statements() - statements,
            stats: service.cache().stats().since(&stats),
        })
    }
}

fn histogram() -> anyhow::Result<Histogram<u64>> {
    // From 1 µs to a minute, to three significant digits.
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

impl Scene {
    async fn play(&self, mut client: Client, seed: u64, end: Instant) -> anyhow::Result<Histogram<u64>> {
        let mut luck = StdRng::seed_from_u64(seed);
        let mut latency_micros = histogram()?;
        while Instant::now() < end {
            let (method, path, token, body) = self.request(&mut luck)?;
            let began = Instant::now();
            let (status, _) = client.send(method, &path, Some(token), body).await?;
            ensure!(status == StatusCode::OK, "a request to {path} was answered with {status}");
            latency_micros.saturating_record(began.elapsed().as_micros() as u64);
        }
        Ok(latency_micros)
    }

    fn request(&self, luck: &mut impl Rng) -> anyhow::Result<(Method, String, &str, Option<String>)> {
        let user = self.someone(luck)?;
        let token = &self.sessions[luck.random_range(0..self.sessions.len())];
        let path = || format!("/api/v1/users/{}", user.id);
        Ok(match luck.random_range(0..100) {
            0 => {
                let bio = format!("changed {}", luck.random::<u32>());
                (Method::PATCH, path(), &self.admin, Some(serde_json::json!({ "bio": bio }).to_string()))
            }
            1..70 => (Method::GET, path(), token, None),
            // Only admins may look up users by e-mail address or telephone number.
            70..85 => (Method::POST, "/api/v1/users/lookup".to_owned(), &self.admin, Some(names(user, luck))),
            85..95 => (Method::GET, "/api/v1/users/me".to_owned(), token, None),
            _ => (Method::GET, format!("/api/v1/users?page={}", luck.random_range(1..=4)), token, None),
        })
    }

    fn someone(&self, luck: &mut impl Rng) -> anyhow::Result<&User> {
        let users = &self.crowd.users;
        let rank = Zipf::new(users.len() as f64, SKEW)?.sample(luck) as usize;
        Ok(&users[rank.clamp(1, users.len()) - 1])
    }
}

fn names(user: &User, luck: &mut impl Rng) -> String {
    match (luck.random_range(0..3), &user.phone) {
        (0, _) => serde_json::json!({ "email": user.email.as_str() }),
        (1, Some(phone)) => serde_json::json!({ "phone": phone.as_str() }),
        _ => serde_json::json!({ "username": user.username.as_str() }),
    }
    .to_string()
}
