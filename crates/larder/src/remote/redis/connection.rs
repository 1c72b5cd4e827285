//! Dials connections to Redis, and holds the tracked connection in use.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::select_ok;
use redis::aio::{MultiplexedConnection, SendError};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, ProtocolVersion,
    PushInfo, PushKind, RedisError, RedisResult, Value,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::task::AbortHandle;

use crate::batch::Sweep;
use crate::error::Error;
use crate::remote::Listener;
use crate::remote::redis::evidence::Granted;
use crate::remote::redis::leader;
use crate::remote::redis::link::Connection;
use crate::remote::redis::prefix::{CLAIM, Prefix};
use crate::remote::redis::replies::{CUT_BYTES, LimitedReplies, ReplyLimit};
use crate::remote::redis::trouble;
use crate::remote::validity::Validity;

/// The most keys in one UNLINK. A longer list is split, so that no single command blocks Redis for long.
pub(crate) const UNLINK_BATCH: usize = 500;

/// The tracked connection in use, if there is one, and what the last grant rests on, with which each tracked read compares
/// its reply. Only the keeper writes them; it notes the grant just before it grants.
/// Operations clone them. Each lock is held to clone or to replace a value, never across an await.
#[derive(Default)]
pub(crate) struct ConnectionSlot {
    tracked: RwLock<Option<TrackedConnection>>,
    granted: RwLock<Arc<Granted>>,
}

#[derive(Clone)]
pub(crate) struct TrackedConnection {
    pub(crate) connection: Connection,
    /// Its drop closes the connection. Over REST there is none.
    pub(crate) _driver: Option<Arc<Driver>>,
    /// Whether Redis agreed to report changes.
    pub(crate) is_tracking: bool,
}

impl ConnectionSlot {
    pub(crate) fn get(&self) -> Option<Connection> {
        self.tracked
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(|tracked| tracked.connection.clone())
    }

    pub(crate) fn is_tracking(&self) -> bool {
        self.tracked
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .is_some_and(|tracked| tracked.is_tracking)
    }

    /// What the last grant rests on.
    pub(super) fn granted(&self) -> Arc<Granted> {
        self.granted.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what the next grant rests on. Call it before the grant, so that a read under this grant compares its reply
    /// with it.
    pub(super) fn note_granted(&self, granted: Granted) {
        if *self.granted() != granted {
            *self.granted.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(granted);
        }
    }

    pub(crate) fn set(&self, tracked: Option<TrackedConnection>) {
        *self.tracked.write().unwrap_or_else(PoisonError::into_inner) = tracked;
    }
}

/// The task that reads and writes a connection. It ends when its owner is dropped: the connection closes then, even if a
/// reply is missing, and operations that still wait on a clone of it fail.
pub(crate) struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The address, the time-outs and the limit of replies of one Redis.
#[derive(Clone)]
pub(crate) struct Dialler {
    info: ConnectionInfo,
    timeout: Duration,
    reply_limit: Arc<ReplyLimit>,
}

impl Dialler {
    /// Parses a `redis://` URL. An error never contains the URL, because that may contain a password.
    pub(crate) fn parse(url: &str, timeout: Duration) -> Result<Self, Error> {
        let allowed = "a Redis URL looks like redis://[user:password@]host[:port][/database]";
        if url.starts_with("rediss://") {
            return Err(Error::config(format!("TLS to Redis (rediss://) is not supported yet; {allowed}")));
        }
        let info =
            url.into_connection_info().map_err(|error| Error::config_because(allowed.to_owned(), error))?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.set_redis_settings(settings);
        Ok(Dialler { info, timeout, reply_limit: Arc::new(ReplyLimit::new()) })
    }

    pub(crate) fn reply_limit(&self) -> Arc<ReplyLimit> {
        self.reply_limit.clone()
    }

    /// Connects and makes the handshake, within `limit`. It does so itself, because redis-rs's own functions for this
    /// cannot put [`LimitedReplies`] below the connection.
    async fn connect(
        &self,
        config: AsyncConnectionConfig,
        is_tracked: bool,
        limit: Duration,
    ) -> RedisResult<(MultiplexedConnection, Driver)> {
        let connecting = async {
            match self.info.addr() {
                ConnectionAddr::Unix(path) => {
                    self.shake_hands(UnixStream::connect(path).await?, config, is_tracked).await
                }
                ConnectionAddr::Tcp(host, port) => {
                    let stream = connect_to_any(host, *port).await?;
                    // Requests are small, and a task waits for each of them. With Nagle's algorithm, some would be sent
                    // late.
                    stream.set_nodelay(true)?;
                    self.shake_hands(stream, config, is_tracked).await
                }
                // `parse` refuses every other kind.
                _ => Err(RedisError::from((ErrorKind::InvalidClientConfig, "no address of a Redis"))),
            }
        };
        tokio::time::timeout(limit, connecting)
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    async fn shake_hands<S>(
        &self,
        stream: S,
        config: AsyncConnectionConfig,
        is_tracked: bool,
    ) -> RedisResult<(MultiplexedConnection, Driver)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = LimitedReplies::new(stream, is_tracked, self.reply_limit.clone());
        let settings = self.info.redis_settings();
        let (connection, driver) = MultiplexedConnection::new_with_config(settings, stream, config).await?;
        Ok((connection, Driver(tokio::spawn(driver).abort_handle())))
    }

    /// Dials, and turns tracking on before any read. redis-rs calls the push handler inline in its reader, so it
    /// handles each push before it delivers a reply that Redis sent after the push.
    pub(crate) async fn dial(
        &self,
        listener: Arc<dyn Listener>,
        validity: Arc<Validity>,
        heartbeat_at_once: Arc<tokio::sync::Notify>,
    ) -> RedisResult<TrackedConnection> {
        let handler = move |push: PushInfo| -> Result<(), SendError> {
            let is_complete = match push.kind {
                PushKind::Invalidate => invalidated(&*listener, &push.data),
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
        let (mut connection, driver) = self.connect(config, true, limit).await?;
        let _driver = Some(Arc::new(driver));
        let tracking = redis::cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut connection).await;
        let connection = Connection::Resp(connection);
        match tracking {
            Ok(()) => Ok(TrackedConnection { connection, _driver, is_tracking: true }),
            // The server refuses tracking, as some managed Redis and strict ACLs do: the tier is used without copies in
            // memory.
            Err(error) if trouble::forbids_tracking(&error) => {
                Ok(TrackedConnection { connection, _driver, is_tracking: false })
            }
            Err(error) => Err(error),
        }
    }
}

impl Dialler {
    /// Dials an untracked connection, for inspection. No reply on it may be kept in memory.
    pub(crate) async fn dial_untracked(&self) -> RedisResult<(MultiplexedConnection, Driver)> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(self.timeout));
        self.connect(config, false, self.timeout).await
    }
}

/// Dials all addresses of the name at once, and keeps the first connection. So an address that drops packets delays no
/// connection to another one.
async fn connect_to_any(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = lookup_host((host, port)).await?;
    let attempts: Vec<_> = addresses.map(|address| TcpStream::connect(address).boxed()).collect();
    if attempts.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name of the host has no address"));
    }
    select_ok(attempts).await.map(|(stream, _)| stream)
}

/// Applies a push of changed keys. Returns `false` if any key may have changed: the push names no keys, as after
/// FLUSHALL, or one of its names was cut while it arrived. A name of [`CUT_BYTES`] counts as cut, unless it ends like
/// that of a claim.
fn invalidated(listener: &dyn Listener, data: &[Value]) -> bool {
    let [Value::Array(keys)] = data else { return false };
    keys.iter().all(|key| match key {
        Value::BulkString(key) if key.len() != CUT_BYTES || key.ends_with(CLAIM.as_bytes()) => {
            listener.apply_push(key);
            true
        }
        _ => false,
    })
}

/// Deletes `keys`, spelled as Redis has them, and returns how many existed. It sends all batches before it awaits the
/// first reply, so that this is one round trip.
pub(crate) async fn unlink(connection: &mut Connection, keys: &[Bytes]) -> RedisResult<u64> {
    if keys.is_empty() {
        return Ok(0);
    }
    let mut pipe = redis::pipe();
    for batch in keys.chunks(UNLINK_BATCH) {
        let command = pipe.cmd("UNLINK");
        for key in batch {
            command.arg(&key[..]);
        }
    }
    let unlinked: Vec<u64> = pipe.query_async(connection).await?;
    Ok(unlinked.iter().sum())
}

/// Deletes all matching keys, and returns how many it deleted. A SCAN returns every key that exists during the complete
/// search, so it finds each lease that was taken before. A lease that is taken during the sweep needs no deletion: its
/// load began after the change.
pub(crate) async fn sweep(connection: &mut Connection, prefix: &Prefix, what: Sweep<'_>) -> RedisResult<u64> {
    if connection.is_rest() {
        // Without a chain, none can be broken.
        return Ok(leader::sweep(connection, prefix, what, None).await?.unwrap_or(0));
    }
    let namespace = prefix.namespace();
    let pattern = match what {
        Sweep::Matching(pattern) => namespace.scan_pattern(pattern),
        Sweep::Everything => namespace.pattern(),
    };
    let pattern = prefix.add_to(pattern.as_bytes());
    let is_match = |key: &Bytes| match (what, prefix.strip_from(key)) {
        (_, None) => false,
        (Sweep::Matching(pattern), Some(key)) => namespace.matches_key(pattern, &key),
        (Sweep::Everything, Some(key)) => !namespace.reserves(&key),
    };
    let (mut cursor, mut unlinked) = (0_u64, 0);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern[..]).arg("COUNT").arg(1000);
        let (next, mut keys): (u64, Vec<Bytes>) = scan.query_async(connection).await?;
        keys.retain(is_match);
        unlinked += unlink(connection, &keys).await?;
        cursor = next;
        if cursor == 0 {
            return Ok(unlinked);
        }
    }
}
