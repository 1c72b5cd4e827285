//! The set-up of the measurements: real servers, a distance between service and database, and two services.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use larder::cache::Cache;
use larder_server::app;
use larder_server::cached::journal::tables;
use larder_server::service::Service;
use larder_server::settings::Settings;
use larder_server::store::Store;
use larder_testbed::{Database, Postgres, Proxy, Redis};

use crate::figures::Options;
use crate::figures::crowd::{self, Crowd};
use crate::quantiles::Times;
use crate::site::people::Server;
use crate::site::{self, Site};

/// How often the distance is measured.
const PINGS: u32 = 50;

/// The measured services and their servers.
pub(super) struct Stage {
    /// The service as in production: memory in front of Redis.
    pub(super) whole: Site,
    /// A service whose memory holds no entry, so every hit comes from Redis.
    pub(super) redis_alone: Site,
    pub(super) settings: Settings,
    pub(super) crowd: Arc<Crowd>,
    /// The addresses of users that can log in.
    pub(super) callers: Vec<String>,
    /// The measured round trip of a statement over the distance, in milliseconds.
    pub(super) round_trip_ms: f64,
    // Fields drop in this order: the proxy before its server.
    _proxy: Proxy,
    _server: Server,
    _postgres: Postgres,
    _redis: Redis,
}

impl Stage {
    /// Starts everything, fills the database, and serves.
    pub(super) async fn open(options: &Options, callers: usize) -> Result<Self> {
        let (postgres, redis) = (site::postgres()?, Redis::start()?);
        let proxy = Proxy::start(postgres.port())?;
        let database = Database::fresh(&postgres.url())?;
        let settings = site::settings(database.url_through(&proxy), Some(redis.url()))?;
        let server = Server::Postgres(database);
        let (service, _) = app::open(&settings).await?;
        server.fill(options.users)?;
        let crowd = Arc::new(Crowd::gather(&server)?);
        let callers = crowd::callers(&service, callers).await?;
        let redis_alone = without_memory(&settings, &redis).await?;
        // From here on statements take longer: the documents' databases are on another machine of the network.
        proxy.delay(options.distance());
        let round_trip_ms = round_trip_ms(service.store()).await?;
        Ok(Self {
            whole: Site::serve(service).await?,
            redis_alone: Site::serve(redis_alone).await?,
            settings,
            crowd,
            callers,
            round_trip_ms,
            _proxy: proxy,
            _server: server,
            _postgres: postgres,
            _redis: redis,
        })
    }

    /// Stops both services. All clients must have disconnected.
    pub(super) async fn close(self) -> Result<()> {
        self.whole.stop().await?;
        self.redis_alone.stop().await
    }
}

/// A second instance like that of [`app::open`], but with a memory into which no entry fits.
async fn without_memory(settings: &Settings, redis: &Redis) -> Result<Service> {
    let store = Store::open(&settings.database_url).await?;
    let cache = Cache::builder("figures").redis(redis.url()).journal(store.journal(tables()).await?);
    let cache = cache.memory_bytes(1).build().await?;
    Ok(Service::open(store, cache, &settings.policies, &settings.security).await?)
}

async fn round_trip_ms(store: &Store) -> Result<f64> {
    let mut times = Times::new()?;
    for _ in 0..PINGS {
        let began = Instant::now();
        store.ping().await?;
        times.record(began.elapsed());
    }
    Ok(times.quantiles().p50)
}

impl Options {
    fn distance(&self) -> Duration {
        Duration::from_secs_f64(self.distance_ms / 1000.0)
    }
}
