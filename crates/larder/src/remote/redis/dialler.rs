//! Opens connections to Redis.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::select_ok;
use redis::aio::{MultiplexedConnection, SendError};
use redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisConnectionInfo, RedisError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};

use crate::error::Error;
use crate::health::Trouble;
use crate::redis_options::RedisOptions;
use crate::remote::Listener;
use crate::remote::redis::address::{Address, Host, Server};
use crate::remote::redis::connection::{Driver, TrackedConnection, apply_invalidation};
use crate::remote::redis::link::Connection;
use crate::remote::redis::replies::{LimitedReplies, ReplyLimit};
#[cfg(feature = "redis-tls")]
use crate::remote::redis::tls::{self, Tls};
use crate::remote::redis::trouble::{self, DialError};
use crate::remote::validity::Validity;

/// How to connect to one Redis, with the time-outs and the limit of replies. A clone shares them.
#[derive(Clone)]
pub(crate) struct Dialler {
    pub(super) address: Arc<Address>,
    pub(super) options: Arc<RedisOptions>,
    #[cfg(feature = "redis-tls")]
    tls: Option<Arc<Tls>>,
    timeout: Duration,
    reply_limit: Arc<ReplyLimit>,
    /// Whether the server is a node of a Redis Cluster.
    is_in_cluster: bool,
}

/// A connection's bytes, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

struct Connected {
    connection: MultiplexedConnection,
    driver: Driver,
    /// The master that the Sentinels named, if there are Sentinels.
    master: Option<Host>,
}

impl Dialler {
    /// Checks the options, and reads the files that they name. An error shows neither the URL nor a password.
    pub(crate) fn new(options: &RedisOptions, timeout: Duration) -> Result<Self, Error> {
        let address = Address::parse(&options.url)?;
        let options = Arc::new(options.clone());
        for (option, path) in options.secret_files() {
            read_secret_now(option, path).map_err(Error::config)?;
        }
        let names_sentinel = options.sentinel_user.is_some()
            || options.sentinel_password.is_some()
            || options.sentinel_password_file.is_some();
        if names_sentinel && !matches!(address.server, Server::MasterOf { .. }) {
            return Err(Error::config(
                "sentinel_user, sentinel_password and sentinel_password_file belong to Sentinels: begin the URL with \
                 redis-sentinel or rediss-sentinel"
                    .to_owned(),
            ));
        }
        let needs_tls = options.ca_file.is_some()
            || options.client_certificate.is_some()
            || options.server_name.is_some();
        if needs_tls && !address.is_tls {
            return Err(Error::config(
                "ca_file, client_certificate and server_name belong to TLS: begin the URL with rediss, \
                 rediss-cluster or rediss-sentinel"
                    .to_owned(),
            ));
        }
        #[cfg(not(feature = "redis-tls"))]
        if address.is_tls {
            return Err(Error::config("TLS to Redis needs the feature redis-tls of larder".to_owned()));
        }
        Ok(Dialler {
            #[cfg(feature = "redis-tls")]
            tls: if address.is_tls { Some(Arc::new(Tls::new(options.clone())?)) } else { None },
            options,
            is_in_cluster: matches!(address.server, Server::Cluster(_)),
            address: Arc::new(address),
            timeout,
            reply_limit: Arc::new(ReplyLimit::new()),
        })
    }

    /// How to connect to one node of the cluster that the URL names.
    pub(crate) fn of_node(&self, node: &Host) -> Self {
        let address = Address { server: Server::Tcp(node.clone()), ..(*self.address).clone() };
        Dialler { address: Arc::new(address), reply_limit: Arc::new(ReplyLimit::new()), ..self.clone() }
    }

    /// The nodes that the URL names, if it names a Redis Cluster.
    pub(crate) fn nodes(&self) -> Option<&[Host]> {
        match &self.address.server {
            Server::Cluster(nodes) => Some(nodes),
            _ => None,
        }
    }

    pub(crate) fn reply_limit(&self) -> Arc<ReplyLimit> {
        self.reply_limit.clone()
    }

    /// Connects and makes the handshake, within `limit`. It does so itself, because redis-rs's own functions for this
    /// cannot put [`LimitedReplies`] below the connection, and read no file again.
    async fn connect(
        &self,
        config: AsyncConnectionConfig,
        is_tracked: bool,
        limit: Duration,
    ) -> Result<Connected, DialError> {
        let connecting = async {
            let login = self.login().await?;
            let (stream, master): (Box<dyn Stream>, _) = match &self.address.server {
                Server::Unix(path) => (Box::new(UnixStream::connect(path).await?), None),
                Server::Tcp(host) => (self.open(host).await?, None),
                Server::Cluster(nodes) => (self.open(&nodes[0]).await?, None),
                Server::MasterOf { sentinels, name } => {
                    // Half of the time is left for the master.
                    let master = self.find_master(sentinels, name, limit / 2).await?.master;
                    (self.open(&master).await?, Some(master))
                }
            };
            let stream = LimitedReplies::new(stream, is_tracked, self.reply_limit.clone());
            let (connection, driver) = MultiplexedConnection::new_with_config(&login, stream, config)
                .await
                .map_err(|error| self.of_handshake(error))?;
            Ok(Connected { connection, driver: Driver::start(driver), master })
        };
        tokio::time::timeout(limit, connecting)
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    /// The user, the password that is valid now, and the database.
    async fn login(&self) -> Result<RedisConnectionInfo, DialError> {
        let login = self.address.login.clone();
        Ok(match &self.options.password_file {
            Some(path) => login.set_password(read_secret("password_file", path.clone()).await?),
            None => login,
        })
    }

    /// Opens a connection to `host`, with TLS if the URL asks for it.
    pub(super) async fn open(&self, host: &Host) -> Result<Box<dyn Stream>, DialError> {
        let stream = connect_to_any(host).await?;
        // Requests are small, and a task waits for each of them. With Nagle's algorithm, some would be sent late.
        stream.set_nodelay(true)?;
        #[cfg(feature = "redis-tls")]
        if let Some(tls) = &self.tls {
            return Ok(Box::new(tls.connect(&host.name, stream).await?));
        }
        Ok(Box::new(stream))
    }

    fn of_handshake(&self, error: RedisError) -> DialError {
        #[cfg(feature = "redis-tls")]
        if let Some(error) = tls::of_redis(&error) {
            return error;
        }
        DialError::Redis(error)
    }

    /// Dials, and turns tracking on before any read. redis-rs calls the push handler inline in its reader, so it
    /// handles each push before it delivers a reply that Redis sent after the push.
    pub(crate) async fn dial(
        &self,
        listener: Arc<dyn Listener>,
        validity: Arc<Validity>,
        heartbeat_at_once: Arc<tokio::sync::Notify>,
    ) -> Result<TrackedConnection, DialError> {
        let handler = move |push: PushInfo| -> Result<(), SendError> {
            let is_complete = match push.kind {
                PushKind::Invalidate => apply_invalidation(&*listener, &push.data),
                PushKind::Disconnection => false,
                _ => true,
            };
            if !is_complete {
                // Reports may have been lost, or all data may have been replaced: a Redis that takes over another's
                // data sends the same push. So the tier is not usable until a heartbeat has checked it.
                validity.revoke();
                listener.clear_guarded();
                heartbeat_at_once.notify_one();
            }
            Ok(())
        };
        // The time-out of a dial is at least 1 s, because a dial may take longer than an operation. A reply gets the
        // operation's time-out, so that a half-open connection never blocks a read for longer.
        let config =
            AsyncConnectionConfig::new().set_response_timeout(Some(self.timeout)).set_push_sender(handler);
        let limit = self.timeout.max(Duration::from_secs(1));
        let Connected { mut connection, driver, master } = self.connect(config, true, limit).await?;
        let tracking = redis::cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut connection).await;
        let is_tracking = match tracking {
            Ok(()) => true,
            // The server refuses tracking, as some managed Redis and strict ACLs do: the tier is used without copies in
            // memory.
            Err(error) if trouble::forbids_tracking(&error) => false,
            Err(error) => return Err(error.into()),
        };
        Ok(TrackedConnection {
            connection: self.spoken(connection),
            driver: Some(Arc::new(driver)),
            is_tracking,
            master,
        })
    }

    /// Dials an untracked connection, for inspection. No reply on it may be kept in memory.
    pub(crate) async fn dial_untracked(&self) -> Result<(Connection, Driver), DialError> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(self.timeout));
        // TLS and Sentinels take more round trips than an operation.
        let is_direct = !self.address.is_tls && !matches!(self.address.server, Server::MasterOf { .. });
        let limit = if is_direct { self.timeout } else { self.timeout.max(Duration::from_secs(1)) };
        let Connected { connection, driver, .. } = self.connect(config, false, limit).await?;
        Ok((self.spoken(connection), driver))
    }

    fn spoken(&self, connection: MultiplexedConnection) -> Connection {
        if self.is_in_cluster { Connection::Member(connection) } else { Connection::Resp(connection) }
    }
}

impl RedisOptions {
    fn secret_files(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        [("password_file", &self.password_file), ("sentinel_password_file", &self.sentinel_password_file)]
            .into_iter()
            .filter_map(|(option, path)| Some((option, path.as_ref()?)))
    }
}

/// Reads a secret from its file.
pub(super) async fn read_secret(option: &'static str, path: PathBuf) -> Result<String, DialError> {
    tokio::task::spawn_blocking(move || read_secret_now(option, &path))
        .await
        .unwrap_or_else(|ended| Err(ended.to_string()))
        .map_err(|text| DialError::Unusable(Trouble::Unauthenticated, text))
}

fn read_secret_now(option: &str, path: &PathBuf) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{option} {} cannot be read: {error}", path.display()))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("{option} {} is empty", path.display())),
        secret => Ok(secret.to_owned()),
    }
}

/// Dials all addresses of the name at once, and keeps the first connection. So an address that drops packets delays no
/// connection to another one.
async fn connect_to_any(host: &Host) -> io::Result<TcpStream> {
    let addresses = lookup_host((host.name.as_str(), host.port)).await?;
    let attempts: Vec<_> = addresses.map(|address| TcpStream::connect(address).boxed()).collect();
    if attempts.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name of the host has no address"));
    }
    select_ok(attempts).await.map(|(stream, _)| stream)
}
