//! How this process reaches its Redis: what dials, and what a dialled connection is.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::error::Error;
use crate::redis_options::RedisOptions;
use crate::remote::Listener;
use crate::remote::redis::address::Host;
use crate::remote::redis::connection::{Driver, TrackedConnection};
use crate::remote::redis::dialler::Dialler;
use crate::remote::redis::link::Connection;
use crate::remote::redis::replies::ReplyLimit;
#[cfg(feature = "upstash")]
use crate::remote::redis::rest::RestDialler;
use crate::remote::redis::settings::Endpoint;
use crate::remote::redis::trouble::DialError;
use crate::remote::validity::Validity;

/// Dials connections to one Redis.
#[derive(Clone)]
pub(crate) enum Transport {
    Resp(Dialler),
    #[cfg(feature = "upstash")]
    Rest(RestDialler),
}

/// An untracked connection, and what its drop closes.
pub(crate) struct Untracked {
    pub(crate) connection: Connection,
    _driver: Option<Driver>,
}

impl Transport {
    /// Checks that a transport can be made with these options.
    pub(crate) fn check(options: &RedisOptions) -> Result<(), Error> {
        Dialler::new(options, Duration::ZERO).map(drop)
    }

    /// Prepares the transport to `endpoint`, whose operations have the time-out `timeout`.
    pub(crate) fn new(endpoint: &Endpoint, timeout: Duration) -> Result<Self, Error> {
        Ok(match endpoint {
            Endpoint::Redis(options) => Transport::Resp(Dialler::new(options, timeout)?),
            Endpoint::Member(dialler) => Transport::Resp(dialler.clone()),
            #[cfg(feature = "upstash")]
            Endpoint::Rest(address) => Transport::Rest(RestDialler::new(address.clone(), timeout)?),
        })
    }

    pub(crate) fn reply_limit(&self) -> Arc<ReplyLimit> {
        match self {
            Transport::Resp(dialler) => dialler.reply_limit(),
            #[cfg(feature = "upstash")]
            Transport::Rest(dialler) => dialler.reply_limit(),
        }
    }

    /// Dials the connection of all work whose results may be served.
    pub(crate) async fn dial(
        &self,
        listener: Arc<dyn Listener>,
        validity: Arc<Validity>,
        heartbeat_at_once: Arc<Notify>,
    ) -> Result<TrackedConnection, DialError> {
        match self {
            Transport::Resp(dialler) => dialler.dial(listener, validity, heartbeat_at_once).await,
            #[cfg(feature = "upstash")]
            Transport::Rest(dialler) => {
                // As for a connection of Redis clients: a dial may take longer than an operation.
                let connection = Connection::Rest(dialler.dial(Duration::from_secs(1)).await?);
                Ok(TrackedConnection { connection, driver: None, is_tracking: false, master: None })
            }
        }
    }

    /// Returns when the Sentinels, if there are any, name another master than `master`.
    pub(crate) async fn wait_for_another_master(&self, master: Option<&Host>) -> DialError {
        match self {
            Transport::Resp(dialler) => dialler.wait_for_another_master(master).await,
            #[cfg(feature = "upstash")]
            Transport::Rest(_) => std::future::pending().await,
        }
    }

    /// Dials a connection for inspection. No reply on it may be kept in memory.
    pub(crate) async fn dial_untracked(&self) -> Result<Untracked, DialError> {
        match self {
            Transport::Resp(dialler) => {
                let (connection, driver) = dialler.dial_untracked().await?;
                Ok(Untracked { connection, _driver: Some(driver) })
            }
            #[cfg(feature = "upstash")]
            Transport::Rest(dialler) => {
                let connection = Connection::Rest(dialler.connection());
                Ok(Untracked { connection, _driver: None })
            }
        }
    }
}
