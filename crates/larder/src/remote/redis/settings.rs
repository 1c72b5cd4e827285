//! The settings of the tier.

use std::sync::Arc;
use std::time::Duration;

use crate::cause::Causes;
use crate::condition::Condition;
use crate::error::Error;
use crate::journal::Journal;
use crate::key::Namespace;
use crate::polls::PollRequests;
use crate::protocol::rules::ProtocolRules;
use crate::redis_options::RedisOptions;
use crate::remote::redis::dialler::Dialler;
use crate::remote::redis::membership::Membership;
#[cfg(feature = "upstash")]
use crate::remote::redis::rest::RestAddress;

/// What identifies the database behind a Redis. The identity is part of each key in Redis.
#[derive(Clone)]
pub(crate) enum IdentitySource {
    /// The database's journal. The relay propagates the journal's changes to Redis before Redis is used.
    Journal(Arc<dyn Journal>),
    /// The application's name for its database, without a journal. The keeper drops this installation's entries in
    /// Redis before Redis is used.
    Installation(String),
}

/// Where a Redis is.
#[derive(Clone)]
pub(crate) enum Endpoint {
    /// A server or Sentinels, by the protocol of Redis clients.
    Redis(RedisOptions),
    /// A master of a Redis Cluster.
    Member(Dialler),
    #[cfg(feature = "upstash")]
    Rest(RestAddress),
}

impl Endpoint {
    /// A database behind REST. An error shows neither the URL nor the token.
    #[cfg(feature = "upstash")]
    pub(crate) fn rest(url: &str, token: &str) -> Result<Self, Error> {
        RestAddress::parse(url, token).map(Endpoint::Rest)
    }

    /// How to connect to the nodes of the Redis Cluster that this is; `None` for anything else.
    pub(crate) fn cluster(&self, timeout: Duration) -> Result<Option<Dialler>, Error> {
        match self {
            Endpoint::Redis(options) => Dialler::new(options, timeout)
                .map(|dialler| Some(dialler).filter(|dialler| dialler.nodes().is_some())),
            _ => Ok(None),
        }
    }

    /// Whether it is behind REST; see `leader`.
    pub(crate) fn is_rest(&self) -> bool {
        !matches!(self, Endpoint::Redis(_) | Endpoint::Member(_))
    }
}

/// The settings of the tier, and the parts that it shares with the engine.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) endpoint: Endpoint,
    pub(crate) namespace: Namespace,
    /// The staleness bound; see `Builder::staleness_bound`.
    pub(crate) bound: Duration,
    /// The time-out of one operation; after it the tier counts as away.
    pub(crate) timeout: Duration,
    /// The most untracked connections at one time.
    pub(crate) pool_size: u32,
    /// The time that a question waits for an untracked connection.
    pub(crate) pool_timeout: Duration,
    /// What identifies the database behind Redis.
    pub(crate) source: IdentitySource,
    /// The protocol's rules; a proof may break one.
    pub(crate) rules: ProtocolRules,
    /// Notes what the relay invalidates in Redis, so that the pushes that follow have a cause.
    pub(crate) causes: Arc<Causes>,
    /// Requests to poll now, which the relay answers.
    pub(crate) polls: Arc<PollRequests>,
    /// Where the keeper notes why the tier is not used, or only in part.
    pub(crate) condition: Arc<Condition>,
    /// What a master of a Redis Cluster shares with the tier to which it belongs; `None` for a Redis by itself.
    pub(crate) membership: Option<Arc<Membership>>,
}
