//! One size: its database, its service, and a client.

use anyhow::{Context, Result, ensure};
use larder_server::app;
use larder_server::service::Service;

use crate::quantiles::{Quantiles, Times};
use crate::scale::requests::{self, Request};
use crate::site::client::Client;
use crate::site::people::Server;
use crate::site::{self, Site};

/// A database of one size, its service, and the requests to it.
pub(super) struct Size {
    server: Server,
    service: Service,
    users: u64,
    pub(super) requests: Vec<Request>,
    running: Option<(Client, Site)>,
}

impl Size {
    /// Creates the schema and fills it.
    pub(super) async fn open(server: Server, users: u64) -> Result<Self> {
        let (service, _) = app::open(&site::settings(server.url(), None)?).await?;
        server.fill(users)?;
        service.cache().set_enabled(false);
        let requests = requests::all(service.store(), &server, users).await?;
        Ok(Self { server, service, users, requests, running: None })
    }

    /// Starts the service, logs in, and checks that the rank that the service returns equals the counted rank.
    pub(super) async fn serve(&mut self) -> Result<()> {
        let site = Site::serve(self.service.clone()).await?;
        let mut client = site.admin().await?;
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
        self.running = Some((client, site));
        Ok(())
    }

    /// Sends a request `samples` times.
    pub(super) async fn round(&mut self, number: usize, samples: u16) -> Result<Quantiles> {
        let (client, _) = self.running.as_mut().context("the service does not run")?;
        // The service closes a connection that is idle for 15 s, and the other sizes may have taken longer.
        *client = client.another().await?;
        let mut times = Times::new()?;
        for (_, path) in (0..samples).zip(self.requests[number].paths.iter().cycle()) {
            times.record(client.expect(200, "GET", path, "").await?.took);
        }
        Ok(times.quantiles())
    }

    /// Stops the service.
    pub(super) async fn close(self) -> Result<()> {
        if let Some((client, site)) = self.running {
            drop(client);
            site.stop().await?;
        }
        Ok(())
    }
}
