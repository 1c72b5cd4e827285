//! Removes values that are too long to be an entry, if their transfer takes longer than a request waits.
//!
//! A long value that arrives in time is replaced by the lease of its reader. If it does not, its reader goes on without
//! Redis, and each further one would make Redis send the value again, before the replies to all other requests. So the
//! reader's keys are looked at on another connection, and those with a long value are unlinked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use tokio::time::{sleep, timeout};

use crate::remote::redis::inspect::UntrackedPool;
use crate::remote::redis::replies::ReplyLimit;

#[derive(Clone)]
pub(crate) struct LongValues {
    pool: UntrackedPool,
    limit: Arc<ReplyLimit>,
    /// Whether a read's keys are being watched or looked at. One at a time is enough: the read of a long value gives up
    /// before those that wait behind it, and a value that is not found is found after its next read. Relaxed: it guards
    /// no other data.
    is_looking: Arc<AtomicBool>,
}

/// How long after a read that got no reply its reply may begin. After that its keys are not looked at.
const LATE_REPLY: Duration = Duration::from_secs(2);

/// How often the keys are looked at if Redis does not answer, and the pause in between: it may be busy with the value.
const ATTEMPTS: usize = 10;
const RETRY_AFTER: Duration = Duration::from_millis(300);

/// A read on its way. If it is dropped before its reply, and a text is cut after its beginning, its keys are looked at.
pub(crate) struct ReadWatch<'a> {
    values: &'a LongValues,
    cuts: u64,
    pub(crate) keys: Vec<Bytes>,
    is_answered: bool,
}

impl LongValues {
    pub(crate) fn new(pool: UntrackedPool, limit: Arc<ReplyLimit>) -> Self {
        LongValues { pool, limit, is_looking: Arc::default() }
    }

    /// Watches a read of `keys`, spelled as Redis has them.
    pub(crate) fn watch(&self, keys: Vec<Bytes>) -> ReadWatch<'_> {
        ReadWatch { values: self, cuts: self.limit.cuts(), keys, is_answered: false }
    }

    async fn remove(&self, keys: &[Bytes]) {
        let most = self.limit.bytes() as u64;
        let look = |mut connection: MultiplexedConnection| async move {
            let mut pipe = redis::pipe();
            keys.iter().for_each(|key| {
                // Of a value of another type the reply is an error, and the value is not too long: MGET returns nil.
                pipe.cmd("STRLEN").arg(&key[..]);
            });
            let lengths: Vec<Result<u64, redis::RedisError>> =
                pipe.ignore_errors().query_async(&mut connection).await?;
            let mut unlink = redis::cmd("UNLINK");
            let long = keys
                .iter()
                .zip(lengths)
                .filter(|(_, length)| length.as_ref().is_ok_and(|bytes| *bytes > most));
            let long: Vec<&Bytes> = long.map(|(key, _)| key).collect();
            if long.is_empty() {
                return Ok(0);
            }
            long.iter().for_each(|key| {
                unlink.arg(&key[..]);
            });
            unlink.query_async(&mut connection).await
        };
        let mut removed: Result<u64, _> = self.pool.ask(look).await;
        // Tries again: Redis answers no other command while it copies half a gigabyte into a reply.
        for _ in 1..ATTEMPTS {
            if removed.is_ok() {
                break;
            }
            sleep(RETRY_AFTER).await;
            removed = self.pool.ask(look).await;
        }
        match removed {
            Ok(0) => {}
            Ok(removed) => tracing::warn!(removed, most, "values that are too long were removed from Redis"),
            Err(_) => tracing::warn!(most, "a value in Redis is too long, and could not be removed"),
        }
    }
}

impl ReadWatch<'_> {
    /// Ends the watch: the reply has come.
    pub(crate) fn note_reply(&mut self) {
        self.is_answered = true;
    }
}

impl Drop for ReadWatch<'_> {
    fn drop(&mut self) {
        let values = self.values;
        if self.is_answered || values.is_looking.swap(true, Ordering::Relaxed) {
            return;
        }
        let (values, cuts, keys) = (values.clone(), self.cuts, std::mem::take(&mut self.keys));
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                if timeout(LATE_REPLY, values.limit.cut_after(cuts)).await.is_ok() {
                    values.remove(&keys).await;
                }
                values.is_looking.store(false, Ordering::Relaxed);
            })),
            Err(_) => values.is_looking.store(false, Ordering::Relaxed),
        }
    }
}
