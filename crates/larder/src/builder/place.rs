//! Which Redis a cache has.

use crate::error::Error;
use crate::redis_options::RedisOptions;
use crate::remote::redis::address::{Address, Server};
use crate::remote::redis::{Endpoint, Transport};
#[cfg(feature = "upstash")]
use crate::{builder::Builder, cache::Cache};

/// What [`Builder::redis`](crate::Builder::redis) or [`Builder::upstash`](crate::Builder::upstash) was given.
pub(super) enum Place {
    Redis(RedisOptions),
    #[cfg(feature = "upstash")]
    Rest {
        url: String,
        token: String,
    },
}

impl Place {
    pub(super) fn is_cluster(&self) -> bool {
        let is_cluster =
            |url| Address::parse(url).is_ok_and(|address| matches!(address.server, Server::Cluster(_)));
        matches!(self, Place::Redis(options) if is_cluster(&options.url))
    }

    #[cfg_attr(not(feature = "upstash"), expect(unused_variables, reason = "only REST needs a journal"))]
    pub(super) fn endpoint(&self, has_journal: bool) -> Result<Endpoint, Error> {
        match self {
            Place::Redis(options) => Ok(Endpoint::Redis(options.clone())),
            // Without a journal, only the writers' UNLINKs invalidate, and a failure behind REST can undo them without a
            // sign: an outdated entry would stay until its TTL ends.
            #[cfg(feature = "upstash")]
            Place::Rest { .. } if !has_journal => {
                Err(Error::config("upstash: a cache over REST needs a journal, `.journal(…)`".to_owned()))
            }
            #[cfg(feature = "upstash")]
            Place::Rest { url, token } => Endpoint::rest(url, token),
        }
    }
}

impl RedisOptions {
    /// Checks the options as [`build`](crate::Builder::build) does. It reads the files and opens no connection.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config), which says what is allowed and shows neither the URL nor
    /// a password.
    ///
    /// # Examples
    ///
    /// ```
    /// use larder::redis_options::RedisOptions;
    ///
    /// assert!(RedisOptions::new("redis://localhost/2").check().is_ok());
    /// assert!(RedisOptions::new("http://localhost").check().is_err());
    /// ```
    pub fn check(&self) -> Result<(), Error> {
        Transport::check(self)
    }
}

#[cfg(feature = "upstash")]
impl Builder {
    /// Shares entries through a database of Upstash, over its REST interface: `url` and `token` are what Upstash's console
    /// shows as `UPSTASH_REDIS_REST_URL` and `UPSTASH_REDIS_REST_TOKEN`. An `http://` URL is allowed on a loopback address
    /// only. Replaces what [`redis`](Builder::redis) was given.
    ///
    /// Over REST no changes are reported, so memory keeps no entry of this Redis, and every invalidation is acknowledged as
    /// [`Queued`](crate::receipt::Delivery::Queued): a failure behind REST can undo it, until the relay repeats it within the
    /// staleness bound. The cache needs a [`journal`](Builder::journal). A round trip over the internet takes longer than the
    /// default [`redis_budget`](Builder::redis_budget) allows.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn build(journal: std::sync::Arc<dyn larder::journal::Journal>) -> Result<(), larder::error::Error> {
    /// use std::time::Duration;
    ///
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("hotel")
    ///     .upstash("https://eu1-fit-1.upstash.io", "the token")
    ///     .redis_timeout(Duration::from_millis(500))
    ///     .redis_budget(Duration::from_millis(500))
    ///     .journal(journal)
    ///     .build()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn upstash(self, url: impl Into<String>, token: impl Into<String>) -> Self {
        Builder { redis: Some(Place::Rest { url: url.into(), token: token.into() }), ..self }
    }
}

#[cfg(feature = "upstash")]
impl Cache {
    /// Checks whether [`Builder::upstash`] accepts `url` and `token`. Opens no connection.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config), which says what is allowed and shows neither.
    pub fn check_upstash(url: &str, token: &str) -> Result<(), Error> {
        Endpoint::rest(url, token).map(drop)
    }
}
