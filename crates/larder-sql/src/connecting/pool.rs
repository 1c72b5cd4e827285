//! The connection pool. If the server refuses a new connection, the pool waits for one of its own to be returned.
//!
//! Invariants:
//! - `clean_idle`: an idle connection is in no transaction, and no statement of an earlier user runs on it;
//! - `room_to_read`: if the server grants at least two connections, the callers of a share hold at most half of them,
//!   so the others are free for readers. A share is a clone by `SqlPool::sharing`; the writers use one;
//! - `own_before_none`: while the server refuses new connections, a caller waits for a connection that another caller
//!   returns. It fails when its wait is over, or at once if the refusal has a permanent cause, such as a wrong
//!   password.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::connecting::connection::{BeginSql, SqlConnection};
use crate::connecting::connector::Connector;
use crate::refusal::{Refusal, RefusalKind};

/// The pool pings a connection that was idle for longer than this before it lends it, because the server may have
/// restarted meanwhile.
pub(crate) const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// Time-out of a ping, of a clean-up (an unfinished statement, an open transaction), and of a close: a half-open
/// connection would block each of them for hours.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// The pool closes a connection that was idle for longer, so that after a busy hour the server has its connections
/// back. It looks for such connections only when a caller asks for one.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// When a connection older than this is returned, the pool closes it; so does the journal with its own. So they follow a
/// host name that now leads to another server, and the server's caches for each connection stay small.
const AGE_MAX: Duration = Duration::from_secs(1800);
/// The first and the longest pause before the pool asks the server again for a connection (exponential back-off).
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(400));
/// For this time after the server said that it is full, the pool asks it for no connection. The exception is a pool
/// without any connection: there no caller could return one.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// A pool of connections. It is an executor for single autocommitted statements. Clones share the connections.
#[derive(Clone)]
pub struct SqlPool {
    core: Arc<Core>,
    /// How many connections the callers of this clone may hold at once; `None`: all.
    share: Option<Arc<Semaphore>>,
    /// The SQL that opens a transaction around each single statement of this clone.
    pub(super) frame: BeginSql,
}

struct Core {
    source: Arc<Connector>,
    /// How long a caller waits for a connection.
    wait: Duration,
    limit: usize,
    /// One permit for each connection that may be lent. The semaphore is fair: callers get a permit in the order of
    /// their calls.
    room: Arc<Semaphore>,
    /// No task holds the lock across an await, so a blocking mutex is enough.
    state: Mutex<State>,
    /// Wakes one caller that waits for a connection in [`SqlPool::obtain`]: a loan has ended.
    returned: Notify,
    /// Wakes one caller that waits in [`Core::take_share_slot`]: a caller of a share has returned its connection.
    shared: Notify,
    /// Wakes [`SqlPool::close`]: a loan has ended.
    ended: Notify,
}

#[derive(Default)]
struct State {
    /// The idle connections in the order of their return. The pool lends the last one first, because its caches are
    /// warm.
    idle: Vec<Idle>,
    /// The number of connections that are lent.
    lent: usize,
    is_closed: bool,
    /// The number of callers of a share that hold a connection or are about to get one.
    sharing: usize,
    /// How many connections this pool had open when the server last said that it is full. `None` if the server has not
    /// said so, or has granted more connections since.
    granted: Option<usize>,
    /// The server's last refusal, and when it came; `None` after the server gave a connection.
    refused: Option<(Instant, Refusal)>,
}

struct Idle {
    connection: SqlConnection,
    since: Instant,
}

impl SqlPool {
    /// A pool of up to `limit` connections from `source`. A caller waits at most `wait` for one.
    pub(crate) fn new(source: Connector, limit: u32, wait: Duration) -> Self {
        let limit = limit as usize;
        let core = Core {
            source: Arc::new(source),
            wait,
            limit,
            room: Arc::new(Semaphore::new(limit)),
            state: Mutex::default(),
            returned: Notify::new(),
            shared: Notify::new(),
            ended: Notify::new(),
        };
        Self { core: Arc::new(core), share: None, frame: None }
    }

    /// A clone of this pool with the same connections. The callers of the clone hold at most `share` of them at once,
    /// and its single statements run within a transaction that `frame` opens.
    pub(crate) fn sharing(&self, share: u32, frame: &'static str) -> Self {
        let share = Some(Arc::new(Semaphore::new(share as usize)));
        Self { core: self.core.clone(), share, frame: Some(frame) }
    }

    /// Lends a connection.
    ///
    /// # Errors
    /// If there is no connection in time: the server's last refusal, or [`sqlx::Error::PoolTimedOut`] if there was
    /// none. It fails at once if the refusal has a permanent cause, or if the pool is closed.
    pub(crate) async fn acquire(&self) -> Result<PooledConnection, sqlx::Error> {
        match tokio::time::timeout(self.core.wait, self.obtain()).await {
            Ok(obtained) => obtained,
            Err(_) => Err(self.refusal().map_or(sqlx::Error::PoolTimedOut, sqlx::Error::from)),
        }
    }

    /// The server's last refusal; `None` after the server gave a connection.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.core.lock().refused.clone().map(|(_, refusal)| refusal)
    }

    /// Whether a connection that was detached from this pool is young, and leads to the newest primary that was met.
    pub(crate) fn may_keep(&self, connection: &SqlConnection) -> bool {
        is_young(connection) && self.core.source.is_newest(connection)
    }

    /// What opens this pool's connections.
    pub(crate) fn source(&self) -> &Arc<Connector> {
        &self.core.source
    }

    /// Whether [`SqlPool::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.core.lock().is_closed
    }

    /// Refuses new loans, waits until every connection is returned, and closes them.
    pub(crate) async fn close(&self) {
        self.core.lock().is_closed = true;
        self.core.room.close();
        loop {
            let mut ended = std::pin::pin!(self.core.ended.notified());
            // Register before the check, so that a loan that ends between the check and the wait is not missed.
            ended.as_mut().enable();
            if self.core.lock().lent == 0 {
                break;
            }
            ended.await;
        }
        let idle = std::mem::take(&mut self.core.lock().idle);
        for Idle { connection, .. } in idle {
            // The pool forgets the connection whether the close succeeds or not.
            let _ = tokio::time::timeout(PING_TIMEOUT, connection.close()).await;
        }
    }

    async fn obtain(&self) -> Result<PooledConnection, sqlx::Error> {
        let closed = |_| sqlx::Error::PoolClosed;
        // Take the permit of the share before that of `room`: so at most as many callers of this clone hold permits of
        // `room` as its share allows, and the others are free for readers.
        let share = match &self.share {
            Some(share) => Some(share.clone().acquire_owned().await.map_err(closed)?),
            None => None,
        };
        let room = self.core.room.clone().acquire_owned().await.map_err(closed)?;
        let part = match share {
            Some(share) => Some((self.core.take_share_slot().await, share)),
            None => None,
        };
        let permits = ConnectionPermits { _part: part, _room: room };
        let mut pause = PAUSES.0;
        loop {
            let returned = self.core.returned.notified();
            if let Some(connection) = self.core.idle().await {
                return Ok(self.core.lend(connection, permits));
            }
            if !self.core.is_full() {
                match self.core.connect().await {
                    Ok(connection) => return Ok(self.core.lend(connection, permits)),
                    Err(refusal) if refusal.kind == RefusalKind::Settled => return Err(refusal.into()),
                    Err(_) => {}
                }
            }
            // Wait for a returned connection, or for the time to ask the server again, whichever comes first.
            tokio::select! {
                () = returned => {}
                () = tokio::time::sleep(pause) => pause = PAUSES.1.min(2 * pause),
            }
        }
    }
}

impl Core {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle connection that still works and leads to the newest primary.
    async fn idle(&self) -> Option<SqlConnection> {
        loop {
            let Idle { mut connection, since } = self.lock().pop()?;
            let works = since.elapsed() <= TRUSTED_IDLE
                || matches!(tokio::time::timeout(PING_TIMEOUT, connection.ping()).await, Ok(Ok(())));
            // Asked after the ping, during which another connection may have led to a successor. If the connection is broken
            // or leads to a former primary, try the next idle one.
            if works && self.source.is_newest(&connection) {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<SqlConnection, Refusal> {
        // Wait for less time than the caller, so that the caller's error names the host that does not answer.
        let connected = self.source.connect(self.wait * 3 / 4).await;
        let mut state = self.lock();
        match connected {
            Ok(connection) => {
                state.refused = None;
                // `lend` counts the new connection later, hence `+ 1`.
                let open = state.lent + state.idle.len() + 1;
                state.granted = state.granted.filter(|granted| open <= *granted);
                Ok(connection)
            }
            Err(refusal) => {
                if refusal.kind == RefusalKind::Full {
                    state.granted = Some(state.lent + state.idle.len());
                }
                state.refused = Some((Instant::now(), refusal.clone()));
                Err(refusal)
            }
        }
    }

    /// Whether the server said within the last [`FULL_PAUSE`] that it is full, and the pool has connections that may be
    /// returned.
    fn is_full(&self) -> bool {
        let state = self.lock();
        let is_full = |(at, refusal): &(Instant, Refusal)| {
            refusal.kind == RefusalKind::Full && at.elapsed() < FULL_PAUSE
        };
        state.lent + state.idle.len() > 0 && state.refused.as_ref().is_some_and(is_full)
    }

    /// Waits until the callers of a share hold less than half of the connections that the server grants. If that number
    /// is unknown, it does not wait.
    async fn take_share_slot(self: &Arc<Self>) -> ShareSlot {
        loop {
            let shared = self.shared.notified();
            {
                let mut state = self.lock();
                if state.sharing < state.granted.map_or(usize::MAX, |granted| (granted / 2).max(1)) {
                    state.sharing += 1;
                    return ShareSlot(self.clone());
                }
            }
            // Also look again after a pause: `connect` may clear `granted` without a notification.
            tokio::select! {
                () = shared => {}
                () = tokio::time::sleep(PAUSES.1) => {}
            }
        }
    }

    fn lend(self: &Arc<Self>, connection: SqlConnection, permits: ConnectionPermits) -> PooledConnection {
        self.lock().lent += 1;
        PooledConnection { connection: Some(connection), core: self.clone(), permits: Some(permits) }
    }

    /// Ends a loan. `connection` must be clean; `None` if the connection was broken or detached.
    fn take_back(&self, connection: Option<SqlConnection>) {
        {
            let mut state = self.lock();
            state.lent -= 1;
            if let Some(connection) = connection.filter(is_young) {
                state.idle.push(Idle { connection, since: Instant::now() });
            }
        }
        // Notify also if the connection is gone: the server may accept another one now.
        self.returned.notify_one();
        self.ended.notify_waiters();
    }
}

fn is_young(connection: &SqlConnection) -> bool {
    connection.born().elapsed() < AGE_MAX
}

impl State {
    fn pop(&mut self) -> Option<Idle> {
        // `idle` is in the order of return, so the connections past `IDLE_MAX` are at its beginning.
        let old = self.idle.iter().take_while(|idle| idle.since.elapsed() > IDLE_MAX).count();
        self.idle.drain(..old);
        self.idle.pop()
    }
}

/// The permits that a loan holds beside the connection. They are released after the connection is returned, so that the
/// caller that gets them finds it.
struct ConnectionPermits {
    _part: Option<(ShareSlot, OwnedSemaphorePermit)>,
    _room: OwnedSemaphorePermit,
}

/// One caller of a share, counted in [`State::sharing`].
struct ShareSlot(Arc<Core>);

impl Drop for ShareSlot {
    fn drop(&mut self) {
        self.0.lock().sharing -= 1;
        self.0.shared.notify_one();
    }
}

/// The message of an `expect`: only [`PooledConnection::detach`] and the drop take the connection out, and both end the
/// loan.
const LENT: &str = "a loan has its connection until it ends";

/// A connection that is lent. When it is dropped, an open transaction is rolled back and the connection returns to the
/// pool.
pub(crate) struct PooledConnection {
    /// `None` only during the drop or [`PooledConnection::detach`].
    connection: Option<SqlConnection>,
    core: Arc<Core>,
    permits: Option<ConnectionPermits>,
}

impl PooledConnection {
    /// Takes the connection out of the pool for good. The pool may open another in its place.
    pub(crate) fn detach(mut self) -> SqlConnection {
        self.connection.take().expect(LENT)
    }
}

impl Deref for PooledConnection {
    type Target = SqlConnection;

    fn deref(&self) -> &SqlConnection {
        self.connection.as_ref().expect(LENT)
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut SqlConnection {
        self.connection.as_mut().expect(LENT)
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let permits = self.permits.take();
        let connection = self.connection.take();
        match (connection, Handle::try_current()) {
            (Some(mut connection), Ok(runtime)) if !connection.is_clean() => {
                let core = self.core.clone();
                runtime.spawn(async move {
                    let cleaned = tokio::time::timeout(PING_TIMEOUT, connection.clean()).await;
                    core.take_back(matches!(cleaned, Ok(Ok(()))).then_some(connection));
                    drop(permits);
                });
            }
            // A clean connection returns at once. Without a runtime the pool cannot clean a connection, so it closes
            // one that is not clean.
            (connection, _) => {
                self.core.take_back(connection.filter(SqlConnection::is_clean));
                drop(permits);
            }
        }
    }
}

impl fmt::Debug for SqlPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lent, idle) = {
            let state = self.core.lock();
            (state.lent, state.idle.len())
        };
        f.debug_struct("SqlPool")
            .field("limit", &self.core.limit)
            .field("lent", &lent)
            .field("idle", &idle)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
