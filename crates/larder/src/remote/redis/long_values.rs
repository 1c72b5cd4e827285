//! Removes values that are too long to be an entry, if their transfer takes longer than a request waits.
//!
//! A long value that arrives in time is replaced by the lease of its reader. If it does not, its reader goes on without
//! Redis, and each further one would make Redis send the value again, before the replies to all other requests. So the
//! reader's keys are looked at on another connection, and those with a long value are unlinked.
//!
//! No reply is a sign too, not only the beginning of a long one: while Redis copies half a gigabyte into a reply, it
//! answers no heartbeat either, and then the connection is closed before the reply begins.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use tokio::time::{sleep, timeout};

use crate::remote::Fault;
use crate::remote::redis::inspect::UntrackedPool;
use crate::remote::redis::replies::ReplyLimit;

/// Unlinks the keys whose values are longer than ARGV[1] bytes, and returns their number. It is one script, so that it
/// needs one reply: Redis may be copying the value for a next reader, and answers in between only. Of a value of another
/// type STRLEN is an error, and the value is not too long: MGET returns nil.
const UNLINK_LONG: &str = r"
local unlinked = 0
for _, key in ipairs(KEYS) do
  local bytes = redis.pcall('STRLEN', key)
  if type(bytes) == 'number' then
    if bytes > tonumber(ARGV[1]) then unlinked = unlinked + redis.call('UNLINK', key) end
  elseif not string.find(bytes.err, 'WRONGTYPE') then
    return bytes
  end
end
return unlinked
";

/// How long after a read that got no reply its keys are looked at, unless a long text begins earlier. So a Redis that is
/// slow for another reason gets one more request a second at most.
const LATE_REPLY: Duration = Duration::from_secs(1);

/// How often the keys are looked at if Redis does not answer, and the pause in between: it may be busy with the value.
const ATTEMPTS: usize = 10;
const RETRY_AFTER: Duration = Duration::from_millis(300);

/// The most keys that wait to be looked at. A key that finds no room is noted at its next read without a reply.
const SUSPECTS_MAX: usize = 500;

#[derive(Clone)]
pub(crate) struct LongValues {
    pool: UntrackedPool,
    limit: Arc<ReplyLimit>,
    /// The lock is held for a few statements, never across an await and never together with another lock.
    suspects: Arc<Mutex<Suspects>>,
}

/// The keys of reads that got no reply. Invariant: if there are any, a task runs that will look at them.
#[derive(Default)]
struct Suspects {
    keys: Vec<Bytes>,
    is_looking: bool,
}

/// A read on its way. If it is dropped before its reply, its keys are looked at.
pub(crate) struct ReadWatch<'a> {
    values: &'a LongValues,
    cuts: u64,
    pub(crate) keys: Vec<Bytes>,
    is_answered: bool,
}

impl LongValues {
    pub(crate) fn new(pool: UntrackedPool, limit: Arc<ReplyLimit>) -> Self {
        LongValues { pool, limit, suspects: Arc::default() }
    }

    /// Watches a read of `keys`, spelled as Redis has them.
    pub(crate) fn watch(&self, keys: Vec<Bytes>) -> ReadWatch<'_> {
        ReadWatch { values: self, cuts: self.limit.cuts(), keys, is_answered: false }
    }

    /// Looks at the suspects until there are none. `cuts` is the number of texts that were cut before the first read.
    async fn look(&self, mut cuts: u64) {
        loop {
            // Time-out: the connection of the reply may have been closed before the reply began.
            let _ = timeout(LATE_REPLY, self.limit.cut_after(cuts)).await;
            let is_cut = self.limit.cuts() > cuts;
            cuts = self.limit.cuts();
            let keys = std::mem::take(&mut self.suspects().keys);
            self.remove(&keys, is_cut).await;
            let mut suspects = self.suspects();
            if suspects.keys.is_empty() {
                suspects.is_looking = false;
                return;
            }
        }
    }

    /// Unlinks the long values under `keys`. If Redis does not answer, that is logged if a long value `was_seen`.
    async fn remove(&self, keys: &[Bytes], was_seen: bool) {
        let most = self.limit.bytes() as u64;
        let look = |mut connection: MultiplexedConnection| async move {
            let mut unlink = redis::cmd("EVAL");
            unlink.arg(UNLINK_LONG).arg(keys.len());
            keys.iter().for_each(|key| {
                unlink.arg(&key[..]);
            });
            unlink.arg(most).query_async(&mut connection).await
        };
        let mut removed: Result<u64, _> = self.pool.ask(look).await;
        // Tries again: Redis answers no other command while it copies half a gigabyte into a reply.
        for _ in 1..ATTEMPTS {
            if !matches!(removed, Err(Fault::Away)) {
                break;
            }
            sleep(RETRY_AFTER).await;
            removed = self.pool.ask(look).await;
        }
        match removed {
            Ok(0) => {}
            Ok(removed) => tracing::warn!(removed, most, "values that are too long were removed from Redis"),
            Err(_) if was_seen => {
                tracing::warn!(most, "a value in Redis is too long, and could not be removed");
            }
            // Redis is away, which the keeper logs, or refuses the script.
            Err(_) => {}
        }
    }

    /// The state is consistent between any two statements, so it can be used after a panic with the lock.
    fn suspects(&self) -> MutexGuard<'_, Suspects> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
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
        if self.is_answered {
            return;
        }
        // Without a runtime there is no task that could look.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut suspects = self.values.suspects();
        let room = SUSPECTS_MAX.saturating_sub(suspects.keys.len());
        suspects.keys.extend(self.keys.drain(..).take(room));
        if !suspects.keys.is_empty() && !std::mem::replace(&mut suspects.is_looking, true) {
            let (values, cuts) = (self.values.clone(), self.cuts);
            drop(runtime.spawn(async move { values.look(cuts).await }));
        }
    }
}
