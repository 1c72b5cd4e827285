//! The service on one database that is filled, and a client that is logged in.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use larder_server::app;
use larder_server::service::Service;
use larder_server::settings::Settings;
use larder_server::settings::sources::Sources;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::scale::client::Client;
use crate::scale::people::Server;
use crate::scale::requests::{self, Request};

const EMAIL: &str = "admin@scale.example";
const PASSWORD: &str = "a password for one run";

/// One size: its database, its service, and what is asked of it.
pub(super) struct Site {
    server: Server,
    service: Service,
    users: u64,
    pub(super) requests: Vec<Request>,
    running: Option<Running>,
}

struct Running {
    client: Client,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Site {
    /// Makes the schema and fills it.
    pub(super) async fn open(server: Server, users: u64) -> Result<Self> {
        let url = server.url();
        let settings = Settings::read(Sources::new(move |name| match name {
            "DATABASE_URL" => Some(url.clone()),
            "LARDER_ADMIN_EMAIL" => Some(EMAIL.to_owned()),
            "LARDER_ADMIN_PASSWORD" => Some(PASSWORD.to_owned()),
            _ => None,
        }))?;
        let (service, _) = app::open(&settings).await?;
        server.fill(users)?;
        service.users().cache().set_enabled(false);
        let requests = requests::all(service.store(), &server, users).await?;
        Ok(Self { server, service, users, requests, running: None })
    }

    /// Starts the service, logs in, and makes sure that a rank is what counting says.
    pub(super) async fn serve(&mut self) -> Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address: SocketAddr = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move { drop(stopped.await) };
        let serving = tokio::spawn(app::serve(listener, self.service.clone(), stopped));
        let mut client = Client::login(address, EMAIL, PASSWORD).await?;
        let counted = self.server.sql(
            "SELECT 1 + COUNT(*) FROM users WHERE is_active
             AND points > (SELECT points FROM users WHERE username = 'admin')",
        )?;
        let standing = String::from_utf8(client.get(requests::OWN_RANK).await?.body)?;
        let (_, rank) = standing.split_once(r#""rank":"#).context("a standing without a rank")?;
        let rank: u64 = rank.trim_end_matches(|end: char| !end.is_ascii_digit()).parse()?;
        ensure!(rank.to_string() == counted, "the rank {rank} should be {counted}");
        ensure!(
            (self.users / 10..self.users).contains(&rank),
            "the rank {rank} of {} is not in the middle",
            self.users
        );
        self.running = Some(Running { client, stop, serving });
        Ok(())
    }

    /// Sends a request so many times: p50 and p99 in milliseconds.
    pub(super) async fn round(&mut self, number: usize, samples: u16) -> Result<(f64, f64)> {
        let client = &mut self.running.as_mut().context("the service does not run")?.client;
        client.reconnect().await?;
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
        for (_, path) in (0..samples).zip(self.requests[number].paths.iter().cycle()) {
            let answer = client.get(path).await?;
            ensure!(
                answer.status == 200 && !answer.body.is_empty(),
                "{path} was answered with {}",
                answer.status
            );
            histogram.saturating_record(answer.took.as_micros() as u64);
        }
        let milliseconds = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Ok((milliseconds(0.50), milliseconds(0.99)))
    }

    /// Stops the service.
    pub(super) async fn close(self) -> Result<()> {
        if let Some(Running { client, stop, serving }) = self.running {
            drop((client, stop));
            serving.await?;
        }
        Ok(())
    }
}
